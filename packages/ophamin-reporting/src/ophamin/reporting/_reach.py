"""Reaching into a record that may be shaped like anything: a tampered one is rendered too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["at", "objects", "words"]

JSON = Any


def at(value: JSON, *keys: str) -> JSON:
    """The value under ``keys``, or ``None`` where the way ends."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def objects(value: JSON) -> list[Mapping[str, JSON]]:
    """The objects in a list; of anything else, none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def words(value: JSON) -> str:
    """A string, or "" for anything else."""
    return value if isinstance(value, str) else ""
