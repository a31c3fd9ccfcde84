"""Shewhart charts: limits from phase I, every point held against them.

Source: Montgomery (2013), *Introduction to Statistical Quality Control*, chapters 6 and 7; limits for subgroups of
unequal size as there in sections 6.3.2 and 7.2.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, chi2, norm, poisson

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.observability._subgroups import SIGMA_METHODS, Mask, c4, grouped, mean, sd, sigma_within
from ophamin.measuring.pillars.observability.constants import constants, range_quantile
from ophamin.proof.errors import UsageError

__all__ = [
    "INDIVIDUAL_METHODS",
    "SIGMA_METHODS",
    "Chart",
    "c_chart",
    "individuals",
    "moving_range",
    "np_chart",
    "p_chart",
    "r_chart",
    "s_chart",
    "u_chart",
    "xbar",
]

INDIVIDUAL_METHODS = ("moving-range", "sd")


@dataclass(frozen=True)
class Chart:
    """One chart.

    Args:
        name: What is drawn: ``xbar``, ``R``, ``s``, ``individuals``, ``MR``, ``p``, ``np``, ``c`` or ``u``.
        points: The statistic of each subgroup, shape (m,).
        center: Centre line, shape (m,).
        lower: Lower limit, shape (m,); never below what the statistic can be.
        upper: Upper limit, shape (m,).
        spread: Standard error of each point, shape (m,).
        sigma: Estimated standard deviation of one value; NaN for counts.
        labels: Name of each subgroup, in order.
        phase1: Points the limits come from, shape (m,).
    """

    name: str
    points: Floats
    center: Floats
    lower: Floats
    upper: Floats
    spread: Floats
    sigma: float
    labels: Sequence[Any]
    phase1: Mask

    @property
    def z(self) -> Floats:
        """Distance of each point from the centre, in standard errors; NaN where there is no spread."""
        spread = np.where(self.spread > 0, self.spread, np.nan)
        return (self.points - self.center) / spread

    @property
    def beyond(self) -> NDArray[np.intp]:
        """Positions of the points outside their limits."""
        return np.flatnonzero((self.points > self.upper) | (self.points < self.lower))


def _mask(phase1: ArrayLike | None, m: int) -> Mask:
    mask = np.ones(m, dtype=bool) if phase1 is None else np.asarray(phase1, dtype=bool)
    if mask.shape != (m,) or not mask.any():
        raise UsageError("phase I marks each subgroup as in or out, and holds at least one")
    return mask


def _tail(level: float) -> float:
    """Chance beyond each limit."""
    if not 0 < level < 1:
        raise UsageError(f"a confidence level lies between 0 and 1, not {level!r}")
    return (1 - level) / 2


def _width(sigmas: float, level: float | None) -> float:
    if level is not None:
        if not 0 < level < 1:
            raise UsageError(f"a confidence level lies between 0 and 1, not {level!r}")
        return float(norm.ppf((1 + level) / 2))
    if not (sigmas > 0 and math.isfinite(sigmas)):
        raise UsageError(f"limits lie a positive number of standard errors away, such as 3, not {sigmas!r}")
    return sigmas


def xbar(
    value: ArrayLike,
    subgroup: Sequence[Any],
    *,
    phase1: ArrayLike | None = None,
    sigma_method: str = "range",
    sigmas: float = 3.0,
    level: float | None = None,
) -> Chart:
    """X̄ chart.

    Args:
        value: Values, shape (n,).
        subgroup: Subgroup of each value, length n; charted in the order in which they first appear.
        phase1: Which subgroups the limits come from, shape (m,); default: all.
        sigma_method: One of :data:`SIGMA_METHODS`.
        sigmas: Width of the limits in standard errors.
        level: Width as a two-sided normal confidence instead.

    Raises:
        UsageError: Malformed values, or nothing in phase I to estimate from.
    """
    groups = grouped(value, subgroup)
    mask, width = _mask(phase1, len(groups.values)), _width(sigmas, level)
    sigma, sizes = sigma_within(groups, mask, sigma_method), groups.sizes
    center = mean(np.concatenate([v for v, inside in zip(groups.values, mask, strict=True) if inside]))
    spread = sigma / np.sqrt(sizes)
    return Chart(
        "xbar", groups.apply(mean), np.full(len(sizes), center), center - width * spread, center + width * spread,
        spread, sigma, groups.labels, mask,
    )  # fmt: skip


def r_chart(
    value: ArrayLike,
    subgroup: Sequence[Any],
    *,
    phase1: ArrayLike | None = None,
    sigma_method: str = "range",
    sigmas: float = 3.0,
    level: float | None = None,
) -> Chart:
    """R chart; arguments as of :func:`xbar`, with ``level`` limits at quantiles of the range's law."""
    return _spread_chart("R", value, subgroup, phase1, sigma_method, sigmas, level)


