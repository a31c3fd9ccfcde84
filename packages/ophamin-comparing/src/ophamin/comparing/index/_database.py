"""The SQLite file of an index: a cache that is made anew whenever it does not fit."""

from __future__ import annotations

import contextlib
import marshal
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ophamin.comparing.index._examine import Finding
from ophamin.comparing.index._walk import Folder, Group

__all__ = ["Database", "forget"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE meta (stamp TEXT);
CREATE TABLE folders (parent BLOB PRIMARY KEY, content BLOB) WITHOUT ROWID;
CREATE TABLE series (n INTEGER PRIMARY KEY, claim, scenario, substrate, corpus, statement,
                     UNIQUE (claim, scenario, substrate, corpus));
CREATE TABLE records (path BLOB PRIMARY KEY, state, reason, kind, id, signer, series, outcome, created_at, about)
    WITHOUT ROWID;
"""
_TOP = b"/"  # no path in the tree is called so


class Database:
    """What an index remembers of one tree, under one set of keys.

    Args:
        file: Where it lies; ``None`` keeps it in memory.
        stamp: What it is good for: the tree, the keys, the versions. With another one everything is read again.
    """

    def __init__(self, file: Path | None, stamp: str) -> None:
        self._db = _open(file, stamp)
        self._series: dict[tuple[str, str, str, str], int] = {
            (claim, scenario, substrate, corpus): n
            for n, claim, scenario, substrate, corpus in self._db.execute(
                "SELECT n, claim, scenario, substrate, corpus FROM series"
            )
        }

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def folders(self, parent: str | None) -> Mapping[str, Folder]:
        """What was remembered of the folders in one folder; ``None`` for the top itself."""
        found = self._db.execute("SELECT content FROM folders WHERE parent = ?", (_key(parent),)).fetchone()
        return self.loads(found[0], dict) if found else {}

    @staticmethod
    def loads(blob: bytes, kind: type) -> Any:
        """What was remembered by ``marshal``.

        Raises:
            sqlite3.DatabaseError: It was damaged meanwhile.
        """
        try:
            value = marshal.loads(blob)
        except (ValueError, EOFError, TypeError) as error:
            raise sqlite3.DatabaseError(f"damaged: {error}") from error
        if not isinstance(value, kind):
            raise sqlite3.DatabaseError(f"damaged: no {kind.__name__}")
        return value

    def write(self, groups: Iterable[Group], findings: Mapping[str, Finding]) -> None:
        """Remember groups and what was found in their files; all of it or nothing."""
        with self._transaction():
            for group in groups:
                for path in group.gone_folders:
                    self._forget_below(path)
                emptied = [(_key(path),) for path in group.emptied]
                self._db.executemany("DELETE FROM folders WHERE parent = ?", emptied)
                gone = [(os.fsencode(path),) for path in group.gone]
                self._db.executemany("DELETE FROM records WHERE path = ?", gone)
                content = marshal.dumps(group.folders)
                self._db.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", (_key(group.parent), content))
                odd = [(path, Finding(state, reason)) for path, state, reason in group.odd]
                read = [(path, findings[path]) for path in group.read]
                rows = [self._row(path, finding) for path, finding in (*odd, *read)]
                self._db.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _row(self, path: str, found: Finding) -> tuple[Any, ...]:
        series = None
        if found.key is not None:
            series = self._series.get(found.key)
            if series is None:
                # Another process may have met this series first.
                self._db.execute("INSERT OR IGNORE INTO series VALUES (NULL, ?, ?, ?, ?, ?)", (*found.key, found.claim))
                where = "claim = ? AND scenario = ? AND substrate = ? AND corpus = ?"
                series = self._db.execute(f"SELECT n FROM series WHERE {where}", found.key).fetchone()[0]
                self._series[found.key] = series
        return (
            os.fsencode(path), found.state, found.reason, found.kind, found.record_id, found.signer, series,
            found.outcome, found.created_at, found.about,
        )  # fmt: skip

    def _forget_below(self, path: str) -> None:
        start = os.fsencode(path)
        self._db.execute("DELETE FROM folders WHERE parent = ?", (start,))
        for table, column in (("folders", "parent"), ("records", "path")):
            # "0" is the character after "/".
            self._db.execute(f"DELETE FROM {table} WHERE {column} > ? AND {column} < ?", (start + b"/", start + b"0"))
        self._db.execute("DELETE FROM records WHERE path = ?", (start,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            # Series met in the transaction are gone with it.
            self._series.clear()
            raise
        self._db.execute("COMMIT")

    # --- reading

    def proofs(self) -> Iterator[tuple[Any, ...]]:
        """Every proof, by path: path, state, id, signer, outcome, time, facts and parts, and its series."""
        return self._db.execute(
            "SELECT path, state, id, signer, outcome, created_at, about, claim, scenario, substrate, corpus, statement "
            "FROM records JOIN series ON series.n = records.series ORDER BY path"
        )

    def others(self) -> Iterator[tuple[bytes, str, str, str, str]]:
        """Everything else, by path: path, state, reason, kind, id."""
        return self._db.execute("SELECT path, state, reason, kind, id FROM records WHERE series IS NULL ORDER BY path")


def _key(parent: str | None) -> bytes:
    return _TOP if parent is None else os.fsencode(parent)


def _open(file: Path | None, stamp: str) -> sqlite3.Connection:
    for source in (file, file, None):
        try:
            return _connect(source, stamp)
        except (sqlite3.Error, OSError):
            # Corrupt, of another time or not writable: made anew, and where that fails kept in memory only.
            if source is None:
                raise
            forget(source)
    raise AssertionError("the loop returns or raises")


def forget(file: Path) -> None:
    """Remove an index; it is made anew from what it is an index of."""
    for leftover in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(f"{file}{leftover}")


def _connect(file: Path | None, stamp: str) -> sqlite3.Connection:
    if file is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = sqlite3.connect(":memory:" if file is None else file, timeout=30, isolation_level=None)
    try:
        # Losing the index costs one rebuild, so it need not survive a power cut.
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in filter(None, map(str.strip, _SCHEMA.split(";"))):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES (?)", (stamp,))
            db.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION or db.execute("SELECT stamp FROM meta").fetchall() != [(stamp,)]:
            raise sqlite3.DatabaseError("an index of another time")
        db.execute("COMMIT")
        db.execute("SELECT count(*) FROM series").fetchone()
    except BaseException:
        db.close()
        raise
    return db
