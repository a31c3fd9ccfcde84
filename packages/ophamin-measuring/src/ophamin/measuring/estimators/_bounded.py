"""Bounds for the mean of bounded values that hold for every distribution, at a fixed n."""

from __future__ import annotations

import math

import numpy as np

from ophamin.measuring.estimators._table import Floats

__all__ = ["bernstein_lower", "bernstein_p_lower", "betting_lower", "betting_p_lower"]

TRUNCATION = 0.75
"""Largest share of the capital ever staked; keeps every factor of the capital positive."""


def _stakes(x: Floats, alpha: float) -> Floats:
    # Predictable: the stake on x_t is fixed by x_1 … x_{t−1} alone, which is what makes the bound valid.
    n = len(x)
    count = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(x)) / (count + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (count + 1)
    before = np.concatenate(([0.25], variance[:-1]))
    return np.asarray(np.sqrt(2 * math.log(1 / alpha) / (n * before)))


def _log_capital(x: Floats, stakes: Floats, m: float) -> float:
    bounded = np.minimum(stakes, TRUNCATION / m) if m > 0 else stakes
    return float(max(np.cumsum(np.log1p(bounded * (x - m))).max(), 0.0))


def betting_lower(x: Floats, alpha: float) -> float:
    """Lower bound for the mean of values in [0, 1] by betting.

    The capital of a gambler who bets that the mean exceeds m is a test martingale under "mean ≤ m"; m is
    excluded when it ever reaches 1/α within the n rounds (Ville's inequality). With the stakes below it
    falls in m, so the bound is found by bisection. Each side is a process of its own at level α, so
    nothing is hedged away.

    Source: Waudby-Smith & Ramdas (2024), JRSS B 86:1, equations (24)–(26) with stakes for a fixed n.

    Args:
        x: Values in [0, 1], in an order fixed without looking at them; shape (n,).
        alpha: One-sided error rate.
    """
    stakes, goal = _stakes(x, alpha), math.log(1 / alpha)
    low, high = 0.0, float(x.mean())
    if high <= 0:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        if _log_capital(x, stakes, middle) >= goal:
            low = middle
        else:
            high = middle
    return low  # the last m that was excluded: rounding never makes the bound too high


def betting_p_lower(x: Floats, alpha: float, m: float) -> float:
    """p-value of "mean ≤ m": one over the greatest capital, stakes as tuned for ``alpha``.

    Below ``alpha`` exactly when :func:`betting_lower` excludes m. The infimum over stakes tuned for every
    other α would be smaller and no p-value: it would choose the test after seeing the data.
    """
    if m < 0:
        return 0.0
    if m >= 1:
        return 1.0
    if m == 0:
        return 0.0 if x.max() > 0 else 1.0
    return math.exp(-_log_capital(x, _stakes(x, alpha), m))


def bernstein_lower(x: Floats, alpha: float) -> float:
    """Lower bound for the mean of values in [0, 1] by the empirical Bernstein inequality.

    Source: Maurer & Pontil (2009), COLT, theorem 4.
    """
    n = len(x)
    log = math.log(2 / alpha)
    spread = math.sqrt(2 * float(x.var(ddof=1)) * log / n) + 7 * log / (3 * (n - 1))
    return max(0.0, float(x.mean()) - spread)


def bernstein_p_lower(x: Floats, m: float) -> float:
    """The α at which :func:`bernstein_lower` reaches m."""
    n, gap = len(x), float(x.mean()) - m
    if m < 0:
        return 0.0
    if gap <= 0:
        return 1.0
    a, b = 7 / (3 * (n - 1)), math.sqrt(2 * float(x.var(ddof=1)) / n)
    root = (-b + math.sqrt(b * b + 4 * a * gap)) / (2 * a)
    return min(1.0, 2 * math.exp(-root * root))