def s_chart(
    value: ArrayLike,
    subgroup: Sequence[Any],
    *,
    phase1: ArrayLike | None = None,
    sigma_method: str = "sd",
    sigmas: float = 3.0,
    level: float | None = None,
) -> Chart:
    """s chart; arguments as of :func:`xbar`, with ``level`` limits at quantiles of χ²."""
    return _spread_chart("s", value, subgroup, phase1, sigma_method, sigmas, level)


def _spread_chart(
    name: str, value: ArrayLike, subgroup: Sequence[Any], phase1: ArrayLike | None, method: str, sigmas: float,
    level: float | None,
) -> Chart:  # fmt: skip
    groups = grouped(value, subgroup)
    mask, width = _mask(phase1, len(groups.values)), _width(sigmas, None)
    if (groups.sizes < 2).any():
        raise UsageError(f"a subgroup of one value has no {name}; use an individuals chart")
    laws = [constants(int(n)) for n in groups.sizes]
    sigma = sigma_within(groups, mask, method)
    if name == "R":
        points, expected, error = groups.apply(np.ptp), [c.d2 for c in laws], [c.d3 for c in laws]
    else:
        points, expected, error = groups.apply(sd), [c.c4 for c in laws], [c.c5 for c in laws]
    center, spread = sigma * np.array(expected), sigma * np.array(error)
    lower, upper = np.maximum(center - width * spread, 0.0), center + width * spread
    if level is not None:
        tail, sizes = _tail(level), groups.sizes
        if name == "R":
            lower, upper = (sigma * np.array([range_quantile(q, int(n)) for n in sizes]) for q in (tail, 1 - tail))
        else:
            lower, upper = (sigma * np.sqrt(chi2.ppf(q, sizes - 1) / (sizes - 1)) for q in (tail, 1 - tail))
    return Chart(name, points, center, lower, upper, spread, sigma, groups.labels, mask)


def individuals(
    value: ArrayLike,
    *,
    phase1: ArrayLike | None = None,
    sigmas: float = 3.0,
    span: int = 2,
    sigma_method: str = "moving-range",
    level: float | None = None,
) -> Chart:
    """Individuals chart.

    Args:
        value: Values in order, shape (n,).
        phase1: Which values the limits come from, shape (n,); moving ranges within it are used.
        sigmas: Width of the limits in standard deviations.
        span: Values in each moving range, at least 2.
        sigma_method: ``moving-range`` (its mean over d₂) or ``sd`` (standard deviation of phase I over c₄, which a
            shift within it makes too large).
        level: Width as a two-sided normal confidence instead.

    Raises:
        UsageError: Too few values in phase I, or an unknown method.
    """
    x, mask, _, sigma = _ranges(value, phase1, span)
    if sigma_method not in INDIVIDUAL_METHODS:
        raise UsageError(f"sigma is estimated by {' or '.join(INDIVIDUAL_METHODS)}, not {sigma_method!r}")
    if sigma_method == "sd":
        inside = x[mask]
        sigma = sd(inside) / c4(len(inside))
    width = _width(sigmas, level)
    center, m = mean(x[mask]), len(x)
    return Chart(
        "individuals", x, np.full(m, center), np.full(m, center - width * sigma), np.full(m, center + width * sigma),
        np.full(m, sigma), sigma, range(1, m + 1), mask,
    )  # fmt: skip


def moving_range(value: ArrayLike, *, phase1: ArrayLike | None = None, sigmas: float = 3.0, span: int = 2) -> Chart:
    """Moving-range chart; arguments as of :func:`individuals`. The first point is that of the first full span."""
    x, mask, mean_range, sigma = _ranges(value, phase1, span)
    law, width = constants(span), _width(sigmas, None)
    points = _moving(x, span)
    m = len(points)
    lower = max(0.0, mean_range - width * law.d3 * sigma)
    return Chart(
        "MR", points, np.full(m, mean_range), np.full(m, lower), np.full(m, mean_range + width * law.d3 * sigma),
        np.full(m, law.d3 * sigma), sigma, range(span, m + span), mask[span - 1 :],
    )  # fmt: skip


