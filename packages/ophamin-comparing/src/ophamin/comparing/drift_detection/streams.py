"""A stream of numbers out of a file or out of a proof's observations."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ophamin.proof.errors import RecordError, UsageError

__all__ = ["Stream", "from_file", "from_observations"]

JSON = Any
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})


@dataclass(frozen=True)
class Stream:
    """Numbers in order.

    Args:
        name: Of the column or observable.
        values: Finite.
        missing: Points without a number, which are left out.
    """

    name: str
    values: list[float]
    missing: int


def from_file(path: Path, column: str | None = None) -> Stream:
    """Read a column of a CSV or JSON-lines file.

    Args:
        path: ``.jsonl`` holds one object a line; everything else is CSV. A first line without a number names columns.
        column: Its name; may be left out where there is one.

    Raises:
        UsageError: No such file or column, or a value that is neither a number nor missing, with its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{path} cannot be read: {reason}") from error
    name, cells = _json_lines(path, text, column) if path.suffix in (".jsonl", ".ndjson") else _csv(path, text, column)
    values: list[float] = []
    missing = 0
    for line, cell in cells:
        if cell is None or (isinstance(cell, str) and cell.strip().lower() in _MISSING):
            missing += 1
            continue
        number = _number(cell)
        if number is None:
            raise UsageError(f"{path}, line {line}: {name} is {cell!r:.40}, which is no finite number")
        values.append(number)
    if not values:
        raise UsageError(f"{path} holds no number in {name}")
    return Stream(name, values, missing)


def from_observations(proof: Path, observable: str) -> Stream:
    """Read an observable from the rows stored beside a proof; cycles that failed are missing.

    Args:
        proof: Its ``record.json``.
        observable: A role such as ``latency_s``.

    Raises:
        RecordError: No observations lie beside it.
        UsageError: They have no such observable.
    """
    path = proof.with_name("observations.jsonl.gz")
    try:
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    except (OSError, EOFError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}; a stream is read from a proof's observations") from error
    found = [_number(_observed(row, observable)) for row in rows]
    values = [v for v in found if v is not None]
    if not values:
        known = sorted(
            {name for row in rows[:100] for name, v in (row.get("values") or {}).items() if _number(v) is not None}
        )
        raise UsageError(f"no cycle of {proof} has a number as {observable}; there are: {', '.join(known) or 'none'}")
    return Stream(observable, values, len(found) - len(values))


def _observed(row: dict[str, JSON], observable: str) -> JSON:
    return (row.get("values") or {}).get(observable, row.get(observable))


def _number(value: JSON) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _csv(path: Path, text: str, column: str | None) -> tuple[str, Iterator[tuple[int, JSON]]]:
    lines = [(number, row) for number, row in enumerate(csv.reader(text.splitlines()), 1) if row]
    if not lines:
        raise UsageError(f"{path} is empty")
    first = lines[0][1]
    named = all(_number(cell) is None and cell.strip().lower() not in _MISSING for cell in first)
    if column is None:
        if len(first) > 1:
            raise UsageError(
                f"{path} has {len(first)} columns; name one: {', '.join(first[:8]) if named else '1, 2, …'}"
            )
        index = 0
    elif named and column in first:
        index = first.index(column)
    elif not named and column.isdigit() and 1 <= int(column) <= len(first):
        index = int(column) - 1
    else:
        raise UsageError(f"{path} has no column {column!r}; it has {', '.join(first[:8]) if named else len(first)}")
    cells = ((number, row[index] if index < len(row) else None) for number, row in lines[1 if named else 0 :])
    return (first[index] if named else column or path.stem), cells


def _json_lines(path: Path, text: str, column: str | None) -> tuple[str, Iterator[tuple[int, JSON]]]:
    if column is None:
        raise UsageError(f"name the field of {path} to read, with --column")

    def cells() -> Iterator[tuple[int, JSON]]:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise UsageError(f"{path}, line {number}: {error}") from error
                yield number, row.get(column) if isinstance(row, dict) else None

    return column, cells()
