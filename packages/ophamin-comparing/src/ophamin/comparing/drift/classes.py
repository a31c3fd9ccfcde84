"""What a change is called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ophamin.comparing.drift.mover import Bounds

__all__ = ["COMPARATORS", "Transition", "of_difference", "of_verdicts", "worst"]

Transition = Literal["regression", "recovery", "improvement", "lateral", "unchanged"]
_ORDER: tuple[Transition, ...] = ("regression", "recovery", "improvement", "lateral", "unchanged")
COMPARATORS = ("<=", "<", ">=", ">")
"""Those with a bad direction."""


def of_verdicts(before: str, after: str) -> Transition:
    """Class of a change of verdict: VALIDATED to REFUTED a regression, the reverse a recovery, else lateral.

    A verdict that becomes INCONCLUSIVE, or was it, needs no change of the system: near its threshold an unchanged one
    gives VALIDATED and INCONCLUSIVE by turns.
    """
    if before == after:
        return "unchanged"
    if (before, after) == ("VALIDATED", "REFUTED"):
        return "regression"
    return "recovery" if (before, after) == ("REFUTED", "VALIDATED") else "lateral"


def of_difference(
    comparator: str, difference: Bounds | None, smallest: float | None, *, worse: bool = True, better: bool = True
) -> Transition:
    """Class of a difference: only a bound beyond the smallest difference worth knowing makes it one.

    Args:
        comparator: Of the threshold; it says which direction is bad.
        difference: After minus before.
        smallest: δ > 0; ``None`` when none was registered, and then nothing says what matters.
        worse: Whether "worse by more than δ" survives the correction over the family.
        better: The same of "better".
    """
    if difference is None or smallest is None or smallest <= 0 or comparator not in COMPARATORS:
        return "unchanged"
    up = difference.lower is not None and difference.lower > smallest
    down = difference.upper is not None and difference.upper < -smallest
    bad, good = (up, down) if comparator in ("<=", "<") else (down, up)
    return "regression" if bad and worse else "improvement" if good and better else "unchanged"


def worst(found: Iterable[Transition]) -> Transition:
    """The one that matters most; a regression outranks everything."""
    return min(found, key=_ORDER.index, default="unchanged")
