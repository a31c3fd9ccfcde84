"""One price file as series: an instrument at a time, its days in order, each once, missing numbers ``None``."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter, lt
from pathlib import Path

from ophamin.seeing.corpus._csv_batches import Batch, BrokenRow, batches, open_text
from ophamin.seeing.corpus._financial_dates import DayOrder, Days, decide_order, slashed
from ophamin.seeing.corpus._financial_forms import Form, Series, recognise
from ophamin.seeing.corpus._problems import Problems

__all__ = ["MISSING", "Block", "Unreadable", "open_form", "read_blocks"]

MISSING = frozenset({"", ".", "-", "null", "NULL", "None", "nan", "NaN", "NA", "N/A", "#N/A", "n/a", "ND"})
_ERRORS = "surrogateescape"
"""A byte that is no UTF-8 spoils its own cell only: no number holds one, and an instrument that does is refused."""
_SEPARATORS = (",", ";", "\t", "|")
_HEAD = 1 << 16

Run = tuple[str, list[int], list[list[str]]]
"""Name as it is spelled, lines of the file, fields of each column: rows would keep the garbage collector busy."""
Values = tuple[float | None, ...]
Columns = tuple[list[str], list[float], list[int], Iterable[Values | None]]
"""ISO days, days since 0001-01-01, lines of the file, numbers; ``None`` for a day that is there but cannot be told."""


class Unreadable(Exception):
    """A file that gives no series, or breaks off; the message follows the file's name."""


@dataclass(frozen=True, slots=True)
class Block:
    """All days of one instrument in one file, ascending."""

    instrument: str
    columns: Sequence[str]
    days: Sequence[str]
    since: Sequence[float]
    lines: Sequence[int]
    values: Iterable[Values | None]
    """To be read once."""


