"""Permutation tests of two samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import permutation_test as _scipy

from ophamin.proof.errors import UsageError

__all__ = ["STATISTICS", "Permutation", "permutation_test"]


def _means(x: Any, y: Any, axis: int = -1) -> Any:
    return np.mean(x, axis=axis) - np.mean(y, axis=axis)


def _medians(x: Any, y: Any, axis: int = -1) -> Any:
    return np.median(x, axis=axis) - np.median(y, axis=axis)


STATISTICS: Mapping[str, Callable[..., Any]] = {"mean": _means, "median": _medians}


@dataclass(frozen=True)
class Permutation:
    """A permutation test.

    Args:
        statistic: Difference of the means or medians, first less second.
        p_value: Two-sided; exact, or (b + 1)/(B + 1) from B random arrangements.
        resamples: Arrangements looked at.
        exact: Whether those were all there are.
        problem: Why there is no test, or "".
    """

    statistic: float
    p_value: float
    resamples: int
    exact: bool
    problem: str = ""


def permutation_test(
    x: Any, y: Any, *, statistic: str = "mean", paired: bool = False, resamples: int = 9999, seed: int = 0
) -> Permutation:
    """Whether two samples are exchangeable, by ``scipy.stats.permutation_test``.

    Args:
        x: Values of the first sample.
        y: Values of the second; row by row those of x when ``paired``.
        statistic: ``mean`` or ``median``.
        paired: Exchange within rows instead of between samples.
        resamples: Most arrangements to look at, at least 99; all of them when there are fewer.
        seed: Of the random arrangements.

    Raises:
        UsageError: An unknown statistic, values that are not finite, or too few resamples.

    Example:
        >>> found = permutation_test([3.0, 4.0, 5.0], [0.0, 1.0, 2.0])
        >>> found.p_value, found.exact
        (0.1, True)
    """
    if statistic not in STATISTICS:
        raise UsageError(f"no statistic is called {statistic!r}; use {', '.join(STATISTICS)}")
    if resamples < 99:
        raise UsageError(f"a permutation test needs at least 99 resamples, not {resamples}")
    x, y = (np.asarray(v, dtype=np.float64).ravel() for v in (x, y))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UsageError("the values must be finite numbers; leave out what is missing")
    n1, n2 = len(x), len(y)
    if paired and n1 != n2:
        raise UsageError("paired samples have equal lengths")
    if min(n1, n2) < 2:
        return Permutation(math.nan, math.nan, 0, False, "a permutation test needs at least 2 values in each sample")
    arrangements = 2**n1 if paired else math.comb(n1 + n2, n1)
    exact = arrangements <= resamples
    found = _scipy(
        (x, y), STATISTICS[statistic], permutation_type="samples" if paired else "independent", vectorized=True,
        n_resamples=arrangements if exact else resamples, alternative="two-sided", rng=np.random.default_rng(seed),
        batch=max(1, 4_000_000 // (n1 + n2)),
    )  # fmt: skip
    return Permutation(
        float(found.statistic), min(1.0, float(found.pvalue)), arrangements if exact else resamples, exact
    )
