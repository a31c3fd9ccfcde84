"""What a mixed model's variances are worth: profile intervals and likelihood-ratio tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.linear import MixedModel
from ophamin.proof.errors import UsageError

__all__ = ["LikelihoodRatio", "icc_interval", "likelihood_ratio", "profile_interval"]


def _natural(model: MixedModel) -> tuple[list[str], Floats]:
    """Names and values of standard deviations, correlation and residual, as profiled."""
    names, values = list(model.sd), list(model.sd.values())
    if not math.isnan(model.correlation):
        names.append("correlation")
        values.append(model.correlation)
    return [*names, "residual"], np.array([*values, model.residual_sd])


def _deviance(model: MixedModel, values: Floats) -> float:
    """−2 log-likelihood, up to a constant, at standard deviations, correlation and residual in units of the table."""
    random, sigma = model.random, float(values[-1])
    if sigma <= 0:
        return math.inf
    if random.structure != "slope":
        back = np.ones(len(values) - 1) if random.transform is None else np.diag(random.transform)
        return model.criterion.deviance(values[:-1] / sigma / back, sigma / model.scale)
    a, b, rho = values[:3] if len(values) == 4 else (*values[:2], 0.0)
    if a < 0 or b < 0 or abs(rho) >= 1:
        return math.inf
    assert random.transform is not None
    half = np.linalg.inv(random.transform) @ np.array([[a, 0.0], [rho * b, math.sqrt(1 - rho * rho) * b]]) / sigma
    covariance = half @ half.T
    first = math.sqrt(covariance[0, 0])
    low = covariance[1, 0] / first if first > 0 else 0.0
    theta = np.array([first, low, math.sqrt(max(covariance[1, 1] - low * low, 0.0))])
    return model.criterion.deviance(theta, sigma / model.scale)


def _crossing(excess: Callable[[float], float], one: float, other: float, precision: float) -> float:
    """Where the profile reaches its limit between two points; NaN when it does not."""
    if (excess(one) > 0) == (excess(other) > 0):
        return math.nan
    return float(brentq(excess, one, other, xtol=precision))


def profile_interval(model: MixedModel, name: str, level: float = 0.95) -> tuple[float, float]:
    """Profile-likelihood interval of a standard deviation, the correlation or the residual.

    Args:
        model: A fitted model; its own criterion (REML or ML) is profiled.
        name: A key of ``model.sd``, ``correlation`` or ``residual``.
        level: Two-sided confidence.

    Returns:
        The interval; a standard deviation's lower end is 0 where 0 is not ruled out, an end that is not found is NaN.

    Raises:
        UsageError: A name the model lacks.

    Source: Venzon & Moolgavkar (1988), Appl Stat 37:87; Bates et al. (2015), §5.1.
    """
    names, best = _natural(model)
    if name not in names:
        raise UsageError(f"the model has {', '.join(names)}, not {name!r}")
    which = names.index(name)
    bounds = [(-1 + 1e-9, 1 - 1e-9) if n == "correlation" else (0.0, None) for n in names]
    bounds[-1] = (1e-6 * best[-1], None)
    units = np.where([n == "correlation" for n in names], 1.0, np.where(best > 0, best, best[-1]))
    others = [i for i in range(len(names)) if i != which]
    best = np.array([min(max(b, lo), math.inf if hi is None else hi) for b, (lo, hi) in zip(best, bounds, strict=True)])
    least = _deviance(model, best)
    limit = least + float(chi2.ppf(level, 1))
    warm = [best[others] / units[others]]

    @cache  # the root finder asks its ends again; from a warmer start they could answer otherwise
    def excess(fixed: float) -> float:
        def at(rest: Floats) -> float:
            values = np.empty(len(names))
            values[which], values[others] = fixed, rest * units[others]
            found = _deviance(model, values)
            return found if math.isfinite(found) else 1e300

        box = [(lo / units[i], None if hi is None else hi / units[i]) for i in others for lo, hi in [bounds[i]]]
        found = minimize(at, warm[-1], method="L-BFGS-B", bounds=box, options={"ftol": 1e-10})
        warm.append(found.x)  # the next one is asked nearby
        return float(found.fun) - limit

    lower, upper = math.nan, math.nan
    low_end, high_end = bounds[which][0], bounds[which][1]
    low_end = 0.0 if name != "correlation" else low_end
    floor = excess(low_end) if name != "residual" else 1.0
    if floor <= 0:
        lower = low_end if name != "correlation" else -1.0
    else:
        near = low_end if name != "residual" else best[which] / 50
        if best[which] > near:
            lower = _crossing(excess, near, best[which], 1e-5 * units[which])
    far = high_end if high_end is not None else best[which] + units[which]
    for _ in range(20):
        reached = excess(far)
        if reached > 0 and math.isfinite(reached):
            upper = _crossing(excess, best[which], far, 1e-5 * units[which])
            break
        if high_end is not None:
            upper = 1.0
            break
        far = best[which] + 2 * (far - best[which])
    return lower, upper


def icc_interval(model: MixedModel, level: float = 0.95) -> tuple[float, float]:
    """Profile-likelihood interval of the intraclass correlation of a random-intercept model.

    Args:
        model: A model with the random part ``intercept``.
        level: Two-sided confidence.

    Returns:
        The interval, NaN for another random part, or where nothing varies beside the model.
    """
    if model.random.structure != "intercept":
        return math.nan, math.nan
    limit = float(chi2.ppf(level, 1)) + model.criterion.profiled(model.theta)

    def excess(icc: float) -> float:
        return model.criterion.profiled(np.array([math.sqrt(icc / (1 - icc))])) - limit

    at, high = model.icc, 1 - 1e-9
    if not (at < high and excess(at) <= 0):
        return math.nan, math.nan
    lower = 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, at))
    upper = 1.0 if excess(high) <= 0 else float(brentq(excess, at, high))
    return lower, upper


@dataclass(frozen=True)
class LikelihoodRatio:
    """Two nested models compared.

    Args:
        statistic: 2·(log L₁ − log L₀), at least 0.
        df: Difference in parameters.
        p_naive: By χ² with ``df``; conservative where a variance is tested at 0.
        p_value: By the 50:50 mixture of χ² with df−1 and df where a variance is tested, else as ``p_naive``.
        boundary: Whether the mixture applies.
    """

    statistic: float
    df: int
    p_naive: float
    p_value: float
    boundary: bool


def likelihood_ratio(full: MixedModel, reduced: MixedModel) -> LikelihoodRatio:
    """Likelihood-ratio test of two models of the same rows.

    Args:
        full: The larger model.
        reduced: The smaller one, nested in it: fewer fixed effects, or fewer random terms.

    Raises:
        UsageError: Other rows, other criteria, REML fits whose fixed effects differ, or more than one further variance.

    Source: Self & Liang (1987), JASA 82:605; Stram & Lee (1994), Biometrics 50:1171 (boundary mixture).
    """
    if full.n != reduced.n or full.criterion.reml != reduced.criterion.reml:
        raise UsageError("a likelihood-ratio test compares models of the same rows, fitted by the same criterion")
    if full.criterion.reml and full.names != reduced.names:
        raise UsageError("restricted likelihoods of models with other fixed effects do not compare; fit by ML")
    variances = len(full.sd) - len(reduced.sd)
    df = len(full.beta) - len(reduced.beta) + len(full.theta) - len(reduced.theta)
    if df < 1 or variances not in (0, 1) or (variances and len(full.beta) != len(reduced.beta)):
        raise UsageError("the reduced model lacks fixed effects of the full one, or one random term, not both")
    statistic = max(reduced.neg2loglik - full.neg2loglik, 0.0)
    naive = float(chi2.sf(statistic, df))
    if not variances:
        return LikelihoodRatio(statistic, df, naive, naive, False)
    below = float(chi2.sf(statistic, df - 1)) if df > 1 else float(statistic <= 0)
    return LikelihoodRatio(statistic, df, naive, (below + naive) / 2, True)
