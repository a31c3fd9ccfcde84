"""Change points of a series: the best split against the splits of its own shuffled values.

The likeliest place of a shift of the mean is found everywhere, also in noise; only against the best splits of shuffled
series does it say something. Values that depend on their neighbours are whitened first, with the autocorrelation of
what is left after the best split: taken from the raw values, a true shift would pass for autocorrelation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ophamin.proof.errors import MissingDependency, UsageError

try:
    import numpy as np
    from numpy.typing import NDArray
except ImportError as error:  # pragma: no cover - needs an installation without the extra
    raise MissingDependency("change points of a series", "numpy", "ophamin-comparing[table]") from error

__all__ = ["ChangePoint", "Scan", "scan"]

Floats = NDArray[np.float64]
SHORTEST = 8
"""Fewer values are not scanned: their best split says nothing."""
PERMUTATIONS = 999
LOCATION = 7.35
"""95 % point of the likelihood ratio of the place of a shift (Hansen 2000, Table 1)."""
_HIGHEST_RHO = 0.95
_ALIKE = 1e-9
"""Values that differ by less than this share of themselves are one value: a metric that is computed, not sampled,
repeats itself up to rounding, and rounding has steps."""
_EXACT = 1e-10
"""Least share of the squares that is taken to be left within the segments: what is less is lost in their difference."""
_RATIO = 1e6
_BIAS = 3.5
_ENOUGH = 20


@dataclass(frozen=True)
class ChangePoint:
    """A shift of the mean.

    Args:
        index: First value after it.
        first: First index of the 95 % confidence set of ``index``; approximate.
        last: Last index of that set.
        before: Mean of the values between the last change point and this one, weighted by their precision.
        after: Mean of the values from here to the next.
        p_value: Against no change in its segment, in (0, 1].
        alpha: What it was held to.
    """

    index: int
    first: int
    last: int
    before: float
    after: float
    p_value: float
    alpha: float


@dataclass(frozen=True)
class Scan:
    """What one look at a series found.

    Args:
        changes: In order of time; empty when no change is shown.
        p_value: Of the whole series against no change at all.
        alpha: Chance that this scan shows a change in a series without one.
        rho: Lag-1 autocorrelation that was taken out.
        n: Values.
        problem: Why nothing could be looked for, or "".
    """

    changes: Sequence[ChangePoint]
    p_value: float
    alpha: float
    rho: float
    n: int
    problem: str = ""


def scan(
    values: Sequence[float],
    se: Sequence[float] | None = None,
    *,
    alpha: float = 0.05,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
    autocorrelated: bool = True,
) -> Scan:
    """Look for shifts of the mean of a series.

    The largest weighted F statistic over all splits is held against that of permutations of the values; a split that is
    found opens two segments, each of which is looked at with half of α. On a series without a change α is the chance
    that any is shown: exact for exchangeable noise of any law, approximate for autocorrelated noise (simulated: at most
    10 % at α = 5 % and ρ = 0.5).

    With standard errors the statistic weighs the values, and is held against two shuffles: of residuals in units of
    their standard errors, and of values that keep their weights. The first is right where commits differ by no more
    than their standard errors, the second where those say nothing of how commits differ; both have to show a change.

    Args:
        values: The metric by commit, in order of time; shape (n,), finite.
        se: Standard error of each value, above 0; only their ratios count. Default: equal.
        alpha: Of this scan, in (0, 0.5).
        seed: Of the permutations.
        permutations: How many at least, unless fewer settle it; more are drawn where α is small.
        autocorrelated: Whether neighbouring values may depend on each other.

    Raises:
        UsageError: A value is not finite, a standard error not above 0, their numbers differ, or one standard error
            is more than a million times another.

    Source:
        Sup-F over unknown splits: Andrews (1993), Econometrica 61:821; permutation null: Antoch & Hušková (2001),
        Stat. Probab. Lett. 53:37; confidence set of the place: Hansen (2000), Econometrica 68:575; bias of the
        autocorrelation: Marriott & Pope (1954), Biometrika 41:390.

    Example:
        >>> found = scan([1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.1, 3.0, 3.1, 2.9, 3.2, 2.8, 3.0])
        >>> [(c.index, round(c.before, 2), round(c.after, 2)) for c in found.changes]
        [(7, 1.01, 3.0)]
    """
    x, w = _checked(values, se)
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha lies between 0 and 0.5, not {alpha!r}")
    n = len(x)
    if n < SHORTEST:
        return Scan([], 1.0, alpha, 0.0, n, f"{n} values are fewer than {SHORTEST}: no change of them can be shown")
    # A p-value of alpha must be reachable with room, whatever share of alpha a segment gets.
    draws = max(permutations, math.ceil(20 / alpha) - 1)
    rng = np.random.default_rng(seed)
    found: list[tuple[int, int, int, float, float]] = []
    whole = _search(x, w, 0, alpha, draws, rng, autocorrelated, found)
    found.sort()
    edges = [0, *(place for place, *_ in found), n]
    means = [float(np.average(x[a:b], weights=w[a:b])) for a, b in pairwise(edges)]
    changes = [
        ChangePoint(place, first, last, means[i], means[i + 1], p, level)
        for i, (place, first, last, p, level) in enumerate(found)
    ]
    return Scan(changes, whole[0], alpha, whole[1], n)


def _checked(values: Sequence[float], se: Sequence[float] | None) -> tuple[Floats, Floats]:
    x = np.asarray(values, dtype=np.float64)
    errors = np.ones(len(x)) if se is None else np.asarray(se, dtype=np.float64)
    if x.ndim != 1 or errors.shape != x.shape:
        raise UsageError("each value of a series has one standard error")
    if not np.isfinite(x).all() or not np.isfinite(errors).all() or (errors <= 0).any():
        raise UsageError("the values of a series are finite, and their standard errors are above 0")
    if not len(x):
        return x, errors
    if float(np.abs(x).max()) > 1e150:
        raise UsageError("the values of a series are too large to be squared; use other units")
    if float(np.ptp(errors)) <= _ALIKE * float(errors.max()):
        errors = np.ones(len(x))  # what differs by rounding is alike
    scale = float(np.median(errors))
    with np.errstate(over="ignore", under="ignore"):
        ratios = scale / errors
    if not (ratios >= 1 / _RATIO).all() or not (ratios <= _RATIO).all():
        raise UsageError("one standard error of the series is a million times another; weigh the values alike")
    return x, ratios**2


def _search(
    x: Floats, w: Floats, offset: int, alpha: float, draws: int, rng: np.random.Generator, autocorrelated: bool,
    found: list[tuple[int, int, int, float, float]],
) -> tuple[float, float]:  # fmt: skip
    """Look at one segment, then at both halves if it splits; its p-value and autocorrelation."""
    size = float(np.abs(x).max())
    if len(x) < SHORTEST or float(np.ptp(x)) <= _ALIKE * size:
        return 1.0, 0.0
    # From the first value and in units of the largest: what is equal then stays equal, and no square overflows.
    values, x = x, (x - x[0]) / size
    y, v, rho = _whitened(x, w, autocorrelated)
    lost = len(x) - len(y)
    statistic, split, ratios = _best(y, v)
    p = _p_value(statistic, y, v, draws, rng)
    if np.ptp(v):
        # Where the standard errors are all that makes commits differ, that shuffle leaves residuals as they were. Where
        # they say nothing of it, this one does. What is not shown against both may come from the weights.
        p = max(p, _p_value(statistic, y, v, draws, rng, keep_weights=True))
    if p <= alpha:
        inside = np.flatnonzero(ratios <= LOCATION)
        at, step = split + lost, _margin(len(y))
        found.append((
            offset + at, offset + step + lost + int(inside[0]), offset + step + lost + int(inside[-1]), p, alpha,
        ))  # fmt: skip
        for part, start in ((slice(None, at), 0), (slice(at, None), at)):
            _search(values[part], w[part], offset + start, alpha / 2, 2 * draws + 1, rng, autocorrelated, found)
    return p, rho


def _whitened(x: Floats, w: Floats, autocorrelated: bool) -> tuple[Floats, Floats, float]:
    """Values without their autocorrelation, which costs the first one, their weights, and ρ."""
    rho = _autocorrelation(x, w) if autocorrelated else 0.0
    if autocorrelated and np.ptp(w):
        # As weighed, few values may be all that is seen of it.
        rho = max(rho, _autocorrelation(x, np.ones(len(x))))
    if not rho:
        return x, w, 0.0
    # What is taken off a precise value with its neighbour brings that one's error with it.
    return x[1:] - rho * x[:-1], (1 + rho * rho) / (1 / w[1:] + rho * rho / w[:-1]), rho


def _p_value(
    statistic: float, y: Floats, v: Floats, draws: int, rng: np.random.Generator, *, keep_weights: bool = False
) -> float:
    """Share of shuffled series whose best split is as good; ends early where it cannot become small.

    Shuffled are the residuals in units of their standard errors, or with ``keep_weights`` the values, each with its
    weight. After the 20th such series at draw l the p-value 20/l is as valid as (b+1)/(B+1) after all B.

    Source: Besag & Clifford (1991), Biometrika 78:301.
    """
    centred = y - np.average(y, weights=v)
    root = np.sqrt(v)
    what = np.arange(len(y)) if keep_weights else centred * root
    done = b = 0
    block = 100
    while done < draws:
        block = min(draws - done, block * 2, max(1, 2_000_000 // len(y)))
        shuffled = rng.permuted(np.broadcast_to(what, (block, len(y))), axis=1)
        found = _statistics(centred[shuffled], v[shuffled]) if keep_weights else _statistics(shuffled / root, v)
        hits = np.flatnonzero(found.max(axis=1) >= statistic * (1 - 1e-12))
        if b + len(hits) >= _ENOUGH:
            return _ENOUGH / (done + int(hits[_ENOUGH - b - 1]) + 1)
        b, done = b + len(hits), done + block
    return (b + 1) / (draws + 1)


def _margin(n: int) -> int:
    """Values either side of a split at least; the ends are where an outlier passes for a shift."""
    return max(3, math.ceil(0.05 * n))


def _statistics(x: Floats, w: Floats) -> Floats:
    """Sum of squares between over within, for each split of each row; weights of all rows or of each."""
    h, n = _margin(x.shape[-1]), x.shape[-1]
    below = np.cumsum(w, axis=-1)[..., h - 1 : n - h]
    total = w.sum(axis=-1, keepdims=True)
    centred = x - (x * w).sum(axis=-1, keepdims=True) / total
    weighted = centred * w
    sums = np.cumsum(weighted, axis=-1)[..., h - 1 : n - h]
    between = sums**2 * (total / (below * (total - below)))
    squares = (centred * weighted).sum(axis=-1, keepdims=True)
    within = np.maximum(squares - between, _EXACT * squares)
    return np.asarray(np.divide(between, within, out=np.zeros_like(between), where=within > 0))


def _best(y: Floats, v: Floats) -> tuple[float, int, Floats]:
    """The largest statistic, the first index after its split, and each split's likelihood ratio to it."""
    found = _statistics(y[None, :], v)[0]
    best = int(found.argmax())
    # 1 + B/W = Q/W, so the residual sums of squares are Q/(1+F).
    ratios = len(y) * ((1 + found[best]) / (1 + found) - 1)
    return float(found[best]), best + _margin(len(y)), ratios


def _autocorrelation(x: Floats, w: Floats) -> float:
    """ρ of the residuals after the best split, corrected for its bias; not below 0."""
    _, split, _ = _best(x, w)
    residuals = np.empty(len(x))
    for part in (slice(None, split), slice(split, None)):
        residuals[part] = x[part] - np.average(x[part], weights=w[part])
    residuals *= np.sqrt(w)
    square = float(residuals @ residuals)
    # A step without noise leaves rounding, and that has no autocorrelation to take out.
    if square <= _EXACT * float((x - np.average(x, weights=w)) ** 2 @ w):
        return 0.0
    raw = float(residuals[1:] @ residuals[:-1]) / square
    # A mean estimated from m values lowers it by (1+3ρ)/m: of two halves that is 2(1+3ρ)/n, and the search for the
    # split lowers it further. 3.5 in all was found by simulation, n = 12 to 120.
    n = len(x)
    corrected = (raw + _BIAS / n) / max(1 - 3 * _BIAS / n, 0.25)
    return min(_HIGHEST_RHO, max(0.0, corrected))
