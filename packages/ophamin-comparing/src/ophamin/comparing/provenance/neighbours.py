"""Files that come along with a record from elsewhere: only what the record is bound to may lie beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ophamin.proof.bindings import OBSERVATIONS
from ophamin.proof.errors import IntegrityError

__all__ = ["bound"]

JSON = Any
_READ_BYTES = 1 << 20


def bound(record: Mapping[str, JSON], files: Mapping[str, Path]) -> tuple[dict[str, Path], dict[str, str]]:
    """Which of the files beside a record may be stored with it.

    Args:
        record: As read; its observations are ``verify``'s to check.
        files: What came along, by plain name.

    Returns:
        The files the record speaks of, and why each other one is left out.

    Raises:
        IntegrityError: A file is not the one the record was signed with.

    Example:
        >>> bound({"reproduction": {"artifacts": []}}, {"notes.txt": Path("notes.txt")})
        ({}, {'notes.txt': 'the record does not speak of it'})
    """
    digests = dict(_artifacts(record))
    kept: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for name, path in files.items():
        if name == OBSERVATIONS and _has_observations(record):
            kept[name] = path
        elif name not in digests or path.is_symlink() or not path.is_file():
            left_out[name] = "the record does not speak of it"
        elif _digest(path) != digests[name]:
            raise IntegrityError(f"the file {name!r:.80} beside it is not the one it was signed with")
        else:
            kept[name] = path
    return kept, left_out


def _artifacts(record: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """Name and digest of each file a record names: in its reproduction, or, as profiles do, at the top."""
    how = record.get("reproduction")
    for section in (how if isinstance(how, Mapping) else {}, record):
        listed = section.get("artifacts")
        for entry in listed if isinstance(listed, list) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
                yield entry["name"], str(entry.get("digest"))


def _has_observations(record: Mapping[str, JSON]) -> bool:
    data = record.get("data")
    stated = data.get("observations") if isinstance(data, Mapping) else None
    return isinstance(stated, Mapping) and bool(stated.get("digest"))


def _digest(path: Path) -> str:
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            hashed.update(part)
    return f"sha256:{hashed.hexdigest()}"
