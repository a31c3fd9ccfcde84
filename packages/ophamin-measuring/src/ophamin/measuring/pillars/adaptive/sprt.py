"""Wald's sequential probability ratio test of two simple hypotheses.

It chooses between θ₀ and θ₁ and says nothing of a threshold between them: a truth in the middle is decided one way or
the other, so a claim ``metric >= θ`` with θ₀ < θ < θ₁ is not what it tests; ``sequences`` and ``mixture`` serve claims.

Sources: Wald (1947), *Sequential Analysis*; NIST/SEMATECH e-Handbook of Statistical Methods, 6.2.6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import binom

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.adaptive._normal_walk import leave
from ophamin.proof.errors import UsageError

__all__ = [
    "Characteristic",
    "Lines",
    "WaldBounds",
    "WaldRun",
    "bernoulli_characteristic",
    "bernoulli_lines",
    "fixed_n_bernoulli",
    "normal_characteristic",
    "run_bernoulli",
    "run_normal",
    "wald_bounds",
]


@dataclass(frozen=True)
class WaldBounds:
    """Limits of the likelihood ratio.

    Args:
        upper: A = (1−β)/α; at or above it H₁ is accepted.
        lower: B = β/(1−α); at or below it H₀ is accepted.
    """

    upper: float
    lower: float

    @property
    def log_upper(self) -> float:
        """log A."""
        return math.log(self.upper)

    @property
    def log_lower(self) -> float:
        """log B, below 0."""
        return math.log(self.lower)


def wald_bounds(alpha: float, beta: float) -> WaldBounds:
    """Wald's limits; the realised α and β lie at or below α/(1−β) and β/(1−α), in practice below the nominal ones.

    Args:
        alpha: Chance to accept H₁ where H₀ is true.
        beta: Chance to accept H₀ where H₁ is true.

    Raises:
        UsageError: α or β not above 0, or α + β not below 1.

    Example:
        >>> wald_bounds(0.05, 0.10).upper
        18.0
    """
    if not (alpha > 0 and beta > 0 and alpha + beta < 1):
        raise UsageError("alpha and beta lie above 0 and sum to less than 1")
    return WaldBounds((1 - beta) / alpha, beta / (1 - alpha))


@dataclass(frozen=True)
class Lines:
    """Acceptance and rejection lines of the number of events x after n observations.

    Args:
        slope: Of both lines.
        accept_intercept: H₀ is accepted where x ≤ accept_intercept + slope·n.
        reject_intercept: H₀ is rejected where x ≥ reject_intercept + slope·n.
        first_accept_n: Least n at which H₀ can be accepted.
        first_reject_n: Least n at which it can be rejected.
    """

    slope: float
    accept_intercept: float
    reject_intercept: float
    first_accept_n: int
    first_reject_n: int


def _bernoulli_steps(p0: float, p1: float) -> tuple[float, float]:
    """What one event and one non-event add to the log likelihood ratio."""
    if not (0 < p0 < 1 and 0 < p1 < 1 and p0 != p1):
        raise UsageError("p0 and p1 are different probabilities between 0 and 1")
    return math.log(p1 / p0), math.log((1 - p1) / (1 - p0))


def bernoulli_lines(p0: float, p1: float, alpha: float, beta: float) -> Lines:
    """The plan of a Bernoulli SPRT with p₁ > p₀.

    Raises:
        UsageError: Probabilities or error rates out of range, or p₁ not above p₀.
    """
    event, other = _bernoulli_steps(p0, p1)
    if p1 < p0:
        raise UsageError("the lines are drawn for p1 above p0; count the other outcome")
    bounds = wald_bounds(alpha, beta)
    slope = -other / (event - other)
    accept, reject = bounds.log_lower / (event - other), bounds.log_upper / (event - other)
    return Lines(slope, accept, reject, math.ceil(-accept / slope), math.ceil(reject / (1 - slope)))


@dataclass(frozen=True)
class WaldRun:
    """How a test went.

    Args:
        decision: ``reject_H0``, ``accept_H0`` or ``continue``.
        stop_n: Observations used.
        llr: Log likelihood ratio of H₁ to H₀ at the stop.
        path: Log likelihood ratio after each observation up to the stop, shape (stop_n,).
    """

    decision: str
    stop_n: int
    llr: float
    path: Floats


def _walk(steps: Floats, bounds: WaldBounds, truncate_at: int | None) -> WaldRun:
    if truncate_at is not None and truncate_at < 1:
        raise UsageError(f"a test is cut off after one observation or more, not {truncate_at}")
    path = np.cumsum(steps[:truncate_at])
    # The limits count as reached within rounding, so that every platform stops alike.
    slack = 1e-12
    stops = np.flatnonzero((path >= bounds.log_upper - slack) | (path <= bounds.log_lower + slack))
    n = int(stops[0]) + 1 if len(stops) else len(path)
    if not n:
        return WaldRun("continue", 0, 0.0, path)
    llr = float(path[n - 1])
    cut = n == truncate_at
    decision = "continue" if not len(stops) and not cut else "reject_H0" if llr > slack else "accept_H0"
    return WaldRun(decision, n, llr, path[:n])


def run_bernoulli(
    x: ArrayLike, p0: float, p1: float, alpha: float, beta: float, *, truncate_at: int | None = None
) -> WaldRun:
    """Run the test on outcomes in order.

    Args:
        x: 0 or 1, shape (n,).
        p0: Probability of 1 under H₀.
        p1: Under H₁.
        alpha: Nominal α.
        beta: Nominal β.
        truncate_at: Observation that decides at the latest, by the sign of the log likelihood ratio (Wald 1947, 3.8).

    Raises:
        UsageError: Outcomes that are not 0 or 1, or parameters out of range.

    Example:
        >>> run_bernoulli([1] * 10, 0.1, 0.3, 0.05, 0.1).decision
        'reject_H0'
    """
    outcomes = np.asarray(x, dtype=np.float64)
    if not np.isin(outcomes, (0.0, 1.0)).all():
        raise UsageError("a Bernoulli test takes outcomes 0 and 1")
    event, other = _bernoulli_steps(p0, p1)
    return _walk(np.where(outcomes == 1, event, other), wald_bounds(alpha, beta), truncate_at)


def run_normal(
    x: ArrayLike,
    mu0: float,
    mu1: float,
    sigma: float,
    alpha: float,
    beta: float,
    *,
    truncate_at: int | None = None,
) -> WaldRun:
    """Run the test of two means with known σ; arguments as of :func:`run_bernoulli`.

    Raises:
        UsageError: Equal means, or σ not above 0.
    """
    if not sigma > 0 or mu0 == mu1:
        raise UsageError("two different means and a known standard deviation above 0 are needed")
    values = np.asarray(x, dtype=np.float64)
    return _walk((mu1 - mu0) / sigma**2 * (values - (mu0 + mu1) / 2), wald_bounds(alpha, beta), truncate_at)


@dataclass(frozen=True)
class Characteristic:
    """Operating characteristic and average sample number under given truths.

    Args:
        truth: Parameter values, shape (m,).
        reject: Chance to reject H₀, shape (m,); 1 − OC.
        average_n: Mean number of observations, shape (m,).
        method: ``exact`` or ``wald``.
    """

    truth: Floats
    reject: Floats
    average_n: Floats
    method: str


METHODS = ("exact", "wald")


def bernoulli_characteristic(
    p: ArrayLike,
    p0: float,
    p1: float,
    alpha: float,
    beta: float,
    *,
    method: str = "exact",
    truncate_at: int | None = None,
    n_max: int = 100_000,
) -> Characteristic:
    """Operating characteristic and average n of a Bernoulli SPRT.

    Args:
        p: Truths, shape (m,).
        p0: Probability under H₀.
        p1: Under H₁, above p₀.
        alpha: Nominal α.
        beta: Nominal β.
        method: ``exact``, by following the law of the count, or ``wald``: his approximation, as books print it.
        truncate_at: As of :func:`run_bernoulli`; exact only.
        n_max: Most observations followed; what is left by then (below 1e-12 in practice) counts as going on.

    Raises:
        UsageError: As :func:`bernoulli_lines`, an unknown method, or a truncated approximation.
    """
    _check_method(method, truncate_at)
    if method == "wald":
        return _wald_bernoulli(p, p0, p1, alpha, beta)
    lines = bernoulli_lines(p0, p1, alpha, beta)
    truths = np.atleast_1d(np.asarray(p, dtype=np.float64))
    reject, average = np.zeros(len(truths)), np.zeros(len(truths))
    alive, low = np.ones((len(truths), 1)), 0  # chance of each count from ``low`` up
    for n in range(1, (truncate_at or n_max) + 1):
        average += alive.sum(axis=1)
        grown = np.zeros((len(truths), alive.shape[1] + 1))
        grown[:, :-1] += alive * (1 - truths)[:, None]
        grown[:, 1:] += alive * truths[:, None]
        # Counts strictly between the lines go on; the same rounding slack as a run has.
        first = math.floor(lines.accept_intercept + lines.slope * n + 1e-9) + 1
        last = math.ceil(lines.reject_intercept + lines.slope * n - 1e-9) - 1
        counts = np.arange(low, low + grown.shape[1])
        if n == truncate_at:
            reject += grown[:, (counts > last) | (counts > lines.slope * n + 1e-9)].sum(axis=1)
            break
        reject += grown[:, counts > last].sum(axis=1)
        keep = (counts >= first) & (counts <= last)
        if not keep.any():
            return Characteristic(truths, reject, average, "exact")
        alive, low = grown[:, keep], int(counts[keep][0])
        if float(alive.sum(axis=1).max()) < 1e-13:
            break
    return Characteristic(truths, reject, average, "exact")


def _check_method(method: str, truncate_at: int | None) -> None:
    if method not in METHODS or (truncate_at is not None and (method == "wald" or truncate_at < 1)):
        raise UsageError("a characteristic is exact (cut off after an observation or not) or by wald (never cut off)")


def _wald_bernoulli(p: ArrayLike, p0: float, p1: float, alpha: float, beta: float) -> Characteristic:
    """Wald (1947), 5.3: the root h ≠ 0 of p(p₁/p₀)ʰ + (1−p)((1−p₁)/(1−p₀))ʰ = 1 gives the chance to accept."""
    event, other = _bernoulli_steps(p0, p1)
    bounds, truths = wald_bounds(alpha, beta), np.atleast_1d(np.asarray(p, dtype=np.float64))
    if ((truths <= 0) | (truths >= 1)).any():
        raise UsageError("Wald's approximation is for truths between 0 and 1")
    drift = truths * event + (1 - truths) * other
    second = truths * event**2 + (1 - truths) * other**2
    h = np.array([_tilt(float(q), event, other) for q in truths])
    return _wald(truths, h, drift, second, bounds)


def _tilt(p: float, event: float, other: float) -> float:
    """The root; 0 where the drift is."""
    mean = p * event + (1 - p) * other
    if abs(mean) < 1e-9:
        return 0.0

    def excess(h: float) -> float:
        return float(np.logaddexp(math.log(p) + h * event, math.log1p(-p) + h * other))

    # Convex in h and 0 at h = 0, falling there where the drift is below 0: the other root lies on that side.
    side = -1.0 if mean > 0 else 1.0
    near, far = side * 1e-9, side
    while excess(far) < 0:
        near, far = far, 2 * far
    return float(brentq(excess, near, far, xtol=1e-13))


def _wald(truths: Floats, h: Floats, drift: Floats, second: Floats, bounds: WaldBounds) -> Characteristic:
    a, b = bounds.log_upper, bounds.log_lower
    flat = np.abs(h) < 1e-9
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        accept = np.where(flat, a / (a - b), np.expm1(h * a) / (np.exp(h * a) - np.exp(h * b)))
        accept = np.where(np.isnan(accept) & (h > 0), 1.0, accept)  # both powers overflow
        average = np.where(flat, -a * b / second, (accept * b + (1 - accept) * a) / drift)
    return Characteristic(truths, 1 - accept, average, "wald")


def normal_characteristic(
    mu: ArrayLike,
    mu0: float,
    mu1: float,
    sigma: float,
    alpha: float,
    beta: float,
    *,
    method: str = "wald",
    truncate_at: int | None = None,
) -> Characteristic:
    """Operating characteristic and average n of the test of two means with known σ.

    Args:
        mu: Truths, shape (m,).
        mu0: Mean under H₀.
        mu1: Under H₁.
        sigma: Known standard deviation.
        alpha: Nominal α.
        beta: Nominal β.
        method: ``wald``: his approximation, which ignores what steps go beyond the limits (the realised α lies below
            the nominal one and the real average n above this); or ``exact``, by integral equations.
        truncate_at: As of :func:`run_bernoulli`; exact only.

    Raises:
        UsageError: Equal means, σ not above 0, an unknown method, or steps too small for the exact one.
    """
    if not sigma > 0 or mu0 == mu1:
        raise UsageError("two different means and a known standard deviation above 0 are needed")
    _check_method(method, truncate_at)
    bounds, truths = wald_bounds(alpha, beta), np.atleast_1d(np.asarray(mu, dtype=np.float64))
    step = abs(mu1 - mu0) / sigma
    drift = (mu1 - mu0) / sigma**2 * (truths - (mu0 + mu1) / 2)
    if method == "wald":
        h = (mu1 + mu0 - 2 * truths) / (mu1 - mu0)
        return _wald(truths, h, drift, np.full(len(truths), step**2), bounds)
    ends = [leave(float(d), step, bounds.log_lower, bounds.log_upper, truncate_at) for d in drift]
    return Characteristic(truths, np.array([e[0] for e in ends]), np.array([e[1] for e in ends]), "exact")


def fixed_n_bernoulli(p0: float, p1: float, alpha: float, beta: float) -> int:
    """Least n of the fixed-n test with the same error rates, to compare the average with.

    Raises:
        UsageError: p₁ not above p₀.
    """
    _bernoulli_steps(p0, p1)
    if p1 < p0:
        raise UsageError("p1 lies above p0")
    n = 1
    while True:
        critical = float(binom.isf(alpha, n, p0))
        if binom.sf(critical, n, p1) >= 1 - beta:
            return n
        n += 1
