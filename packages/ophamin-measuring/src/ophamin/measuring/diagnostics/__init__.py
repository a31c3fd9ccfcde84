"""Diagnostics: ways a system goes wrong that one number does not show.

``conformal`` and ``anticipation`` ask whether failures are foreseen, ``inertia`` how far beliefs move on new evidence,
``coupling`` whether a collapse is intrinsic or a matter of calibration, ``posterior`` what is believed of a mean or a
proportion. The modules named ``plugins_*`` wrap them as plug-ins ``D.*``. Nothing is imported here.
"""

__all__: list[str] = []
