"""What an interrupted self-test has done already: one line per piece, so that the same command goes on from there.

The first line says what was tried: mode, seed, versions and a digest of the sources. A journal that says anything else
is of another installation, and is begun anew; so nothing counted by other code gets into a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from ophamin.measuring.scenarios._road.locking import FileLock
from ophamin.measuring.selftest._check import Tally
from ophamin.measuring.selftest._pieces import Counted, Piece
from ophamin.proof.errors import UsageError

__all__ = ["Journal", "remove", "source_digest"]

JSON = Any


def source_digest() -> str:
    """Digest over every source file of this wheel: an edited one makes another installation of it."""
    room = Path(__file__).resolve().parents[1]
    total = sha256()
    for path in sorted(room.rglob("*.py")):
        total.update(f"{path.relative_to(room).as_posix()}\0".encode())
        total.update(sha256(path.read_bytes()).digest())
    return f"sha256:{total.hexdigest()}"


class Journal:
    """The pieces done so far, in a file that outlives the process.

    Args:
        path: The file; made, with its folder, when entered. Beside it lies a lock, held until left.
        about: What is tried; a journal about anything else is begun anew.

    Raises:
        UsageError: When entered, while another process works on it.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "selftest.jsonl"
        >>> with Journal(path, {"seed": 1}) as journal:
        ...     journal.append(Piece("mean: normal", -1, 0, 100), Counted(Tally(5, 4, 100), 0.25))
        >>> with Journal(path, {"seed": 1}) as journal:
        ...     [counted.tally.below for counted in journal.done.values()]
        [5]
        >>> with Journal(path, {"seed": 2}) as journal:
        ...     len(journal.done)
        0
    """

    def __init__(self, path: Path, about: Mapping[str, JSON]) -> None:
        self._path, self._about = Path(path), dict(about)
        self._lock: FileLock | None = None
        self._file: BinaryIO | None = None
        self.done: dict[Piece, Counted] = {}

    def __enter__(self) -> Journal:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._path.with_suffix(".lock"))
        if not lock.acquire(wait=False):
            raise UsageError("a self-test of this mode and seed runs here already; wait for it, or give another --seed")
        self._lock = lock
        try:
            self.done, whole = self._read()
            self._file = self._path.open("r+b" if whole else "wb", buffering=0)
            self._file.truncate(whole)
            self._file.seek(whole)
            if not whole:
                self._file.write(_line(self._about))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def append(self, piece: Piece, counted: Counted) -> None:
        """Keep one piece, by one unbuffered write."""
        assert self._file is not None
        tally = counted.tally
        row = [piece.label, piece.law, piece.number, piece.runs, tally.below, tally.above, tally.n, tally.unanswered,
               tally.why, counted.cpu_s]  # fmt: skip
        self._file.write(_line(row))

    def _read(self) -> tuple[dict[Piece, Counted], int]:
        """Whole lines about the same, and how many bytes they are; a torn or strange line ends them."""
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return {}, 0
        if not lines or lines[0] != _line(self._about):
            return {}, 0
        rows = dict(_rows(lines[1:]))
        return rows, sum(map(len, lines[: len(rows) + 1]))

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def remove(path: Path) -> None:
    """Remove a journal and its lock: the record is stored."""
    for left in (path, path.with_suffix(".lock")):
        left.unlink(missing_ok=True)


def _line(value: JSON) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _rows(lines: Iterable[bytes]) -> Iterable[tuple[Piece, Counted]]:
    for line in lines:
        try:
            label, law, number, runs, below, above, n, unanswered, why, cpu_s = json.loads(line)
        except (ValueError, TypeError):
            return
        if not line.endswith(b"\n"):
            return
        yield Piece(label, law, number, runs), Counted(Tally(below, above, n, unanswered, why), cpu_s)
