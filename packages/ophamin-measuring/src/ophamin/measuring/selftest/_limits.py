"""Exact binomial limits: how many misses of a right method are so many that a right one hardly ever has them.

Standard library only, and exact to rounding: the reader of a record computes each limit again.
"""

from __future__ import annotations

import math

__all__ = ["fewest", "most", "sees_above", "sees_below", "tail_above", "tail_below"]


def _log_pmf(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)


def tail_above(count: int, n: int, p: float) -> float:
    """P(X > count) for X ~ Bin(n, p), summed term by term.

    Example:
        >>> tail_above(1, 2, 0.5)
        0.25
    """
    if count < 0:
        return 1.0
    if count >= n or p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    if count < (n + 1) * p - 1:  # the shorter way round
        return 1.0 - _summed(n - count, n, 1 - p)
    return _summed(count + 1, n, p)


def _summed(first: int, n: int, p: float) -> float:
    """P(X ≥ first) where the terms fall from ``first`` on."""
    if first > n:
        return 0.0
    term = total = math.exp(_log_pmf(first, n, p))
    odds = p / (1 - p)
    for k in range(first, n):
        term *= (n - k) / (k + 1) * odds
        total += term
        if term < 1e-17 * total:
            break
    return min(1.0, total)


def tail_below(count: int, n: int, p: float) -> float:
    """P(X < count) for X ~ Bin(n, p)."""
    return tail_above(n - count, n, 1 - p)


def most(n: int, p: float, share: float) -> int:
    """Least c with P(X > c) ≤ share: a method whose true rate is at most p exceeds it that rarely.

    Example:
        >>> most(10_000, 0.05, 1e-5)
        595
    """
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tail_above(middle, n, p) <= share else (middle, high)
    return high


def fewest(n: int, p: float, share: float) -> int:
    """Greatest c with P(X < c) ≤ share: a method whose true rate is at least p falls short of it that rarely."""
    return n - most(n, 1 - p, share)


def sees_above(n: int, limit: int, power: float = 0.99) -> float:
    """Least true rate that exceeds ``limit`` with this chance: the smallest fault surely seen.

    Example:
        >>> round(sees_above(10_000, 595), 4)
        0.0652
    """
    low, high = limit / n, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if tail_above(limit, n, middle) >= power else (middle, high)
    return high


def sees_below(n: int, limit: int, power: float = 0.99) -> float:
    """Greatest true rate that falls short of ``limit`` with this chance; below 0 where none does."""
    return 1.0 - sees_above(n, n - limit, power) if limit > 0 else -1.0