def _ranges(value: ArrayLike, phase1: ArrayLike | None, span: int) -> tuple[Floats, Mask, float, float]:
    x = np.asarray(value, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all() or not 2 <= span <= max(len(x), 2):
        raise UsageError("an individuals chart needs finite values, as many as a moving range spans (2 or more)")
    mask = _mask(phase1, len(x))
    inside = mask[span - 1 :].copy()
    for back in range(1, span):
        inside &= mask[span - 1 - back : len(mask) - back]
    if not inside.any():
        raise UsageError(f"phase I holds no {span} consecutive values to take a moving range of")
    mean_range = float(_moving(x, span)[inside].mean())
    return x, mask, mean_range, mean_range / constants(span).d2


def _moving(x: Floats, span: int) -> Floats:
    """Range of each run of ``span`` values."""
    if span == 2:
        return np.abs(np.diff(x))
    return np.asarray(np.ptp(np.lib.stride_tricks.sliding_window_view(x, span), axis=1), dtype=np.float64)


# --- counts


def _counts(count: ArrayLike, size: ArrayLike | None, phase1: ArrayLike | None) -> tuple[Floats, Floats, Mask]:
    x = np.asarray(count, dtype=np.float64)
    n = np.ones_like(x) if size is None else np.broadcast_to(np.asarray(size, dtype=np.float64), x.shape)
    good = x.ndim == 1 and len(x) and np.isfinite(x).all() and np.isfinite(n).all()
    if not good or (x < 0).any() or (n <= 0).any():
        raise UsageError("counts are numbers from 0 up, one for each subgroup, with sizes above 0")
    return x, n, _mask(phase1, len(x))


def _count_chart(
    name: str, points: Floats, center: Floats, spread: Floats, top: Floats | float, law: Any, size: Floats | float,
    sigmas: float, level: float | None, mask: Mask,
) -> Chart:  # fmt: skip
    """Limits by the normal distribution, or at quantiles of the count's law, over ``size``."""
    if level is None:
        width = _width(sigmas, None)
        lower, upper = np.maximum(center - width * spread, 0.0), np.minimum(center + width * spread, top)
    else:
        tail = _tail(level)
        if law.dist.name == "binom" and (law.args[0] != np.floor(law.args[0])).any():
            raise UsageError("limits at quantiles of the binomial law need whole numbers of units")
        lower, upper = law.ppf(tail) / size, law.isf(tail) / size
    return Chart(name, points, center, lower, upper, spread, math.nan, range(1, len(points) + 1), mask)


def p_chart(
    count: ArrayLike,
    size: ArrayLike,
    *,
    phase1: ArrayLike | None = None,
    sigmas: float = 3.0,
    level: float | None = None,
) -> Chart:
    """p chart: shares of nonconforming units; sizes may vary.

    Args:
        count: Nonconforming units, shape (m,).
        size: Units inspected, a number or shape (m,).
        phase1: Which subgroups the limits come from, shape (m,).
        sigmas: Width of the limits in standard errors.
        level: Limits at quantiles of the count's own law (binomial, Poisson) instead, of this two-sided confidence.

    Raises:
        UsageError: Malformed counts, or more nonconforming units than units.
    """
    x, n, mask, p = _shares(count, size, phase1)
    spread = np.sqrt(p * (1 - p) / n)
    return _count_chart("p", x / n, np.full(len(x), p), spread, 1.0, binom(n, p), n, sigmas, level, mask)


def np_chart(
    count: ArrayLike,
    size: ArrayLike,
    *,
    phase1: ArrayLike | None = None,
    sigmas: float = 3.0,
    level: float | None = None,
) -> Chart:
    """np chart: numbers of nonconforming units; arguments as of :func:`p_chart`."""
    x, n, mask, p = _shares(count, size, phase1)
    return _count_chart("np", x, n * p, np.sqrt(n * p * (1 - p)), n, binom(n, p), 1.0, sigmas, level, mask)


def _shares(count: ArrayLike, size: ArrayLike, phase1: ArrayLike | None) -> tuple[Floats, Floats, Mask, float]:
    x, n, mask = _counts(count, size, phase1)
    if (x > n).any():
        raise UsageError("a subgroup has more nonconforming units than units")
    return x, n, mask, float(x[mask].sum() / n[mask].sum())


def c_chart(
    count: ArrayLike, *, phase1: ArrayLike | None = None, sigmas: float = 3.0, level: float | None = None
) -> Chart:
    """c chart: nonconformities in units of one size.

    Args:
        count: Nonconformities, shape (m,).
        phase1: Which units the limits come from, shape (m,).
        sigmas: Width of the limits in standard errors.
        level: As of :func:`p_chart`.

    Raises:
        UsageError: Malformed counts.
    """
    x, _, mask = _counts(count, None, phase1)
    c, m = float(x[mask].mean()), len(x)
    spread = np.full(m, math.sqrt(c))
    return _count_chart("c", x, np.full(m, c), spread, math.inf, poisson(np.full(m, c)), 1.0, sigmas, level, mask)


def u_chart(
    count: ArrayLike,
    size: ArrayLike,
    *,
    phase1: ArrayLike | None = None,
    sigmas: float = 3.0,
    level: float | None = None,
) -> Chart:
    """u chart: nonconformities per unit; sizes may vary. Arguments as of :func:`p_chart`."""
    x, n, mask = _counts(count, size, phase1)
    u = float(x[mask].sum() / n[mask].sum())
    spread = np.sqrt(u / n)
    return _count_chart("u", x / n, np.full(len(x), u), spread, math.inf, poisson(n * u), n, sigmas, level, mask)
