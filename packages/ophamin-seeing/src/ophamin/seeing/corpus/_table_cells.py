"""Cells of a CSV column as values, and the id a row has by its content."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

__all__ = ["column_values", "content_ids"]

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
# Whole columns, each cell ended by a newline; what is longer than these allow is told cell by cell.
_INTEGERS = re.compile(r"(?:-?(?:0|[1-9]\d{0,200})\n)+", re.ASCII)
_FLOATS = re.compile(r"(?:-?(?:0|[1-9]\d{0,200})(?:\.\d{1,100}(?:[eE][+-]?\d{1,9})?|[eE][+-]?\d{1,9})\n)+", re.ASCII)
_TEXTS = re.compile(r"(?:(?!(?:true|false)\n)[^-0-9\n][^\n]*\n)+", re.IGNORECASE)
_WORDS = {"true": True, "false": False}
_LONGEST = 400
_STARTS = frozenset("-0123456789")


def column_values(cells: Sequence[str]) -> list[Any]:
    """Each cell as a number where JSON would spell it so, a boolean for ``true``/``false``, ``None`` if empty.

    A column of plain integers or floats is told by one match over all of it, ten times faster than cell by cell.
    """
    joined = "\n".join(cells) + "\n"
    if joined.count("\n") == len(cells):
        if _INTEGERS.fullmatch(joined):
            return list(map(int, cells))
        if _FLOATS.fullmatch(joined):
            values = list(map(float, cells))
            if all(map(math.isfinite, values)):
                return values
        elif _TEXTS.fullmatch(joined):
            return list(cells)
    return [_value(cell) for cell in cells]


def _value(text: str) -> Any:
    if not text:
        return None
    if text[0] in _STARTS:
        number = _NUMBER.fullmatch(text)
        if number and len(text) < _LONGEST:
            value = float(text) if number.lastindex else int(text)
            return value if math.isfinite(value) else text
        return text
    return _WORDS.get(text.lower(), text) if len(text) < 6 else text


def content_ids(columns: Sequence[str]) -> Callable[[Sequence[str]], str]:
    """A function from the fields of a row to 16 hex digits: SHA-256 of its canonical JSON, keys sorted."""
    order = sorted(range(len(columns)), key=lambda place: columns[place])
    parts = [(f"{',' if at else '{'}{encode_basestring_ascii(columns[p])}:", p) for at, p in enumerate(order)]

    def identifier(row: Sequence[str]) -> str:
        text = "".join([key + encode_basestring_ascii(row[place]) for key, place in parts]) + "}"
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]

    return identifier
