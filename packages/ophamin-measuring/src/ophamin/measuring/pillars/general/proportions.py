"""Intervals for shares and their differences, over whole arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ophamin.measuring.estimators import _shares
from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["METHODS", "ShareInterval", "check_level", "difference_interval", "interval"]

METHODS = tuple(_shares.FORMULAS)


@dataclass(frozen=True)
class ShareInterval:
    """A share, or a difference of two, with a two-sided interval; arrays of the shape asked for.

    Args:
        estimate: The maximum-likelihood estimate; NaN where n = 0.
        lower: Lower end.
        upper: Upper end.
        method: Interval method.
        level: Two-sided confidence.
    """

    estimate: Floats
    lower: Floats
    upper: Floats
    method: str
    level: float


def check_level(level: float) -> float:
    """α of one side, (1 − level)/2.

    Raises:
        UsageError: The level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise UsageError(f"a two-sided level lies between 0 and 1, such as 0.95, not {level!r}")
    return (1 - level) / 2


def _counts(k: Any, n: Any) -> tuple[Floats, Floats]:
    k, n = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    if not (np.isfinite(k).all() and np.isfinite(n).all()) or (k < 0).any() or (k > n).any():
        raise UsageError("a share needs counts with 0 <= successes <= trials")
    return k, n


def interval(k: Any, n: Any, *, method: str = "wilson", level: float = 0.95) -> ShareInterval:
    """Two-sided interval of binomial shares.

    Source: see ``ophamin.measuring.estimators._shares``; comparison: Newcombe (1998), Statist. Med. 17:857.

    Args:
        k: Successes; number or array.
        n: Trials, broadcast against k; 0 gives NaN with the interval [0, 1].
        method: ``wilson``, ``wilson-corrected``, ``clopper-pearson`` (guaranteed), ``agresti-coull`` or ``jeffreys``.
        level: Two-sided confidence.

    Raises:
        UsageError: Unknown method, a level outside (0, 1), or counts that are none.

    Example:
        >>> found = interval([81, 0], [263, 20])
        >>> found.lower.round(4).tolist(), found.upper.round(4).tolist()
        ([0.2553, 0.0], [0.3662, 0.1611])
    """
    if method not in _shares.FORMULAS:
        raise UsageError(f"no interval for a share is called {method!r}; use {', '.join(METHODS)}")
    alpha = check_level(level)
    k, n = _counts(k, n)
    some = n > 0
    size = np.where(some, n, 1.0)
    lower, upper = _shares.FORMULAS[method](k, size, alpha)
    estimate = np.where(some, k / size, np.nan)
    return ShareInterval(estimate, np.where(some, lower, 0.0), np.where(some, upper, 1.0), method, level)


def difference_interval(k1: Any, n1: Any, k2: Any, n2: Any, *, level: float = 0.95) -> ShareInterval:
    """Newcombe's hybrid score interval of p1 − p2, for independent samples.

    Source: Newcombe (1998), Statist. Med. 17:873, method 10.

    Raises:
        UsageError: A level outside (0, 1), or counts that are none.

    Example:
        >>> found = difference_interval(56, 70, 48, 80)
        >>> round(float(found.lower), 4), round(float(found.upper), 4)
        (0.0524, 0.3339)
    """
    alpha = check_level(level)
    (k1, n1), (k2, n2) = _counts(k1, n1), _counts(k2, n2)
    some = (n1 > 0) & (n2 > 0)
    s1, s2 = np.where(n1 > 0, n1, 1.0), np.where(n2 > 0, n2, 1.0)
    lower, upper = _shares.newcombe(k1, s1, k2, s2, alpha)
    estimate = np.where(some, k1 / s1 - k2 / s2, np.nan)
    return ShareInterval(estimate, np.where(some, lower, -1.0), np.where(some, upper, 1.0), "newcombe", level)
