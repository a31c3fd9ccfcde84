"""What is finished of all sweeps of a project: one line a run, so that nothing finished is lost or run twice.

A line is one unbuffered write that has reached the disk before anything builds on it; what a kill or a power cut tore
is not a line and is passed over. Lines are found by the run's content, so a run that another sweep made already is
free.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ophamin.comparing._lock import taken
from ophamin.proof.atomic import sync_directory, write_all
from ophamin.proof.errors import UsageError

__all__ = ["SweepJournal"]

JSON = Any


class SweepJournal:
    """The journal of a project's sweeps; locked against a second sweep while open.

    Args:
        folder: Where it lies; made on first use.

    Raises:
        UsageError: Another process has it open.

    Example:
        >>> import tempfile
        >>> with SweepJournal(Path(tempfile.mkdtemp())) as journal:
        ...     journal.write({"cell": "ab", "state": "done", "value": 1})
        ...     journal.cells["ab"]["value"]
        1
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "cells.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        lock = taken(folder / "cells.lock")
        if lock is None:
            raise UsageError(f"another sweep of this project is running ({self.path} is locked); wait for it")
        self._locked = lock
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = -1
        self.cells: dict[str, dict[str, JSON]] = {}
        try:
            self._descriptor = os.open(self.path, flags, 0o666)
            sync_directory(folder)
            self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        data = self.path.read_bytes()
        if data and not data.endswith(b"\n"):
            os.write(self._descriptor, b"\n")
        for line in data.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("cell"), str):
                self._take(entry)

    def _take(self, entry: Mapping[str, JSON]) -> None:
        self.cells.setdefault(entry["cell"], {}).update(entry)

    def write(self, entry: Mapping[str, JSON]) -> None:
        """Add to what is known of a run; ``cell`` names it, later fields replace earlier ones."""
        line = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
        write_all(self._descriptor, line)
        os.fsync(self._descriptor)
        self._take(json.loads(line))

    def close(self) -> None:
        """Let go of the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._locked >= 0:
            os.close(self._locked)
            self._locked = -1

    def __enter__(self) -> SweepJournal:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
