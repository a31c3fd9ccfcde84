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
from ophamin.measuring.pillars.synthesis.heterogeneity import weighted_fit
from ophamin.measuring.pillars.synthesis.pooling import Pooled, checked, meta_regression, pool
from ophamin.proof.errors import UsageError

__all__ = ["ESTIMATORS", "MODELS", "PREDICTORS", "Begg", "Egger", "TrimAndFill", "begg", "egger", "trim_and_fill"]

MODELS = ("classic", "mixed")
"""How effects are regressed on what measures a study's size: by weighted least squares with a scale estimated from the
residuals and t of k−2 degrees of freedom (Egger et al. 1997; metafor's ``lm``), or by a meta-regression with τ² and a z
test (Sterne & Egger 2005; metafor's ``rma``, its default)."""

PREDICTORS = ("se", "variance", "n", "1/n", "sqrt-n", "1/sqrt-n")
"""What measures a study's size: its standard error (Egger), its variance (Stanley & Doucouliagos 2014), or a function
of its number of observations (Macaskill, Walter & Irwig 2001; Peters et al. 2006; Tang & Liu 2000)."""

ESTIMATORS = ("L0", "R0", "Q0")
"""Estimators of the number of missing studies."""


@dataclass(frozen=True)
class Egger:
    """A regression of effects on what measures the size of a study.

    Args:
        intercept: The asymmetry: Egger's intercept of y/se on 1/se, which is the slope of y on se; of another
            predictor its slope; 0 for a symmetric funnel.
        se: Its standard error.
        statistic: t, or z of a mixed model.
        df: k − 2; ``None`` for z.
        p_value: Two-sided.
        slope: The effect where the predictor is 0: of an infinitely precise study, where it is a standard error, a
            variance or an inverse of n; else no effect of any study.
    """

    intercept: float
    se: float
    statistic: float
    df: int | None
    p_value: float
    slope: float


def egger(
    effect: ArrayLike,
    variance: ArrayLike,
    *,
    model: str = "classic",
    predictor: str = "se",
    method: str = "REML",
    sizes: ArrayLike | None = None,
) -> Egger:
    """Egger's test, by weighted least squares of statsmodels, and its variants.

    Args:
        effect: Effects, shape (k,).
        variance: Sampling variances, shape (k,).
        model: One of :data:`MODELS`.
        predictor: One of :data:`PREDICTORS`.
        method: Estimator of τ² of the mixed model, as of :func:`pooling.pool`.
        sizes: Observations of each study, shape (k,), for the predictors of n.

    Raises:
        UsageError: Fewer than three studies, studies of one precision, an unknown model or predictor, or no sizes.

    Source: Egger et al. (1997), BMJ 315:629; Sterne & Egger (2005), in *Publication Bias in Meta-Analysis*, ch. 6.
    """
    y, v = checked(effect, variance)
    if model not in MODELS or predictor not in PREDICTORS:
        raise UsageError(f"Egger's test has the models {', '.join(MODELS)} and the predictors {', '.join(PREDICTORS)}")
    x = _measured(v, predictor, sizes)
    if len(y) < 3 or np.ptp(x) <= 1e-12 * float(np.abs(x).max()):
        raise UsageError("Egger's test needs at least three studies whose precision differs")
    df = len(y) - 2
    if model == "mixed":
        found = meta_regression(y, v, {predictor: x}, method=method)
        estimate, error = float(found.coefficients[1]), float(found.se[1])
        z = estimate / error if error > 0 else math.nan
        return Egger(estimate, error, z, None, float(found.p_values[1]), float(found.coefficients[0]))
    # y = slope + intercept·se, weighted by 1/v, is the line of y/se on 1/se with its roles exchanged.
    fit = WLS(y, np.column_stack([np.ones(len(y)), x]), weights=1 / v).fit()
    slope, intercept = (float(b) for b in fit.params)
    error = float(fit.bse[1])
    statistic = intercept / error if error > 0 else math.nan
    return Egger(intercept, error, statistic, df, float(2 * t.sf(abs(statistic), df)), slope)


def _measured(v: Floats, predictor: str, sizes: ArrayLike | None) -> Floats:
    """What measures the size of each study."""
    if predictor in ("se", "variance"):
        return np.asarray(np.sqrt(v) if predictor == "se" else v)
    n = np.asarray(sizes if sizes is not None else [], dtype=np.float64)
    if n.shape != v.shape or not (np.isfinite(n).all() and (n > 0).all()):
        raise UsageError(f"the predictor {predictor!r} needs the number of observations of each study, above 0")
    return np.asarray({"n": n, "1/n": 1 / n, "sqrt-n": np.sqrt(n), "1/sqrt-n": 1 / np.sqrt(n)}[predictor])


@dataclass(frozen=True)
class Begg:
    """Begg's rank correlation.

    Args:
        tau: Kendall's τ-b of standardised effects and variances.
        p_value: Two-sided; exact below 50 studies without ties, else normal.
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
    fixed = float(weighted_fit(y, v, np.ones((len(y), 1)), 0.0)[0][0])
    spread = v - 1 / float((1 / v).sum())
    deviate = (y - fixed) / np.sqrt(spread)
    exact = len(y) < 50 and min(len(np.unique(deviate)), len(np.unique(v))) == len(y)
    found = kendalltau(deviate, v, method="exact" if exact else "asymptotic")
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
        estimator: One of :data:`ESTIMATORS`; ``Q0`` only where it exists.
        side: Where studies are missing; default: opposite to the slope of Egger's regression, whose τ² is by
            ``method``, too.
        level: Two-sided confidence of the pooled effect.

    Raises:
        UsageError: Fewer than three studies, an unknown estimator or side.

    Source: Duval & Tweedie (2000), Biometrics 56:455, and (2000), JASA 95:89. Equal deviations share their mean rank.
    """
    y, v = checked(effect, variance)
    k = len(y)
    if k < 3 or estimator not in ESTIMATORS or side not in (None, "left", "right"):
        raise UsageError("trim and fill needs at least three studies, estimator L0, R0 or Q0, and side left or right")
    if side is None:
        flat = np.ptp(v) <= 1e-12 * float(v.max())
        side = "left" if flat or egger(y, v, model="mixed", method=method).intercept >= 0 else "right"
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
        elif estimator == "Q0":
            guess = k - 0.5 - math.sqrt(max(0.0, 2 * k * k - 4 * float(positive.sum()) + 0.25))
        else:
            # The run of largest ranks that all lie on the full side.
            negative = ranks[centred <= 0]
            guess = k - (float(negative.max()) if len(negative) else 0.0) - 1
        missing = min(max(0, round(guess)), k - 2)
    centre = pool(x[: k - missing], w[: k - missing], method=method, level=level).estimate
    mirrored = 2 * centre - x[k - missing :]
    all_y, all_v = sign * np.concatenate([x, mirrored]), np.concatenate([w, w[k - missing :]])
    return TrimAndFill(missing, side, pool(all_y, all_v, method=method, level=level), all_y, all_v)
