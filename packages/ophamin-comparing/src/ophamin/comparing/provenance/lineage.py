"""The lineage of a store: which runs there were, and what every record rests on.

Records are the truth: what comes from them can be built anew at any time. Runs that left no record, withdrawals, marks
and notes stand here only.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ophamin.comparing.provenance._database import Database
from ophamin.comparing.provenance._lineage_types import Fallen, Known, Mark, Node, Run
from ophamin.comparing.provenance.graph import SORTS, causes_of, mentions, record_node
from ophamin.proof.errors import UnknownRecord, UsageError
from ophamin.proof.printable import text

__all__ = ["Fallen", "Known", "LineageStore", "Mark", "Node", "Run", "utc_now"]

JSON = Any
Object = Mapping[str, JSON]

# Kinds whose record is the parent of the runs it names; others only rest on them.
_COMPOSITE = frozenset({"campaign", "sweep"})
# Attributes people call a thing by.
_NAMING = ("oph:name", "oph:content_hash", "oph:digest", "oph:config_hash", "oph:revision", "oph:key_id",
           "oph:record_id")  # fmt: skip


class LineageStore:
    """Runs, and what records rest on, in one file that only grows.

    Safe under any number of processes; a crash loses at most the call it interrupts.

    Args:
        path: The SQLite file, by custom ``.ophamin/lineage.sqlite``.

    Example:
        >>> import tempfile
        >>> lineage = LineageStore(Path(tempfile.mkdtemp()) / "lineage.sqlite")
        >>> sweep = lineage.begin("sweep", "all sizes")
        >>> cell = lineage.begin("cell", "size 10", parent=sweep)
        >>> lineage.end(cell, "VALIDATED")
        >>> [run.outcome for run in lineage.children(sweep)]
        ['VALIDATED']
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(Path(path))

    @property
    def path(self) -> Path:
        """The file."""
        return self._db.path

    # --- runs

    def begin(
        self, kind: str, name: str, *, parent: str = "", run_id: str = "", started_at: str = "",
        attributes: Object | None = None,
    ) -> str:  # fmt: skip
        """Write down that a run begins; one that is known already stays as it is.

        Args:
            kind: What sort of run.
            name: What it runs.
            parent: Id of the run it belongs to.
            run_id: Its id; a random one by default.
            started_at: When, if not now.
            attributes: Plain values.

        Returns:
            Its id.

        Raises:
            UnknownRecord: There is no such parent.
        """
        kind, name, started_at = text(kind), text(name), text(started_at)
        run_id = text(run_id) or f"run-{secrets.token_hex(16)}"
        with self._db.write() as db:
            started_at = started_at or utc_now()
            if parent:
                found = db.execute("SELECT started_at FROM runs WHERE run_id = ?", (parent,)).fetchone()
                if found is None:
                    raise UnknownRecord(f"no run has the id {parent!r}; begin the parent first")
                started_at = max(started_at, found[0])  # clocks go backwards; what was begun first began first
            _add_run(db, run_id, kind, name, started_at, attributes or {})
            if parent:
                _add_link(db, parent, run_id)
        return run_id

    def end(self, run_id: str, outcome: str, *, ended_at: str = "") -> None:
        """Write down how a run ended; only the first end counts.

        Raises:
            UnknownRecord: There is no such run.
        """
        with self._db.write() as db:
            found = db.execute("SELECT started_at FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if found is None:
                raise UnknownRecord(f"no run has the id {run_id!r}; begin it first")
            _add_end(db, run_id, max(text(ended_at) or utc_now(), found[0]), text(outcome))

    def link(self, parent: str, child: str) -> None:
        """Say that a run belongs to another; either may be written down later.

        Raises:
            UsageError: The parent would be its own descendant.
        """
        with self._db.write() as db:
            _add_link(db, parent, child)

    def runs(self, kind: str | None = None) -> list[Run]:
        """All runs, oldest first."""
        return self._runs("WHERE ? IS NULL OR kind = ?", (kind, kind))

    def run(self, run_id: str) -> Run:
        """One run.

        Raises:
            UnknownRecord: There is none of that id.
        """
        found = self._runs("WHERE runs.run_id = ?", (run_id,))
        if not found:
            raise UnknownRecord(f"no run has the id {run_id!r}; ophamin lineage list shows what there is")
        return found[0]

    def children(self, run_id: str) -> list[Run]:
        """Runs that belong to a run, oldest first."""
        return self._runs("WHERE runs.run_id IN (SELECT child_id FROM links WHERE parent_id = ?)", (run_id,))

    def links(self) -> list[tuple[str, str]]:
        """Every parent with each child."""
        return [(str(a), str(b)) for a, b in self._db.read("SELECT parent_id, child_id FROM links ORDER BY 1, 2")]

    def _runs(self, where: str, values: Sequence[JSON]) -> list[Run]:
        rows = self._db.read(
            "SELECT runs.run_id, kind, name, started_at, IFNULL(ended_at, ''), IFNULL(outcome, ''), "
            "(SELECT json_group_array(parent_id) FROM links WHERE child_id = runs.run_id), attributes "
            f"FROM runs LEFT JOIN ends USING (run_id) {where} ORDER BY started_at, runs.run_id",
            values,
        )
        return [
            Run(run_id, kind, name, started, ended, outcome, tuple(sorted(json.loads(parents))), json.loads(attributes))
            for run_id, kind, name, started, ended, outcome, parents, attributes in rows
        ]

    # --- records

    def add(self, record: Object, kind: str, id_field: str, graph: Object, *, verified: bool) -> bool:
        """Take in a record and everything its graph says it rests on.

        Args:
            record: As read; verify it first.
            kind: Name of its kind.
            id_field: The field of its id.
            graph: From ``provenance_of``.
            verified: Whether a known signer stands behind it.

        Returns:
            Whether it was new.

        Raises:
            RecordError: Its graph is no PROV-JSON.
        """
        known = _known(record, kind, id_field, verified)
        node = record_node(known.record_id)
        distances = causes_of(graph, node)
        nodes = [found for found in _nodes(graph) if found.node_id in distances]
        started = _started(record) or known.created_at
        with self._db.write() as db:
            if db.execute("SELECT 1 FROM records WHERE record_id = ?", (known.record_id,)).fetchone():
                return False
            row = (known.record_id, kind, known.scenario, known.statement, known.outcome, known.created_at, verified)
            db.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            for found in nodes:
                cells = (found.node_id, found.sort, found.kind, found.label, json.dumps(found.attributes))
                db.execute("INSERT OR IGNORE INTO nodes VALUES (?, ?, ?, ?, ?)", cells)
                db.executemany(
                    "INSERT OR IGNORE INTO names VALUES (?, ?)", [(name, found.node_id) for name in _names(found)]
                )
            db.executemany(
                "INSERT INTO rests VALUES (?, ?, ?)", [(n, known.record_id, d) for n, d in distances.items()]
            )
            _add_run(db, known.record_id, kind, known.scenario or kind, started, {})
            _add_end(db, known.record_id, max(started, known.created_at), known.outcome)
            if kind in _COMPOSITE:
                for child in mentions(record, id_field):
                    _add_link(db, known.record_id, child)
        return True

    def record_ids(self) -> frozenset[str]:
        """Ids of all records whose lineage is known."""
        return frozenset(row[0] for row in self._db.read("SELECT record_id FROM records"))

    def records(self, record_ids: Iterable[str] | None = None) -> list[Known]:
        """Records, oldest first; all of them by default."""
        wanted = None if record_ids is None else json.dumps(sorted(record_ids))
        rows = self._db.read(
            "SELECT * FROM records WHERE ?1 IS NULL OR record_id IN (SELECT value FROM json_each(?1)) "
            "ORDER BY created_at, record_id",
            (wanted,),
        )
        return [
            Known(record_id, kind, scenario, statement, outcome, created, bool(verified))
            for record_id, kind, scenario, statement, outcome, created, verified in rows
        ]

    def rests_on(self, record_id: str) -> list[tuple[Node, int]]:
        """Everything a record rests on, nearest first, with the distance."""
        rows = self._db.read(
            "SELECT node_id, sort, kind, label, attributes, distance FROM rests JOIN nodes USING (node_id) "
            "WHERE record_id = ? ORDER BY distance, node_id",
            (record_id,),
        )
        return [(_node(*row[:-1]), row[-1]) for row in rows]

    # --- impact

    def find(self, word: str) -> list[Node]:
        """Things called so: by id (with or without ``oph:``), name, digest, revision, or ``NAME VERSION``."""
        rows = self._db.read(
            "SELECT node_id, sort, kind, label, attributes FROM nodes WHERE node_id IN (?1, 'oph:' || ?1) "
            "OR node_id IN (SELECT node_id FROM names WHERE name = ?1) ORDER BY node_id",
            (word,),
        )
        return [_node(*row) for row in rows]

    def impact(self, node_ids: Iterable[str]) -> list[Fallen]:
        """Records that rest on any of some things, directly or through other records.

        Returns:
            Each record once, with the nearest of the things; nearest first.
        """
        rows = self._db.read(
            "WITH RECURSIVE falls(record_id, node_id, distance) AS ("
            "  SELECT record_id, node_id, distance FROM rests WHERE node_id IN (SELECT value FROM json_each(?))"
            "  UNION"
            "  SELECT rests.record_id, falls.node_id, falls.distance + rests.distance"
            "  FROM falls JOIN rests ON rests.node_id = 'oph:record-' || falls.record_id"
            # a forged circle of records must end
            "  WHERE falls.distance < 1000"
            ") SELECT record_id, node_id, MIN(distance) FROM falls GROUP BY record_id ORDER BY 3, 1",
            (json.dumps(sorted(node_ids)),),
        )
        known = {found.record_id: found for found in self.records(row[0] for row in rows)}
        return [Fallen(known[row[0]], row[1], row[2]) for row in rows]

    def withdraw(self, node_ids: Iterable[str], reason: str) -> None:
        """Say that things are not to be relied on; every record that rests on one is stale from now on."""
        if not reason.strip():
            raise UsageError("a withdrawal says why; give --reason")
        with self._db.write() as db:
            cells = [(text(node_id), text(reason), utc_now()) for node_id in node_ids]
            db.executemany("INSERT OR IGNORE INTO withdrawals VALUES (?, ?, ?)", cells)

    def withdrawals(self) -> list[tuple[str, str, str]]:
        """Id of the thing, reason, and when; oldest first."""
        return [(a, b, c) for a, b, c in self._db.read("SELECT node_id, reason, at FROM withdrawals ORDER BY at, 1")]

    # --- staleness

    def mark(self, record_id: str, cause: str, state: str, detail: str) -> None:
        """Write down what was seen of a cause; what was seen before stays."""
        detail = text(detail)
        with self._db.write() as db:
            last = db.execute(
                "SELECT state, detail FROM marks WHERE record_id = ? AND cause = ? ORDER BY seq DESC LIMIT 1",
                (record_id, cause),
            ).fetchone()
            if last != (state, detail):
                db.execute(
                    "INSERT INTO marks (record_id, cause, state, detail, seen_at) VALUES (?, ?, ?, ?, ?)",
                    (record_id, cause, state, detail, utc_now()),
                )

    def marks(self) -> dict[str, list[Mark]]:
        """The last mark of every cause, by record; withdrawals included."""
        found: dict[str, list[Mark]] = {}
        rows = self._db.read(
            "SELECT record_id, cause, state, detail, seen_at FROM marks WHERE seq IN "
            "(SELECT MAX(seq) FROM marks GROUP BY record_id, cause) ORDER BY record_id, cause"
        )
        for record_id, *cells in rows:
            found.setdefault(record_id, []).append(Mark(*cells))
        for node_id, reason, at in self.withdrawals():
            for fallen in self.impact([node_id]):
                detail = f"{node_id} was withdrawn: {reason}"
                found.setdefault(fallen.known.record_id, []).append(Mark("withdrawn", "left", detail, at))
        return found

    def keep_inputs(self, record_id: str, dataset: str, summary: Object) -> None:
        """Keep the summary of a record's inputs; the first one stays."""
        with self._db.write() as db:
            cells = (record_id, dataset, json.dumps(summary), utc_now())
            db.execute("INSERT OR IGNORE INTO inputs VALUES (?, ?, ?, ?)", cells)

    def inputs(self, record_id: str) -> dict[str, Object]:
        """Summaries by name of the dataset."""
        rows = self._db.read("SELECT dataset, summary FROM inputs WHERE record_id = ?", (record_id,))
        return {dataset: json.loads(summary) for dataset, summary in rows}

    # --- merging

    def append_update(self, data: bytes) -> None:
        """Keep one CRDT update of the notes."""
        with self._db.write() as db:
            db.execute("INSERT INTO updates (data) VALUES (?)", (data,))

    def updates(self) -> list[bytes]:
        """All CRDT updates, in the order they came."""
        return [bytes(row[0]) for row in self._db.read("SELECT data FROM updates ORDER BY seq")]


def utc_now() -> str:
    """ISO-8601, UTC, to the microsecond."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def _add_run(db: sqlite3.Connection, run_id: str, kind: str, name: str, started_at: str, attributes: Object) -> None:
    cells = (run_id, kind, name, started_at, json.dumps(dict(attributes), allow_nan=False))
    db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?)", cells)


def _add_end(db: sqlite3.Connection, run_id: str, ended_at: str, outcome: str) -> None:
    db.execute("INSERT OR IGNORE INTO ends VALUES (?, ?, ?)", (run_id, ended_at, outcome))


def _add_link(db: sqlite3.Connection, parent: str, child: str) -> None:
    above = db.execute(
        "WITH RECURSIVE above(id) AS (VALUES (?) UNION SELECT parent_id FROM links JOIN above ON child_id = id) "
        "SELECT 1 FROM above WHERE id = ?",
        (parent, child),
    ).fetchone()
    if above:
        raise UsageError(f"run {child!r} cannot belong to {parent!r}, which belongs to it")
    db.execute("INSERT OR IGNORE INTO links VALUES (?, ?)", (parent, child))


def _node(node_id: str, sort: str, kind: str, label: str, attributes: str) -> Node:
    return Node(node_id, sort, kind, label, json.loads(attributes))


def _known(record: Object, kind: str, id_field: str, verified: bool) -> Known:
    claim, verdict, identity = (_object(record.get(name)) for name in ("claim", "verdict", "identity"))
    how = _object(record.get("reproduction"))
    scenario = _object(how.get("run_spec")).get("scenario")
    times = (
        identity.get("created_at"),
        identity.get("captured_at"),
        record.get("created_at"),
        record.get("generated_at"),
    )
    created = next((time for time in times if time), "")
    words = [_string(x) for x in (scenario, claim.get("statement"), verdict.get("outcome"), created)]
    return Known(str(record[id_field]), kind, words[0], words[1], words[2], words[3], verified)


def _started(record: Object) -> str:
    return _string(_object(record.get("preregistration")).get("preregistered_at"))


def _string(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _object(value: JSON) -> Object:
    return value if isinstance(value, Mapping) else {}


def _nodes(graph: Object) -> Iterable[Node]:
    for sort in SORTS:
        for node_id, stated in graph[sort].items():
            attributes = _object(stated)
            kind = node_id.removeprefix("oph:").partition("-")[0]
            said = (attributes.get(name) for name in ("prov:label", "oph:name", "oph:content_hash", "oph:digest"))
            label = next((text for text in said if isinstance(text, str) and text), "")
            yield Node(node_id, sort, kind, label, attributes)


def _names(node: Node) -> set[str]:
    values = {node.label, *(node.attributes.get(name) for name in _NAMING)}
    version = node.attributes.get("oph:version")
    if isinstance(version, str):
        values.add(f"{node.label} {version}")
    return {value for value in values if isinstance(value, str) and value}
