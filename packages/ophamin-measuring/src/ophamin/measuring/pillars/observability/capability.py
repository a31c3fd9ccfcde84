"""Capability of a process against its specification.

Sources: Montgomery (2013), chapter 8; interval of Cp: χ², of Cpk: Bissell (1990), Appl Stat 39:331.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm

from ophamin.proof.errors import UsageError

__all__ = ["Capability", "capability"]


@dataclass(frozen=True)
class Capability:
    """Indices; NaN where one side of the specification is open and the index needs both.

    Args:
        cp: (USL−LSL)/6σ with the within-subgroup σ.
        cpk: The nearer side, min(USL−μ, μ−LSL)/3σ.
        cpm: Cp about the target, (USL−LSL)/6√(σ²+(μ−T)²).
        pp: Cp with the overall standard deviation.
        ppk: Cpk with it.
        cp_interval: Two-sided interval of Cp.
        cpk_interval: Two-sided interval of Cpk.
        outside: Expected share outside the specification of a normal process.
        n: Values.
    """

    cp: float
    cpk: float
    cpm: float
    pp: float
    ppk: float
    cp_interval: tuple[float, float]
    cpk_interval: tuple[float, float]
    outside: float
    n: int


def capability(
    value: ArrayLike,
    *,
    lower: float | None = None,
    upper: float | None = None,
    target: float | None = None,
    sigma: float | None = None,
    level: float = 0.95,
) -> Capability:
    """Capability indices.

    Args:
        value: Values of a stable process, shape (n,).
        lower: Lower specification limit, or ``None``.
        upper: Upper specification limit, or ``None``.
        target: T; default: the middle of the limits.
        sigma: Within-subgroup σ from a chart; default: the overall standard deviation.
        level: Two-sided confidence of the intervals (normal values, σ with n−1 degrees of freedom).

    Raises:
        UsageError: No limit, limits the wrong way round, fewer than 2 values, or none that differ.
    """
    x = np.asarray(value, dtype=np.float64)
    if (lower is None and upper is None) or (lower is not None and upper is not None and not lower < upper):
        raise UsageError("a specification has a lower or an upper limit, or both with lower < upper")
    if x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all() or np.ptp(x) == 0:
        raise UsageError("capability needs at least two finite values that differ")
    if not 0 < level < 1 or (sigma is not None and not sigma > 0):
        raise UsageError("the level lies between 0 and 1, and sigma above 0")
    mean, overall, n = float(x.mean()), float(x.std(ddof=1)), len(x)
    within = overall if sigma is None else sigma
    both = lower is not None and upper is not None
    span = upper - lower if lower is not None and upper is not None else math.nan
    nearest = min(upper - mean if upper is not None else math.inf, mean - lower if lower is not None else math.inf)
    aim = target if target is not None else ((lower or 0.0) + (upper or 0.0)) / 2 if both else math.nan
    cp, cpk = span / (6 * within), nearest / (3 * within)
    low, high = (cp * math.sqrt(float(chi2.ppf(p, n - 1)) / (n - 1)) for p in ((1 - level) / 2, (1 + level) / 2))
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(1 / (9 * n) + cpk**2 / (2 * (n - 1)))
    outside = (norm.sf((upper - mean) / within) if upper is not None else 0.0) + (
        norm.cdf((lower - mean) / within) if lower is not None else 0.0
    )
    return Capability(
        cp, cpk, span / (6 * math.hypot(within, mean - aim)), span / (6 * overall), nearest / (3 * overall),
        (low, high), (cpk - half, cpk + half), float(outside), n,
    )  # fmt: skip
