"""Bootstrap intervals: percentile, basic, BCa, studentised; of rows or of whole clusters.

Written here because ``scipy.stats.bootstrap`` gathers 64-bit indices and jackknifes by copies, which costs it more than
half of its time; the tests hold both against each other.

Sources: Efron & Tibshirani (1993), *An Introduction to the Bootstrap*, chapters 10 to 14; Davison & Hinkley (1997),
*Bootstrap Methods and their Application*; clusters: Field & Welsh (2007), JRSS B 69:369.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.robustness.jackknife import leave_one_out
from ophamin.measuring.pillars.robustness.statistics import Statistic, cluster_rows
from ophamin.proof.errors import UsageError

__all__ = ["METHODS", "Bootstrapped", "bootstrap"]

METHODS = ("percentile", "basic", "bca", "studentised")
_AT_ONCE = 64_000  # values gathered at a time: they stay in the cache
_PARTS = 16  # shared by the threads, each with a stream of its own
_WORTH_THREADS = 1_000_000  # values in all from which threads pay; numpy lets go of the lock in each step


@dataclass(frozen=True)
class Bootstrapped:
    """What resampling showed.

    Args:
        value: The statistic of the data.
        low: Lower end of the two-sided interval; NaN where it does not exist.
        high: Upper end.
        standard_error: Standard deviation over the resamples.
        bias: Mean over the resamples minus the value.
        resamples: Resamples with a finite statistic.
        units: Rows or clusters that were resampled.
        problem: Why there is no interval, or "".
    """

    value: float
    low: float
    high: float
    standard_error: float
    bias: float
    resamples: int
    units: int
    problem: str = ""


def bootstrap(
    arrays: Sequence[Floats],
    statistic: Statistic,
    *,
    method: str = "bca",
    level: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
    clusters: Sequence[Any] | None = None,
) -> Bootstrapped:
    """Bootstrap a statistic.

    Args:
        arrays: One array for each column of the statistic, each of shape (n,).
        statistic: What is resampled.
        method: One of :data:`METHODS`.
        level: Two-sided confidence, in (0, 1).
        resamples: B, at least 100.
        seed: Seed of the resampling; the result depends on nothing else.
        clusters: Cluster of each row, resampled whole; rows are then never separated.

    Raises:
        UsageError: An unknown method, a number out of range, columns that do not fit, or a studentised interval of a
            statistic without a standard error in closed form, or of clusters.

    Example:
        >>> from ophamin.measuring.pillars.robustness.statistics import statistic_of
        >>> mouse = np.array([94.0, 197, 16, 38, 99, 141, 23])
        >>> found = bootstrap([mouse], statistic_of("mean"), method="percentile", seed=1)
        >>> round(found.value, 2), round(found.standard_error)
        (86.86, 24)
    """
    if method not in METHODS or not 0 < level < 1 or resamples < 100:
        raise UsageError(f"a bootstrap is {', '.join(METHODS)}, at a level between 0 and 1, with 100 resamples or more")
    data = [np.asarray(a, dtype=np.float64) for a in arrays]
    if (
        len(data) != statistic.columns
        or len({len(a) for a in data}) != 1
        or not all(np.isfinite(a).all() for a in data)
    ):
        raise UsageError(f"{statistic.name} takes {statistic.columns} column(s) of one length, of finite numbers")
    if method == "studentised" and (statistic.error is None or clusters is not None):
        raise UsageError(f"a studentised interval of {statistic.name} is not offered here; use bca")
    members = None if clusters is None else cluster_rows(clusters)
    units = len(data[0]) if members is None else len(members)
    if units < 2:
        value = float(statistic.value(*data)) if len(data[0]) else math.nan
        return _without(value, units, f"{units} unit(s): a bootstrap needs at least 2")
    value = float(statistic.value(*data))
    if not math.isfinite(value):
        return _without(value, units, f"{statistic.name} does not exist for these values")
    rng = np.random.Generator(np.random.SFC64(seed))  # quicker than the default, and drawing is most of the work
    drawn, errors = _draw(data, statistic, members, units, resamples, rng, studentise=method == "studentised")
    kept = np.isfinite(drawn)
    if kept.sum() < 0.99 * resamples:
        return _without(value, units, f"{statistic.name} does not exist in {1 - kept.mean():.0%} of the resamples")
    finite = drawn[kept]
    spread = float(finite.std(ddof=1))
    if spread == 0:
        return _without(value, units, "all resamples are equal, so they show no spread")
    low, high, problem = _interval(method, level, value, finite, errors[kept], data, statistic, members)
    return Bootstrapped(value, low, high, spread, float(finite.mean()) - value, int(kept.sum()), units, problem)


def _without(value: float, units: int, problem: str) -> Bootstrapped:
    return Bootstrapped(value, math.nan, math.nan, math.nan, math.nan, 0, units, problem)


def _draw(
    data: list[Floats],
    statistic: Statistic,
    members: list[NDArray[np.intp]] | None,
    units: int,
    resamples: int,
    rng: np.random.Generator,
    *,
    studentise: bool,
) -> tuple[Floats, Floats]:
    """The statistic, and its standard error where asked for, of each resample."""
    if members is not None and len({len(m) for m in members}) > 1:
        # Clusters of unequal size give resamples of unequal length: one at a time.
        chosen = rng.integers(0, units, size=(resamples, units))
        joined = (np.concatenate([members[j] for j in picks]) for picks in chosen)
        drawn = np.array([float(statistic.value(*(a[r] for a in data))) for r in joined])
        return drawn, np.ones(resamples)
    block = None if members is None else np.array(members)
    width = units * (1 if block is None else block.shape[1])
    step = max(1, _AT_ONCE // width)
    # Parts of several steps each: a stream costs as much to make as some thousand numbers to draw.
    whole = step * max(1, resamples // (step * _PARTS))
    sizes = [min(whole, resamples - start) for start in range(0, resamples, whole)]
    error = statistic.error if studentise else None
    memory = threading.local()

    def part(size: int, stream: np.random.Generator) -> tuple[Floats, Floats]:
        # Gathered into the same memory each time; "clip" because indices lie within range by construction.
        if not hasattr(memory, "buffers"):
            memory.buffers = [np.empty((step, width)) for _ in data]
        values, errors = np.empty(size), np.ones(size)
        for start in range(0, size, step):
            at = slice(start, min(start + step, size))
            picks = _picked(stream, units, at.stop - start)
            rows = picks if block is None else block[picks].reshape(len(picks), -1)
            pairs = zip(data, memory.buffers, strict=True)
            samples = [np.take(a, rows, out=buffer[: len(rows)], mode="clip") for a, buffer in pairs]
            values[at] = statistic.value(*samples)
            if error is not None:
                errors[at] = error(*samples)
        return values, errors

    # Each part has a stream of its own, so that the result is the same however many threads share the parts.
    streams = rng.spawn(len(sizes))
    if width * resamples < _WORTH_THREADS:
        parts = [part(size, stream) for size, stream in zip(sizes, streams, strict=True)]
    else:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            parts = list(pool.map(part, sizes, streams))
    return np.concatenate([v for v, _ in parts]), np.concatenate([e for _, e in parts])


def _picked(stream: np.random.Generator, units: int, size: int) -> NDArray[np.intp]:
    """Units drawn with replacement, shape (size, units).

    Up to 2¹² units, a unit is the integer part of units · u with u of 32 bits, two from each word. Its chance differs
    from 1/units by less than a millionth of itself, where 9,999 resamples tell a hundredth.
    """
    if units > 4096:
        return stream.integers(0, units, size=(size, units), dtype=np.intp)
    words = stream.integers(0, 2**64, size=(size * units + 1) // 2, dtype=np.uint64)
    scaled = np.empty(2 * len(words), dtype=np.uint64)
    np.bitwise_and(words, 0xFFFFFFFF, out=scaled[: len(words)])
    np.right_shift(words, 32, out=scaled[len(words) :])
    scaled *= np.uint64(units)
    scaled >>= np.uint64(32)
    return scaled[: size * units].view(np.int64).astype(np.intp, copy=False).reshape(size, units)


def _interval(
    method: str,
    level: float,
    value: float,
    drawn: Floats,
    errors: Floats,
    data: list[Floats],
    statistic: Statistic,
    members: list[NDArray[np.intp]] | None,
) -> tuple[float, float, str]:
    tail = (1 - level) / 2
    if method == "percentile":
        low, high = _ends(drawn, (tail, 1 - tail))
    elif method == "basic":
        high, low = (2 * value - end for end in _ends(drawn, (tail, 1 - tail)))
    elif method == "studentised":
        assert statistic.error is not None
        error = float(statistic.error(*data))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (drawn - value) / errors
        if not np.isfinite(t).mean() > 0.99 or not error > 0:
            return math.nan, math.nan, "resamples without spread leave no studentised interval; use bca"
        upper, lower = _ends(t[np.isfinite(t)], (tail, 1 - tail))
        low, high = value - lower * error, value - upper * error
    else:
        probabilities = _bca(tail, value, drawn, leave_one_out(data, statistic, members))
        if probabilities is None:
            return math.nan, math.nan, "the BCa interval does not exist for these values; percentile may"
        low, high = _ends(drawn, probabilities)
    return float(low), float(high), ""


def _ends(drawn: Floats, probabilities: tuple[float, float]) -> tuple[float, float]:
    """Quantiles of resampled values at which an interval ends, as R's ``boot.ci`` takes them.

    The p-quantile is the (B+1)p-th smallest, between two of them interpolated on the normal scale (Davison & Hinkley
    1997, §5.2.1): numpy's default, the (1+(B−1)p)-th, lies further in.
    """
    b = len(drawn)
    ranks = [round((b + 1) * p, 9) for p in probabilities]
    below = [min(max(math.floor(rank), 1), b) for rank in ranks]
    above = [min(k + 1, b) for k in below]
    ordered = np.partition(drawn, sorted({k - 1 for k in (*below, *above)}))
    ends = []
    for p, rank, k, next_k in zip(probabilities, ranks, below, above, strict=True):
        low, high = float(ordered[k - 1]), float(ordered[next_k - 1])
        if rank <= k or low == high:
            ends.append(low)
            continue
        first, last = float(ndtri(k / (b + 1))), float(ndtri(next_k / (b + 1)))
        ends.append(low + (float(ndtri(p)) - first) / (last - first) * (high - low))
    return ends[0], ends[1]


def _bca(tail: float, value: float, drawn: Floats, jackknifed: Floats) -> tuple[float, float] | None:
    """Probabilities at which the BCa ends lie (Efron & Tibshirani 1993, eq. 14.9 to 14.15)."""
    share = float((drawn < value).mean() + (drawn <= value).mean()) / 2
    deviation = jackknifed.mean() - jackknifed
    power = float((deviation**2).sum()) ** 1.5
    if not 0 < share < 1 or not power > 0 or not np.isfinite(jackknifed).all():
        return None
    z0, acceleration = float(ndtri(share)), float((deviation**3).sum()) / (6 * power)
    ends = []
    for probability in (tail, 1 - tail):
        z = z0 + float(ndtri(probability))
        if 1 - acceleration * z <= 0:
            return None
        ends.append(float(ndtr(z0 + z / (1 - acceleration * z))))
    return ends[0], ends[1]
