"""Standardised mean differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ophamin.measuring.estimators.effect_size import hedges, noncentral_bounds
from ophamin.measuring.pillars.general.proportions import check_level
from ophamin.proof.errors import UsageError

__all__ = ["Smd", "standardized_difference"]


@dataclass(frozen=True)
class Smd:
    """A standardised mean difference, first sample less second.

    Args:
        d: Cohen's d: over the pooled standard deviation, or over that of the paired differences.
        g: Hedges' g, d times the exact small-sample factor.
        lower: Lower end of the interval of δ, by the noncentral t; exact for normal values of one variance.
        upper: Upper end.
        df: Degrees of freedom.
        level: Two-sided confidence.
        problem: Why there is none, or "".
    """

    d: float
    g: float
    lower: float
    upper: float
    df: float
    level: float
    problem: str = ""


def standardized_difference(x: Any, y: Any, *, paired: bool = False, level: float = 0.95) -> Smd:
    """Cohen's d and Hedges' g.

    Source: Hedges (1981), J. Educ. Stat. 6:107 (the exact factor, not 1 − 3/(4df − 1)); interval: Hedges & Olkin
    (1985), section 5.D.

    Args:
        x: Values of the first sample.
        y: Values of the second; row by row those of x when ``paired``.
        paired: Whether to take the differences of rows.
        level: Two-sided confidence.

    Raises:
        UsageError: Values that are not finite, lengths that differ when paired, or a level outside (0, 1).

    Example:
        >>> found = standardized_difference([4.9, 5.2, 5.0], [4.1, 3.9, 4.4])
        >>> round(found.d, 3), round(found.g, 3)
        (4.323, 3.45)
    """
    alpha = check_level(level)
    x, y = (np.asarray(v, dtype=np.float64).ravel() for v in (x, y))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UsageError("the values must be finite numbers; leave out what is missing")
    n1, n2, nan = len(x), len(y), math.nan
    if paired and n1 != n2:
        raise UsageError("paired samples have equal lengths")
    if min(n1, n2) < 2:
        return Smd(nan, nan, nan, nan, nan, level, "an effect size needs at least 2 values in each sample")
    if paired:
        gaps = x - y
        df, root, scale, difference = float(n1 - 1), math.sqrt(n1), float(gaps.std(ddof=1)), float(gaps.mean())
    else:
        df, root, difference = float(n1 + n2 - 2), math.sqrt(n1 * n2 / (n1 + n2)), float(x.mean() - y.mean())
        scale = math.sqrt(((n1 - 1) * float(x.var(ddof=1)) + (n2 - 1) * float(y.var(ddof=1))) / df)
    if scale <= 1e-13 * max(1e-300, float(np.abs(x).max()), float(np.abs(y).max())):
        return Smd(nan, nan, nan, nan, df, level, "the values have no spread, so there is no scale")
    d = difference / scale
    lower, upper = (bound / root for bound in noncentral_bounds(d * root, df, alpha))
    problem = "" if math.isfinite(lower) and math.isfinite(upper) else "the effect is too large for an interval"
    return Smd(d, hedges(df) * d, lower, upper, df, level, problem)
