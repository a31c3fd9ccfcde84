"""What was measured already: one line a step, so that a killed history goes on where it was.

A line names a proof by its id; what the proof says is read from the proof, never from here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ophamin.comparing._lock import taken
from ophamin.proof.atomic import sync_directory, write_all
from ophamin.proof.errors import UsageError

__all__ = ["Journal"]

JSON = Any
Step = tuple[str, int]


class Journal:
    """The steps of one history or one bisection, locked by this process while it is open.

    Args:
        folder: Where journals lie; made when absent.
        key: Hex digest of what is measured; the same request finds its journal again.
        fresh: Forget what was measured.

    Raises:
        UsageError: Another process is at it.

    Example:
        >>> import tempfile
        >>> with Journal(Path(tempfile.mkdtemp()), "ab12") as journal:
        ...     journal.begin(("c0ffee", 1), ledger_size=0)
        ...     journal.end(("c0ffee", 1), skipped="does not import")
        ...     journal.step(("c0ffee", 1))["skipped"]
        'does not import'
    """

    def __init__(self, folder: Path, key: str, *, fresh: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{key}.jsonl"
        lock = taken(folder / f"{key}.lock")
        if lock is None:
            raise UsageError("another process is measuring these revisions; wait until it has ended")
        self._lock: int | None = lock
        self._steps: dict[Step, dict[str, JSON]] = {}
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._path, flags, 0o666)
        if fresh:
            os.ftruncate(self._file, 0)
        self._read()
        sync_directory(folder)

    def step(self, step: Step) -> Mapping[str, JSON] | None:
        """What is known of a step: ``ledger_size`` when it began, and ``proof_id`` or ``skipped`` when it ended."""
        return self._steps.get(step)

    def begin(self, step: Step, *, ledger_size: int) -> None:
        """Note that a step begins, before anything of it is registered."""
        self._note(step, {"ledger_size": ledger_size})

    def end(self, step: Step, *, proof_id: str = "", skipped: str = "") -> None:
        """Note how a step ended: by a proof, or skipped for a reason."""
        self._note(step, {"proof_id": proof_id} if proof_id else {"skipped": skipped or "no reason is known"})

    def forget_skipped(self) -> None:
        """Let everything that was skipped be tried again."""
        for step in [s for s, found in self._steps.items() if "skipped" in found]:
            self._note(step, {"again": True})

    def close(self) -> None:
        """Let go of the file and the lock; may be called twice."""
        if self._lock is not None:
            os.close(self._file)
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _note(self, step: Step, what: Mapping[str, JSON]) -> None:
        line = {"commit": step[0], "try": step[1], **what}
        write_all(self._file, json.dumps(line).encode("ascii") + b"\n")
        os.fsync(self._file)
        self._take(line)

    def _take(self, line: Mapping[str, JSON]) -> None:
        step = (line["commit"], line["try"])
        known = self._steps.setdefault(step, {})
        if line.get("again"):
            known.pop("skipped", None)
        known.update({k: v for k, v in line.items() if k in ("ledger_size", "proof_id", "skipped")})

    def _read(self) -> None:
        """Take every whole line; what a kill left half written is cut off."""
        whole = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            said = _said(line)
            if said is None:
                break
            self._take(said)
            whole += len(line)
        os.ftruncate(self._file, whole)


def _said(line: bytes) -> Mapping[str, JSON] | None:
    """What a whole line says; ``None`` for half of one, and for anything that names no step."""
    try:
        said = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    known = isinstance(said, dict) and isinstance(said.get("commit"), str) and isinstance(said.get("try"), int)
    return said if known else None
