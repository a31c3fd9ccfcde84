"""The index of a store of proofs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from ophamin import registry
from ophamin.comparing.drift.mover import Bounds
from ophamin.comparing.drift.proofs import Part, Proof, SeriesKey, proof_of
from ophamin.comparing.index._database import Database, forget
from ophamin.comparing.index._examine import Examiner, Finding
from ophamin.comparing.index._types import Entry, Problem, Refreshed, Series
from ophamin.comparing.index._walk import Group, walk
from ophamin.proof.errors import IntegrityError, UnknownRecord
from ophamin.proof.interrupts import interrupts_held
from ophamin.proof.keys import Keyring, hmac_key_id
from ophamin.proof.signed import verify

__all__ = ["ProofIndex"]

JSON = Any
T = TypeVar("T")
Ticker = Callable[[int], None]

_BATCH = 4096
_CHUNK = 128
PAYS = 2000
"""Fewer changed files than this are read sooner than another process starts."""


class ProofIndex:
    """Proofs of a tree of files, verified, and found again without reading what did not change.

    The tree may be a store or any nesting of folders with records from several machines; a folder with a
    ``record.json`` is one record, and what else lies in it belongs to that. Each proof is verified as
    core does it: id, signature, attestations, schema, consistency, and that its path in the ledger leads to the
    stated root. What lies outside it, its observations and the ledger itself, ``ophamin record verify`` looks at.
    Links are not followed, and nothing is written into the tree.

    A file is read again when its size, its times or its inode changed; everything is, when keys or versions did.

    Args:
        root: Folder of the records.
        keyring: Keys to verify with; default: this installation's.
        file: Where to keep the index; default: in the user's own folder, beside the keys it trusts. Where that
            cannot be written, it is kept in memory.
        workers: Processes that read; more than one pays from a few thousand changed files on, and takes the
            installation's keyring and a main module that can be imported.

    Raises:
        UnknownRecord: There is no such folder.

    Example:
        >>> import tempfile
        >>> with ProofIndex(Path(tempfile.mkdtemp()), file=Path(tempfile.mkdtemp()) / "index.sqlite") as index:
        ...     index.refresh(), index.series()
        (Refreshed(read=0, gone=0), [])
    """

    def __init__(
        self, root: Path | str, *, keyring: Keyring | None = None, file: Path | None = None, workers: int = 1
    ) -> None:
        self.root = Path(root).absolute()
        if not self.root.is_dir():
            raise UnknownRecord(f"there is no folder {self.root}")
        self._keyring = Keyring() if keyring is None else keyring
        self._workers = workers if keyring is None else 1
        self._file = _file_of(self._keyring, self.root) if file is None else Path(file)
        self._db = Database(self._file, _stamp(self.root, self._keyring))
        self._known: tuple[dict[str, Entry], list[Problem]] | None = None

    def __enter__(self) -> ProofIndex:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index's file."""
        self._db.close()

    # --- looking

    def refresh(self, progress: Ticker | None = None) -> Refreshed:
        """Find what changed since the last look, read and verify that, and forget what is gone.

        Interrupted, it keeps what it finished.

        Args:
            progress: Told how many files have been read, now and then.

        Returns:
            How many files were read, and how many are gone.
        """
        return self._healed(lambda: self._refresh(progress))

    def _refresh(self, progress: Ticker | None = None) -> Refreshed:
        read = gone = 0
        self._known = None
        with _Readers(self._keyring, self._workers) as readers:
            for groups in _batches(walk(str(self.root), self._db.folders)):
                paths = [path for group in groups for path in group.read]
                found = readers.examine(str(self.root), paths)
                self._db.write(groups, dict(zip(paths, found, strict=True)))
                read += len(paths)
                gone += sum(len(group.gone) + len(group.gone_folders) for group in groups)
                if progress is not None and paths:
                    progress(read)
        return Refreshed(read, gone)

    # --- answering, as of the last refresh

    def _healed(self, look: Callable[[], T], *, empty: bool = True) -> T:
        """What a look brings; an index whose file was damaged meanwhile is made anew first.

        Args:
            look: The look.
            empty: Whether an index that knows nothing yet will do.
        """
        try:
            return look()
        except sqlite3.OperationalError:  # locked, or no room: making it anew would not help
            raise
        except sqlite3.DatabaseError:
            self._db.close()
            forget(self._file)
            self._db = Database(self._file, _stamp(self.root, self._keyring))
            if not empty:
                self._refresh()
            return look()

    def entries(self) -> list[Entry]:
        """Every proof once, oldest first; of several copies the one with a known signer, then the first by path."""
        return sorted(self._copies()[0].values(), key=lambda entry: (entry.created_at, entry.proof_id))

    def series(self) -> list[Series]:
        """The proofs by series, each oldest first, in the order of their first."""
        found: dict[SeriesKey, list[Entry]] = {}
        for entry in self.entries():
            found.setdefault(entry.key, []).append(entry)
        return [Series(key, entries) for key, entries in found.items()]

    def having(self, metric: str) -> list[Entry]:
        """The proofs with a threshold on a metric, oldest first; where there is none, the first of each series.

        The latter tell which metrics there are.
        """
        found = [entry for entry in self.entries() if any(part.metric == metric for part in entry.parts)]
        return found or [one.entries[0] for one in self.series()]

    def problems(self) -> list[Problem]:
        """Every file that is no proof to be trusted, by path; records of other kinds are none."""
        copies = self._copies()[1]
        found = [
            Problem(self._path(path), state, reason) for path, state, reason, _, _ in self._others() if state != "other"
        ]
        found += copies
        return sorted(found, key=lambda problem: problem.path)

    def others(self) -> dict[str, int]:
        """How many sound records of other kinds lie here, by kind."""
        found: dict[str, int] = {}
        for _, state, _, kind, _ in self._others():
            if state == "other":
                found[kind] = found.get(kind, 0) + 1
        return found

    def load(self, entry: Entry) -> Proof:
        """Read a proof of the index again, whole, and verify it and its observations anew.

        Raises:
            UnknownRecord: The file is gone.
            IntegrityError: It is another record now, or one that does not verify.
        """
        record = registry.read_record(entry.path)
        found = verify(record, self._keyring)
        if record.id != entry.proof_id or found.exit_code == 3:
            bad = "; ".join(f"{check.name}: {check.detail}" for check in found.checks if check.state == "bad")
            raise IntegrityError(f"{entry.path} is not the proof that was indexed; {bad or 'its id is another'}")
        return proof_of(record.object, entry.path, verified=found.ok)

    def _path(self, path: bytes) -> Path:
        return self.root / os.fsdecode(path)

    def _others(self) -> list[tuple[bytes, str, str, str, str]]:
        return self._healed(lambda: list(self._db.others()), empty=False)

    def _copies(self) -> tuple[dict[str, Entry], list[Problem]]:
        """Proofs by id, and their other copies: read once after each refresh, however often they are asked for."""
        if self._known is None:
            self._known = self._healed(self._read_copies, empty=False)
        return self._known

    def _read_copies(self) -> tuple[dict[str, Entry], list[Problem]]:
        kept: dict[str, Entry] = {}
        copies: list[Problem] = []
        keys: dict[tuple[str, ...], SeriesKey] = {}
        for path, state, proof_id, signer, outcome, created_at, about, *rest in self._db.proofs():
            *key, claim = rest
            shared = keys.setdefault(tuple(key), SeriesKey(*key))
            facts, parts = self._db.loads(about, tuple)
            entry = Entry(
                self._path(path), proof_id, shared, claim, outcome, created_at, facts, tuple(map(_part, parts)),
                state == "proof", signer,
            )  # fmt: skip
            before = kept.get(proof_id)
            if before is None or (entry.verified and not before.verified):
                kept[proof_id] = entry
            if before is not None:
                first, second = (entry, before) if kept[proof_id] is entry else (before, entry)
                reason = f"the same proof as {first.path}; it counts once"
                copies.append(Problem(second.path, "duplicate", reason))
        return kept, copies


