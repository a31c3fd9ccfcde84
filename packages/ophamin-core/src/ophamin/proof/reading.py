"""The strict reader and the atomic writer of record files.

Bytes, UTF-8, depth and number of nodes are checked by a linear scan *before* an object is built, so hostile
input costs neither memory nor recursion and fails with the same typed error on every Python.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from ophamin.proof.canonical import MAX_DEPTH, MAX_INT_DIGITS, MAX_NODES, canonical_bytes, has_lone_surrogate
from ophamin.proof.errors import DuplicateKeyError, LimitError, RecordError, UnknownRecord

__all__ = ["MAX_BYTES", "parse", "parse_value", "read_object", "write_object"]

JSON = Any

MAX_BYTES = 64 * 1024 * 1024
"""Size of one record file."""

_BRACKETS = bytes.maketrans(b"[]{}", b"()()")
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))


def parse(data: bytes) -> dict[str, JSON]:
    """Parse the bytes of one record.

    Args:
        data: A JSON object in UTF-8, without a byte-order mark.

    Returns:
        The object; ``int`` stays ``int`` and ``float`` stays ``float``.

    Raises:
        RecordError: Empty, not UTF-8, a BOM, not JSON, not an object, NaN or Infinity, a lone surrogate.
        DuplicateKeyError: An object names a key twice.
        LimitError: Beyond 64 MiB, depth 64, a million nodes, 4,300 digits, or a number that overflows.

    Example:
        >>> parse(b'{"a": [1, 1.0]}')
        {'a': [1, 1.0]}
    """
    value = parse_value(data)
    if not isinstance(value, dict):
        raise RecordError(f"a record is a JSON object, and this is {_NAMES[type(value)]}")
    return value


_NAMES = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean", type(None): "null"}


def parse_value(data: bytes) -> JSON:
    """Parse any JSON value under the same rules as ``parse``; for rows and lists."""
    scan(data)
    try:
        return _DECODE(data.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise RecordError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None


def scan(data: bytes) -> None:
    """Check size, encoding, nodes, depth and surrogates of JSON text without building anything.

    Exact for well-formed JSON; for other text it only guarantees that parsing is bounded.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(f"a record has at most {MAX_BYTES // 2**20} MiB, and this has {len(data):,} bytes")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise RecordError("a record begins without a byte-order mark; save it as plain UTF-8")
    if not data.strip(b" \t\r\n"):
        raise RecordError("the record is empty")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(f"a record is UTF-8, and byte {error.start} is not") from None
    bare = data
    if b"\\" in data:
        if (b"\\ud" in data or b"\\uD" in data) and has_lone_surrogate(data):
            raise RecordError("a record cannot hold a lone surrogate escape such as \\ud800")
        # Escaped backslashes first: then each backslash left begins an escape, and each quote left a string's end.
        bare = data.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    # Keys and string values together are at most two per node; this also bounds what split() makes.
    if bare.count(b'"') > 4 * MAX_NODES:
        _too_many_nodes()
    shape = b"s".join(bare.split(b'"')[::2]).translate(None, b" \t\r\n")
    opened = shape.count(b"[") + shape.count(b"{")
    if 1 + shape.count(b",") + opened - shape.count(b"[]") - shape.count(b"{}") > MAX_NODES:
        _too_many_nodes()
    brackets = shape.translate(_BRACKETS, _NOT_BRACKETS)
    if len(brackets) > 2 * opened:
        raise RecordError("not JSON: a bracket is closed that was never opened")
    # Each round takes away the innermost pairs, so a well-formed text is gone after as many as it is deep.
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"()", b"")
    if b"()" in brackets or brackets.count(b"(") > MAX_DEPTH:
        raise LimitError(f"a record is at most {MAX_DEPTH} levels deep")


def _too_many_nodes() -> NoReturn:
    raise LimitError(f"a record has at most {MAX_NODES:,} values")


def _pairs(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        raise DuplicateKeyError(f"the key {twice!r} stands twice in one object")
    return result


def _int(text: str) -> int:
    if len(text) - text.startswith("-") > MAX_INT_DIGITS:
        raise LimitError(f"an integer has at most {MAX_INT_DIGITS:,} digits, and this has {len(text):,}")
    try:
        return int(text)
    except ValueError:  # a lower limit was set for this process
        raise LimitError(f"this Python converts no integer of {len(text):,} digits") from None


def _float(text: str) -> float:
    value = float(text)
    if value in (_INFINITY, -_INFINITY):
        raise LimitError(f"the number {text:.40} does not fit a float")
    return value


def _constant(text: str) -> NoReturn:
    raise RecordError(f"{text} is not a number JSON knows; a missing value is null")


_INFINITY = float("inf")
_DECODE = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_int, parse_float=_float, parse_constant=_constant
).decode


def read_bytes(path: Path | str, limit: int = MAX_BYTES) -> bytes:
    """Read a regular file of at most ``limit`` bytes.

    Raises:
        UnknownRecord: Nothing is there.
        RecordError: A directory, a pipe or device, or not readable.
        LimitError: Too long.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # ValueError: a null byte in the name
        raise UnknownRecord(f"there is no file {path}") from None
    if stat.S_ISDIR(mode):
        raise RecordError(f"{path} is a directory; name the record file in it")
    if not stat.S_ISREG(mode):  # a pipe may never end
        raise RecordError(f"{path} is not a regular file; save the record to one first")
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > limit:
        raise LimitError(f"{path} is longer than {limit // 2**20} MiB")
    return data


def read_object(path: Path | str) -> dict[str, JSON]:
    """Read and parse one record file.

    Raises:
        UnknownRecord: Nothing is there.
        RecordError: As ``parse``; the message begins with the path.

    Example:
        >>> read_object("proof.json")["schema_version"]  # doctest: +SKIP
        '1.1'
    """
    data = read_bytes(path)
    try:
        return parse(data)
    except RecordError as error:
        raise type(error)(f"{path}: {error}") from None


def write_object(path: Path | str, obj: Mapping[str, JSON]) -> None:
    """Write one object: indent 2, UTF-8, one final newline; whole or not at all.

    Args:
        path: File to write or replace; its folder must exist.
        obj: What ``canonical_bytes`` accepts.

    Raises:
        RecordError: The object holds what no record may hold.
        LimitError: The reader would refuse the file.
    """
    from ophamin.proof.atomic import write_atomic

    canonical_bytes(obj)
    data = (json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
    if len(data) > MAX_BYTES:
        raise LimitError(f"a record has at most {MAX_BYTES // 2**20} MiB; store bulk data beside it, by digest")
    write_atomic(Path(path), data)
