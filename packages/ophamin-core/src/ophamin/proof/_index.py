"""The SQLite index of a store: only a cache, rebuilt from the records whenever it does not fit.

Freshness comes from the file system: a folder's time of change tells which folders to look into again,
a file's size and time which records to read again. What is being changed right now (within the
clock's grain) is not remembered as settled, so it is looked at again.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ophamin.proof._summary import SUMMARY_FIELDS, summarise
from ophamin.proof.errors import OphaminError, UsageError
from ophamin.proof.reading import read_object

if TYPE_CHECKING:
    import sqlite3

__all__ = ["RECORD", "TEMPORARY", "Index", "Row", "is_record_id"]

T = TypeVar("T")
RECORD = "record.json"
TEMPORARY = ".tmp-"
is_record_id = re.compile(r"[0-9a-f]{64}").fullmatch

_VERSION = 2
_SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system in use, FAT's
_COLUMNS = ("id", "kind", *SUMMARY_FIELDS, "size", "mtime_ns", "problem")
_SCHEMA = f"""
CREATE TABLE meta (root);
CREATE TABLE shards (shard PRIMARY KEY, mtime_ns) WITHOUT ROWID;
CREATE TABLE records (shard, name, {", ".join(_COLUMNS)}, PRIMARY KEY (shard, name)) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""


class Row(NamedTuple):
    """One stored record, as lists show it; read the record itself before trusting any of it.

    Args:
        id: Its id, by the name of its folder.
        kind: Its kind, by the name of the folder above.
        schema_version: As written in it.
        created_at: When it was made.
        scenario: Scenario of a proof.
        metric: Metric of its threshold.
        threshold: Comparator and θ, e.g. ``>= 0.9``.
        outcome: Its verdict.
        observed_value: The value the verdict is about.
        substrate: What was measured.
        revision: Revision of that.
        size: Bytes of the record's file.
        mtime_ns: When the file was last changed.
        problem: Why it cannot be read, "" when it can; then the fields above are ``None``.
        location: Path of its ``record.json``, as text.
    """

    id: str
    kind: str
    schema_version: str | int | None
    created_at: str | None
    scenario: str | None
    metric: str | None
    threshold: str | None
    outcome: str | None
    observed_value: str | int | float | None
    substrate: str | None
    revision: str | None
    size: int
    mtime_ns: int
    problem: str
    location: str

    @property
    def path(self) -> Path:
        """Its ``record.json``."""
        return Path(self.location)


