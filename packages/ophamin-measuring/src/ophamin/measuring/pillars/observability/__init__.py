"""Pillar O, observability: is a process what it was?

``constants`` and ``charts`` hold Shewhart charts, ``rules`` the runs rules, ``weighted`` EWMA and CUSUM, ``run_length``
how long each takes to signal, ``capability`` the indices, ``ratio`` the sample-ratio mismatch, ``drift`` the streaming
detectors of river. The modules ``plugins_…`` wrap them. Nothing is imported here.
"""

__all__: list[str] = []
