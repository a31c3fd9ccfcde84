"""A difference with bounds, recovered from two intervals alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Bounds", "mover_difference"]


@dataclass(frozen=True)
class Bounds:
    """A value with two one-sided bounds.

    Args:
        value: The estimate.
        lower: One-sided lower bound; ``None`` when it is missing.
        upper: One-sided upper bound; ``None`` when it is missing.
        lower_confidence: One-sided confidence of ``lower``, in (0, 1).
        upper_confidence: One-sided confidence of ``upper``.
    """

    value: float
    lower: float | None = None
    upper: float | None = None
    lower_confidence: float | None = None
    upper_confidence: float | None = None


def mover_difference(before: Bounds, after: Bounds) -> Bounds:
    """After minus before, by squaring and adding the margins of two independent intervals.

    The lower margin of the difference comes from the lower margin of ``after`` and the upper margin of
    ``before``, the upper one from the other two. Its confidence is approximate, and where the two intervals
    were held to different confidences it is at least about the smaller one.

    Args:
        before: Estimate of the first run.
        after: Estimate of the second run, independent of the first; where both ran on the same records and
            agree record by record, the bounds are wider than they need be, because the pairing is lost.

    Returns:
        The difference; a side that needs a missing bound is missing.

    Source:
        Newcombe 1998, Stat Med 17:873, method 10; in general Zou & Donner 2008, Stat Med 27:1693 (MOVER,
        method of variance estimates recovery).

    Example:
        >>> d = mover_difference(Bounds(0.9, 0.87, 0.92, 0.95, 0.95), Bounds(0.8, 0.76, 0.83, 0.95, 0.95))
        >>> round(d.value, 3), round(d.lower, 3), round(d.upper, 3)
        (-0.1, -0.145, -0.058)
    """
    value = after.value - before.value
    return Bounds(
        value,
        _moved(value, -1, after.value, after.lower, before.value, before.upper),
        _moved(value, +1, after.value, after.upper, before.value, before.lower),
        _least(after.lower_confidence, before.upper_confidence),
        _least(after.upper_confidence, before.lower_confidence),
    )


def _moved(value: float, sign: int, a: float, a_bound: float | None, b: float, b_bound: float | None) -> float | None:
    if a_bound is None or b_bound is None:
        return None
    # A bound on the wrong side of its own estimate has no margin to give.
    return value + sign * math.hypot(max(0.0, sign * (a_bound - a)), max(0.0, sign * (b - b_bound)))


def _least(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else min(a, b)
