"""Confidence sequences: intervals that hold at every n at once, so looking costs nothing.

Two-sided ones hold with chance 1 − α for both sides together; ``sides=1`` gives each bound α of its own.

Sources: Howard, Ramdas, McAuliffe & Sekhon (2021), Ann Stat 49:1055 (normal and beta-binomial mixtures); Howard &
Ramdas (2022), Bernoulli 28:1704 (quantiles); Waudby-Smith & Ramdas (2024), JRSS B 86:1 (bounded means).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincc, betaln, xlog1py, xlogy

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.adaptive._beta_mixture import mixture_ends, running_ends
from ophamin.measuring.pillars.adaptive.mixture import mixture_rho, normal_mixture_bound
from ophamin.proof.errors import UsageError

__all__ = [
    "ConfidenceSequence",
    "bernoulli_sequence",
    "beta_mixture_sequence",
    "betting_sequence",
    "empirical_bernstein_sequence",
    "hoeffding_sequence",
    "quantile_sequence",
    "subgaussian_sequence",
]

TRUNCATION = 0.75
"""Largest share of the capital staked at once; every factor of the capital stays positive."""


@dataclass(frozen=True)
class ConfidenceSequence:
    """Bounds after each look.

    Args:
        n: Observations at each look, shape (m,).
        estimate: Point estimate, shape (m,).
        lower: Lower bounds, shape (m,).
        upper: Upper bounds, shape (m,).
    """

    n: Floats
    estimate: Floats
    lower: Floats
    upper: Floats


def _check(alpha: float, sides: int) -> float:
    """α of one side."""
    if not 0 < alpha < 0.5 or sides not in (1, 2):
        raise UsageError("alpha lies between 0 and 0.5, and sides are 1 or 2")
    return alpha / sides


def _unit(x: ArrayLike, low: float, high: float) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError("the support is two finite ends, low < high, registered beforehand")
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise UsageError("a confidence sequence needs at least one finite observation")
    if values.min() < low or values.max() > high:
        raise UsageError(f"an observation lies outside the support [{low:g}, {high:g}]")
    return (values - low) / (high - low)


# --- proportions


def _log_mixture(successes: Floats, n: Floats, p: Floats, weight: float, *, sides: int) -> Floats:
    """log beta-binomial mixture of the likelihood ratio against p, prior Beta(κp, κ(1−p)); one side: beyond p only."""
    a, b = weight * p + successes, weight * (1 - p) + n - successes
    value = betaln(a, b) - betaln(weight * p, weight * (1 - p)) - xlogy(successes, p) - xlog1py(n - successes, -p)
    if sides == 1:
        with np.errstate(divide="ignore"):
            value = value + np.log(betaincc(a, b, p)) - np.log(betaincc(weight * p, weight * (1 - p), p))
    return np.asarray(value, dtype=np.float64)


def _lowest(successes: Floats, n: Floats, weight: float, log_threshold: float, *, sides: int) -> Floats:
    """Smallest p that is not rejected, by bisection for all looks at once."""
    low, high = np.zeros_like(n), successes / n
    for _ in range(52):
        middle = (low + high) / 2
        rejected = _log_mixture(successes, n, np.clip(middle, 1e-300, 1 - 1e-16), weight, sides=sides) > log_threshold
        low, high = np.where(rejected, middle, low), np.where(rejected, high, middle)
    return np.where(successes > 0, low, 0.0)


def bernoulli_sequence(
    x: ArrayLike | None = None,
    *,
    successes: ArrayLike | None = None,
    n: ArrayLike | None = None,
    alpha: float = 0.05,
    t_opt: float = 100.0,
    alpha_opt: float = 0.05,
    sides: int = 2,
) -> ConfidenceSequence:
    """Confidence sequence of a proportion by the beta-binomial mixture.

    Args:
        x: Outcomes 0 and 1 in order; bounds after each. Or give ``successes`` and ``n``.
        successes: Successes so far at each look, shape (m,).
        n: Observations so far at each look, shape (m,).
        alpha: Of both sides together, or of each when ``sides=1``.
        t_opt: n at which the bounds are about tightest; chosen beforehand.
        alpha_opt: α it is tuned for.
        sides: 2: one mixture over all alternatives; 1: one mixture for each side.

    Raises:
        UsageError: Outcomes or counts out of range.

    Example:
        >>> found = bernoulli_sequence(successes=[700], n=[1000])
        >>> round(float(found.lower[0]), 6), round(float(found.upper[0]), 6)
        (0.65163, 0.74595)
    """
    each = _check(alpha, sides)
    if x is not None:
        outcomes = np.asarray(x, dtype=np.float64)
        if not np.isin(outcomes, (0.0, 1.0)).all():
            raise UsageError("a proportion is of outcomes 0 and 1")
        count, size = np.cumsum(outcomes), np.arange(1.0, len(outcomes) + 1)
    else:
        count, size = np.atleast_1d(np.asarray(successes, np.float64)), np.atleast_1d(np.asarray(n, np.float64))
    if count.shape != size.shape or not len(size) or (size < 1).any() or (count < 0).any() or (count > size).any():
        raise UsageError("each look has at least one observation, and between 0 and n successes")
    weight = max(mixture_rho(t_opt, alpha_opt, sides=sides) - 1, 1e-3)
    # One two-sided mixture spends α once; one-sided mixtures hold α each.
    log_threshold = math.log(1 / (alpha if sides == 2 else each))
    lower = _lowest(count, size, weight, log_threshold, sides=sides)
    upper = 1 - _lowest(size - count, size, weight, log_threshold, sides=sides)
    return ConfidenceSequence(size, count / size, lower, upper)


def beta_mixture_sequence(
    x: ArrayLike, *, alpha: float = 0.05, prior: Sequence[float] = (1.0, 1.0), running_intersection: bool = True
) -> ConfidenceSequence:
    """Two-sided confidence sequence of a proportion by one Beta(a, b) mixture for every null: the interval at each n.

    p is left out once B(a+s, b+n−s)/B(a, b) ≥ p^s (1−p)^(n−s)/α. Both ends are found for all n at once.

    Args:
        x: Outcomes 0 and 1 in order, shape (n,).
        alpha: Of both sides together.
        prior: a and b, above 0; they change the width only.
        running_intersection: Whether a bound once reached is kept.

    Raises:
        UsageError: Outcomes, α or prior out of range.

    Source: Robbins (1970), Ann Math Stat 41:1397; Howard et al. (2021), Ann Stat 49:1055.

    Example:
        >>> found = beta_mixture_sequence([1] * 7 + [0] * 3)
        >>> round(float(found.lower[-1]), 4), round(float(found.upper[-1]), 4)
        (0.4843, 0.9634)
    """
    _check(alpha, 2)
    outcomes, (a, b) = np.asarray(x, dtype=np.float64), (float(end) for end in prior)
    ones = outcomes == 1
    known = np.count_nonzero(ones) + np.count_nonzero(outcomes == 0)
    if outcomes.ndim != 1 or not len(outcomes) or known < len(outcomes) or not min(a, b) > 0:
        raise UsageError("a proportion is of at least one outcome, each 0 or 1, and a prior above 0")
    n = np.arange(1.0, len(outcomes) + 1)
    s = np.cumsum(ones).astype(np.float64)  # whole numbers add up faster
    f = n - s
    # The mixture grows by the chance it gave each outcome: (a+s)/(a+b+n) for a 1, the rest for a 0.
    growth = s - f
    growth *= outcomes  # rather than where(), which branches at every outcome, and outcomes cannot be foreseen
    growth += f
    growth += a - 1 if a == b else (a - b) * outcomes + (b - 1)
    growth /= n + (a + b - 1)
    np.log(growth, out=growth)
    growth[0] += math.log(alpha)
    height = np.cumsum(growth, out=growth)
    height /= n
    share = s / n
    f /= n
    if running_intersection:
        lower, upper = running_ends(outcomes, share, f, height)
    else:
        lower, upper = mixture_ends(share, f, height)
    return ConfidenceSequence(n, share, lower, upper)


# --- means


def subgaussian_sequence(
    x: ArrayLike, *, sigma: float, alpha: float = 0.05, t_opt: float = 100.0, sides: int = 2
) -> ConfidenceSequence:
    """Confidence sequence of a mean of σ-sub-Gaussian observations by the normal mixture.

    Args:
        x: Observations in order, shape (n,).
        sigma: Known sub-Gaussian scale: the standard deviation of a normal law, half the range of a bounded one.
        alpha: Of both sides together, or of each when ``sides=1``.
        t_opt: n at which the bounds are about tightest.
        sides: 1 or 2.

    Raises:
        UsageError: No observation, or σ not above 0.
    """
    _check(alpha, sides)
    values = np.asarray(x, dtype=np.float64)
    if not sigma > 0 or values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise UsageError("finite observations and a known scale sigma above 0 are needed")
    n = np.arange(1.0, len(values) + 1)
    half = normal_mixture_bound(n * sigma**2, alpha, v_opt=t_opt * sigma**2, alpha_opt=alpha, sides=sides) / n
    mean = np.cumsum(values) / n
    return ConfidenceSequence(n, mean, mean - half, mean + half)


def _intersected(
    n: Floats, mean: Floats, lower: Floats, upper: Floats, low: float, high: float, running: bool
) -> ConfidenceSequence:
    """Back to the units of the data, within the support; each bound no worse than any before it."""
    scale = high - low
    if running:
        lower, upper = np.maximum.accumulate(lower), np.minimum.accumulate(upper)
    return ConfidenceSequence(
        n, low + scale * mean, low + scale * np.clip(lower, 0, 1), low + scale * np.clip(upper, 0, 1)
    )


def hoeffding_sequence(
    x: ArrayLike,
    *,
    support: Sequence[float],
    alpha: float = 0.05,
    sides: int = 2,
    running_intersection: bool = True,
) -> ConfidenceSequence:
    """Confidence sequence of a bounded mean by predictably mixed Hoeffding bounds; ignores the variance.

    Args:
        x: Observations in order, shape (n,).
        support: ``[low, high]``, registered beforehand.
        alpha: Of both sides together, or of each when ``sides=1``.
        sides: 1 or 2.
        running_intersection: Whether a bound once reached is kept.

    Raises:
        UsageError: An observation outside the support.
    """
    log = math.log(1 / _check(alpha, sides))
    low, high = float(support[0]), float(support[1])
    values = _unit(x, low, high)
    n = np.arange(1.0, len(values) + 1)
    stakes = np.minimum(1.0, np.sqrt(8 * log / (n * np.log(n + 1))))
    total = np.cumsum(stakes)
    centre, half = np.cumsum(stakes * values) / total, (log + np.cumsum(stakes**2) / 8) / total
    return _intersected(n, np.cumsum(values) / n, centre - half, centre + half, low, high, running_intersection)


def _past_variance(values: Floats) -> Floats:
    """Regularised variance of what came before each observation; predictable."""
    n = np.arange(1.0, len(values) + 1)
    mean = (0.5 + np.cumsum(values)) / (n + 1)
    variance = (0.25 + np.cumsum((values - mean) ** 2)) / (n + 1)
    return np.concatenate([[0.25], variance[:-1]])


def empirical_bernstein_sequence(
    x: ArrayLike,
    *,
    support: Sequence[float],
    alpha: float = 0.05,
    sides: int = 2,
    running_intersection: bool = True,
) -> ConfidenceSequence:
    """Confidence sequence of a bounded mean by predictably mixed empirical Bernstein bounds.

    Arguments and errors as of :func:`hoeffding_sequence`; in closed form, and narrow where the variance is small.
    """
    log = math.log(1 / _check(alpha, sides))
    low, high = float(support[0]), float(support[1])
    values = _unit(x, low, high)
    n = np.arange(1.0, len(values) + 1)
    stakes = np.minimum(0.5, np.sqrt(2 * log / (_past_variance(values) * n * np.log(n + 1))))
    guess = np.concatenate([[0.5], ((0.5 + np.cumsum(values)) / (n + 1))[:-1]])
    total = np.cumsum(stakes)
    centre = np.cumsum(stakes * values) / total
    half = (log + np.cumsum((values - guess) ** 2 * (-np.log1p(-stakes) - stakes))) / total
    return _intersected(n, np.cumsum(values) / n, centre - half, centre + half, low, high, running_intersection)


def betting_sequence(
    x: ArrayLike,
    *,
    support: Sequence[float],
    alpha: float = 0.05,
    sides: int = 2,
    grid: int = 1000,
    truncation: float = TRUNCATION,
) -> ConfidenceSequence:
    """Confidence sequence of a bounded mean by betting; narrow at small n.

    The capital of a gambler who stakes on the mean lying above m is a test martingale under "mean ≤ m"; m is left out
    once it reaches 1/α. Bounds are rounded outwards to the grid.

    Args:
        x: Observations in order, shape (n,).
        support: ``[low, high]``, registered beforehand.
        alpha: Of both sides together, or of each when ``sides=1``.
        sides: 1 or 2.
        grid: Values of m tried between the ends.
        truncation: Largest share of the capital staked at once, in (0, 1); the paper names 0.5 and 0.75.

    Raises:
        UsageError: An observation outside the support, a grid below 10, or a truncation out of range.
    """
    each = _check(alpha, sides)
    if grid < 10 or not 0 < truncation < 1:
        raise UsageError("the grid has at least 10 values, and the largest stake is a share between 0 and 1")
    low, high = float(support[0]), float(support[1])
    values = _unit(x, low, high)
    n = np.arange(1.0, len(values) + 1)
    lower, upper = _bet(values, each, grid, truncation), 1 - _bet(1 - values, each, grid, truncation)
    return _intersected(n, np.cumsum(values) / n, lower, upper, low, high, running=True)


def _bet(values: Floats, alpha: float, grid: int, truncation: float) -> Floats:
    """Greatest m of the grid left out after each observation, together with all below it; 0 at first."""
    n = np.arange(1.0, len(values) + 1)
    goal = math.log(1 / alpha)
    stakes = np.sqrt(2 * goal / (_past_variance(values) * n * np.log(n + 1)))
    m = np.arange(1, grid) / grid
    capital, out, found = np.zeros(grid - 1), 0, np.zeros(len(values))
    step = max(1, 2_000_000 // grid)
    for start in range(0, len(values), step):
        part = slice(start, start + step)
        alive = m[out:]
        if not len(alive):
            found[part] = m[-1]
            continue
        staked = np.minimum(stakes[part, None], truncation / alive)
        path = capital[out:] + np.cumsum(np.log1p(staked * (values[part, None] - alive)), axis=0)
        # A value is out from the first time its capital reaches the goal, and only with all smaller ones.
        gone = np.minimum.accumulate(np.maximum.accumulate(path >= goal, axis=0), axis=1).sum(axis=1)
        found[part] = np.concatenate([[0.0], m])[out + gone]
        capital[out:] = path[-1]
        out += int(gone[-1])
    return found


# --- quantiles


def quantile_sequence(
    x: ArrayLike,
    *,
    q: float,
    alpha: float = 0.05,
    t_opt: float = 100.0,
    sides: int = 2,
    looks: Sequence[int] | None = None,
) -> ConfidenceSequence:
    """Confidence sequence of a quantile, for any distribution, by one-sided beta-binomial mixtures of the count below.

    Args:
        x: Observations in order, shape (n,).
        q: Which quantile, in (0, 1).
        alpha: Of both sides together, or of each when ``sides=1``.
        t_opt: n at which the bounds are about tightest.
        sides: 1 or 2.
        looks: Where to give bounds, from 1 to n; default: at n alone. Looking more often costs time, not α.

    Returns:
        Bounds that are observations, or ±∞ where n does not tell yet.

    Raises:
        UsageError: q or a look out of range.
    """
    each = _check(alpha, sides)
    values = np.asarray(x, dtype=np.float64)
    if not 0 < q < 1 or values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise UsageError("a quantile lies between 0 and 1 and needs at least one observation")
    at = np.array([len(values)] if looks is None else sorted(set(looks)), dtype=np.float64)
    if not len(at) or at[0] < 1 or at[-1] > len(values):
        raise UsageError(f"looks lie between 1 and {len(values)}")
    weight, log_threshold = max(mixture_rho(t_opt, each, sides=1) - 1, 1e-3), math.log(1 / each)
    above = _crossing_count(at, q, weight, log_threshold)
    below = at - _crossing_count(at, 1 - q, weight, log_threshold)
    lower, upper, estimate = (np.empty(len(at)) for _ in range(3))
    for i, size in enumerate(at.astype(int)):
        ordered = np.sort(values[:size])
        estimate[i] = ordered[max(0, math.ceil(q * size) - 1)]
        upper[i] = ordered[int(above[i]) - 1] if above[i] <= size else math.inf
        lower[i] = ordered[int(below[i])] if below[i] >= 0 else -math.inf
    return ConfidenceSequence(at, estimate, lower, upper)


def _crossing_count(n: Floats, q: float, weight: float, log_threshold: float) -> Floats:
    """Least count of successes that rejects "probability ≤ q" at each n; n + 1 where none does."""
    low, high = np.floor(n * q), n + 1
    while ((high - low) > 1).any():
        middle = np.floor((low + high) / 2)
        p = np.full_like(n, q)
        rejected = _log_mixture(np.minimum(middle, n), n, p, weight, sides=1) >= log_threshold
        high, low = np.where(rejected, middle, high), np.where(rejected, low, middle)
    return high