def open_form(path: Path, name: Path) -> Form:
    """Recognise the form of the file ``path``, called ``name`` below the corpus folder.

    Raises:
        Unreadable: It has none that is known.
    """
    try:
        with open_text(path, _ERRORS) as file:
            head = file.readline(_HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not head:
        raise Unreadable("is empty")
    if not _is_utf8(head):
        raise Unreadable("is not UTF-8 text")
    if "\x00" in head:
        raise Unreadable("is binary or UTF-16, not a UTF-8 table")
    reason = ""
    for separator in _SEPARATORS:
        try:
            header = next(csv.reader([head], delimiter=separator, strict=True), [])
        except csv.Error as error:
            raise Unreadable(f"has no header ({error})") from None
        form = recognise([text.strip() for text in header], separator, name)
        if isinstance(form, Form):
            return form
        # The reason that counts is that of the separator which splits the header at all.
        reason = form if not reason or len(header) > 1 else reason
    raise Unreadable(reason)


def read_blocks(path: Path, form: Form, order: DayOrder, problems: Problems) -> Iterator[Block]:
    """Every series of the file; what cannot be read is counted in ``problems`` by reason.

    A file whose instruments each stand in one run (all do, but the long form sorted by day) is held one instrument at
    a time; another one whole.

    Raises:
        Unreadable: Its days do not say whether month or day comes first.
    """
    together, order = _survey(path, form, order)
    days, place = Days(order), form.instrument
    for name, lines, fields in _runs(path, form, together, problems):
        instrument = name.strip()  # text whatever it spells: NA and TRUE are tickers
        if place is not None and not (instrument and _is_utf8(instrument)):
            for line in lines:
                problems.add(f"{form.file}:{line}", "a row without an instrument, or one not in UTF-8 (left out)")
            continue
        for series in form.series:
            known = instrument or series.name or form.fallback
            found = _plain(lines, fields, form, days, series) or _told(lines, fields, form, days, series, problems)
            yield Block(known, list(series.columns), *_tidy(form, found, problems))


def _runs(path: Path, form: Form, together: bool, problems: Problems) -> Iterator[Run]:
    """Name, lines and rows of each instrument, as far as it stands together; else of each in the whole file."""
    place = form.instrument
    held: dict[str, Run] = {}
    for lines, rows in _raw(path, form, problems):
        start = 0
        for name, group in groupby(map(itemgetter(place), rows)) if place is not None else [("", rows)]:
            end = start + len(list(group))
            if together and held and name not in held:
                yield held.popitem()[1]
            run = held.setdefault(name, (name, [], [[] for _ in form.header]))
            run[1].extend(lines[start:end])
            for column, cells in zip(run[2], zip(*rows[start:end], strict=True), strict=True):
                column.extend(cells)
            start = end
    yield from held.values()


def _raw(path: Path, form: Form, problems: Problems) -> Iterator[Batch]:
    """Lines and fields of the rows that are as wide as the header, in batches."""
    width = len(form.header)
    line, header = 0, True
    try:
        with open_text(path, _ERRORS) as file:
            for lines, rows in batches(file, form.separator):
                if header:
                    lines, rows, header = lines[1:], rows[1:], False
                if set(map(len, rows)) != {width}:
                    _name_ragged(form, lines, rows, problems)
                    fit = [pair for pair in zip(lines, rows, strict=True) if len(pair[1]) == width]
                    lines, rows = [number for number, _ in fit], [row for _, row in fit]
                if rows:
                    line = lines[-1]
                    yield lines, rows
    except (BrokenRow, OSError, EOFError, zlib.error) as error:
        problems.add(f"{form.file}, after line {line}: {error}", "a file that breaks off: the rest is not read")


def _name_ragged(form: Form, lines: Sequence[int], rows: list[list[str]], problems: Problems) -> None:
    for line, row in zip(lines, rows, strict=True):
        footer = len(row) == 1 and row[0].startswith("Downloaded from Barchart")
        if row and len(row) != len(form.header) and not footer:
            problems.add(f"{form.file}:{line}", "a row narrower or wider than the header (left out)")


def _survey(path: Path, form: Form, order: DayOrder) -> tuple[bool, DayOrder]:
    """Whether each instrument stands in one run, and how its days are to be read: a pass over two columns at most."""
    together = len(form.series) == 1 and (form.instrument is None or _in_runs(path, form, form.instrument))
    batched = (rows for _, rows in _raw(path, form, Problems()))
    first = next(batched, None)
    if first is None or order or slashed(first[0][form.date]) is None:
        return together, order
    try:
        return together, decide_order({row[form.date] for rows in chain([first], batched) for row in rows})
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _in_runs(path: Path, form: Form, place: int) -> bool:
    """Whether no instrument comes back after another one; a file that breaks off or has quotes may say no."""
    separator, last = form.separator, place == len(form.header) - 1
    seen: set[str] = set()
    try:
        with open_text(path, _ERRORS) as file:
            cells = (
                (line.rpartition(separator)[2] for line in file)
                if last
                else (line.split(separator, place + 1)[place] for line in file)
            )
            for name, _ in groupby(cells):
                if name in seen:
                    return False
                seen.add(name)
    except (OSError, EOFError, zlib.error, IndexError):
        return False
    return True


def _plain(lines: list[int], fields: list[list[str]], form: Form, days: Days, series: Series) -> Columns | None:
    """The rows column by column, where every cell is a plain number and every day a day; else ``None``."""
    if form.time is not None or form.zero_is_missing:
        return None
    numbers = []
    try:
        moments = [days(text) for text in fields[form.date]]
        for place in series.columns.values():
            cells = fields[place]
            values = list(map(float, cells))
            total, text = sum(values), "".join(cells)
            # float() reads words, too (then the sum is not finite), and 1_000, and digits of other scripts.
            if total - total != 0 or "_" in text or not text.isascii():
                return None
            numbers.append(values)
    except ValueError:
        return None
    names, since = zip(*moments, strict=True)
    return list(names), list(since), lines, zip(*numbers, strict=True)


def _told(
    lines: list[int], fields: list[list[str]], form: Form, days: Days, series: Series, problems: Problems
) -> Columns:
    """The rows one by one, each cell that is missing or no number told."""
    date, time, zero = form.date, form.time, form.zero_is_missing
    found: tuple[list[str], list[float], list[int], list[Values | None]] = ([], [], [], [])
    for line, *row in zip(lines, *fields, strict=True):
        try:
            day, since = days(row[date] if time is None else f"{row[date]} {row[time]}")
        except ValueError as error:
            problems.add(f"{form.file}:{line}: {error}", "a day that is no date (row left out)")
            continue
        try:
            values: Values | None = tuple(_number(row[place], zero) for place in series.columns.values())
        except ValueError:
            problems.add(f"{form.file}:{line}", "a cell that is no number (day left out)")
            values = None
        found[0].append(day)
        found[1].append(since)
        found[2].append(line)
        found[3].append(values)
    return found


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(cell: str, zero_is_missing: bool) -> float | None:
    text = cell.strip()
    if text in MISSING:
        return None
    value = float(text.removeprefix("$"))
    if value - value != 0 or not text.isascii() or "_" in text:
        raise ValueError(text)
    return None if zero_is_missing and value == 0 else value


def _tidy(form: Form, found: Columns, problems: Problems) -> Columns:
    """Days ascending and each once: equal rows of a day are merged, unequal ones leave a day that cannot be told."""
    since = found[1]
    if all(map(lt, since, since[1:])):
        return found
    tidy: tuple[list[str], list[float], list[int], list[Values | None]] = ([], [], [], [])
    for _, group in groupby(sorted(zip(*found, strict=True), key=itemgetter(1)), key=itemgetter(1)):
        same = list(group)
        day, moment, line, values = same[0]
        if any(row[3] != values for row in same):
            values = None
            for row in same:
                problems.add(f"{form.file}:{row[2]}", "rows of one day that contradict each other (day left out)")
        else:
            for row in same[1:]:
                problems.add(f"{form.file}:{row[2]}", "a row that repeats its day with the same numbers (merged)")
        tidy[0].append(day)
        tidy[1].append(moment)
        tidy[2].append(line)
        tidy[3].append(values)
    return tidy
