"""Pillar I, iterative synthesis: effect sizes, pooled effects, heterogeneity, small-study effects.

``effects`` turns counts and means into effects with variances, ``heterogeneity`` estimates τ² and its interval,
``pooling`` pools, ``tables`` pools 2×2 tables directly, ``sequence`` leaves one out or accumulates, ``bias`` looks for
small-study effects. The modules named ``*_pillars`` wrap them as plug-ins. Nothing is imported here.
"""

__all__: list[str] = []
