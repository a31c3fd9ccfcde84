"""From counts to verdicts. Standard library only: whoever reads a record judges its rows again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.measuring.selftest._limits import fewest, most, tail_above, tail_below

__all__ = ["agrees", "limits", "passes", "union_bound"]

JSON = Any


def limits(n: int, least: float | None, highest: float | None, share: float) -> dict[str, float | None]:
    """Counts a right method keeps to but for the share of chance.

    Args:
        n: Runs; 0 where every outcome was enumerated, and the bounds themselves are the limits.
        least: The rate is said to be at least this.
        highest: The rate is said to be at most this.
        share: Chance of each limit to be broken by a right method.
    """
    if not n:
        return {"least": least, "most": highest}
    return {
        "least": None if least is None else fewest(n, least, share),
        "most": None if highest is None else most(n, highest, share),
    }


def passes(row: Mapping[str, JSON]) -> bool:
    """Whether the counts of a row lie within its limits, and everything was answered."""
    least, highest = row["limit"]["least"], row["limit"]["most"]
    slack = row["slack"]
    for side in row["sides"]:
        if highest is not None and row[side] > highest + slack:
            return False
        if least is not None and row[side] < least - slack:
            return False
    return not row["unanswered"]


def agrees(row: Mapping[str, JSON]) -> bool:
    """Whether a compared number is the expected one, within its tolerance."""
    value, expected = row["value"], row["expected"]
    return value is not None and abs(value - expected) <= row["tolerance"] * max(1.0, abs(expected))


def union_bound(rows: Sequence[Mapping[str, JSON]]) -> float:
    """Sum, over all limits, of the chance that a method exactly at its bound breaks it."""
    total = 0.0
    for row in rows:
        n, bound, limit = row["n"], row["bound"], row["limit"]
        if n:
            high = 0.0 if limit["most"] is None else tail_above(int(limit["most"]), n, bound["most"])
            low = 0.0 if limit["least"] is None else tail_below(int(limit["least"]), n, bound["least"])
            total += len(row["sides"]) * (high + low)
    return total
