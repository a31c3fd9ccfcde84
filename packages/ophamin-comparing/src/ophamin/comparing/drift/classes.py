"""What a change is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ophamin.comparing.drift.mover import Bounds

__all__ = ["Transition", "of_difference", "of_verdicts", "worst"]

Transition = Literal["regression", "recovery", "improvement", "lateral", "unchanged"]
_ORDER: tuple[Transition, ...] = ("regression", "recovery", "improvement", "lateral", "unchanged")


def of_verdicts(before: str, after: str) -> Transition:
    """Class of a change of verdict: to REFUTED a regression, from REFUTED to VALIDATED a recovery, else lateral."""
    if before == after:
        return "unchanged"
    if after == "REFUTED":
        return "regression"
    return "recovery" if (before, after) == ("REFUTED", "VALIDATED") else "lateral"


def of_difference(comparator: str, difference: Bounds | None, smallest: float | None) -> Transition:
    """Class of a difference: only a bound beyond the smallest difference worth knowing makes it one.

    Args:
        comparator: Of the threshold; it says which direction is bad.
        difference: After minus before.
        smallest: δ > 0; ``None`` when none was registered, and then nothing says what matters.
    """
    if difference is None or smallest is None or smallest <= 0 or comparator not in ("<=", "<", ">=", ">"):
        return "unchanged"
    up = difference.lower is not None and difference.lower > smallest
    down = difference.upper is not None and difference.upper < -smallest
    worse, better = (up, down) if comparator in ("<=", "<") else (down, up)
    return "regression" if worse else "improvement" if better else "unchanged"


def worst(found: Iterable[Transition]) -> Transition:
    """The one that matters most; a regression outranks everything."""
    return min(found, key=_ORDER.index, default="unchanged")
