"""What the plug-ins of this pillar read: rows, two samples, pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import Floats, complete, labels, numbers
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, OptionSpec

__all__ = ["LEVEL", "PAIRS", "SAMPLES", "columns_of", "left_out", "samples"]

LEVEL = OptionSpec(0.95, "two-sided confidence")
SAMPLES = {
    "value": "the numbers",
    "arm": "which of two samples a row belongs to",
}
PAIRS = {"other": "instead of arm: the second number of the same row; rows stay paired"}


def left_out(count: int) -> list[str]:
    """A sentence on incomplete rows, where there are any."""
    return [f"{count} rows lack a value and were left out"] if count else []


def columns_of(pillar: str, columns: Columns, *names: str) -> tuple[list[Floats], list[str]]:
    """Complete rows of numeric columns, and what was left out."""
    kept, gone = complete(**{name: numbers(pillar, columns, name) for name in names})
    return list(kept.values()), left_out(gone)


def samples(pillar: str, columns: Columns, first: str) -> tuple[Floats, Floats, bool, list[str], list[str]]:
    """Two samples, whether they are paired, their names, and what was left out.

    Args:
        pillar: The pillar's name.
        columns: ``value`` with ``arm``, or ``value`` with ``other``.
        first: Name of the first arm; "" takes the first in the order of the alphabet.

    Raises:
        UsageError: Columns are missing, or there are not two arms.
    """
    if "other" in columns:
        (x, y), notes = columns_of(pillar, columns, "value", "other")
        return x, y, True, ["value", "other"], notes
    value, arm = numbers(pillar, columns, "value"), labels(pillar, columns, "arm")
    kept, gone = complete(value=value, arm=arm)
    names = [str(name) for name in kept["arm"]]
    there = sorted(set(names))
    if first and first in there:
        there.remove(first)
        there.insert(0, first)
    if len(there) > 2:
        raise UsageError(f"{pillar} compares two arms; there are: {', '.join(there[:9])}")
    if first and there and first not in there:
        raise UsageError(f"{pillar} finds no arm {first!r}; there are: {', '.join(there)}")
    there += [""] * (2 - len(there))
    codes: Any = np.array(names, dtype=object)
    x, y = kept["value"][codes == there[0]], kept["value"][codes == there[1]]
    return x, y, False, there, left_out(gone)
