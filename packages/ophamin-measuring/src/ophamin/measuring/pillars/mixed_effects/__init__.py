"""Pillar M, mixed effects and analysis of variance.

``design`` writes models as matrices, ``criterion`` is their likelihood, ``linear`` fits them, ``inference`` gives
degrees of freedom, profile intervals and likelihood-ratio tests; ``oneway``, ``factorial``, ``repeated`` and ``tukey``
are the analyses of variance, ``sweep`` the effects of a sweep's factors. The modules named ``plugins_*`` wrap them as
plug-ins. Nothing is imported here.
"""

__all__: list[str] = []
