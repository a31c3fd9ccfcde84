"""A small memory of hashes in the user's folder: never stale, never beside the data, safe with several writers.

An entry is trusted only while the state of what was hashed (size, mtime, ctime, inode, device) is exactly what it
was. That alone is not enough: a file changed twice within one tick of its file system's clock has the same state after
both. So nothing that was changed less than two seconds before hashing *began* is remembered (two seconds is the
coarsest clock in use, FAT's). This is the rule by which git tells "racily clean" entries of its index
(git's Documentation/technical/racy-git.txt).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ophamin.proof.atomic import write_atomic
from ophamin.seeing._home import cache_folder

__all__ = ["RACY_NS", "recall", "remember"]

RACY_NS = 2_000_000_000
_HEX = re.compile(r"[0-9a-f]{64}")


def recall(key: Sequence[Any], state: Sequence[Any]) -> str | None:
    """The hash remembered for ``key`` in exactly this ``state``; ``None`` when there is none, or a damaged one."""
    entry = _entry(key)
    if entry is None:
        return None
    try:
        known = json.loads(entry.read_bytes())
        if known["key"] == list(key) and known["state"] == list(state) and known["check"] == _check(known):
            return str(known["sha256"]) if _HEX.fullmatch(known["sha256"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # not remembered, or a damaged entry: hash again
    return None


def remember(key: Sequence[Any], state: Sequence[Any], sha256: str, *, newest_ns: int, began_ns: int) -> bool:
    """Remember a hash, unless a later change of what was hashed could go unseen.

    Args:
        key: What was hashed, JSON-able.
        state: Its state, the same before and after hashing, JSON-able.
        sha256: The hash, 64 hex digits.
        newest_ns: Newest mtime or ctime in it, nanoseconds since the epoch.
        began_ns: When the state was first looked at, likewise.

    Returns:
        Whether it was written. A read-only home costs time, not correctness.
    """
    entry = _entry(key)
    if entry is None or began_ns - newest_ns <= RACY_NS:
        return False
    known = {"key": list(key), "state": list(state), "sha256": sha256}
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(entry, json.dumps(known | {"check": _check(known)}).encode())
    except OSError:
        return False
    return True


def _entry(key: Sequence[Any]) -> Path | None:
    folder = cache_folder("hashes")
    if folder is None:
        return None
    return folder / f"{hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:32]}.json"


def _check(known: dict[str, Any]) -> str:
    """A digest of the entry itself, so that a flipped bit does not become a wrong hash."""
    text = json.dumps([known["key"], known["state"], known["sha256"]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
