"""One pooled effect: estimate, interval, heterogeneity, prediction interval; and regression on moderators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm, t
from scipy.stats import f as fisher

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.synthesis.heterogeneity import (
    between_variance,
    q_profile,
    residual_q,
    typical_variance,
    weighted_fit,
)
from ophamin.proof.errors import UsageError

__all__ = ["PREDICTIONS", "TESTS", "MetaRegression", "Pooled", "checked", "meta_regression", "pool"]

TESTS = ("z", "t", "knapp-hartung", "knapp-hartung-adhoc")
"""How the pooled effect's interval is made: normal; the same standard error with t of k−1 degrees of freedom (Follmann
& Proschan 1999, Biometrics 55:732); Hartung & Knapp (2001) and Sidik & Jonkman (2002), t with k−1 degrees of freedom;
the same with its factor at least 1 (Rover, Knapp & Friede 2015), which never makes it narrower."""

PREDICTIONS = ("t-k-2", "t-k-1", "z")
"""Whose quantile a prediction interval takes: t with k−2 degrees of freedom (Higgins, Thompson & Spiegelhalter 2009,
JRSS A 172:137); with k−1, as metafor does beside a Knapp–Hartung or t test (Partlett & Riley 2017, Stat Med 36:301);
the normal one, as metafor does beside a z test, which is too narrow with few studies."""


@dataclass(frozen=True)
class Pooled:
    """A pooled effect; ratios stay on the log scale.

    Args:
        estimate: Pooled effect.
        se: Its standard error.
        lower: Lower end of the two-sided interval.
        upper: Upper end.
        p_value: Two-sided, of no effect.
        df: Degrees of freedom of t; ``None`` for z.
        tau2: Between-study variance.
        tau2_truncated: Whether its estimator fell below 0.
        tau2_library: Who computed it.
        q: Cochran's Q.
        q_df: Its degrees of freedom.
        q_p_value: p-value of no heterogeneity.
        i2: (Q−df)/Q in per cent, at least 0; NaN for one study.
        h2: Q/df; NaN for one study.
        i2_tau2: τ²/(τ²+s²) in per cent, s² the typical sampling variance: what metafor calls I². The same as ``i2`` for
            DL; ``i2`` itself for a fixed effect, which has no τ².
        h2_tau2: (τ²+s²)/s², likewise.
        prediction: Interval of a new study's true effect, by one of :data:`PREDICTIONS`; NaN with too few studies and
            for a fixed effect.
        weights: Share of each study in per cent, shape (k,).
        k: Studies.
    """

    estimate: float
    se: float
    lower: float
    upper: float
    p_value: float
    df: int | None
    tau2: float
    tau2_truncated: bool
    tau2_library: str
    q: float
    q_df: int
    q_p_value: float
    i2: float
    h2: float
    i2_tau2: float
    h2_tau2: float
    prediction: tuple[float, float]
    weights: Floats
    k: int

    def tau2_interval(self, effect: ArrayLike, variance: ArrayLike, level: float) -> tuple[float, float]:
        """Q-profile interval of τ² for the studies this was pooled from."""
        y, v = checked(effect, variance)
        return q_profile(y, v, np.ones((len(y), 1)), level)

    def i2_interval(self, effect: ArrayLike, variance: ArrayLike, level: float) -> tuple[float, float]:
        """The same as I² in per cent, 100 τ²/(τ²+s²) with the typical variance s²."""
        _, v = checked(effect, variance)
        s2 = typical_variance(v) if self.k > 1 else math.nan
        low, high = self.tau2_interval(effect, variance, level)
        return 100 * low / (low + s2), 100 * high / (high + s2)

    def h2_interval(self, effect: ArrayLike, variance: ArrayLike, level: float) -> tuple[float, float]:
        """The same as H², (τ²+s²)/s²."""
        _, v = checked(effect, variance)
        s2 = typical_variance(v) if self.k > 1 else math.nan
        low, high = self.tau2_interval(effect, variance, level)
        return 1 + low / s2, 1 + high / s2


def checked(effect: ArrayLike, variance: ArrayLike) -> tuple[Floats, Floats]:
    """Effects and variances as arrays.

    Raises:
        UsageError: No study, lengths that differ, a value that is not finite, or a variance that is not above 0.
    """
    y, v = np.asarray(effect, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    if y.shape != v.shape or y.ndim != 1 or not len(y):
        raise UsageError("a synthesis needs one effect and one variance of at least one study")
    if not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        raise UsageError("effects are finite and variances above 0; a variance of 0 would weigh without end")
    return y, v


def pool(
    effect: ArrayLike,
    variance: ArrayLike,
    *,
    method: str = "REML",
    test: str = "z",
    level: float = 0.95,
    prediction: str = "t-k-2",
) -> Pooled:
    """Pool the effects of k studies by inverse variance.

    Args:
        effect: Effects y, shape (k,).
        variance: Sampling variances v, shape (k,), above 0.
        method: Estimator of τ², one of ``heterogeneity.METHODS``; ``FE`` pools under one common effect.
        test: One of :data:`TESTS`.
        level: Two-sided confidence, in (0, 1).
        prediction: One of :data:`PREDICTIONS`.

    Raises:
        UsageError: Malformed studies, or an unknown method, test or prediction interval.

    Example:
        >>> found = pool([0.1, 0.3, 0.35, 0.65], [0.03, 0.03, 0.05, 0.01], method="DL")
        >>> round(found.estimate, 3), round(found.tau2, 3), round(found.i2, 1)
        (0.374, 0.051, 66.8)
    """
    y, v = checked(effect, variance)
    if test not in TESTS:
        raise UsageError(f"a pooled effect is tested by {', '.join(TESTS)}, not {test!r}")
    if prediction not in PREDICTIONS:
        raise UsageError(f"a prediction interval is {', '.join(PREDICTIONS)}, not {prediction!r}")
    if not 0 < level < 1:
        raise UsageError(f"a level lies between 0 and 1, such as 0.95, not {level!r}")
    k, design = len(y), np.ones((len(y), 1))
    tau2 = between_variance(y, v, design, method)
    beta, covariance, r, w = weighted_fit(y, v, design, tau2.value)
    estimate, se, df = float(beta[0]), math.sqrt(float(covariance[0, 0])), None
    if test != "z":
        df = k - 1
    if test.startswith("knapp-hartung"):
        factor = float(w @ r**2) / df if df else math.nan
        if test == "knapp-hartung-adhoc" and df:
            factor = max(1.0, factor)
        se *= math.sqrt(factor)
    lower, upper, p_value = _interval(estimate, se, df, level)
    q, q_df = residual_q(y, v, design) if tau2.value else float((w * r * r).sum()), k - 1
    i2 = max(0.0, 100 * (q - q_df) / q) if q > 0 and q_df else (0.0 if q_df else math.nan)
    h2 = q / q_df if q_df else math.nan
    i2_tau2, h2_tau2 = i2, h2
    if method != "FE" and q_df:
        s2 = typical_variance(v)
        i2_tau2, h2_tau2 = 100 * tau2.value / (tau2.value + s2), (tau2.value + s2) / s2
    half = _new_study(se, tau2.value, k, level, prediction) if method != "FE" else math.nan
    return Pooled(
        estimate, se, lower, upper, p_value, df, tau2.value, tau2.truncated, tau2.library, q, q_df,
        float(chi2.sf(q, q_df)) if q_df else math.nan, i2, h2, i2_tau2, h2_tau2, (estimate - half, estimate + half),
        100 * w / w.sum(), k,
    )  # fmt: skip


def _new_study(se: float, tau2: float, k: int, level: float, prediction: str) -> float:
    """Half the width of a prediction interval; NaN with too few studies."""
    df = {"t-k-2": k - 2, "t-k-1": k - 1, "z": k - 1}[prediction]
    if df < 1:
        return math.nan
    law = norm if prediction == "z" else t(df)
    return float(law.ppf((1 + level) / 2)) * math.hypot(se, math.sqrt(tau2))


def _interval(estimate: float, se: float, df: int | None, level: float) -> tuple[float, float, float]:
    """Ends and two-sided p-value; NaN where the standard error or its degrees of freedom do not exist."""
    if not math.isfinite(se) or df == 0:
        return math.nan, math.nan, math.nan
    if se == 0:
        return estimate, estimate, math.nan
    law = norm if df is None else t(df)
    half = float(law.ppf((1 + level) / 2)) * se
    return estimate - half, estimate + half, float(2 * law.sf(abs(estimate) / se))


@dataclass(frozen=True)
class MetaRegression:
    """Effects regressed on moderators.

    Args:
        names: Of the coefficients, ``intercept`` first.
        coefficients: Shape (p,).
        se: Standard errors, shape (p,).
        lower: Lower ends, shape (p,).
        upper: Upper ends, shape (p,).
        p_values: Two-sided, shape (p,).
        tau2: Residual between-study variance.
        r2: Share of τ² the moderators explain, in per cent, at least 0; NaN where there was none.
        q_residual: Residual Q.
        q_residual_df: k − p.
        q_residual_p_value: p-value of no residual heterogeneity.
        q_moderators: Joint test of all moderators: Wald's χ² for z, else F, its mean square over the test's factor.
        q_moderators_df: p − 1.
        q_moderators_p_value: Its p-value; F has k − p as its second degrees of freedom.
    """

    names: Sequence[str]
    coefficients: Floats
    se: Floats
    lower: Floats
    upper: Floats
    p_values: Floats
    tau2: float
    r2: float
    q_residual: float
    q_residual_df: int
    q_residual_p_value: float
    q_moderators: float
    q_moderators_df: int
    q_moderators_p_value: float


def meta_regression(
    effect: ArrayLike,
    variance: ArrayLike,
    moderators: dict[str, ArrayLike],
    *,
    method: str = "REML",
    test: str = "z",
    level: float = 0.95,
) -> MetaRegression:
    """Mixed-effects regression of effects on moderators of the studies.

    Args:
        effect: Effects, shape (k,).
        variance: Sampling variances, shape (k,).
        moderators: Numbers by name, each of shape (k,).
        method: Estimator of τ².
        test: One of :data:`TESTS`; t has k−p degrees of freedom.
        level: Two-sided confidence.

    Raises:
        UsageError: Fewer studies than coefficients plus one, or moderators that determine one another.

    Source: Thompson & Sharp (1999), Stat Med 18:2693; Knapp & Hartung (2003), Stat Med 22:2693.
    """
    y, v = checked(effect, variance)
    names = ["intercept", *moderators]
    design = np.column_stack([np.ones(len(y)), *(np.asarray(m, dtype=np.float64) for m in moderators.values())])
    k, p = design.shape
    if test not in TESTS:
        raise UsageError(f"a meta-regression is tested by {', '.join(TESTS)}, not {test!r}")
    if k <= p:
        raise UsageError(f"{k} studies cannot tell {p} coefficients apart; leave out moderators")
    # Columns are compared at one scale: a moderator in small units is no dependent one.
    if np.linalg.matrix_rank(design / np.linalg.norm(design, axis=0).clip(1e-300)) < p:
        raise UsageError("the moderators determine one another or one of them is constant; leave it out")
    tau2 = between_variance(y, v, design, method).value
    beta, covariance, r, w = weighted_fit(y, v, design, tau2)
    df = None if test == "z" else k - p
    factor = float(w @ r**2) / (k - p) if test.startswith("knapp-hartung") else 1.0
    if test == "knapp-hartung-adhoc":
        factor = max(1.0, factor)
    se = np.sqrt(np.diag(covariance) * factor)
    rows = [_interval(float(b), float(s), df, level) for b, s in zip(beta, se, strict=True)]
    alone = between_variance(y, v, design[:, :1], method).value
    q = residual_q(y, v, design)
    lower, upper, p_values = (np.array([row[i] for row in rows]) for i in range(3))
    explained = max(0.0, 100 * (alone - tau2) / alone) if alone > 0 else math.nan
    joint, joint_p = _joint(beta[1:], covariance[1:, 1:] * factor, df)
    return MetaRegression(
        names, beta, se, lower, upper, p_values, tau2, explained, q, k - p, float(chi2.sf(q, k - p)), joint, p - 1,
        joint_p,
    )  # fmt: skip


def _joint(beta: Floats, covariance: Floats, df: int | None) -> tuple[float, float]:
    """Wald's test that all of ``beta`` are 0, as χ² or, with degrees of freedom, as F; NaN where nothing varies."""
    m = len(beta)
    if not m or not np.diag(covariance).all():
        return math.nan, math.nan
    # Solved at one scale, so that moderators in small units lose no digits.
    se = np.sqrt(np.diag(covariance))
    z = beta / se
    wald = float(z @ np.linalg.solve(covariance / np.outer(se, se), z))
    return (wald, float(chi2.sf(wald, m))) if df is None else (wald / m, float(fisher.sf(wald / m, m, df)))