def _part(item: Sequence[JSON]) -> Part:
    metric, comparator, theta, outcome, bounds, exact, smallest, estimator, support = item
    found = None if bounds is None else Bounds(*bounds)
    return Part(metric, comparator, theta, outcome, found, exact, smallest, estimator, support)


def _batches(groups: Iterator[Group]) -> Iterator[list[Group]]:
    """Changed groups, a few thousand files at a time."""
    batch: list[Group] = []
    size = 0
    for group in groups:
        if group.changed:
            batch.append(group)
            size += len(group.read)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _file_of(keyring: Keyring, root: Path) -> Path:
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:32]
    return keyring.home / "cache" / "proofs" / f"{name}.sqlite"


def _stamp(root: Path, keyring: Keyring) -> str:
    """What the findings depend on beside the files: the tree, the keys, the code, and which kinds it knows."""
    kinds = [f"{name} from {registry.records.origin(name)}" for name in registry.records.names()]
    facts: list[JSON] = [
        os.fsencode(root).hex(), sorted(map(hmac_key_id, keyring.hmac_keys())), sorted(keyring.public_keys()),
        sorted(keyring.trusted().items()), version("ophamin-core"), version("ophamin-comparing"), kinds,
        sys.version_info[:2],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


# --- reading in this process, or in several


class _Readers:
    """Examines files here, or in a pool that is started once it pays."""

    def __init__(self, keyring: Keyring, workers: int) -> None:
        self._keyring, self._workers = keyring, workers
        self._examiner: Examiner | None = None
        self._stack = contextlib.ExitStack()
        self._pool: Executor | None = None

    def __enter__(self) -> _Readers:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def examine(self, root: str, paths: Sequence[str]) -> list[Finding]:
        """What was found in each file, in order."""
        if self._workers > 1 and (self._pool is not None or len(paths) >= PAYS):
            if self._pool is None:
                pool = ProcessPoolExecutor(self._workers, multiprocessing.get_context("spawn"), _begin)
                self._pool = self._stack.enter_context(pool)
            chunks = [(root, paths[i : i + _CHUNK]) for i in range(0, len(paths), _CHUNK)]
            with interrupts_held():
                parts = self._pool.map(_examine, chunks)
            return [finding for part in parts for finding in part]
        if self._examiner is None:
            self._examiner = Examiner(self._keyring)
        examine = self._examiner.examine
        return [examine(f"{root}/{path}" if path else root) for path in paths]


_own: dict[str, Examiner] = {}


def _begin() -> None:
    import signal

    # Ctrl-C reaches the whole group; the parent ends us in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _own["examiner"] = Examiner(Keyring())


def _examine(task: tuple[str, Sequence[str]]) -> list[Finding]:
    root, paths = task
    examine = _own["examiner"].examine
    return [examine(f"{root}/{path}") for path in paths]
