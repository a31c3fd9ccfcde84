"""CSV rows in batches, each with the line it ends on: a loop over rows costs more than parsing them does."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO

__all__ = ["Batch", "batches"]

_ROWS = 512
_FIELD_LIMIT = 2**31 - 1  # what a C long holds everywhere
_LINE_END = re.compile(r"\r\n|\r|\n")

Batch = tuple[Sequence[int], list[list[str]]]
"""Line numbers, from 1, and the fields of each row; an empty line is a row without fields."""


def batches(file: IO[str], separator: str) -> Iterator[Batch]:
    """All rows of a file opened with ``newline=""``; what is before a fault is given before it is raised.

    Raises:
        csv.Error: Quotes that do not close, or text after a closing one.
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
            raise fault
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
