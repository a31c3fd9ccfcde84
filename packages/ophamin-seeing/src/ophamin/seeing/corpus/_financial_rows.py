"""One price file as series: an instrument at a time, its days in order, each once, missing numbers ``None``."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import IO

from ophamin.seeing.corpus._financial_dates import DayOrder, Days, decide_order, slashed
from ophamin.seeing.corpus._financial_forms import Form, recognise
from ophamin.seeing.corpus._problems import Problems

__all__ = ["MISSING", "Block", "Row", "Unreadable", "open_form", "read_blocks"]

MISSING = frozenset({"", ".", "-", "null", "NULL", "None", "nan", "NaN", "NA", "N/A", "#N/A", "n/a", "ND"})
_FIELD_LIMIT = 2**31 - 1
_SEPARATORS = (",", ";", "\t", "|")
_HEAD = 1 << 16

Values = tuple[float | None, ...]
Row = tuple[str, float, int, Values | None]
"""ISO day, days since 0001-01-01, line of the file, numbers; ``None`` for a day that is there but cannot be told."""


class Unreadable(Exception):
    """A file that gives no series, or breaks off; the message follows the file's name."""


@dataclass(frozen=True, slots=True)
class Block:
    """All days of one instrument in one file, ascending."""

    instrument: str
    columns: Sequence[str]
    rows: list[Row]


def open_form(path: Path, name: Path) -> Form:
    """Recognise the form of the file ``path``, called ``name`` below the corpus folder.

    Raises:
        Unreadable: It has none that is known.
    """
    try:
        with _open(path) as file:
            head = file.readline(_HEAD)
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8 text") from None
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not head:
        raise Unreadable("is empty")
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
    rows = _rows(path, form, Days(order), problems)
    columns = {series.name: series.columns for series in form.series}
    if together:
        for name, group in groupby(rows, key=itemgetter(0)):
            yield Block(name, _named_columns(form, name, columns), _tidy(form, [row for _, row in group], problems))
        return
    held: dict[str, list[Row]] = {}
    for name, row in rows:
        held.setdefault(name, []).append(row)
    for name, found in held.items():
        yield Block(name, _named_columns(form, name, columns), _tidy(form, found, problems))


def _named_columns(form: Form, name: str, columns: Mapping[str, Mapping[str, int]]) -> list[str]:
    return list(columns[name] if name in columns and form.instrument is None else form.series[0].columns)


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _raw(path: Path, form: Form, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of every row that is as wide as the header."""
    csv.field_size_limit(_FIELD_LIMIT)  # the library's 128 KiB would end the file
    width = len(form.header)
    reader = None
    try:
        with _open(path) as file:
            reader = csv.reader(file, delimiter=form.separator, strict=True)
            next(reader, None)
            for row in reader:
                if len(row) == width:
                    yield reader.line_num, row
                elif len(row) == 1 and row[0].startswith("Downloaded from Barchart"):
                    continue  # its footer
                elif row:
                    problems.add(f"{form.file}:{reader.line_num}", "a row narrower or wider than the header (left out)")
    except (UnicodeDecodeError, csv.Error, OSError, EOFError, zlib.error) as error:
        line = reader.line_num + 1 if reader is not None else 1
        reason = "no UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"it breaks off ({error})"
        problems.add(f"{form.file}:{line}", f"{reason}: the rest of the file is not read")


def _survey(path: Path, form: Form, order: DayOrder) -> tuple[bool, DayOrder]:
    """Whether each instrument stands in one run, and how its days are to be read: a pass over two columns at most."""
    rows = (row for _, row in _raw(path, form, Problems()))
    first = next(rows, None)
    if first is None:
        return True, order
    undecided = not order and slashed(first[form.date]) is not None
    together = len(form.series) == 1
    if form.instrument is None and not undecided:
        return together, order
    days: set[str] = set()
    runs: set[str] = set()
    current = None
    for row in chain([first], rows):
        if undecided:
            days.add(row[form.date])
        if form.instrument is not None and row[form.instrument] != current:
            current = row[form.instrument]
            together = together and current not in runs
            runs.add(current)
        if not together and not undecided:
            break
    try:
        return together, decide_order(sorted(days)) if undecided else order
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _rows(path: Path, form: Form, days: Days, problems: Problems) -> Iterator[tuple[str, Row]]:
    date, time, instrument = form.date, form.time, form.instrument
    plans = [(series.name or form.fallback, _getter(tuple(series.columns.values()))) for series in form.series]
    for line, row in _raw(path, form, problems):
        try:
            day, since = days(row[date] if time is None else f"{row[date]} {row[time]}")
        except ValueError as error:
            problems.add(f"{form.file}:{line}: {error}", "a day that is no date (row left out)")
            continue
        for series, take in plans:
            name = series
            if instrument is not None:
                name = row[instrument].strip()  # text whatever it spells: NA and TRUE are tickers
                if not name:
                    problems.add(f"{form.file}:{line}", "a row without an instrument (left out)")
                    continue
            cells = take(row)
            try:
                values: Values | None = tuple(map(float, cells))
                total = sum(values)  # type: ignore[arg-type]
                # Infinite or not a number: float() reads words, too. And it reads 1_000 and digits of other scripts.
                plain = not form.zero_is_missing and total - total == 0 and _spelled(cells)
            except ValueError:
                plain = False
            if not plain:
                try:
                    values = tuple(_number(cell, form.zero_is_missing) for cell in cells)
                except ValueError:
                    problems.add(f"{form.file}:{line}", "a cell that is no number (day left out)")
                    values = None
            yield name, (day, since, line, values)


def _getter(places: tuple[int, ...]) -> Callable[[list[str]], tuple[str, ...]]:
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places)


def _spelled(cells: tuple[str, ...]) -> bool:
    text = "".join(cells)
    return text.isascii() and "_" not in text


def _number(cell: str, zero_is_missing: bool) -> float | None:
    text = cell.strip()
    if text in MISSING:
        return None
    value = float(text.removeprefix("$"))
    if value - value != 0 or not _spelled((text,)):
        raise ValueError(text)
    return None if zero_is_missing and value == 0 else value


def _tidy(form: Form, rows: list[Row], problems: Problems) -> list[Row]:
    """Days ascending and each once: equal rows of a day are merged, unequal ones leave a day that cannot be told."""
    ascending = all(a[1] < b[1] for a, b in pairwise(rows))
    if ascending:
        return rows
    rows.sort(key=itemgetter(1))
    tidy: list[Row] = []
    for _, group in groupby(rows, key=itemgetter(1)):
        same = list(group)
        if len(same) > 1 and len({row[3] for row in same}) > 1:
            for row in same:
                problems.add(f"{form.file}:{row[2]}", "rows of one day that contradict each other (day left out)")
            tidy.append((*same[0][:3], None))
            continue
        for row in same[1:]:
            problems.add(f"{form.file}:{row[2]}", "a row that repeats its day with the same numbers (merged)")
        tidy.append(same[0])
    return tidy
