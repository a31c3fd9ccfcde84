"""One payload as a source gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ophamin.seeing.corpus._problems import Problems

__all__ = ["Payload", "Reader"]


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload as a source gives it, before duplicates are taken out.

    Args:
        data: Its own bytes.
        kind: ``attack``, ``benign``, or ``unknown`` where the source does not say.
        attack_class: ``sqli``, ``xss``…, ``benign``, ``unknown``.
        line: Line of the file, from 1.
        about: Anything else the source says.
    """

    data: bytes
    kind: str
    attack_class: str
    line: int
    about: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[Path, str, Problems], Iterator[Payload]]
"""Reads a file, given the folder that names its class."""
