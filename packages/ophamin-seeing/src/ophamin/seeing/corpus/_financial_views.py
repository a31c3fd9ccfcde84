"""What a record holds of a day: its prices, its return, or its drawdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from ophamin.seeing.corpus._financial_rows import Block
from ophamin.seeing.corpus._problems import Problems

__all__ = ["View", "drawdown", "price", "returns"]

_LONGEST_CLOSURE = 7
"""Calendar days from one price to the next that are no gap: 10 to 17 September 2001, the longest of recent decades."""

View = Iterator[tuple[str, int, Mapping[str, Any], float]]
"""A day, its line, its payload, and its value: the number the view is about."""


def price(file: str, block: Block, column: str, problems: Problems) -> View:
    """Each day's numbers as they stand in the file; the value is that of ``column``."""
    columns = block.columns
    for day, line, values in zip(block.days, block.lines, block.values, strict=True):
        if values is None:
            continue  # counted where it was read
        payload = dict(zip(columns, values, strict=True))
        value = payload[column]
        if value is None:
            problems.add(f"{file}:{line}", f"no {column} on a day (left out)")
            continue
        yield day, line, payload, value


def returns(file: str, block: Block, column: str, problems: Problems, *, log: bool, bridge: bool) -> View:
    """From each price to the next: ``price / previous − 1``, or its logarithm; the first day of a series has none.

    A day that is there without a price, and a step longer than is usual, ends a run: over it there is no return, unless
    ``bridge`` asks for one, which is then marked.

    Source: Campbell, Lo, MacKinlay (1997), "The Econometrics of Financial Markets", section 1.4.
    """
    longest = _usual_step(block.since)
    previous: tuple[float, float] | None = None
    missing = False
    for day, since, line, value in _prices(file, block, column, problems):
        if value is None:
            missing = True
            continue
        before, previous = previous, (since, value)
        gap, missing = missing, False
        if before is None:
            continue
        days = since - before[0]
        gap = gap or days > longest
        if gap and not bridge:
            problems.add(f"{file}:{line}", "no return over missing days (gaps=bridge asks for it)")
        elif value <= 0 or before[1] <= 0:
            problems.add(f"{file}:{line}", "no return to or from a price that is not above 0")
        else:
            change = math.log(value / before[1]) if log else value / before[1] - 1
            about = {"return": change, "price": value, "previous": before[1], "days": _whole(days), "gap": gap}
            yield day, line, about, change


def drawdown(file: str, block: Block, column: str, problems: Problems) -> View:
    """Below the highest price so far: ``price / peak − 1``, 0 at a peak; a peak on a missing day is not known.

    Source: Magdon-Ismail, Atiya (2004), "Maximum drawdown", Risk 17(10).
    """
    peak, top = -math.inf, 0.0
    for day, since, line, value in _prices(file, block, column, problems):
        if value is None:
            continue
        if value >= peak:
            peak, top = value, since
        if peak <= 0:
            problems.add(f"{file}:{line}", "no drawdown from a peak that is not above 0")
            continue
        below = value / peak - 1
        yield day, line, {"drawdown": below, "price": value, "peak": peak, "days": _whole(since - top)}, below


def _prices(file: str, block: Block, column: str, problems: Problems) -> Iterator[tuple[str, float, int, float | None]]:
    place = list(block.columns).index(column)
    for day, since, line, values in zip(block.days, block.since, block.lines, block.values, strict=True):
        value = None if values is None else values[place]
        if value is None and values is not None:
            problems.add(f"{file}:{line}", f"no {column} on a day (left out)")
        yield day, since, line, value


def _whole(days: float) -> float:
    return int(days) if days.is_integer() else days


def _usual_step(since: Sequence[float]) -> float:
    """Days from one price to the next up to which nothing is missing: a week for daily prices, else 1.5 usual steps."""
    if len(since) < 2:
        return math.inf
    usual = median(later - day for day, later in pairwise(since))
    return _LONGEST_CLOSURE if 1 <= usual <= 3 else 1.5 * usual
