"""Charts with a memory: EWMA and CUSUM; they find small lasting shifts that a Shewhart chart misses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import lfilter

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["Cusum", "Ewma", "cusum", "ewma"]


def _values(x: ArrayLike, sigma: float) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise UsageError("a chart needs at least one finite value")
    if not (sigma > 0 and math.isfinite(sigma)):
        raise UsageError("sigma lies above 0: values without any spread cannot be charted")
    return values


@dataclass(frozen=True)
class Ewma:
    """An EWMA chart.

    Args:
        ewma: Exponentially weighted averages, shape (n,).
        lower: Lower limits, shape (n,).
        upper: Upper limits, shape (n,).
    """

    ewma: Floats
    lower: Floats
    upper: Floats

    @property
    def signals(self) -> list[int]:
        """Positions outside the limits."""
        return [int(i) for i in np.flatnonzero((self.ewma > self.upper) | (self.ewma < self.lower))]


def ewma(
    x: ArrayLike, *, target: float, sigma: float, lam: float = 0.2, width: float = 3.0, limits: str = "time-varying"
) -> Ewma:
    """EWMA chart, started at the target.

    Args:
        x: Values in order, shape (n,).
        target: In-control mean.
        sigma: In-control standard deviation of a value.
        lam: Weight λ of the newest value, in (0, 1].
        width: L, limits in standard deviations of the average.
        limits: ``time-varying`` (exact from the first value on) or ``asymptotic``.

    Raises:
        UsageError: Parameters out of range.

    Source: Roberts (1959), Technometrics 1:239; Lucas & Saccucci (1990), Technometrics 32:1.
    """
    values = _values(x, sigma)
    if not 0 < lam <= 1 or not width > 0 or limits not in ("time-varying", "asymptotic"):
        raise UsageError("lambda lies in (0, 1], the width above 0, and limits are time-varying or asymptotic")
    smooth, _ = lfilter([lam], [1, -(1 - lam)], values, zi=[(1 - lam) * target])
    half = np.full(len(values), width * sigma * math.sqrt(lam / (2 - lam)))
    if limits == "time-varying" and lam < 1:
        # From here on 1 - (1 - lam)^2i is 1 to the last digit, and the powers are what takes long.
        settled = math.ceil(54 * math.log(2) / (-2 * math.log1p(-lam)))
        i = np.arange(1, min(settled, len(values)) + 1)
        half[: len(i)] *= np.sqrt(-np.expm1(2 * i * math.log1p(-lam)))
    lower = target - half
    half += target
    return Ewma(smooth, lower, half)


@dataclass(frozen=True)
class Cusum:
    """A tabular CUSUM.

    Args:
        upper: C⁺, shape (n,).
        lower: C⁻, shape (n,).
        h: Decision interval, in the units of the data.
    """

    upper: Floats
    lower: Floats
    h: float

    @property
    def signals(self) -> list[int]:
        """Positions at which either sum lies above h."""
        return [int(i) for i in np.flatnonzero((self.upper > self.h) | (self.lower > self.h))]


def cusum(
    x: ArrayLike, *, target: float, sigma: float = 1.0, k: float = 0.5, h: float = 5.0, head_start: float = 0.0
) -> Cusum:
    """Tabular CUSUM of both sides; it goes on after a signal.

    Args:
        x: Values in order, shape (n,).
        target: In-control mean.
        sigma: In-control standard deviation; k and h count in it.
        k: Reference value, half the shift looked for.
        h: Decision interval.
        head_start: Where both sums start, from 0 to below h; h/2 finds a process that begins out of control sooner.

    Raises:
        UsageError: Parameters out of range.

    Source: Page (1954), Biometrika 41:100; Montgomery (2013), section 9.1; head start: Lucas & Crosier (1982),
    Technometrics 24:199.
    """
    values = _values(x, sigma)
    if not k >= 0 or not h > 0 or not 0 <= head_start < h:
        raise UsageError("k is 0 or more, h above 0, and a head start lies from 0 to below h")
    start = head_start * sigma
    up, down = (_sums(steps - k * sigma, start) for steps in (values - target, target - values))
    return Cusum(up, down, h * sigma)


def _sums(steps: Floats, start: float) -> Floats:
    # max(0, C + step) is the distance of the running sum from its running minimum, that of the start included.
    total = np.cumsum(steps)
    return total - np.minimum(np.minimum.accumulate(total), -start)
