"""Small-study effects: Egger's regression, Begg's rank correlation, trim and fill.

None of them shows publication bias by itself: small studies differ for other reasons too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import kendalltau, rankdata, t
from statsmodels.regression.linear_model import WLS

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.synthesis.pooling import Pooled, checked, pool
from ophamin.proof.errors import UsageError

__all__ = ["Begg", "Egger", "TrimAndFill", "begg", "egger", "trim_and_fill"]


@dataclass(frozen=True)
class Egger:
    """Egger's regression of y/se on 1/se.

    Args:
        intercept: Its asymmetry; 0 for a symmetric funnel.
        se: Standard error of the intercept.
        statistic: t.
        df: k − 2.
        p_value: Two-sided.
        slope: The effect of an infinitely precise study.
    """

    intercept: float
    se: float
    statistic: float
    df: int
    p_value: float
    slope: float


def egger(effect: ArrayLike, variance: ArrayLike) -> Egger:
    """Egger's test, by weighted least squares of statsmodels.

    Raises:
        UsageError: Fewer than three studies, or studies of one precision.

    Source: Egger et al. (1997), BMJ 315:629.
    """
    y, v = checked(effect, variance)
    se = np.sqrt(v)
    if len(y) < 3 or np.ptp(se) <= 1e-12 * float(se.max()):
        raise UsageError("Egger's test needs at least three studies whose precision differs")
    # y = slope + intercept·se, weighted by 1/v, is the same line with its roles exchanged.
    fit = WLS(y, np.column_stack([np.ones(len(y)), se]), weights=1 / v).fit()
    slope, intercept = (float(b) for b in fit.params)
    error, df = float(fit.bse[1]), len(y) - 2
    statistic = intercept / error if error > 0 else math.nan
    return Egger(intercept, error, statistic, df, float(2 * t.sf(abs(statistic), df)), slope)


@dataclass(frozen=True)
class Begg:
    """Begg's rank correlation.

    Args:
        tau: Kendall's τ-b of standardised effects and variances.
        p_value: Two-sided; exact without ties.
    """

    tau: float
    p_value: float


def begg(effect: ArrayLike, variance: ArrayLike) -> Begg:
    """Begg and Mazumdar's test, by scipy's Kendall's tau.

    Raises:
        UsageError: Fewer than three studies.

    Source: Begg & Mazumdar (1994), Biometrics 50:1088.
    """
    y, v = checked(effect, variance)
    if len(y) < 3:
        raise UsageError("Begg's test needs at least three studies")
    fixed = pool(y, v, method="FE")
    spread = v - 1 / float((1 / v).sum())
    found = kendalltau((y - fixed.estimate) / np.sqrt(spread), v)
    return Begg(float(found.statistic), float(found.pvalue))


@dataclass(frozen=True)
class TrimAndFill:
    """The funnel made symmetric.

    Args:
        missing: Studies filled in, k₀.
        side: ``left`` or ``right``: where they were missing.
        pooled: With the filled-in studies.
        effect: Effects with the filled-in ones last, shape (k + k₀,).
        variance: Their variances.
    """

    missing: int
    side: str
    pooled: Pooled
    effect: Floats
    variance: Floats


def trim_and_fill(
    effect: ArrayLike,
    variance: ArrayLike,
    *,
    method: str = "FE",
    estimator: str = "L0",
    side: str | None = None,
    level: float = 0.95,
) -> TrimAndFill:
    """Trim and fill: how many studies a symmetric funnel would still hold, and the effect with them.

    Args:
        effect: Effects, shape (k,).
        variance: Sampling variances, shape (k,).
        method: How the centre is found, as of :func:`pooling.pool`.
        estimator: ``L0`` or ``R0``.
        side: Where studies are missing; default: opposite to the slope of Egger's regression.
        level: Two-sided confidence of the pooled effect.

    Raises:
        UsageError: Fewer than three studies, an unknown estimator or side.

    Source: Duval & Tweedie (2000), Biometrics 56:455.
    """
    y, v = checked(effect, variance)
    k = len(y)
    if k < 3 or estimator not in ("L0", "R0") or side not in (None, "left", "right"):
        raise UsageError("trim and fill needs at least three studies, estimator L0 or R0, and side left or right")
    if side is None:
        side = "left" if np.ptp(v) == 0 or egger(y, v).intercept > 0 else "right"
    sign = 1.0 if side == "left" else -1.0
    order = np.argsort(sign * y, kind="stable")
    x, w = sign * y[order], v[order]
    missing, seen = 0, set[int]()
    while missing not in seen:
        seen.add(missing)
        kept = k - missing
        centred = x - pool(x[:kept], w[:kept], method=method, level=level).estimate
        ranks = rankdata(np.abs(centred))
        positive = ranks[centred > 0]
        if estimator == "L0":
            guess = (4 * float(positive.sum()) - k * (k + 1)) / (2 * k - 1)
        else:
            # The run of largest ranks that all lie on the full side.
            negative = ranks[centred <= 0]
            guess = k - (float(negative.max()) if len(negative) else 0.0) - 1
        missing = min(max(0, round(guess)), k - 2)
    centre = pool(x[: k - missing], w[: k - missing], method=method, level=level).estimate
    mirrored = 2 * centre - x[k - missing :]
    all_y, all_v = sign * np.concatenate([x, mirrored]), np.concatenate([w, w[k - missing :]])
    return TrimAndFill(missing, side, pool(all_y, all_v, method=method, level=level), all_y, all_v)
