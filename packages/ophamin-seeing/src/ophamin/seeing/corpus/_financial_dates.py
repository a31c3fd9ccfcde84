"""Days as price files spell them: ISO, compact, slashed in either order, month names; the order is decided per file.

=========================  ========================================================================================
spelling                   read as
=========================  ========================================================================================
``2019-11-05``             ISO; also ``2019/11/05``, ``2019.11.05`` and ``20191105``
``11/5/2019``              month first where some day of the file has a second part above 12, day first where some has
                           a first part above 12; else, where there are times of day, as the days follow each other
                           within a week, which only one reading gives; else undecidable, an error.
                           ``-`` and ``.`` separate as ``/`` does
``Nov 05, 2019``           English month names, also ``5-Nov-2019``
``1871.01``, ``1871.1``    year and month, the first of it; ``.1`` is October, as Shiller's own sheet writes it
=========================  ========================================================================================

Any of the first three may be followed by a time. Midnight is no time of day: such a value is the day. A time with an
offset becomes UTC (``…Z``), unless it is midnight: exchanges stamp a day with their own midnight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Literal

__all__ = ["DayOrder", "Days", "Moment", "decide_order", "slashed"]

DayOrder = Literal["", "mdy", "dmy"]
_ORDERS: tuple[DayOrder, ...] = ("mdy", "dmy")
Moment = tuple[str, float]
"""ISO 8601 text, whose alphabetical order is that of time within one file, and the days since 0001-01-01."""

_TIME = r"(?:[T ]\s*(\d{1,2}):?(\d\d)(?::?(\d\d)(?:\.\d+)?)?\s*([AaPp][Mm])?\s*(Z|[+-]\d\d:?\d\d)?)?"
_ISO = re.compile(r"(\d{4})([-/.]?)(\d\d)\2(\d\d)" + _TIME, re.ASCII)
_SLASHED = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + _TIME, re.ASCII)
_NAMED = re.compile(r"(?:([A-Z][a-z]{2})[a-z]* (\d{1,2}), ?|(\d{1,2})[- ]([A-Z][a-z]{2})[- ])(\d{4})" + _TIME, re.ASCII)
_MONTHLY = re.compile(r"(\d{4})\.(\d\d?)", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SHORT_YEAR = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d\d", re.ASCII)


class Days:
    """Reads the days of one file; every spelling is parsed once.

    Args:
        order: How ``a/b/yyyy`` is to be read, when the file has such days.
    """

    def __init__(self, order: DayOrder = "") -> None:
        self._order = order
        self._known: dict[str, Moment] = {}

    def __call__(self, text: str) -> Moment:
        """The moment a cell names.

        Raises:
            ValueError: It names none, in words that follow "line 3: ".
        """
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._parsed(text.strip())
        return known

    def _parsed(self, text: str) -> Moment:
        found = _ISO.fullmatch(text)
        if found:
            return _moment(text, int(found[1]), int(found[3]), int(found[4]), found.groups()[4:])
        found = _SLASHED.fullmatch(text)
        if found:
            first, second, year = int(found[1]), int(found[3]), int(found[4])
            month, day = (second, first) if self._order == "dmy" else (first, second)
            if not self._order:
                raise ValueError(f"{text!r} may be month first or day first")
            return _moment(text, year, month, day, found.groups()[4:])
        found = _NAMED.fullmatch(text)
        if found and (found[1] or found[4]) in _MONTHS:
            month = _MONTHS.index(found[1] or found[4]) + 1
            return _moment(text, int(found[5]), month, int(found[2] or found[3]), found.groups()[5:])
        found = _MONTHLY.fullmatch(text)
        if found:
            month = 10 if found[2] == "1" else int(found[2]) if len(found[2]) == 2 else 0
            return _moment(text, int(found[1]), month, 1, (None,) * 5)
        if _SHORT_YEAR.fullmatch(text):
            raise ValueError(f"the year of {text!r} has two digits, and its century is unknown")
        raise ValueError(f"{text!r} is no date" if text else "no date")


def slashed(text: str) -> tuple[int, int, int] | None:
    """The three parts of a day such as ``11/5/2019``, or ``None`` where the order does not matter."""
    found = _SLASHED.fullmatch(text.strip())
    return (int(found[1]), int(found[3]), int(found[4])) if found else None


def decide_order(texts: Iterable[str]) -> DayOrder:
    """Month first or day first, from all days of a file.

    Returns:
        "" when no day is spelled so that it matters.

    Raises:
        ValueError: The days allow both, or contradict each other; in words that follow the file's name.
    """
    above_first = above_second = some = ""
    pairs: set[tuple[int, int, int]] = set()
    timed = True
    for text in texts:
        parts = slashed(text)
        if parts is None:
            continue
        some = some or text
        timed = timed and ":" in text
        pairs.add(parts)
        if parts[0] > 12:
            above_first = above_first or text
        if parts[1] > 12:
            above_second = above_second or text
        if above_first and above_second:
            raise ValueError(f"the days {above_first!r} and {above_second!r} contradict: month or day first?")
    if not some:
        return ""
    if above_second:
        return "mdy"
    if above_first:
        return "dmy"
    weekly: list[DayOrder] = [order for order in _ORDERS if _within_weeks(pairs, order)]
    if timed and len(weekly) == 1:
        return weekly[0]
    raise ValueError(f"every day, such as {some!r}, may be month first or day first: say dates=mdy or dates=dmy")


def _within_weeks(pairs: set[tuple[int, int, int]], order: DayOrder) -> bool:
    """Whether there are several days, and each follows the one before within a week, as trading days do."""
    try:
        days = sorted(date(y, *((a, b) if order == "mdy" else (b, a))).toordinal() for a, b, y in pairs)
    except ValueError:
        return False
    return len(days) > 1 and all(later - day <= 7 for day, later in pairwise(days))


def _moment(text: str, year: int, month: int, day: int, time: Iterable[str | None]) -> Moment:
    hour_text, minute, second, half, zone = time
    try:
        calendar = date(year, month, day)
        if hour_text is None:
            return calendar.isoformat(), float(calendar.toordinal())
        hour = int(hour_text)
        if half:
            if not 1 <= hour <= 12:
                raise ValueError
            hour = hour % 12 + (12 if half in ("pm", "PM", "Pm", "pM") else 0)
        moment = datetime(year, month, day, hour, int(minute or 0), int(second or 0))
    except ValueError:
        raise ValueError(f"{text!r} is no day of the calendar") from None
    if moment.time() == datetime.min.time():
        return calendar.isoformat(), float(calendar.toordinal())
    if zone:
        moment = moment.replace(tzinfo=_zone(zone)).astimezone(timezone.utc).replace(tzinfo=None)
    days = moment.toordinal() + (moment - datetime.combine(moment.date(), datetime.min.time())) / timedelta(days=1)
    return moment.isoformat() + ("Z" if zone else ""), days


def _zone(text: str) -> timezone:
    if text == "Z":
        return timezone.utc
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))
