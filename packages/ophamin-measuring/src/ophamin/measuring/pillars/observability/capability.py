"""Capability of a process against its specification.

Sources: Montgomery (2013), chapter 8; interval of Cp: χ², of Cpk: Bissell (1990), Appl Stat 39:331; of Cpm:
Boyles (1991), J Qual Technol 23:17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm

from ophamin.proof.errors import UsageError

__all__ = ["CPM_FREEDOMS", "Capability", "capability"]

CPM_FREEDOMS = ("boyles", "qcc")
"""Degrees of freedom of the spread about the target: n(1+ξ²)²/(1+2ξ²) with ξ = (μ−T)/σ, or R's qcc, which does not
square the numerator and so gives a wider interval."""


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
        cpm_interval: Two-sided interval of Cpm, χ² with the degrees of freedom of the spread about the target.
        pp_interval: Two-sided interval of Pp.
        ppk_interval: Two-sided interval of Ppk.
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
    cpm_interval: tuple[float, float]
    pp_interval: tuple[float, float]
    ppk_interval: tuple[float, float]


def capability(
    value: ArrayLike,
    *,
    lower: float | None = None,
    upper: float | None = None,
    target: float | None = None,
    sigma: float | None = None,
    level: float = 0.95,
    cpm_freedom: str = "boyles",
) -> Capability:
    """Capability indices.

    Args:
        value: Values of a stable process, shape (n,).
        lower: Lower specification limit, or ``None``.
        upper: Upper specification limit, or ``None``.
        target: T; default: the middle of the limits.
        sigma: Within-subgroup σ from a chart; default: the overall standard deviation.
        level: Two-sided confidence of the intervals (normal values, σ with n−1 degrees of freedom).
        cpm_freedom: One of :data:`CPM_FREEDOMS`, for the interval of Cpm.

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
    if cpm_freedom not in CPM_FREEDOMS:
        raise UsageError(f"degrees of freedom of Cpm are {' or '.join(CPM_FREEDOMS)}, not {cpm_freedom!r}")
    mean, overall, n = float(x.mean()), float(x.std(ddof=1)), len(x)
    within = overall if sigma is None else sigma
    both = lower is not None and upper is not None
    span = upper - lower if lower is not None and upper is not None else math.nan
    nearest = min(upper - mean if upper is not None else math.inf, mean - lower if lower is not None else math.inf)
    aim = target if target is not None else ((lower or 0.0) + (upper or 0.0)) / 2 if both else math.nan
    cp, cpk = span / (6 * within), nearest / (3 * within)
    off = ((mean - aim) / within) ** 2
    cpm, pp, ppk = cp / math.sqrt(1 + off), span / (6 * overall), nearest / (3 * overall)
    outside = (norm.sf((upper - mean) / within) if upper is not None else 0.0) + (
        norm.cdf((lower - mean) / within) if lower is not None else 0.0
    )
    freedom = n * (1 + off) ** (2 if cpm_freedom == "boyles" else 1) / (1 + 2 * off)
    return Capability(
        cp, cpk, cpm, pp, ppk, _chi2_interval(cp, n - 1, level), _bissell(cpk, n, level), float(outside), n,
        _chi2_interval(cpm, freedom, level), _chi2_interval(pp, n - 1, level), _bissell(ppk, n, level),
    )  # fmt: skip


def _chi2_interval(index: float, df: float, level: float) -> tuple[float, float]:
    low, high = (index * math.sqrt(float(chi2.ppf(p, df)) / df) for p in ((1 - level) / 2, (1 + level) / 2))
    return low, high


def _bissell(index: float, n: int, level: float) -> tuple[float, float]:
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(1 / (9 * n) + index**2 / (2 * (n - 1)))
    return index - half, index + half
