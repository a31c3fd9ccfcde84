"""Sample-ratio mismatch: did the arms of an experiment get the shares they were meant to?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chisquare

from ophamin.proof.errors import UsageError

__all__ = ["RatioMismatch", "sample_ratio_mismatch"]


@dataclass(frozen=True)
class RatioMismatch:
    """Pearson's χ² test of the shares.

    Args:
        statistic: χ².
        df: Arms − 1.
        p_value: Of the planned shares.
        expected: Expected counts.
    """

    statistic: float
    df: int
    p_value: float
    expected: list[float]


def sample_ratio_mismatch(observed: ArrayLike, plan: Sequence[float]) -> RatioMismatch:
    """Test counts against planned shares, by ``scipy.stats.chisquare`` without continuity correction.

    For counts that are looked at as they grow use ``adaptive.ratio_mismatch``.

    Args:
        observed: Units in each arm, shape (arms,).
        plan: Planned shares, scaled to sum to 1.

    Raises:
        UsageError: Counts that are negative or all 0, a share that is not above 0, or fewer than two arms.

    Source: Kohavi, Tang & Xu (2020), *Trustworthy Online Controlled Experiments*, chapter 21.

    Example:
        >>> round(sample_ratio_mismatch([821588, 815482], [1, 1]).statistic, 2)
        22.77
    """
    counts, shares = np.asarray(observed, dtype=np.float64), np.asarray(plan, dtype=np.float64)
    if counts.shape != shares.shape or len(counts) < 2 or (counts < 0).any() or not counts.sum() > 0:
        raise UsageError("counts from 0 up of at least two arms are held against as many planned shares")
    if not (shares > 0).all() or not np.isfinite(counts).all():
        raise UsageError("planned shares lie above 0, and counts are finite")
    expected = shares / shares.sum() * counts.sum()
    found = chisquare(counts, expected)
    return RatioMismatch(float(found.statistic), len(counts) - 1, float(found.pvalue), expected.tolist())
