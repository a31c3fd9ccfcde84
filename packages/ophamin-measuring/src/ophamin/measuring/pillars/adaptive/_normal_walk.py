"""Exact law of a normal SPRT: where a random walk with normal steps first leaves an interval, and when.

The chance to leave upwards and the mean number of steps solve Fredholm equations of the second kind in the starting
point; their kernel is the density of a step, so Gauss–Legendre nodes a fraction of a step apart leave no error. A
truncated walk is followed from step to step on the same nodes.

Source: Wald (1947), *Sequential Analysis*, appendix; Siegmund (1985), *Sequential Analysis*, chapter 2 (truncation).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["leave"]

_MOST = 400
"""Nodes at most, for the sake of time; a step below a hundredth of the interval needs more."""


def leave(drift: float, step: float, low: float, high: float, truncate_at: int | None) -> tuple[float, float]:
    """Chance to end above, and mean number of steps, of a walk from 0.

    Args:
        drift: Mean of a step.
        step: Its standard deviation, above 0.
        low: Lower end, below 0.
        high: Upper end, above 0.
        truncate_at: Steps after which it ends where it is, above if it is above 0; ``None``: never.

    Raises:
        UsageError: Steps too small against the interval.
    """
    width = high - low
    count = max(48, math.ceil(4 * width / step))
    if count > _MOST:
        raise UsageError(
            "one observation says too little for the exact characteristic: ask for method wald, which serves"
        )
    nodes, weights = np.polynomial.legendre.leggauss(count)
    x, w = width / 2 * nodes + (high + low) / 2, width / 2 * weights
    scaled = w / (step * math.sqrt(2 * math.pi))
    kernel = np.exp(-0.5 * ((x[None, :] - x[:, None] - drift) / step) ** 2) * scaled  # from row to column
    above = norm.sf((high - x - drift) / step)
    first, once = np.exp(-0.5 * ((x - drift) / step) ** 2) * scaled, float(norm.sf((high - drift) / step))
    if truncate_at is None:
        solved = np.linalg.solve(np.eye(count) - kernel, np.column_stack([above, np.ones(count)]))
        return once + float(first @ solved[:, 0]), 1 + float(first @ solved[:, 1])
    return _truncated(first, kernel, above, x, once, drift, step, truncate_at)


def _truncated(
    mass: Floats, kernel: Floats, above: Floats, x: Floats, once: float, drift: float, step: float, truncate_at: int
) -> tuple[float, float]:
    if truncate_at == 1:
        return float(norm.sf(-drift / step)), 1.0
    upwards, steps = once, 1.0
    for n in range(2, truncate_at + 1):
        steps += float(mass.sum())
        if n == truncate_at:  # the last step ends it, above 0 or not
            upwards += float(mass @ norm.sf((-x - drift) / step))
            break
        upwards += float(mass @ above)
        mass = mass @ kernel
    return upwards, steps
