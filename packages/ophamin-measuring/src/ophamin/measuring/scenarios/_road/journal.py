"""The journal of one attempt: what was registered, and one row per cycle as it happened.

A folder under ``.ophamin/journals``:

=====================  =====================================================================
``plan.json``          which registration it is, and the ids of its records; the ledger has the rest
``observations.jsonl`` one canonical row a line, one unbuffered write each
``proof.json``         the signed record, from when it is signed until it is stored and logged
``lock``               held while a process works on it
=====================  =====================================================================

A journal is trusted as far as the ledger knows it. Of a run that could say how it ended, the ledger has the
number of rows and their Merkle root; one that was killed leaves rows that nothing outside them vouches for, and
its record says how often it was resumed.

``selections/`` beside the journals keeps ids and payload hashes of every attempt for ever, so that a later
attempt can leave those records out; a file's name is the hash of its content, which the ledger holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ophamin.measuring.scenarios._road.locking import FileLock
from ophamin.proof.atomic import write_all, write_atomic
from ophamin.proof.canonical import canonical_bytes, digest
from ophamin.proof.merkle import leaf_hash, root_hash

__all__ = [
    "Journal",
    "encode",
    "is_left",
    "journal_folder",
    "journals_of",
    "keep_selection",
    "kept_selection",
    "parse_rows",
]

JSON = Any
# Made once: json.dumps would make one for every row.
encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False).encode


def parse_rows(raw: bytes) -> list[dict[str, JSON]]:
    """All rows of a journal at once, which costs half of one by one."""
    rows: list[dict[str, JSON]] = json.loads(b"[" + b",".join(raw.splitlines()) + b"]")
    return rows


def keep_selection(journals: Path, ids: Sequence[str], payloads: Sequence[str]) -> str:
    """Remember which records an attempt measures: their ids and payload hashes.

    Returns:
        ``sha256:…`` under which ``kept_selection`` finds them.
    """
    folder = journals / "selections"
    folder.mkdir(parents=True, exist_ok=True)
    measured = {"ids": list(ids), "payloads": list(payloads)}
    hashed = digest(measured)
    path = folder / f"{hashed.removeprefix('sha256:')}.json"
    if not path.exists():
        write_atomic(path, canonical_bytes(measured, max_nodes=None))
    return hashed


def kept_selection(journals: Path, hashed: str) -> tuple[list[str], list[str]] | None:
    """Ids and payload hashes behind a hash, or ``None`` when they are gone or no longer match it."""
    path = journals / "selections" / f"{hashed.removeprefix('sha256:')}.json"
    try:
        measured = json.loads(path.read_bytes())
        return (measured["ids"], measured["payloads"]) if digest(measured) == hashed else None
    except (OSError, ValueError):
        return None


class Journal:
    """One attempt on disk; holds the lock of its folder until closed.

    Use ``Journal.create`` for a new attempt and ``Journal.adopt`` for one whose process is gone.
    """

    def __init__(self, folder: Path, lock: FileLock, plan: Mapping[str, JSON]) -> None:
        self.folder, self._lock, self.plan = folder, lock, dict(plan)
        self._descriptor: int | None = None

    @classmethod
    def create(cls, folder: Path, plan: Mapping[str, JSON]) -> Journal:
        """Start the journal of a new attempt."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(wait=True)
        journal = cls(folder, lock, plan)
        with contextlib.suppress(FileNotFoundError):
            journal.observations.unlink()
        journal.update()
        return journal

    @classmethod
    def adopt(cls, folder: Path) -> Journal | None:
        """Take over the journal of a process that is gone; ``None`` when it lives or left nothing usable."""
        lock = FileLock(folder / "lock")
        try:
            if not lock.acquire(wait=False):
                return None
            return cls(folder, lock, json.loads((folder / "plan.json").read_bytes()))
        except FileNotFoundError:
            # Killed before it wrote down what it was to do, or after all was filed: nothing to resume.
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()
            return None
        except (OSError, ValueError):
            lock.release()
            return None

    @property
    def observations(self) -> Path:
        """The rows, as plain text while the attempt runs."""
        return self.folder / "observations.jsonl"

    def update(self, **more: JSON) -> None:
        """Add to the plan and write it."""
        self.plan.update(more)
        write_atomic(self.folder / "plan.json", canonical_bytes(self.plan, max_nodes=None))

    # --- rows

    def begin(self) -> int:
        """Open for appending after cutting a torn last row; returns the number of whole rows."""
        whole, count = 0, 0
        with contextlib.suppress(FileNotFoundError), self.observations.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n") or not _is_row(line, count):
                    break
                whole += len(line)
                count += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self.observations, flags, 0o666)
        os.ftruncate(self._descriptor, whole)
        return count

    def append(self, row: bytes) -> None:
        """Write one row, newline included, in one unbuffered write."""
        descriptor = self._descriptor
        assert descriptor is not None
        try:
            written = os.write(descriptor, row)
            if written != len(row):
                write_all(descriptor, row[written:])
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.observations)) from error

    def lines(self) -> list[bytes]:
        """All rows so far, torn ones included."""
        try:
            return self.observations.read_bytes().splitlines()
        except FileNotFoundError:
            return []

    def rows_root(self, first: int | None = None) -> tuple[int, str]:
        """Number and Merkle root of the whole rows so far, or of the ``first`` of them."""
        lines = self.observations.read_bytes().splitlines(keepends=True) if self.observations.exists() else []
        hashes = [leaf_hash(line) for line in lines[:first] if line.endswith(b"\n")]
        return len(hashes), root_hash(hashes)

    def end(self) -> bytes:
        """Stop appending; returns all rows."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        return self.observations.read_bytes()

    # --- the signed record, between signing and storing

    @property
    def artifacts(self) -> Path:
        """Where copies of the instruments' files wait for the store."""
        return self.folder / "artifacts"

    def keep_proof(self, data: bytes) -> None:
        """Keep the signed record until the store and the ledger have it."""
        write_atomic(self.folder / "proof.json", data)

    def kept_proof(self) -> bytes | None:
        """The signed record of an attempt that was decided before its process went."""
        try:
            return (self.folder / "proof.json").read_bytes()
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Let go of files and lock; the journal stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._lock.release()

    def remove(self) -> None:
        """The last act of an attempt: everything it left is in the store and the ledger."""
        # plan.json first: without it nobody can take half a journal for one to resume.
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "plan.json").unlink()
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_row(line: bytes, index: int) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and row.get("index") == index


def journals_of(journals: Path, run_key: str) -> list[Path]:
    """Folders of this run's journals, the oldest attempt first."""
    found = [p for p in journals.glob(f"{_prefix(run_key)}-*") if p.is_dir()]
    return sorted(found, key=lambda p: int(p.name.split("-")[1]))


def journal_folder(journals: Path, run_key: str, attempt: int, name: str) -> Path:
    """Folder of one attempt's journal; ``name`` keeps two of one number apart."""
    return journals / f"{_prefix(run_key)}-{attempt}-{_prefix(name)}"


def is_left(journals: Path, name: str) -> bool:
    """Whether the journal of that name still lies there, so that its run can be resumed."""
    return any(journals.glob(f"*-{_prefix(name)}/plan.json"))


def _prefix(hashed: str) -> str:
    return hashed.removeprefix("sha256:")[:12]
