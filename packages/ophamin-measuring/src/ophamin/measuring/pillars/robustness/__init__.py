"""Pillar N, n-fold robustness: does a result survive other samples of the same kind?

``statistics`` names what can be resampled, ``bootstrap`` and ``jackknife`` resample it, ``folds`` and ``validation``
cross-validate a model, ``comparison`` compares two, ``jackknife_plus`` predicts. ``plugins_…`` wrap them. Nothing is
imported here.
"""

__all__: list[str] = []
