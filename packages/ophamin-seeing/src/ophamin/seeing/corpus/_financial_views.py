"""What a record holds of a day: its prices, its return, or its drawdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from ophamin.seeing.corpus._financial_rows import Row
from ophamin.seeing.corpus._problems import Problems

__all__ = ["View", "drawdown", "price", "returns"]

_LONGEST_CLOSURE = 7
"""Calendar days from one price to the next that are no gap: 10 to 17 September 2001, the longest of recent decades."""

View = Iterator[tuple[Row, Mapping[str, Any], float]]
"""A day, its payload, and its value: the number the view is about."""


def price(file: str, rows: Sequence[Row], columns: Sequence[str], column: str, problems: Problems) -> View:
    """Each day's numbers as they stand in the file; the value is that of ``column``."""
    place = list(columns).index(column)
    for row in rows:
        values = row[3]
        if values is None:
            continue  # counted where it was read
        value = values[place]
        if value is None:
            problems.add(f"{file}:{row[2]}", f"no {column} on a day (left out)")
            continue
        yield row, dict(zip(columns, values, strict=True)), value


def returns(
    file: str,
    rows: Sequence[Row],
    columns: Sequence[str],
    column: str,
    problems: Problems,
    *,
    log: bool,
    bridge: bool,
) -> View:
    """From each price to the next: ``price / previous − 1``, or its logarithm; the first day of a series has none.

    A day that is there without a price, and a step longer than is usual, ends a run: over it there is no return, unless
    ``bridge`` asks for one, which is then marked.

    Source: Campbell, Lo, MacKinlay (1997), "The Econometrics of Financial Markets", section 1.4.
    """
    place = list(columns).index(column)
    longest = _usual_step(rows)
    previous: tuple[float, float] | None = None
    missing = False
    for row in rows:
        value = row[3][place] if row[3] is not None else None
        if value is None:
            if row[3] is not None:
                problems.add(f"{file}:{row[2]}", f"no {column} on a day (left out)")
            missing = True
            continue
        before, previous = previous, (row[1], value)
        gap, missing = missing, False
        if before is None:
            continue
        days = row[1] - before[0]
        gap = gap or days > longest
        if gap and not bridge:
            problems.add(f"{file}:{row[2]}", "no return over missing days (gaps=bridge asks for it)")
        elif value <= 0 or before[1] <= 0:
            problems.add(f"{file}:{row[2]}", "no return to or from a price that is not above 0")
        else:
            change = math.log(value / before[1]) if log else value / before[1] - 1
            length: float = int(days) if days.is_integer() else days
            yield row, {"return": change, "price": value, "previous": before[1], "days": length, "gap": gap}, change


def drawdown(file: str, rows: Sequence[Row], columns: Sequence[str], column: str, problems: Problems) -> View:
    """Below the highest price so far: ``price / peak − 1``, 0 at a peak; a peak on a missing day is not known.

    Source: Magdon-Ismail, Atiya (2004), "Maximum drawdown", Risk 17(10).
    """
    place = list(columns).index(column)
    peak, since = -math.inf, 0.0
    for row in rows:
        value = row[3][place] if row[3] is not None else None
        if value is None:
            if row[3] is not None:
                problems.add(f"{file}:{row[2]}", f"no {column} on a day (left out)")
            continue
        if value >= peak:
            peak, since = value, row[1]
        if peak <= 0:
            problems.add(f"{file}:{row[2]}", "no drawdown from a peak that is not above 0")
            continue
        below, days = value / peak - 1, row[1] - since
        length: float = int(days) if days.is_integer() else days
        yield row, {"drawdown": below, "price": value, "peak": peak, "days": length}, below


def _usual_step(rows: Sequence[Row]) -> float:
    """Days from one price to the next up to which nothing is missing: a week for daily prices, else 1.5 usual steps."""
    if len(rows) < 2:
        return math.inf
    usual = median(b[1] - a[1] for a, b in pairwise(rows))
    return _LONGEST_CLOSURE if 1 <= usual <= 3 else 1.5 * usual
