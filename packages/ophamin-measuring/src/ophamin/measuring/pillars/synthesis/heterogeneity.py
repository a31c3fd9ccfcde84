"""Between-study variance τ²: estimators and the Q-profile interval.

All take a design matrix, so that they serve a pooled effect and a meta-regression alike. DerSimonian–Laird of a plain
pooled effect is computed by statsmodels (``combine_effects``); its Paule–Mandel iteration stops at 0 on some data
(Raudenbush 1985 among them), so that one is solved for here, as are the others, from their papers as reviewed by
Veroniki et al. (2016), Res Synth Methods 7:55.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2
from statsmodels.stats.meta_analysis import combine_effects

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars._evidence import OWN
from ophamin.proof.errors import UsageError

__all__ = ["METHODS", "Tau2", "between_variance", "q_profile", "residual_q", "typical_variance", "weighted_fit"]

METHODS = ("FE", "DL", "PM", "REML", "ML", "HE", "HS", "EB", "SJ")
"""FE fixed effect (τ² = 0); DL DerSimonian & Laird (1986); PM Paule & Mandel (1982); REML and ML restricted and full
maximum likelihood (Raudenbush 1985); HE Hedges & Olkin (1985); HS Hunter & Schmidt (1990); EB empirical Bayes
(Morris 1983), the same estimate as PM; SJ Sidik & Jonkman (2005)."""


@dataclass(frozen=True)
class Tau2:
    """An estimate of τ².

    Args:
        value: τ², at least 0.
        library: Distribution that computed it.
        truncated: Whether the estimator fell below 0 and 0 was taken.
    """

    value: float
    library: str
    truncated: bool = False


def weighted_fit(y: Floats, v: Floats, design: Floats, tau2: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Weighted least squares with weights 1/(v+τ²).

    Returns:
        Coefficients (p,), their covariance (p, p), residuals (k,), weights (k,).
    """
    w = 1 / (v + tau2)
    if design.shape[1] == 1:  # sums, which are quicker than products of matrices so thin
        x = design[:, 0]
        if (x == 1).all():
            total = float(w.sum())
            mean = float((w * y).sum()) / total
            return np.array([mean]), np.array([[1 / total]]), y - mean, w
        weighted = w * x
        total = float((weighted * x).sum())
        mean = float((weighted * y).sum()) / total
        return np.array([mean]), np.array([[1 / total]]), y - mean * x, w
    covariance = np.linalg.inv((design.T * w) @ design).astype(np.float64)
    beta = covariance @ (design.T @ (w * y))
    return beta, covariance, y - design @ beta, w


def residual_q(y: Floats, v: Floats, design: Floats, tau2: float = 0.0) -> float:
    """Σ w r², Cochran's Q at τ² = 0."""
    _, _, r, w = weighted_fit(y, v, design, tau2)
    return float((w * r * r).sum())


def typical_variance(v: Floats) -> float:
    """The typical sampling variance s² of Higgins & Thompson (2002), Stat Med 21:1539, eq. 9; needs k ≥ 2."""
    w = 1 / v
    return float((len(v) - 1) * w.sum() / (w.sum() ** 2 - w @ w))


def between_variance(y: Floats, v: Floats, design: Floats, method: str) -> Tau2:
    """τ² by one of :data:`METHODS`.

    Args:
        y: Effects, shape (k,).
        v: Sampling variances, shape (k,), above 0.
        design: Shape (k, p), full rank; a column of ones for a plain pooled effect.
        method: One of :data:`METHODS`.

    Raises:
        UsageError: No such method.
    """
    if method not in METHODS:
        raise UsageError(f"tau2 is estimated by {', '.join(METHODS)}, not {method!r}")
    k, p = design.shape
    if method == "FE" or k <= p:
        return Tau2(0.0, OWN)
    plain = p == 1 and bool((design == 1).all())
    if plain and method == "DL":
        return _by_statsmodels(y, v)
    if method in ("PM", "EB"):
        return _root(lambda t: residual_q(y, v, design, t) - (k - p), y, v)
    if method in ("REML", "ML"):
        return _likelihood(y, v, design, restricted=method == "REML")
    w = 1 / v
    if method == "DL":
        # E[Q] = (k−p) + τ² tr(P) at weights 1/v.
        inverse = np.linalg.inv((design.T * w) @ design)
        trace = float(w.sum() - np.trace(inverse @ ((design.T * w**2) @ design)))
        return _from_zero((residual_q(y, v, design) - (k - p)) / trace)
    if method == "HS":
        return _from_zero((residual_q(y, v, design) - k) / float(w.sum()))
    if method == "HE":
        hat = design @ np.linalg.pinv(design)
        r = y - hat @ y
        return _from_zero(float(r @ r - (1 - np.diag(hat)) @ v) / (k - p))
    start = float(np.var(y))
    if start == 0:
        return Tau2(0.0, OWN)
    return Tau2(start * residual_q(y, v, design, start) / (k - p), OWN)


