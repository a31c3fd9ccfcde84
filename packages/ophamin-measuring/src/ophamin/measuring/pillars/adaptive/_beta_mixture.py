"""Both ends of a beta mixture's confidence sequence, for all n at once.

The ends are the two roots in θ = log p/(1 − p) of s·θ − n·log(1 + e^θ) = level. About its top the left side is a power
series whose coefficients are the cumulants of a Bernoulli variable; reverted to fifth order it gives starts so near
that one step of Halley's method is enough but for the smallest n.
"""

from __future__ import annotations

import numpy as np

from ophamin.measuring.pillars._columns import Floats

__all__ = ["mixture_ends"]

_AT_ONCE = 4096
"""Values of n solved together: what a step needs of them stays in the processor's cache, and off fresh pages."""

_OPEN = 1e-6
"""A larger step is not the last: this one, cubed in θ and squared in p, leaves rounding only."""

_NEAR = 4.0
"""Beyond, where n is small and α tiny, the series no longer keeps the two ends on their sides of the top."""

_FAR = 700.0
"""θ at which p is 0 or 1 to every digit, and e^θ still a number."""


def mixture_ends(successes: Floats, n: Floats, level: Floats) -> tuple[Floats, Floats]:
    """The p below and above s/n at which s·log p + (n − s)·log(1 − p) is ``level``.

    Args:
        successes: s after each n, never falling, shape (m,).
        n: Ascending, shape (m,).
        level: Below the maximum over p, shape (m,).

    Returns:
        Lower ends, 0 where s is 0, and upper ends, 1 where s is n.
    """
    failures = n - successes
    ends = np.empty((2, len(n)))
    alike = int(np.searchsorted(np.minimum(successes, failures), 1.0))  # before it all agree: one end has a closed form
    if alike:
        all_of_them = np.exp(level[:alike] / n[:alike])
        ends[0, :alike] = np.where(successes[:alike] > 0, all_of_them, 0.0)
        ends[1, :alike] = np.where(failures[:alike] > 0, 1 - all_of_them, 1.0)
    for start in range(alike, len(n), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        ends[:, part] = _solved(successes[part], failures[part], n[part], level[part])
    return ends[0], ends[1]


def _solved(s: Floats, f: Floats, n: Floats, level: Floats) -> Floats:
    """Both ends, shape (2, m), where neither s nor f is 0."""
    theta = _starts(s, f, n, level)
    step, p, variance = _halley(theta, s, n, level)
    ends = p - variance * step  # p at theta - step, where the step is small
    flat, theta, step = ends.reshape(-1), theta.reshape(-1), step.reshape(-1)
    at = np.flatnonzero(np.abs(step) > _OPEN)
    theta, step = theta[at], step[at]
    for _ in range(60):
        if not len(at):
            break
        column, theta = at % len(n), np.clip(theta - step, -_FAR, _FAR)
        step, p, variance = _halley(theta, s[column], n[column], level[column])
        flat[at] = p - variance * step
        still = np.abs(step) > _OPEN
        at, theta, step = at[still], theta[still], step[still]
    return ends


def _starts(s: Floats, f: Floats, n: Floats, level: Floats) -> Floats:
    """θ at both ends by the reverted series, shape (2, m)."""
    log_f = np.log(f)
    top = np.log(s) - log_f
    drop = s * top + n * (log_f - np.log(n)) - level
    curvature = s * f / n
    variance, skew = curvature / n, (f - s) / n
    square = np.minimum((drop + drop) / curvature, _NEAR)
    even = top - skew * square * (1 / 6 + (2 + variance) * square * (1 / 540))
    odd = np.sqrt(square) * (1 + (1 - variance) * square * (1 / 36))
    theta = np.empty((2, len(n)))
    np.subtract(even, odd, out=theta[0])
    np.add(even, odd, out=theta[1])
    return theta


def _halley(theta: Floats, s: Floats, n: Floats, level: Floats) -> tuple[Floats, Floats, Floats]:
    """A step to take off θ, p at θ, and p·(1 − p)."""
    odds = np.exp(theta)
    above = 1 + odds
    p = odds / above
    variance = p - p * p
    slope = s - n * p
    excess = s * theta - n * np.log(above) - level
    return excess * slope / (slope * slope + excess * variance * (0.5 * n)), p, variance
