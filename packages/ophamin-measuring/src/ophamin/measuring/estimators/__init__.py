"""Intervals with a known error rate on each side.

One module per statistic, each a plain function of the entry-point group ``ophamin.estimators``:
``estimate(columns, *, confidence, seed, **options) -> Estimate``. ``confidence`` is one-sided and
holds for each bound by itself. Nothing is imported here, so that a run pays only for the estimator
it uses; ask ``ophamin.registry.estimators`` or import the module.
"""

__all__: list[str] = []