def _by_statsmodels(y: Floats, v: Floats) -> Tau2:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # A negative tau2 leaves roots of negative numbers in results that are not used here.
        warnings.simplefilter("ignore", RuntimeWarning)
        # Names of the rows cost as much as all the rest, and nothing here is printed.
        tau2 = float(combine_effects(y, v, method_re="chi2", row_names=[]).tau2)
    return Tau2(max(tau2, 0.0), "statsmodels", truncated=tau2 < 0)


def _from_zero(tau2: float) -> Tau2:
    return Tau2(max(tau2, 0.0), OWN, truncated=tau2 < 0)


def _widest(y: Floats, v: Floats) -> float:
    """More than any estimate of τ² can be."""
    return 10.0 * (float(np.ptp(y)) ** 2 + float(v.max())) + 1e-300


def _root(falling: Callable[[float], float], y: Floats, v: Floats) -> Tau2:
    if falling(0.0) <= 0:
        return Tau2(0.0, OWN, truncated=True)
    high = _widest(y, v)
    return Tau2(float(brentq(falling, 0.0, high, xtol=1e-14 * high, rtol=1e-12)), OWN)


def _likelihood(y: Floats, v: Floats, design: Floats, *, restricted: bool) -> Tau2:
    """Highest point of the (restricted) likelihood on τ² ≥ 0: a grid finds the hill, the score its top."""

    def loglik(tau2: float) -> float:
        _, covariance, r, w = weighted_fit(y, v, design, tau2)
        value = 0.5 * float(np.log(w).sum() - w @ r**2)
        return value + 0.5 * float(np.linalg.slogdet(covariance)[1]) if restricted else value

    def score(tau2: float) -> float:
        _, covariance, r, w = weighted_fit(y, v, design, tau2)
        trace = float(w.sum())
        if restricted:
            trace -= float(np.trace(covariance @ ((design.T * w**2) @ design)))
        return float(w**2 @ r**2) - trace

    high = _widest(y, v)
    grid = np.concatenate([[0.0], np.geomspace(1e-9 * high, high, 121)])
    best = int(np.argmax([loglik(float(t)) for t in grid]))
    low, top = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    if score(low) <= 0 or not score(top) < 0:
        return Tau2(float(grid[best]), OWN, truncated=best == 0)
    return Tau2(float(brentq(score, low, top, xtol=1e-14 * high, rtol=1e-12)), OWN)


def q_profile(y: Floats, v: Floats, design: Floats, level: float) -> tuple[float, float]:
    """Q-profile interval of τ²: where Q(τ²) takes the quantiles of χ² with k−p degrees of freedom.

    Returns:
        Lower and upper end, 0 where Q never reaches that high; (NaN, NaN) with too few studies.

    Source: Viechtbauer (2007), Stat Med 26:37.
    """
    k, p = design.shape
    if k <= p:
        return math.nan, math.nan
    ends = []
    for probability in ((1 + level) / 2, (1 - level) / 2):
        wanted = float(chi2.ppf(probability, k - p))
        high = _widest(y, v)
        while residual_q(y, v, design, high) > wanted:
            high *= 10
        start = residual_q(y, v, design)
        ends.append(
            0.0
            if start <= wanted
            else float(brentq(lambda t, w=wanted: residual_q(y, v, design, t) - w, 0.0, high, xtol=1e-14 * high))
        )
    return ends[0], ends[1]
