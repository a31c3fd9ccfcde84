"""The file of a lineage: an SQLite database in which nothing is ever changed or removed.

Every table only grows, and the database itself refuses the rest. Writers from any number of processes take turns
(``BEGIN IMMEDIATE``), and each waits for the others. The file must lie on a local disk: SQLite's locks do not hold on
most network file systems.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ophamin.proof.errors import RecordError, SubstrateFailure, UnsupportedVersion
from ophamin.proof.printable import text

__all__ = ["Database"]

_VERSION = 1
_WAIT_S = 60.0
_TABLES = {
    "runs": "run_id PRIMARY KEY, kind, name, started_at, attributes",
    "ends": "run_id PRIMARY KEY, ended_at, outcome",
    "links": "parent_id, child_id, PRIMARY KEY (parent_id, child_id)",
    "records": "record_id PRIMARY KEY, kind, scenario, statement, outcome, created_at, verified",
    "nodes": "node_id PRIMARY KEY, sort, kind, label, attributes",
    "names": "name, node_id, PRIMARY KEY (name, node_id)",
    "rests": "node_id, record_id, distance, PRIMARY KEY (node_id, record_id)",
    "withdrawals": "node_id, reason, at, PRIMARY KEY (node_id, reason)",
    "inputs": "record_id, dataset, summary, at, PRIMARY KEY (record_id, dataset)",
    # seq keeps the order of what was seen
    "marks": "seq INTEGER PRIMARY KEY, record_id, cause, state, detail, seen_at",
    "updates": "seq INTEGER PRIMARY KEY, data BLOB",
}


class Database:
    """A connection for each piece of work, so that it may be used from any thread or process.

    Args:
        path: The file; made by the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; none where there is no file yet.

        Raises:
            RecordError: The file is damaged or another thing.
            UnsupportedVersion: A newer Ophamin wrote it.
            SubstrateFailure: Other processes keep it locked.
        """
        if not self.path.is_file():
            return []
        # A word of the command line need not be UTF-8, and SQLite takes nothing else.
        known = [text(value) if isinstance(value, str) else value for value in values]
        with self._said(), contextlib.closing(self._connect()) as db:
            return list(db.execute(query, known))

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it happens, or nothing.

        Raises:
            RecordError: The file is damaged or another thing.
            UnsupportedVersion: A newer Ophamin wrote it.
            SubstrateFailure: Other processes keep it locked.
            OSError: Its folder cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._said(), contextlib.closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None)
        try:
            [(version,)] = db.execute("PRAGMA user_version")
            if version == 0:
                self._create(db)
            elif version > _VERSION:
                raise UnsupportedVersion(
                    f"{self.path} is a lineage of version {version}, this Ophamin reads {_VERSION}; upgrade"
                )
        except BaseException:
            db.close()
            raise
        return db

    @staticmethod
    def _create(db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        [(version,)] = db.execute("PRAGMA user_version")  # another process may have been first
        if version == 0:
            for table, columns in _TABLES.items():
                keyed = "" if columns.startswith("seq ") else " WITHOUT ROWID"
                db.execute(f"CREATE TABLE {table} ({columns}){keyed}")
                for change in ("UPDATE", "DELETE"):
                    db.execute(
                        f"CREATE TRIGGER {table}_{change.lower()} BEFORE {change} ON {table} "
                        "BEGIN SELECT RAISE(ABORT, 'a lineage only grows'); END"
                    )
            db.execute("CREATE INDEX rests_of ON rests (record_id)")
            db.execute("CREATE INDEX links_of ON links (child_id)")
            db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("COMMIT")

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise SubstrateFailure(f"{self.path} cannot be used ({error}); is it writable, and free?") from error
        except sqlite3.DatabaseError as error:
            raise RecordError(
                f"{self.path} is no sound lineage ({error}); move it away: the next command builds it anew from the "
                "stored records, without the runs, notes and marks that stood only there"
            ) from error