class Index:
    """The index of one store.

    Args:
        root: Folder of the records.
        file: Where the index lies; may be missing, corrupt or of another version.
    """

    def __init__(self, root: Path, file: Path) -> None:
        self.root, self.file = root, file

    def refresh(self) -> None:
        """Look at every record's file and read those that changed."""
        if self.root.is_dir():
            self._use(lambda db: self._update(db, thorough=True))

    def rows(self, kind: str | None, filters: Mapping[str, Any]) -> list[Row]:
        """Records added or deleted since the last look included, oldest first."""
        unknown = sorted(set(filters) - set(_COLUMNS))
        if unknown:
            raise UsageError(f"records cannot be filtered by {', '.join(unknown)}; fields: {', '.join(_COLUMNS)}")
        if not self.root.is_dir():  # looking makes nothing, not even an index
            return []
        wanted = dict(filters) if kind is None else {**filters, "kind": kind}
        where = " AND ".join(f"{name} IS ?" for name in wanted) or "1"
        query = (
            f"SELECT {', '.join(_COLUMNS)}, ? || shard || '/' || name || '/{RECORD}' FROM records "
            f"WHERE {where} ORDER BY created_at, id"
        )

        def select(db: sqlite3.Connection) -> list[Row]:
            self._update(db, thorough=False)
            found = db.execute(query, (f"{self.root.as_posix()}/", *wanted.values()))
            return list(map(Row._make, found))

        return self._use(select)

    # --- the database

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        import sqlite3  # on use: WebAssembly ships it apart

        for source in (self.file, self.file, None):
            try:
                with contextlib.closing(self._connect(source)) as db:
                    return work(db)
            except (sqlite3.Error, OSError):
                # Corrupt, foreign or not writable: made anew, and where that fails kept in memory only.
                if source is None:
                    raise
                for leftover in ("", "-journal", "-wal", "-shm"):
                    with contextlib.suppress(OSError):
                        os.unlink(f"{source}{leftover}")
        raise AssertionError("the loop returns or raises")

    def _connect(self, file: Path | None) -> sqlite3.Connection:
        import sqlite3

        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(":memory:" if file is None else file, timeout=30, isolation_level=None)
        try:
            # Losing the index costs one rebuild, so it need not survive a power cut.
            db.execute("PRAGMA synchronous = OFF")
            db.execute("BEGIN IMMEDIATE")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES (?)", (str(self.root),))
            elif version != _VERSION or db.execute("SELECT root FROM meta").fetchall() != [(str(self.root),)]:
                raise sqlite3.DatabaseError("an index of another version or store")
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db

    # --- the folders

    def _update(self, db: sqlite3.Connection, *, thorough: bool) -> None:
        known: dict[str, int] = dict(db.execute("SELECT shard, mtime_ns FROM shards"))
        now = time.time_ns()
        there: set[str] = set()
        changed: list[tuple[str, int]] = []
        for shard, mtime_ns in self._shards():
            there.add(shard)
            if thorough or known.get(shard) != mtime_ns:
                changed.append((shard, mtime_ns))
        gone = known.keys() - there
        if not changed and not gone:
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            for shard in gone:
                db.execute("DELETE FROM records WHERE shard = ?", (shard,))
                db.execute("DELETE FROM shards WHERE shard = ?", (shard,))
            for shard, mtime_ns in changed:
                settled = self._scan(db, shard) and mtime_ns < now - _SETTLED_NS
                db.execute("INSERT OR REPLACE INTO shards VALUES (?, ?)", (shard, mtime_ns if settled else -1))
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise

    def _shards(self) -> Iterator[tuple[str, int]]:
        for kind in _folders(self.root):
            for shard in _folders(kind.path):
                with contextlib.suppress(FileNotFoundError):
                    yield f"{kind.name}/{shard.name}", shard.stat(follow_symlinks=False).st_mtime_ns

    def _scan(self, db: sqlite3.Connection, shard: str) -> bool:
        """Bring one shard up to date; whether all of it could be read."""
        query = "SELECT name, size, mtime_ns, problem FROM records WHERE shard = ?"
        known = {name: (size, mtime, problem) for name, size, mtime, problem in db.execute(query, (shard,))}
        folder, fine = self.root / shard, True
        for name in [entry.name for entry in _folders(folder, links=True)]:
            path = folder / name / RECORD
            size, mtime_ns, problem = _look(path)
            before = known.pop(name, None)
            if before == (size, mtime_ns, "") and not problem:
                continue
            cells = dict.fromkeys(SUMMARY_FIELDS)
            if not problem:
                cells, problem = _read(path, name, shard)
            fine = fine and not problem
            row = {"id": name, "kind": shard.partition("/")[0], **cells}
            row |= {"size": size, "mtime_ns": mtime_ns, "problem": problem}
            marks = ", ".join("?" * (2 + len(_COLUMNS)))
            values = (shard, name, *(row[column] for column in _COLUMNS))
            db.execute(f"INSERT OR REPLACE INTO records VALUES ({marks})", values)
        db.executemany("DELETE FROM records WHERE shard = ? AND name = ?", [(shard, name) for name in known])
        return fine


def _folders(path: str | os.PathLike[str], *, links: bool = False) -> list[os.DirEntry[str]]:
    """Folders in a folder, hidden ones left out; a link is none (unless asked for, to be named as a problem)."""
    try:
        with os.scandir(path) as entries:
            return [
                e
                for e in entries
                if not e.name.startswith(".") and (e.is_dir(follow_symlinks=False) or (links and e.is_symlink()))
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _look(path: Path) -> tuple[int, int, str]:
    """Size, time of change, and what speaks against reading it."""
    try:
        status = os.lstat(path)
        linked = stat.S_ISLNK(status.st_mode) or stat.S_ISLNK(os.lstat(path.parent).st_mode)
    except OSError:
        return 0, 0, f"there is no {RECORD}"
    if linked:
        return 0, 0, "it is a link, and links are not followed"
    return status.st_size, status.st_mtime_ns, ""


def _read(path: Path, name: str, shard: str) -> tuple[dict[str, Any], str]:
    cells: dict[str, Any] = dict.fromkeys(SUMMARY_FIELDS)
    if not is_record_id(name) or shard.partition("/")[2] != name[:2]:
        return cells, "its folder is not named after a record's id"
    try:
        record = read_object(path)
    except (OphaminError, OSError) as error:
        return cells, str(error)
    if name not in record.values():
        return cells, "its id is not the name of its folder"
    return dict(zip(SUMMARY_FIELDS, summarise(record), strict=True)), ""
