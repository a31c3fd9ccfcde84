"""Tukey's honestly significant differences: all pairs of groups, with one error rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.multicomp import MultiComparison

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.design import coded
from ophamin.proof.errors import UsageError

__all__ = ["Tukey", "tukey_hsd"]

_FEW = 1000
"""So many rows show in most tables that a group varies; the rest are then not looked at."""


@dataclass(frozen=True)
class Tukey:
    """All pairwise differences.

    Args:
        pairs: (first, second): the difference is the mean of the second less that of the first.
        differences: Shape (pairs,).
        lower: Simultaneous lower ends.
        upper: Simultaneous upper ends.
        p_values: Adjusted p-values.
        df: Degrees of freedom within.
    """

    pairs: list[tuple[str, str]]
    differences: Floats
    lower: Floats
    upper: Floats
    p_values: Floats
    df: int


def _varies(y: Floats, codes: NDArray[np.intp], k: int) -> bool:
    """Whether two values of one group differ."""
    one = np.empty(k)
    one[codes] = y
    return bool((y != one[codes]).any())


def tukey_hsd(value: ArrayLike, group: Sequence[Any], *, level: float = 0.95) -> Tukey:
    """Compare every pair of groups by the studentised range (Tukey–Kramer with unequal sizes).

    Args:
        value: Observations, shape (n,).
        group: Group of each, shape (n,).
        level: Simultaneous two-sided confidence.

    Raises:
        UsageError: Fewer than two groups, no variance within, or too few observations.

    Source: Tukey (1949); Kramer (1956), Biometrics 12:307.

    Example:
        >>> found = tukey_hsd([1, 2, 3, 4, 5, 6, 7, 8, 9], list("aaabbbccc"))
        >>> found.pairs[0], float(found.differences[0])
        (('a', 'b'), 3.0)
    """
    y = np.asarray(value, dtype=float)
    if y.shape != (len(group),) or not np.isfinite(y).all():
        raise UsageError("Tukey's test needs a group for each value, and finite values")
    if not 0 < level < 1:
        raise UsageError(f"a level lies between 0 and 1, such as 0.95, not {level!r}")
    levels, codes = coded(group)
    k, n = len(levels), len(y)
    if k < 2 or n <= k:
        raise UsageError(f"{n} observations in {k} groups: at least two groups are needed, one of them with two")
    y = y - y[0]
    if not any(_varies(y[:end], codes[:end], k) for end in (_FEW, n)):
        raise UsageError("no group varies, so nothing says how much a difference would by chance")
    found = MultiComparison(y, codes).tukeyhsd(alpha=1 - level)
    first, second = np.triu_indices(k, 1)
    pairs = [(levels[i], levels[j]) for i, j in zip(first, second, strict=True)]
    bounds = np.asarray(found.confint, dtype=float)
    p_values = np.clip(np.atleast_1d(np.asarray(found.pvalues, dtype=float)), 0.0, 1.0)
    differences = np.asarray(found.meandiffs, dtype=float)
    return Tukey(pairs, differences, bounds[:, 0], bounds[:, 1], p_values, n - k)
