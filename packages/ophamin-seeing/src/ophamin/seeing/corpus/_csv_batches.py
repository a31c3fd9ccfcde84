"""CSV rows in batches, each with the line it ends on: a loop over rows costs more than parsing them does."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

__all__ = ["Batch", "BrokenRow", "batches", "open_text"]

_ROWS = 512
_FIELD_LIMIT = 2**31 - 1  # what a C long holds everywhere
_LINE_END = re.compile(r"\r\n|\r|\n")

Batch = tuple[Sequence[int], list[list[str]]]
"""Line numbers, from 1, and the fields of each row; an empty line is a row without fields."""


def open_text(path: Path, errors: str = "strict") -> IO[str]:
    """A UTF-8 file, perhaps gzip, opened for the csv module, past a byte order mark (its own codec is half as fast)."""
    opened = gzip.open if path.suffix == ".gz" else open
    file: IO[str] = opened(path, "rt", encoding="utf-8", errors=errors, newline="")
    try:
        if file.read(1) != "\ufeff":
            file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


class BrokenRow(Exception):
    """Quotes that do not close, or text after a closing one; ``line`` is where."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def batches(file: IO[str], separator: str) -> Iterator[Batch]:
    """All rows of a file opened with ``newline=""``; what is before a fault is given before it is raised.

    Raises:
        BrokenRow: A row that is none.
    """
    csv.field_size_limit(_FIELD_LIMIT)  # the library's 128 KiB would refuse long documents
    reader = csv.reader(file, delimiter=separator, strict=True)
    while True:
        before = reader.line_num
        rows: list[list[str]] = []
        fault: Exception | None = None
        try:
            rows.extend(islice(reader, _ROWS))
        except Exception as error:  # noqa: BLE001 - raised below, after the rows before it
            fault = error
        if rows:
            yield _lines(before, reader.line_num, rows, fault is not None), rows
        if fault is not None:
            raise BrokenRow(reader.line_num, str(fault)) if isinstance(fault, csv.Error) else fault
        if len(rows) < _ROWS:
            return


def _lines(before: int, after: int, rows: list[list[str]], cut: bool) -> Sequence[int]:
    if after - before == len(rows) and not cut:
        return range(before + 1, after + 1)
    found = []
    for row in rows:  # some field spans lines
        before += 1 + sum(len(_LINE_END.findall(field)) for field in row)
        found.append(before)
    return found
