"""The ends of a beta mixture's confidence sequence, for all n at once.

An end is a root in θ = log p/(1 − p) of s·θ − n·log(1 + e^θ) = level; all of it is divided by n. About its top the left
side is a power series whose coefficients are the cumulants of a Bernoulli variable; reverted to third order it gives
starts so near that one step of Halley's method is enough but for the smallest n.

A mixture never leaves out the mean m of its posterior: the log-likelihood is concave, so that by Jensen's inequality
the likelihood ratio against m is at most 1. A 1 multiplies the ratio against p by m/p and a 0 by (1 − m)/(1 − p), so
that neither end falls after a 1, and neither rises after a 0. So the running intersection needs one end of each n only.
"""

from __future__ import annotations

import numpy as np

from ophamin.measuring.pillars._columns import Floats

__all__ = ["mixture_ends", "running_ends"]

_AT_ONCE = 8192
"""Roots looked for together: what a step needs of them stays in the processor's cache, and off fresh pages."""

_OPEN = 1e-4
"""A larger step is not the last: what this one leaves, its cube, is less than 10⁻¹² of p and of 1 − p."""

_WIDE, _LOST = 1.0, 15.0
"""Drops over variances beyond which the series may overshoot, and beyond which it may lose its side of the top."""

_FAR = 700.0
"""θ at which p is 1 to every digit, and e^θ still a number."""

_BOTH = np.array([[-1.0], [1.0]])
"""The sides of the top on which the two ends lie."""


def mixture_ends(share: Floats, rest: Floats, height: Floats) -> tuple[Floats, Floats]:
    """The p below and above the share of ones at which share·log p + rest·log(1 − p) is ``height``.

    Args:
        share: s/n after each n = 1, 2 …, shape (m,).
        rest: (n − s)/n.
        height: Level over n, below the maximum over p.

    Returns:
        Lower ends, 0 where the share is 0, and upper ends, 1 where it is 1.
    """
    alike = _alike(share, rest)
    ends = np.empty((2, len(share)))
    closed = np.exp(height[:alike])
    ends[:, :alike] = (closed, np.ones(alike)) if share[0] else (np.zeros(alike), 1 - closed)
    step = _AT_ONCE // 2
    for start in range(alike, len(share), step):
        part = slice(start, start + step)
        ends[:, part] = _solved(share[part], rest[part], height[part], _BOTH)
    return ends[0], ends[1]


def running_ends(outcomes: Floats, share: Floats, rest: Floats, height: Floats) -> tuple[Floats, Floats]:
    """The greatest lower and the least upper end up to each n: the first moves at a 1 only, the second at a 0 only.

    Args:
        outcomes: 0 and 1, shape (m,).
        share: As of :func:`mixture_ends`, and so the rest; the height is that of a mixture.
        rest: Likewise.
        height: Likewise.
    """
    alike = _alike(share, rest)
    ends = np.empty(len(share))
    closed = np.exp(height[:alike])
    ends[:alike] = closed if share[0] else 1 - closed
    for start in range(alike, len(share), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        ends[part] = _solved(share[part], rest[part], height[part], 1 - 2 * outcomes[part])
    # At a 0 the lower end counts as 0, at a 1 the upper one as 1. From 0 up numbers are ordered as their bits are, and
    # integers are compared faster.
    lower, upper = np.minimum(ends, outcomes), np.maximum(ends, outcomes)
    for bits, record in ((lower.view(np.int64), np.maximum), (upper.view(np.int64), np.minimum)):
        record.accumulate(bits, out=bits)
    return lower, upper


def _alike(share: Floats, rest: Floats) -> int:
    """How many outcomes came before the first unlike them: there one end has a closed form, and one is 0 or 1."""
    return int(((share if rest[0] else rest) > 0).argmax()) if share[-1] * rest[-1] > 0 else len(share)


def _solved(share: Floats, rest: Floats, height: Floats, side: Floats) -> Floats:
    """The ends, at a side of −1 the one below and at 1 the one above, where neither the share nor the rest is 0."""
    theta = _starts(share, rest, height, side)
    ends, step = _halley(theta, share, height)
    for _ in range(60):
        far = np.flatnonzero(np.abs(step) > _OPEN)
        if not len(far):
            return ends
        m = 1 + int((far % step.shape[-1]).max())  # the first n alone
        theta = theta[..., :m] - step[..., :m]
        np.minimum(theta, _FAR, out=theta)
        ends[..., :m], step = _halley(theta, share[:m], height[:m])
    return np.clip(ends, 0.0, 1.0, out=ends)  # a root beyond _FAR is told as 1


def _starts(share: Floats, rest: Floats, height: Floats, side: Floats) -> Floats:
    """θ at the ends by the reverted series, its last coefficient as for even odds."""
    top, log_rest = np.log(share), np.log(rest)
    top -= log_rest
    drop = share * top
    drop += log_rest
    drop -= height
    drop /= share * rest
    wide = np.flatnonzero(drop > _WIDE)
    m = int(wide[-1]) + 1 if len(wide) else 0  # the first n alone
    np.minimum(drop[:m], _LOST, out=drop[:m])
    theta = side * np.sqrt(drop + drop)
    even = rest - share
    even *= drop
    even *= 1 / 3
    top -= even
    drop *= 1 / 24
    drop += 1
    theta *= drop
    theta += top
    # There the series overshoots. No root lies beyond height/share and -height/rest: log(1 + e^±θ) is above 0.
    np.maximum(theta[..., :m], height[:m] / share[:m], out=theta[..., :m])
    np.minimum(theta[..., :m], np.minimum(height[:m] / -rest[:m], _FAR), out=theta[..., :m])
    return theta


def _halley(theta: Floats, share: Floats, height: Floats) -> tuple[Floats, Floats]:
    """p a step of Halley's method nearer to the ends than θ, and the step, to take off θ."""
    odds = np.exp(theta)
    above = odds + 1
    p = np.divide(odds, above, out=odds)
    variance = p / above
    step = share * theta
    step -= np.log(above, out=above)
    step -= height
    slope = share - p
    bent = variance * step
    bent /= slope
    bent *= 0.5
    bent += slope
    step /= bent
    # p at θ - step: p - variance·step·(1 + (p - 1/2)·step)
    turn = p - 0.5
    turn *= step
    turn += 1
    turn *= step
    turn *= variance
    p -= turn
    return p, step
