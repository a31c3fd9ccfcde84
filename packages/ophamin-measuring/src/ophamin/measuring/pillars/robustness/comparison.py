"""Comparing two learners on the same splits: the corrected resampled t test.

Overlapping training sets make an ordinary paired t test reject far too often. The correction speaks of learners, that
is of the procedure on training sets of this size, not of a fitted model.

Source: Nadeau & Bengio (2003), Machine Learning 52:239; Bouckaert & Frank (2004), PAKDD.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from ophamin.proof.errors import UsageError

__all__ = ["Comparison", "corrected_resampled_t"]


@dataclass(frozen=True)
class Comparison:
    """A comparison of two learners.

    Args:
        difference: Mean of second minus first.
        lower: Lower end of the two-sided interval.
        upper: Upper end.
        statistic: t; NaN where all differences are equal.
        df: Splits − 1.
        p_value: Two-sided.
        naive_p_value: Of the ordinary paired t test, to show what it would have said.
    """

    difference: float
    lower: float
    upper: float
    statistic: float
    df: int
    p_value: float
    naive_p_value: float


def corrected_resampled_t(first: ArrayLike, second: ArrayLike, *, test_share: float, level: float = 0.95) -> Comparison:
    """Test that two learners score alike.

    Args:
        first: Scores of the first learner, split by split, shape (k,).
        second: Scores of the second on the same splits.
        test_share: n_test/n_train of a split, e.g. 1/9 for ten folds.
        level: Two-sided confidence.

    Raises:
        UsageError: Fewer than two splits, lengths that differ, or a share that is not above 0.

    Example:
        >>> found = corrected_resampled_t([0.8, 0.82, 0.79], [0.83, 0.86, 0.85], test_share=0.5)
        >>> round(found.p_value, 3), round(found.naive_p_value, 3)
        (0.09, 0.039)
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or len(a) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()) or not test_share > 0:
        raise UsageError(
            "two lists of finite scores of the same two or more splits, and a test share above 0, are needed"
        )
    gap = b - a
    k, mean, variance = len(gap), float(gap.mean()), float(gap.var(ddof=1))
    if variance <= 1e-30:
        return Comparison(mean, mean, mean, math.nan, k - 1, math.nan, math.nan)
    error, naive = math.sqrt(variance * (1 / k + test_share)), math.sqrt(variance / k)
    half = float(t.ppf((1 + level) / 2, k - 1)) * error
    p_value, naive_p = (float(2 * t.sf(abs(mean) / e, k - 1)) for e in (error, naive))
    return Comparison(mean, mean - half, mean + half, mean / error, k - 1, p_value, naive_p)
