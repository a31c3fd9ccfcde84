"""``RECORD``: the list of an installed distribution's files and their hashes.

PyPA, *Recording installed projects*, https://packaging.python.org/specifications/recording-installed-packages/.
"""

from __future__ import annotations

import binascii
import csv
import hashlib
import posixpath
from dataclasses import dataclass

from ophamin.auditing.sbom.parts import FileHash

__all__ = ["Recorded", "parse"]

_SHAPES = {"sha256": ("SHA-256", 43, b"="), "sha384": ("SHA-384", 64, b""), "sha512": ("SHA-512", 86, b"==")}
"""Name in RECORD → name in CycloneDX, characters in unpadded base64, and the padding."""
csv.field_size_limit(1 << 20)


@dataclass(frozen=True)
class Recorded:
    """What a RECORD says.

    Args:
        digest: SHA-256 of the RECORD itself, hex.
        files: Files with their hashes, sorted by path, each once.
        without: Rows that state no hash: RECORD itself, byte code.
        outside: Paths that leave the environment.
        damaged: Rows that are none, or contradict another.
    """

    digest: str
    files: tuple[FileHash, ...]
    without: int
    outside: tuple[str, ...]
    damaged: int


def parse(data: bytes, depth: int) -> Recorded:
    """Read a RECORD; only its text is looked at, never the files it names.

    Args:
        data: Its bytes.
        depth: How many folders its site-packages lies below the environment's own folder: scripts are recorded
            as ``../../../bin/name``, and nothing may climb further.

    Returns:
        Only files inside the environment, with hashes that can be such.

    Example:
        >>> found = parse(b"a.py,sha256=" + b"A" * 43 + b",3\\n../../etc/passwd,sha256=" + b"A" * 43 + b",3\\n", 1)
        >>> found.files == (("a.py", "SHA-256", "0" * 64),), found.outside
        (True, ('../../etc/passwd',))
    """
    files: dict[str, FileHash] = {}
    outside: list[str] = []
    without = damaged = 0
    content = data.decode("utf-8", "backslashreplace")
    for row in _rows(content):
        if len(row) < 2 or not row[0]:
            damaged += bool(row)
            continue
        path = row[0]
        if _leaves(path, depth):
            outside.append(path)
            continue
        algorithm, _, encoded = row[1].partition("=")
        if not encoded:
            without += not row[1]
            damaged += bool(row[1])
            continue
        shape = _SHAPES.get(algorithm)
        digits = _hex(encoded, *shape[1:]) if shape else ""
        if shape is None or not digits:
            damaged += 1
            continue
        row_hash = (path, shape[0], digits)
        if files.setdefault(path, row_hash) != row_hash:
            damaged += 1
    ordered = tuple(files[path] for path in sorted(files))
    return Recorded(hashlib.sha256(data).hexdigest(), ordered, without, tuple(sorted(outside)), damaged)


def _rows(content: str) -> list[list[str]]:
    if '"' not in content and "\0" not in content:
        return [line.split(",") for line in content.splitlines() if line]
    rows: list[list[str]] = []
    for line in content.splitlines():  # line by line, so that one open quote does not swallow the rest
        try:
            rows += csv.reader([line], strict=True)
        except csv.Error:
            rows.append([""])
    return rows


def _leaves(path: str, depth: int) -> bool:
    if ".." not in path and path[0] not in "/\\" and ":" not in path and "\0" not in path:
        return False
    plain = path.replace("\\", "/")
    if plain.startswith("/") or "\0" in plain or plain[1:2] == ":":
        return True
    steps = posixpath.normpath(plain).split("/")
    return steps.count("..") > depth


def _hex(encoded: str, length: int, padding: bytes) -> str:
    """Hex digits of unpadded URL-safe base64; "" when it is none of that length."""
    if len(encoded) != length:
        return ""
    try:
        return binascii.a2b_base64(encoded.encode("ascii").translate(_URL_SAFE) + padding, strict_mode=True).hex()
    except ValueError:
        return ""


_URL_SAFE = bytes.maketrans(b"-_+/", b"+/!!")
