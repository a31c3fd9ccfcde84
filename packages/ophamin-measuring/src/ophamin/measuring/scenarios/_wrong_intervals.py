"""Intervals that are wrong in known ways: the dumb substrates of ``interval-coverage``.

Values that are all 0 or 1 are taken for a proportion, others for a mean.

=========================  ========================================================================
``z-for-t``                normal quantiles where the spread is estimated: Wald for a proportion
``two-sided-as-one-sided``  right in total, not on each side: Wilson; for a mean, t at half of α on each side
``lopsided``               a tenth of α below, the rest of 2α above: right in total, wrong above
``too-narrow``             the right interval, shrunk to half
=========================  ========================================================================

``constant``, ``random`` and ``echo`` look at nothing, at a coin, and at the point estimate alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtri, stdtrit

from ophamin.measuring.estimators.proportion import beta_bounds

__all__ = ["FAULTS", "wrong_interval"]

Bounds = tuple[float, float]


def _t(values: Sequence[float], below: float, above: float) -> Bounds:
    n, centre = len(values), float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(n)
    return centre - float(stdtrit(n - 1, 1 - below)) * error, centre + float(stdtrit(n - 1, 1 - above)) * error


def _right(values: Sequence[float], below: float, above: float) -> Bounds:
    if not _binary(values):
        return _t(values, below, above)
    k, n = float(sum(values)), float(len(values))
    return beta_bounds(k, n, below)[0], beta_bounds(k, n, above)[1]


def _binary(values: Sequence[float]) -> bool:
    return all(v in (0, 1) for v in values)


def _z_for_t(values: Sequence[float], alpha: float) -> Bounds:
    n, centre = len(values), float(np.mean(values))
    spread = math.sqrt(centre * (1 - centre)) if _binary(values) else float(np.std(values, ddof=1))
    half = float(ndtri(1 - alpha)) * spread / math.sqrt(n)
    return centre - half, centre + half


def _two_sided(values: Sequence[float], alpha: float) -> Bounds:
    if not _binary(values):
        return _t(values, alpha / 2, alpha / 2)
    # Wilson (1927), JASA 22:209.
    n, p, z = len(values), float(np.mean(values)), float(ndtri(1 - alpha))
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def _lopsided(values: Sequence[float], alpha: float) -> Bounds:
    return _right(values, alpha / 10, 2 * alpha - alpha / 10)


def _too_narrow(values: Sequence[float], alpha: float) -> Bounds:
    lower, upper = _right(values, alpha, alpha)
    centre = float(np.mean(values))
    return (lower + centre) / 2, (upper + centre) / 2


FAULTS: dict[str, Callable[[Sequence[float], float], Bounds]] = {
    "z-for-t": _z_for_t,
    "two-sided-as-one-sided": _two_sided,
    "lopsided": _lopsided,
    "too-narrow": _too_narrow,
    "constant": lambda values, alpha: (0.4, 0.6),
    "random": lambda values, alpha: _random(values),
    "echo": lambda values, alpha: (float(np.mean(values)), float(np.mean(values))),
}


def _random(values: Sequence[float]) -> Bounds:
    # Seeded by the data, so that a second pass gives the same.
    rng = random.Random(repr(list(values)))
    first, second = sorted((rng.random(), rng.random()))
    return first, second


def wrong_interval(fault: str, values: Sequence[float], alpha: float) -> Bounds:
    """Bounds of a proportion or a mean, wrong as ``fault`` says.

    Args:
        fault: A key of ``FAULTS``.
        values: Observations.
        alpha: One-sided error rate that each bound claims to have.
    """
    return FAULTS[fault](values, alpha)
