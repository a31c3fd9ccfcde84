"""What the difference of one threshold says against ±δ: beyond it, or within it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from ophamin.comparing.drift.mover import Bounds

__all__ = ["Effect", "Sides", "sides_of_bounds"]

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Sides:
    """p-values of the four one-sided tests of a difference against ±δ.

    Args:
        above: Against "at most δ": small when the difference is shown to lie above it.
        below: Against "at least −δ".
        not_above: Against "at least δ": small when the difference is shown to lie below it.
        not_below: Against "at most −δ".
    """

    above: float
    below: float
    not_above: float
    not_below: float

    @property
    def equivalent(self) -> float:
        """Of equivalence: both one-sided tests must reject, so α is not split.

        Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657.
        """
        return max(self.not_above, self.not_below)

    def beyond(self, comparator: str) -> tuple[float, float]:
        """p-values of "worse by more than δ" and "better by more than δ", as the comparator says which is which."""
        return (self.above, self.below) if comparator in ("<=", "<") else (self.below, self.above)


@dataclass(frozen=True)
class Effect:
    """A difference, how its bounds were found, and its p-values.

    Args:
        difference: After minus before; ``None`` when one side has no value.
        method: In words, with the price.
        paired: Whether records were paired.
        certain: Whether nothing is inferred: values of the whole target, or the same proof twice.
        sides: Against ±δ; ``None`` where no δ is registered or nothing is inferred.
    """

    difference: Bounds | None
    method: str
    paired: bool = False
    certain: bool = False
    sides: Sides | None = None


def sides_of_bounds(difference: Bounds | None, delta: float) -> Sides:
    """The p-values dual to bounds whose margins grow with confidence as those of a normal law.

    p is at most 1 − confidence exactly when the bound lies beyond the margin. At other confidences that is an
    approximation, as the bounds recovered from two intervals are; a side without a bound has p = 1.

    Args:
        difference: With its bounds and their one-sided confidences.
        delta: δ > 0.

    Example:
        >>> d = Bounds(0.10, 0.05, 0.15, 0.95, 0.95)
        >>> p = sides_of_bounds(d, 0.05)
        >>> round(p.above, 3), round(p.equivalent, 3)
        (0.05, 0.95)
    """
    if difference is None:
        return Sides(1.0, 1.0, 1.0, 1.0)
    low = _scale(difference.value, difference.lower, difference.lower_confidence)
    high = _scale(difference.value, difference.upper, difference.upper_confidence)
    return Sides(
        above=_p(difference.value - delta, low),
        below=_p(-delta - difference.value, high),
        not_above=_p(delta - difference.value, high),
        not_below=_p(difference.value + delta, low),
    )


def _scale(value: float, bound: float | None, confidence: float | None) -> float | None:
    """The standard error this margin is that of; ``None`` when there is no margin."""
    if bound is None or confidence is None or not 0.5 < confidence < 1:
        return None
    return abs(value - bound) / _NORMAL.inv_cdf(confidence)


def _p(distance: float, scale: float | None) -> float:
    if scale is None:
        return 1.0
    if scale == 0:
        return 0.0 if distance > 0 else 1.0
    # Of the two tails the one without cancellation.
    return min(1.0, max(0.0, _NORMAL.cdf(-distance / scale)))
