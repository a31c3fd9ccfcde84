"""The mixture sequential probability ratio test: a p-value that may be looked at after every observation.

Λ_n averages the likelihood ratio over effects N(0, τ²); under H₀ it is a martingale, so by Ville's inequality it ever
reaches 1/α with chance at most α.

Sources: Robbins (1970), Ann Math Stat 41:1397; Johari, Koomen, Pekelis & Walsh (2017), KDD, and (2022), Oper Res
70:1806; Howard, Ramdas, McAuliffe & Sekhon (2021), Ann Stat 49:1055, for the boundary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = [
    "MixtureTest",
    "log_normal_mixture",
    "mixture_rho",
    "mixture_test",
    "normal_mixture_bound",
    "two_shares_test",
]


@dataclass(frozen=True)
class MixtureTest:
    """The test after every observation.

    Args:
        log_lambda: log Λ_n, shape (n,).
        p_value: Always-valid p-value, min over the past of 1/Λ, at most 1, shape (n,).
        stop_n: First n with p ≤ α, or ``None``.
    """

    log_lambda: Floats
    p_value: Floats
    stop_n: int | None


def mixture_test(x: ArrayLike, *, variance: float, tau: float, theta0: float = 0.0, alpha: float = 0.05) -> MixtureTest:
    """Test that a mean is θ₀, two-sided, with known variance.

    Args:
        x: Observations in order, shape (n,); for two arms the differences of pairs, whose variance is the sum.
        variance: Known variance of one observation.
        tau: Standard deviation of the effects mixed over; near the effect looked for is best.
        theta0: Mean under H₀.
        alpha: Where to stop.

    Raises:
        UsageError: A variance or τ that is not above 0, or α out of (0, 1).

    Example:
        >>> found = mixture_test([1.0] * 20, variance=1.0, tau=1.0)
        >>> found.stop_n, round(float(found.p_value[-1]), 4)
        (10, 0.0003)
    """
    if not variance > 0:
        raise UsageError("the variance of one observation lies above 0")
    values = np.asarray(x, dtype=np.float64) - theta0
    return _mixed(np.cumsum(values), np.full(len(values), variance), tau, alpha)


def two_shares_test(
    x: ArrayLike, reference: ArrayLike, *, tau: float, theta0: float = 0.0, alpha: float = 0.05
) -> MixtureTest:
    """Test that two proportions differ by θ₀, two-sided, pair by pair; approximate, for the variance is estimated.

    The variance after n pairs is p̄(1 − p̄) of one arm plus that of the other; until both are above 0 in sum there is no
    evidence (Λ = 1).

    Args:
        x: Outcomes 0 and 1 of one arm in order, shape (n,).
        reference: Those of the other arm, shape (n,).
        tau: Standard deviation of the differences mixed over.
        theta0: Difference under H₀, ``x`` less ``reference``.
        alpha: Where to stop.

    Raises:
        UsageError: Outcomes that are not 0 or 1, arms of unequal length, τ not above 0, or α out of (0, 1).

    Source: Johari, Koomen, Pekelis & Walsh (2017), KDD, section 4.3, as R's ``mixtureSPRT``.

    Example:
        >>> two_shares_test([1, 0] * 50, [0] * 100, tau=0.3).stop_n
        9
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or not np.isin(np.concatenate([a, b]), (0.0, 1.0)).all():
        raise UsageError("a test of two proportions takes as many outcomes 0 and 1 of one arm as of the other")
    n = np.arange(1, len(a) + 1)
    p, q = np.cumsum(a) / n, np.cumsum(b) / n
    return _mixed(np.cumsum(a - b - theta0), p * (1 - p) + q * (1 - q), tau, alpha)


def _mixed(total: Floats, variance: Floats, tau: float, alpha: float) -> MixtureTest:
    """The test of sums with the variance of one observation as known at each n; Λ = 1 where that is 0."""
    if not (tau > 0 and 0 < alpha < 1):
        raise UsageError("tau lies above 0, and alpha between 0 and 1")
    n, known = np.arange(1, len(total) + 1), variance > 0
    v = np.where(known, variance, 1.0)
    spread = v + n * tau**2
    log_lambda = np.where(known, 0.5 * np.log(v / spread) + tau**2 * total**2 / (2 * v * spread), 0.0)
    p_value = np.minimum(1.0, np.minimum.accumulate(np.exp(-np.maximum(log_lambda, 0.0))))
    stops = np.flatnonzero(p_value <= alpha)
    return MixtureTest(log_lambda, p_value, int(stops[0]) + 1 if len(stops) else None)


def mixture_rho(v_opt: float, alpha_opt: float = 0.05, *, sides: int = 2) -> float:
    """ρ that makes the boundary about tightest at intrinsic time ``v_opt``.

    ρ = v/(2 log(1/α) + log(1 + 2 log(1/α))), with 2α for one side: the approximation of Howard et al. (2021), within
    half a per cent of the width at the optimum by Lambert's W.

    Raises:
        UsageError: ``v_opt`` not above 0, or ``alpha_opt`` out of range.
    """
    alpha = alpha_opt if sides == 2 else 2 * alpha_opt
    if not v_opt > 0 or not 0 < alpha < 1 or sides not in (1, 2):
        raise UsageError("v_opt lies above 0, alpha_opt between 0 and 1 (0.5 for one side), and sides are 1 or 2")
    log = math.log(1 / alpha)
    return v_opt / (2 * log + math.log1p(2 * log))


def log_normal_mixture(s: ArrayLike, v: ArrayLike, rho: float, *, sides: int = 2) -> Floats:
    """log of the normal mixture of exp(λs − λ²v/2), a supermartingale for sub-Gaussian sums s of variance v."""
    total, time = np.asarray(s, dtype=np.float64), np.asarray(v, dtype=np.float64)
    value = 0.5 * np.log(rho / (time + rho)) + total**2 / (2 * (time + rho))
    if sides == 1:
        value = value + math.log(2) + norm.logcdf(total / np.sqrt(time + rho))
    return np.asarray(value, dtype=np.float64)


def normal_mixture_bound(
    v: ArrayLike, alpha: float = 0.05, *, v_opt: float, alpha_opt: float = 0.05, sides: int = 2
) -> Floats:
    """Boundary u(v) that a sub-Gaussian sum of variance v ever leaves with chance at most α.

    Args:
        v: Intrinsic time (n σ² for n observations), shape (m,), above 0.
        alpha: Of both sides together when two-sided.
        v_opt: Where the boundary is tightest.
        alpha_opt: α it is tuned for.
        sides: 2: √((v+ρ) log((v+ρ)/(ρα²))); 1: the one-sided mixture, solved for.

    Raises:
        UsageError: Parameters out of range.

    Example:
        >>> float(normal_mixture_bound(100.0, 0.05, v_opt=100.0).round(5))
        30.35209
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha lies between 0 and 1, not {alpha!r}")
    rho, time = mixture_rho(v_opt, alpha_opt, sides=sides), np.asarray(v, dtype=np.float64)
    two_sided = np.sqrt((time + rho) * np.log((time + rho) / (rho * alpha**2)))
    if sides == 2:
        return np.asarray(two_sided, dtype=np.float64)
    threshold = math.log(1 / alpha)
    low, high = np.zeros_like(two_sided), 2 * two_sided
    for _ in range(60):
        middle = (low + high) / 2
        reached = log_normal_mixture(middle, time, rho, sides=1) >= threshold
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.asarray(high, dtype=np.float64)
