"""Prediction intervals by the jackknife+ and CV+: no assumption on the model, coverage at least 1 − 2α.

The guarantee is 1 − 2α, not 1 − α, though 1 − α is what is usually seen.

Source: Barber, Candès, Ramdas & Tibshirani (2021), Ann Stat 49:486.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.robustness.folds import Split
from ophamin.proof.errors import UsageError

__all__ = ["jackknife_plus"]


def jackknife_plus(
    model: Any, features: ArrayLike, target: ArrayLike, new: ArrayLike, splits: Sequence[Split], *, alpha: float = 0.1
) -> tuple[Floats, Floats]:
    """Intervals for new rows.

    Args:
        model: A scikit-learn regressor; each split fits a clone.
        features: Shape (n, p) or (n,).
        target: Shape (n,).
        new: Rows to predict, shape (m, p) or (m,).
        splits: Leave-one-out splits for the jackknife+, k folds for CV+; each row is tested once.
        alpha: Miss rate aimed at; at most 2α is guaranteed (a little more for few folds).

    Returns:
        Lower and upper ends, each of shape (m,); ±∞ where n is too small for this α.

    Raises:
        UsageError: α out of range, or splits that do not test each row once.
    """
    x, y, z = (np.asarray(a, dtype=np.float64) for a in (features, target, new))
    x, z = (a[:, None] if a.ndim == 1 else a for a in (x, z))
    tested = np.concatenate([test for _, test in splits]) if splits else np.zeros(0, int)
    if not 0 < alpha < 1 or sorted(tested.tolist()) != list(range(len(y))):
        raise UsageError("alpha lies between 0 and 1, and the splits test each row exactly once")
    residual, predicted = np.empty(len(y)), np.empty((len(y), len(z)))
    for train, test in splits:
        fitted = clone(model).fit(x[train], y[train])
        residual[test] = np.abs(y[test] - fitted.predict(x[test]))
        predicted[test] = fitted.predict(z)
    n = len(y)
    # Rounded first: (n + 1)(1 − α) is often a whole number that floating point misses by a hair.
    k = math.ceil(round((n + 1) * (1 - alpha), 10))
    if k > n:
        return np.full(len(z), -math.inf), np.full(len(z), math.inf)
    lower = -np.sort(-(predicted - residual[:, None]), axis=0)[k - 1]
    upper = np.sort(predicted + residual[:, None], axis=0)[k - 1]
    return lower, upper
