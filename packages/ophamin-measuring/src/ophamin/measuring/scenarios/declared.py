"""What a field catalog may say of a value beside where it lies: its type, and its unit.

An entry is ``PATH``, ``PATH:TYPE`` or ``PATH:TYPE:UNIT``, such as ``timing.ms:number:ms``. Every role has one unit of
its own: seconds where its name ends in ``_s``, bytes where it ends in ``_bytes``, else a plain number or share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ophamin.proof.errors import UsageError

__all__ = ["TYPES", "declaration"]

TYPES: Final = ("number", "truth", "text", "list", "object")
# A path ends in a name or in "]"; what stands in quotes inside a filter cannot be mistaken for a type.
_ENTRY = re.compile(r"(?P<path>.*?)(?::(?P<type>[a-z]+)(?::(?P<unit>[A-Za-z%µ1]+))?)?", re.DOTALL)

# unit → (multiply by, divide by): 1/1000 has no exact float, and dividing is exact where the result is.
_SECONDS: Final[Mapping[str, tuple[float, float]]] = {
    "ns": (1, 1e9),
    "us": (1, 1e6),
    "µs": (1, 1e6),
    "ms": (1, 1e3),
    "s": (1, 1),
    "min": (60, 1),
    "h": (3600, 1),
}
_BYTES: Final[Mapping[str, tuple[float, float]]] = {
    "B": (1, 1),
    "kB": (1e3, 1),
    "MB": (1e6, 1),
    "GB": (1e9, 1),
    "KiB": (2**10, 1),
    "MiB": (2**20, 1),
    "GiB": (2**30, 1),
}
_SHARES: Final[Mapping[str, tuple[float, float]]] = {"1": (1, 1), "%": (1, 100)}


def declaration(role: str, entry: str) -> tuple[str, str, tuple[float, float]]:
    """Path, type ("" when none is declared), and what to multiply and divide by to get the role's own unit.

    Args:
        role: The role; its name says its unit.
        entry: ``PATH[:TYPE[:UNIT]]``.

    Raises:
        UsageError: No such type, a unit the role cannot have, or one for something that is no number.

    Example:
        >>> declaration("latency_s", "timing.ms:number:ms")
        ('timing.ms', 'number', (1, 1000.0))
        >>> declaration("answer", "checks[?k=='a:b'].label")
        ("checks[?k=='a:b'].label", '', (1, 1))
    """
    match = _ENTRY.fullmatch(entry)
    assert match is not None  # anything is a path
    path, kind, unit = match["path"], match["type"] or "", match["unit"] or ""
    if kind and kind not in TYPES:
        raise UsageError(f"{role}={entry}: {kind!r} is no type; types are {', '.join(TYPES)}")
    if not unit:
        return path, kind, (1, 1)
    if kind != "number":
        raise UsageError(f"{role}={entry}: a unit needs the type number, as in {role}={path}:number:{unit}")
    known = _SECONDS if role.endswith("_s") else _BYTES if role.endswith("_bytes") else _SHARES
    if unit not in known:
        raise UsageError(f"{role}={entry}: {unit!r} is no unit of {role}; it may be {', '.join(known)}")
    return path, kind, known[unit]
