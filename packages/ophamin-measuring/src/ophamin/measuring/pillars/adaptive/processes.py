"""One-sided test processes of "the mean of values in [0, 1] is at most m", and the bounds they give.

Each process is a non-negative supermartingale that starts at 1 wherever the mean is at most m, whatever the law of the
values and however often it is looked at: it ever reaches 1/α with chance at most α (Ville 1939). None has a second
hypothesis on the other side of m. All fall in m, so the values of m a process has left out are those below a bound:
the lower end of a one-sided confidence sequence. Upper ends come from 1 − x.

Sources: Wald (1945), Ann Math Stat 16:117, and Robbins (1970), Ann Math Stat 41:1397 (likelihood ratios and their
mixtures); Howard, Ramdas, McAuliffe & Sekhon (2020), Probab Surv 17:257 (values between 0 and 1 stay below 0/1 ones);
Waudby-Smith & Ramdas (2024), JRSS B 86:1 (betting).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["PROCESSES", "Running", "betting", "greatest_rejected", "likelihood_ratio", "mixture_ratio"]

ROOM = 0.9
"""Greatest share of the way from m to 1 that an alternative lies away."""
SHIFTS = (0.5, 1.0, 2.0)
"""Multiples of δ that a mixture averages over, with equal weights."""
TRUNCATION = 0.75
"""Largest share of the capital staked at once; every factor of the capital stays positive."""


def _unit(x: ArrayLike, m: float, delta: float) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    if not delta > 0 or not 0 <= m <= 1:
        raise UsageError("m lies between 0 and 1, and the difference delta above 0")
    if values.size and (not np.isfinite(values).all() or values.min() < 0 or values.max() > 1):
        raise UsageError("a test process takes values between 0 and 1")
    return values


def _ratio(total: Floats, n: Floats, m: float, shift: float) -> Floats:
    """log likelihood ratio of m + shift to m; an alternative below 1 leaves room for a failure, so it falls in m."""
    q = m + min(shift, ROOM * (1 - m))
    return total * math.log(q / m) + (n - total) * math.log((1 - q) / (1 - m))


def _sums(values: Floats) -> tuple[Floats, Floats]:
    return np.cumsum(values, axis=-1), np.arange(1.0, values.shape[-1] + 1)


def _degenerate(values: Floats, m: float) -> Floats:
    """At most 0 is denied by the first value above it; at most 1 never is."""
    return np.where(np.cumsum(values, axis=-1) > 0, np.inf, 0.0) if m == 0 else np.zeros_like(values)


def likelihood_ratio(x: ArrayLike, m: float, delta: float) -> Floats:
    """log likelihood ratio of m + δ to m after each value; the quickest where the truth is m + δ.

    Args:
        x: Values in [0, 1] in order, on the last axis; what is not 0 or 1 (means of groups) only lowers it.
        m: Boundary of "mean ≤ m", in [0, 1].
        delta: δ > 0, chosen beforehand.

    Raises:
        UsageError: Values or parameters out of range.

    Example:
        >>> float(likelihood_ratio([1] * 60, 0.9, 0.05)[-1]) >= math.log(1 / 0.05)
        True
    """
    values = _unit(x, m, delta)
    return _degenerate(values, m) if m in (0, 1) else _ratio(*_sums(values), m, delta)


def mixture_ratio(x: ArrayLike, m: float, delta: float) -> Floats:
    """log of the mean likelihood ratio of m + δ/2, m + δ and m + 2δ to m: a mixture SPRT; arguments as above.

    Little slower than :func:`likelihood_ratio` at m + δ, quicker where the truth lies further off or nearer.
    """
    values = _unit(x, m, delta)
    if m in (0, 1):
        return _degenerate(values, m)
    sums = _sums(values)
    return _log_mean([_ratio(*sums, m, shift * delta) for shift in SHIFTS])


def betting(x: ArrayLike, m: float, delta: float) -> Floats:
    """log capital of three gamblers who stake δ/(2v), δ/v and 2δ/v on each value lying above m.

    v is the regularised variance of the values before, so small variance makes it quick; arguments as above.
    """
    values = _unit(x, m, delta)
    if m in (0, 1):
        return _degenerate(values, m)
    n = np.arange(1.0, values.shape[-1] + 1)
    mean = (0.5 + np.cumsum(values, axis=-1)) / (n + 1)
    variance = (0.25 + np.cumsum((values - mean) ** 2, axis=-1)) / (n + 1)
    before = np.concatenate([np.full((*values.shape[:-1], 1), 0.25), variance[..., :-1]], axis=-1)
    return _log_mean(
        [
            np.cumsum(np.log1p(np.minimum(shift * delta / before, TRUNCATION / m) * (values - m)), axis=-1)
            for shift in SHIFTS
        ]
    )


def _log_mean(paths: list[Floats]) -> Floats:
    return np.asarray(np.logaddexp.reduce(paths, axis=0) - math.log(len(paths)), dtype=np.float64)


Process = Callable[[ArrayLike, float, float], Floats]
PROCESSES: dict[str, Process] = {
    "mixture-sprt": mixture_ratio,
    "likelihood-ratio": likelihood_ratio,
    "betting": betting,
}
"""By the name a decision registers."""


class Running:
    """A process that is told one value at a time, at constant cost.

    Args:
        process: Its name in :data:`PROCESSES`.
        m: Boundary of "mean ≤ m", in [0, 1].
        delta: δ > 0.

    Example:
        >>> running = Running("mixture-sprt", 0.9, 0.05)
        >>> values = [1, 0, 1, 1]
        >>> math.isclose([running.add(x) for x in values][-1], mixture_ratio(values, 0.9, 0.05)[-1])
        True
    """

    def __init__(self, process: str, m: float, delta: float) -> None:
        self._m, self._bets = m, process == "betting"
        self._shifts = [delta] if process == "likelihood-ratio" else [shift * delta for shift in SHIFTS]
        self._logs = [0.0] * len(self._shifts)
        self._n, self._total, self._squares = 0, 0.0, 0.25
        self._open = 0 < m < 1
        if self._open and not self._bets:
            alternatives = [m + min(shift, ROOM * (1 - m)) for shift in self._shifts]
            self._steps = [(math.log(q / m), math.log((1 - q) / (1 - m))) for q in alternatives]

    def add(self, x: float) -> float:
        """Take the next value; returns log of the process."""
        if not self._open:
            self._total += x
            return math.inf if self._m <= 0 < self._total else 0.0
        self._logs = (
            self._staked(x)
            if self._bets
            else [log + x * one + (1 - x) * none for log, (one, none) in zip(self._logs, self._steps, strict=True)]
        )
        top = max(self._logs)
        return top + math.log(math.fsum(math.exp(log - top) for log in self._logs) / len(self._logs))

    def _staked(self, x: float) -> list[float]:
        m, variance = self._m, self._squares / (self._n + 1)
        self._n += 1
        self._total += x
        self._squares += (x - (0.5 + self._total) / (self._n + 1)) ** 2
        stakes = [min(shift / variance, TRUNCATION / m) for shift in self._shifts]
        return [log + math.log1p(stake * (x - m)) for log, stake in zip(self._logs, stakes, strict=True)]


def greatest_rejected(
    process: Process, x: ArrayLike, *, delta: float, alpha: float, start: float | None = None
) -> float:
    """Greatest m that the process has left out by now or ever before: L of a one-sided confidence sequence.

    Args:
        process: One of :data:`PROCESSES`.
        x: Values in [0, 1] in order, shape (n,).
        delta: δ of the process.
        alpha: One-sided α.
        start: An m to try first, so that the bound lies on the very side of it that the process at m itself says.

    Returns:
        L in [0, 1]; 0 where nothing is left out yet. Rounding never makes it too high.

    Example:
        >>> round(greatest_rejected(mixture_ratio, [1] * 100, delta=0.05, alpha=0.05, start=0.9), 3)
        0.966
    """
    values, goal = np.asarray(x, dtype=np.float64), math.log(1 / alpha)

    def left_out(m: float) -> bool:
        return bool(process(values, m, delta).max(initial=0.0) >= goal)

    low, high = 0.0, 1.0
    if start is not None and 0 < start < 1:
        low, high = (start, 1.0) if left_out(start) else (0.0, start)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if left_out(middle) else (low, middle)
    return low
