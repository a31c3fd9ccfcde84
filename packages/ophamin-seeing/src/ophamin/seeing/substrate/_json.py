"""What a system returned, as plain JSON.

Rules, in order:

- ``None``, booleans, integers, finite floats and text stay what they are. A non-finite float becomes ``null``:
  no measurement, rather than a number that JSON does not have. A lone surrogate in text is written as its escape.
- Mappings become objects; keys that are numbers, booleans or ``None`` are spelled as ``json`` spells them, and two
  keys with one spelling are an error. Lists, tuples, generators and other iterables become arrays.
- Sets become arrays sorted by their JSON text. Bytes become text if they are UTF-8, else ``{"base64": …}``.
- Dataclasses and named tuples become objects by field; an enum becomes its value, a path its text, a date its ISO form,
  decimals and fractions the nearest float.
- Anything with ``tolist()`` (numpy, torch, pandas) or ``to_dict()`` is asked for it; all else is an error.

An error (``UnsuitableOutput``) fails that one cycle: cyclic or deeper than 64, longer than 10 MB, or not convertible.

This file also runs inside the interpreters of ``repo`` substrates: standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["MAX_BYTES", "MAX_DEPTH", "UnsuitableOutput", "as_output", "to_json"]

MAX_BYTES = 10_000_000
MAX_DEPTH = 64
_MAX_INT_BITS = 13_000  # just under 4,300 digits, what every Python can print


class UnsuitableOutput(ValueError):
    """An output that cannot stand in an observation."""


def to_json(value: Any) -> Any:
    """``value`` as JSON by the rules above.

    Raises:
        UnsuitableOutput: It is cyclic, too deep, too long or of a type with no JSON form.
    """
    kind = type(value)
    # The commonest outputs, without a walk.
    if kind is bool or value is None or (kind is str and len(value) < 1000 and value.isascii()):
        return value
    return _Walk().convert(value, 0)


def as_output(value: Any) -> dict[str, Any]:
    """``value`` as the output of a cycle: an object stays whole, anything else ``x`` becomes ``{"output": x}``.

    Raises:
        UnsuitableOutput: It has no JSON form.
    """
    plain = to_json(value)
    return plain if type(plain) is dict else {"output": plain}


class _Walk:
    """One conversion; ``left`` is what remains of the 10 MB, counted as characters of the JSON text at least."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_BYTES

    def convert(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self.spend(2)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self.text(value)
        if kind is int:
            if value.bit_length() > _MAX_INT_BITS:
                raise UnsuitableOutput("output holds an integer of more than 3,900 digits")
            return value
        if kind is float:
            return value if math.isfinite(value) else None
        if depth >= MAX_DEPTH:
            raise UnsuitableOutput(f"output is cyclic or nested deeper than {MAX_DEPTH}")
        if kind is dict:
            return self.mapping(value, depth)
        if kind is list or kind is tuple:
            return [self.convert(item, depth + 1) for item in value]
        return self.other(value, depth)

    def spend(self, n: int) -> None:
        self.left -= n
        if self.left < 0:
            raise UnsuitableOutput(f"output is longer than {MAX_BYTES // 1_000_000} MB")

    def text(self, value: str) -> str:
        self.spend(len(value))
        if value.isascii():
            return value
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        return value

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = self.text(key) if type(key) is str else self.key(key)
            if name in result:
                raise UnsuitableOutput(f"output has two keys spelled {name!r}")
            result[name] = self.convert(item, depth + 1)
        return result

    def key(self, key: Any) -> str:
        plain = self.convert(key, MAX_DEPTH - 1)
        if isinstance(plain, str):
            return plain
        if plain is None or isinstance(plain, (bool, int, float)):
            return json.dumps(plain)
        raise UnsuitableOutput(f"output has a key of type {type(key).__name__}")

    def other(self, value: Any, depth: int) -> Any:
        deeper = depth + 1
        if isinstance(value, enum.Enum):
            return self.convert(value.value, deeper)
        if isinstance(value, (bool, int)):
            return self.convert(int(value), deeper)
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, (float, decimal.Decimal, fractions.Fraction)):
            return self.convert(float(value), deeper)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.binary(bytes(value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.mapping({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, depth)
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return self.mapping(value._asdict(), depth)
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, (set, frozenset)):
            items = [self.convert(item, deeper) for item in value]
            return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
        if isinstance(value, (datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, os.PathLike):
            return self.text(os.fsdecode(value))
        for method in ("tolist", "to_dict"):
            if callable(ask := getattr(value, method, None)) and not isinstance(value, type):
                # numpy knows its own size: refuse before building a list fifty times as large.
                self.spend(min(int(getattr(value, "size", 0) or 0), MAX_BYTES + 1))
                return self.convert(ask(), deeper)
        if isinstance(value, Iterable) and not isinstance(value, type):
            return [self.convert(item, deeper) for item in value]
        raise UnsuitableOutput(
            f"output holds a {kind_name(value)}, which has no JSON form; return text, numbers or a dict"
        )

    def binary(self, data: bytes) -> Any:
        try:
            return self.text(data.decode("utf-8"))
        except UnicodeDecodeError:
            return {"base64": self.text(base64.b64encode(data).decode("ascii"))}


def kind_name(value: Any) -> str:
    """Type of a value, as a reader would write it."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
