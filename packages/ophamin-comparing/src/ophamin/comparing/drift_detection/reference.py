"""More points like the reference: blocks of it drawn again, or a fitted model where there are too few to draw from.

Sources: Künsch (1989), Annals of Statistics 17:1217 (moving blocks); first-order autoregression and a two-state Markov
chain are textbook models; innovations drawn again: Efron & Tibshirani (1986), Statistical Science 1:54.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophamin.proof.errors import UsageError

__all__ = ["MIN_BLOCKS", "MIN_POINTS", "Reference"]

MIN_POINTS = 1_000
MIN_BLOCKS = 50
"""With fewer points or blocks than these, drawing again only repeats a few of them, and a model is used."""
_LEAST_IN_A_TAIL = 10
_HEAVIEST = 0.9
_BOUND = 1.645
"""One-sided 95 %, in standard errors."""


@dataclass(frozen=True)
class Reference:
    """A stretch of a stream in which nothing drifted.

    Args:
        values: Shape ``(n,)``, in order; finite.
        binary: Whether they are errors 0 and 1.
        block: Points of a block: twice the lag at which the autocorrelation is no longer told from none.
        model_based: Whether points are simulated by a model instead of drawn again.

    Example:
        >>> Reference.of([1.0, 2.0, 4.0] * 4).method
        'first-order autoregression of innovations drawn again'
    """

    values: NDArray[np.float64]
    binary: bool
    block: int
    model_based: bool

    @classmethod
    def of(cls, values: Sequence[float], *, binary: bool = False) -> Reference:
        """Look at the points there are.

        Args:
            values: At least 10 points.
            binary: Whether they are errors 0 and 1.

        Raises:
            UsageError: Too few points, or all alike where a scale is needed.
        """
        x = np.asarray(values, dtype=float)
        if len(x) < 10:
            raise UsageError(f"a reference has at least 10 points, not {len(x)}")
        if not binary and float(np.std(x)) == 0.0:
            raise UsageError("all points of the reference are alike, so there is no scale to watch the stream on")
        block = _block_length(x)
        return cls(x, binary, block, len(x) < max(MIN_POINTS, MIN_BLOCKS * block))

    @property
    def method(self) -> str:
        """How further points are made, in words."""
        if not self.model_based:
            return f"moving blocks of {self.block} points"
        return "two-state Markov chain" if self.binary else "first-order autoregression of innovations drawn again"

    def simulate(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """``n`` further points."""
        if not self.model_based:
            starts = rng.integers(0, len(self.values) - self.block + 1, -(-n // self.block))
            return np.asarray(self.values[(starts[:, None] + np.arange(self.block)).ravel()[:n]])
        return _markov(self.values, n, rng) if self.binary else _autoregression(self.values, n, rng)


def _block_length(x: NDArray[np.float64]) -> int:
    centred = x - x.mean()
    variance = float(centred @ centred)
    if variance == 0.0:
        return 1
    bound = 2 / math.sqrt(len(x))
    for lag in range(1, len(x) // 4):
        if abs(float(centred[:-lag] @ centred[lag:])) / variance < bound:
            return max(1, 2 * (lag - 1))
    return max(1, len(x) // 4)


def _autoregression(x: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    centred = x - x.mean()
    rho = float(np.clip(centred[:-1] @ centred[1:] / (centred @ centred), -0.99, 0.99))
    noise = _Innovations(centred[1:] - rho * centred[:-1]).draw(n, rng)
    noise[0] = rng.choice(centred)
    # Likewise on the careful side: without its bias (Marriott & Pope 1954, Biometrika 41:390), a standard error above.
    rho = float(np.clip(rho + (1 + 3 * rho) / len(x) + math.sqrt((1 - rho * rho) / len(x)), -0.99, 0.99))
    if rho == 0.0:
        return noise + float(x.mean())
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -rho], noise)) + float(x.mean())


class _Innovations:
    """The law of a few innovations: as they fell in the middle, and tails that go on beyond the furthest of them.

    A budget of one alarm in 10,000 points asks for what a few hundred have not shown. The tails are those of a
    generalised Pareto law, as heavy as the upper 95 % bound of its shape: too light a tail would let a detector pass
    that alarms more often than it may, too heavy a one only makes it slower.

    Source: Pickands (1975), Annals of Statistics 3:119; fitted by probability-weighted moments, standard error of the
    shape likewise (Hosking & Wallis 1987, Technometrics 29:339).
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._sorted = np.sort(values - values.mean())
        n = len(values)
        self._count = max(3, n // 10) if n >= 2 * _LEAST_IN_A_TAIL else 0
        self._above = _tail(self._sorted[::-1], self._count)
        self._below = _tail(-self._sorted, self._count)

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """``n`` further innovations."""
        size, count = len(self._sorted), self._count
        at = rng.random(n) * size
        found: NDArray[np.float64] = np.interp(at, np.arange(size) + 0.5, self._sorted)
        for inside, (threshold, scale, shape), sign in (
            (at >= size - count, self._above, 1.0), (at < count, self._below, -1.0),
        ):  # fmt: skip
            uniform = 1 - rng.random(int(inside.sum()))
            excess = -scale * np.log(uniform) if abs(shape) < 1e-9 else scale * (uniform**-shape - 1) / shape
            found[inside] = sign * (threshold + excess)
        return found


def _tail(descending: NDArray[np.float64], count: int) -> tuple[float, float, float]:
    """Threshold, scale and shape of what lies beyond the ``count`` largest values."""
    if not count:
        return 0.0, 0.0, 0.0
    threshold = float(descending[count])
    excess = descending[:count][::-1] - threshold
    first = float(excess.mean())
    if first <= 0.0:
        return threshold, 0.0, 0.0
    weight = 1 - (np.arange(1, count + 1) - 0.35) / count
    second = float((excess * weight).mean())
    shape = 2 - first / (first - 2 * second) if first > 2 * second else _HEAVIEST
    # The standard error has no finite formula from 1/2 on; that of 0.4 stands for what is heavier.
    s = min(shape, 0.4)
    variance = (1 - s) * (1 - s + 2 * s**2) * (2 - s) ** 2 / ((1 - 2 * s) * (3 - 2 * s)) / count
    shape = min(shape + _BOUND * math.sqrt(variance), _HEAVIEST)
    # The mean excess stays what it was.
    return threshold, first * (1 - shape), shape


def _markov(x: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    before, after = x[:-1] > 0.5, x[1:] > 0.5
    # Half an observation each way, so that what was not seen is rare and not impossible.
    rise = (np.sum(~before & after) + 0.5) / (np.sum(~before) + 1)
    fall = (np.sum(before & ~after) + 0.5) / (np.sum(before) + 1)
    # Runs of either state are geometric; enough of them for n points are drawn at once.
    count = int(n * rise * fall / (rise + fall) * 1.2) + 100
    runs = np.empty(2 * count, dtype=np.int64)
    while True:
        runs[0::2], runs[1::2] = rng.geometric(rise, count), rng.geometric(fall, count)
        if runs.sum() >= n:
            first = int(rng.random() < rise / (rise + fall))
            return np.repeat((np.arange(2 * count) + first) % 2, runs)[:n].astype(float)
        count *= 2
        runs = np.empty(2 * count, dtype=np.int64)
