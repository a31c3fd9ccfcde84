"""The pre-registration ledger: what was registered, in which order, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ophamin.proof._process import is_gone, this_process
from ophamin.proof.canonical import canonical_bytes
from ophamin.proof.errors import LedgerError, LimitError, RecordError, UsageError
from ophamin.proof.ledger._log import Appended, Log, now
from ophamin.proof.ledger._types import Attempt, LedgerEntry, LedgerRef, LedgerReport, LedgerView
from ophamin.proof.ledger._verify import verify_file
from ophamin.proof.merkle import Tree
from ophamin.proof.types import to_json

__all__ = ["OUTCOMES", "Ledger", "head_bytes"]

JSON = Any
View = TypeVar("View", bound=LedgerView)
OUTCOMES = ("VALIDATED", "REFUTED", "INCONCLUSIVE", "NOT_APPLICABLE", "ERRORED", "ABORTED")
"""What a registration can end with."""
MAX_LEAF_BYTES = 1 << 20
_GONE = "its process is gone"
_FILE = "log.jsonl"


class _Signer(Protocol):
    @property
    def key_id(self) -> str: ...
    def hmac(self, data: bytes) -> str: ...
    def attest(self, data: bytes) -> Mapping[str, JSON] | None: ...


class _Registration:
    """What is remembered of one registration: where it and its end stand, and whose it is."""

    __slots__ = ("index", "outcome", "outcome_index", "process", "reason")

    def __init__(self, index: int, process: Mapping[str, JSON]) -> None:
        self.index, self.process = index, process
        self.outcome, self.outcome_index, self.reason = "", -1, ""


class Ledger:
    """An append-only Merkle log in one file, one leaf per registration and one per outcome.

    An entry and the head of the tree that ends with it go out in one write and one fsync. Any number
    of processes and threads may append. A writer killed half-way leaves an unfinished last line, which
    the next one cuts off: it was acknowledged to nobody. Opening for writing closes registrations whose
    process is gone as ABORTED.

    What it shows: that an entry stood at its place when a later one was written; ``verify`` finds any
    leaf that was rewritten, dropped or moved. What it cannot show: runs made outside it, and the
    replacement of the whole log by another consistent one (an older copy, or one with all heads
    recomputed), unless a head of it was kept elsewhere. Every proof keeps one, and ``head`` signs one.

    Args:
        directory: Usually ``.ophamin/ledger``.
        create: Whether to open for writing, creating the log when it is missing. False: nothing is
            ever written, and a missing log is an empty one.

    Raises:
        LedgerError: The log was rewritten, or its file system cannot lock (when opened for writing).

    Example:
        >>> import tempfile
        >>> ledger = Ledger(Path(tempfile.mkdtemp()))
        >>> ref = ledger.register({"attempt_key": "k", "scenario": "metric"})
        >>> _ = ledger.close(ref.index, "INCONCLUSIVE")
        >>> [(a.index, a.outcome) for a in ledger.attempts("k")], ledger.verify().ok
        ([(0, 'INCONCLUSIVE')], True)
    """

    def __init__(self, directory: Path, *, create: bool = True) -> None:
        self.directory = Path(directory)
        self._registrations: dict[int, _Registration] = {}
        self._by_key: dict[str, list[int]] = {}
        self._about: dict[float, list[int]] = {}
        self._views: dict[Callable[[], LedgerView], LedgerView] = {}
        self._log = Log(self.directory / _FILE, writable=create, seen=self._saw)
        if create:
            with self._log.exclusive():
                self._close_orphans()

    # --- what it is now

    @property
    def log_id(self) -> str:
        """Random, made with the log; "" when there is none."""
        return self._log.sync().log_id

    @property
    def size(self) -> int:
        """Entries so far, others' included."""
        return self._log.sync().tree.size

    @property
    def root_hash(self) -> str:
        """Root over all entries so far, others' included."""
        return self._log.sync().tree.root

    def entries(self) -> Iterator[LedgerEntry]:
        """All entries there are now, in order.

        Raises:
            LedgerError: One was rewritten since the log was opened.
        """
        for index, leaf in enumerate(self._log.leaves()):
            yield self._entry(index, leaf)

    def entry(self, index: int) -> LedgerEntry:
        """One entry.

        Raises:
            IndexError: No such entry.
            LedgerError: It was rewritten since the log was opened.
        """
        return self._entry(index, self._log.leaf(index))

    def _entry(self, index: int, leaf: bytes) -> LedgerEntry:
        return LedgerEntry(index, _parse(index, leaf), self._log.state.nodes.leaf(index))

    def about(self, index: int) -> list[LedgerEntry]:
        """The entries that name a registration (its outcomes, its resumptions), in order.

        Raises:
            LedgerError: One was rewritten since the log was opened.
        """
        self._log.sync()
        return [self.entry(i) for i in self._about.get(index, ())]

    def view(self, kind: Callable[[], View]) -> View:
        """The view of this kind: told of every entry once, in order, and kept as long as this object.

        Who asks the same question of all entries again and again keeps the answer in a view, and reads what is new.

        Args:
            kind: Makes an empty one; the same object for the same view.

        Raises:
            LedgerError: An entry was rewritten since the log was opened.

        Example:
            >>> import tempfile
            >>> class Seeds(set):
            ...     def note(self, entry):
            ...         self.add(entry.value.get("seed"))
            >>> ledger = Ledger(Path(tempfile.mkdtemp()))
            >>> _ = ledger.register({"seed": 7})
            >>> ledger.view(Seeds)
            Seeds({7})
        """
        with self._log.synced():
            if kind not in self._views:
                made = kind()
                for entry in self.entries():
                    made.note(entry)
                self._views[kind] = made
            found: Any = self._views[kind]  # what `kind` makes is what it was kept under
            return found  # type: ignore[no-any-return]

    def check(self) -> None:
        """Read everything again that was read before, and compare: views and indexes answer from memory.

        Raises:
            LedgerError: An entry, a head or the header was rewritten since the log was opened, or the log is gone.
        """
        self._log.check()

    def attempts(self, attempt_key: str) -> list[Attempt]:
        """All registrations with this key, in order, each with its outcome."""
        self._log.sync()
        found = []
        for index in self._by_key.get(attempt_key, ()):
            known = self._registrations[index]
            end = self.entry(known.outcome_index).value if known.outcome else None
            found.append(Attempt(index, self.entry(index).value, known.outcome or None, end))
        return found

    # --- writing

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other writers out: to count attempts and register the next one in one step.

        Example:
            >>> import tempfile
            >>> ledger = Ledger(Path(tempfile.mkdtemp()))
            >>> with ledger.exclusive():
            ...     k = len(ledger.attempts("key")) + 1
            ...     ref = ledger.register({"attempt_key": "key", "attempt": k})
        """
        return self._log.exclusive()

    def register(self, entry: Mapping[str, JSON]) -> LedgerRef:
        """Append a registration; ``process`` (this one) and a missing ``registered_at`` are added.

        Raises:
            UsageError: The entry says it is of another type.
            RecordError: It holds what canonical JSON cannot.
            LedgerError: The log was rewritten.
        """
        if entry.get("type", "registration") != "registration":
            raise UsageError(f"register takes a registration, not a {entry['type']!r}; use append")
        value = {"registered_at": now(), **entry, "type": "registration", "process": this_process()}
        return self._append(value)[0]

    def close(self, index: int, outcome: str, *, proof_id: str = "", **more: JSON) -> LedgerRef:
        """Append the outcome of a registration.

        A registration that someone closed because he could not see this process (from another
        container, say) is resumed and closed in one step.

        Args:
            index: Index of the registration.
            outcome: One of ``OUTCOMES``.
            proof_id: Id of the proof, where there is one.
            **more: Further fields of the entry, e.g. ``reason``.

        Raises:
            UsageError: No such outcome, no such registration, or it is closed already.
        """
        if outcome not in OUTCOMES:
            raise UsageError(f"{outcome!r} is not an outcome; outcomes: {', '.join(OUTCOMES)}")
        fixed = {"type": "outcome", "registration": index, "outcome": outcome, "proof_id": proof_id}
        values = [{"closed_at": now(), **more, **fixed}]
        with self._log.exclusive():
            known = self._registration(index)
            if known.outcome:
                if known.reason != _GONE or known.process != this_process():
                    raise UsageError(f"registration {index} is closed already, as {known.outcome}")
                values.insert(0, self._resumption(index))
            return self._append(*values)[-1]

    def resume(self, index: int) -> LedgerRef:
        """Continue an ABORTED registration in this process, as the same attempt.

        Raises:
            UsageError: No such registration, it is decided, or it runs in another process.
        """
        with self._log.exclusive():
            self._close_orphans()
            known = self._registration(index)
            if known.outcome not in ("", "ABORTED"):
                raise UsageError(f"registration {index} is decided ({known.outcome}); register a new attempt")
            if not known.outcome and known.process != this_process():
                raise UsageError(f"registration {index} is running in process {known.process.get('pid')}; wait for it")
            return self._append(self._resumption(index))[0]

    def append(self, entry: Mapping[str, JSON]) -> LedgerRef:
        """Append an entry of another type, e.g. a reproduction.

        Raises:
            UsageError: It has no type, or one that has a method of its own.
        """
        kind = entry.get("type")
        if not isinstance(kind, str) or not kind or kind in ("registration", "outcome", "resumption"):
            raise UsageError(f"append takes an entry with a type of its own, not {kind!r}; see register, close, resume")
        return self._append(entry)[0]

    def _append(self, *values: Mapping[str, JSON]) -> list[LedgerRef]:
        leaves = [_encode(value) for value in values]
        if any(len(leaf) > MAX_LEAF_BYTES for leaf in leaves):
            raise LimitError(f"a ledger entry has at most {MAX_LEAF_BYTES} bytes; put the rest into the record")
        with self._log.exclusive():
            places = self._log.append(leaves)
            for (index, *_), leaf in zip(places, leaves, strict=True):
                self._saw(index, leaf)
            return [self._ref(place) for place in places]

    def _ref(self, added: Appended) -> LedgerRef:
        index, hashed, size, root, path = added
        return LedgerRef(self._log.state.log_id, index, hashed, size, root, path)

    def _resumption(self, index: int) -> dict[str, JSON]:
        return {"type": "resumption", "registration": index, "resumed_at": now(), "process": this_process()}

    # --- registrations and their ends

    def _saw(self, index: int, leaf: bytes) -> None:
        value = _parse(index, leaf)
        self._note(index, value)
        if self._views:
            entry = LedgerEntry(index, value, self._log.state.nodes.leaf(index))
            for view in self._views.values():
                view.note(entry)

    def _note(self, index: int, value: Mapping[str, JSON]) -> None:
        """Remember what an entry says of a registration."""
        kind, number, process = value.get("type"), value.get("registration"), value.get("process")
        process = process if isinstance(process, dict) else {}
        if isinstance(number, (int, float)):
            self._about.setdefault(number, []).append(index)
        if kind == "registration":
            self._registrations[index] = _Registration(index, process)
            self._by_key.setdefault(str(value.get("attempt_key", "")), []).append(index)
            return
        known = self._registrations.get(number) if isinstance(number, int) else None
        if known is None:
            return
        if kind == "outcome":
            known.outcome, known.outcome_index = str(value.get("outcome")), index
            known.reason = value.get("reason", "")
        elif kind == "resumption":
            known.outcome, known.outcome_index, known.process = "", -1, process

    def _registration(self, index: int) -> _Registration:
        if index not in self._registrations:
            raise UsageError(f"entry {index} of the ledger is not a registration")
        return self._registrations[index]

    def _close_orphans(self) -> None:
        gone = [r.index for r in self._registrations.values() if not r.outcome and is_gone(r.process)]
        end = {"type": "outcome", "outcome": "ABORTED", "proof_id": "", "reason": _GONE, "closed_at": now()}
        if gone:
            self._append(*({**end, "registration": index} for index in gone))

    # --- proofs

    def inclusion(self, index: int, size: int | None = None) -> list[str]:
        """Inclusion path of an entry in the tree of the first ``size`` entries (default: all).

        Raises:
            IndexError: No such entry, or the log is shorter.
        """
        tree, size = self._tree(size)
        return tree.inclusion(index, size)

    def consistency(self, old: int, new: int | None = None) -> list[str]:
        """Proof that the first ``new`` entries (default: all) only appended to the first ``old``.

        Raises:
            IndexError: The log is shorter.
        """
        tree, size = self._tree(new)
        return tree.consistency(old, size)

    def _tree(self, size: int | None) -> tuple[Tree, int]:
        tree = self._log.sync().nodes
        if size is not None and not 0 <= size <= tree.size:
            raise IndexError(f"the ledger has {tree.size} entries, not {size}")
        return tree, tree.size if size is None else size

    def head(self, signer: _Signer | None = None) -> dict[str, JSON]:
        """The tree head: log, size, root and time; signed when a signer is given.

        Kept elsewhere, it lets ``verify(heads=[head])`` find a log that was replaced as a whole. What is
        signed are ``head_bytes(head)``.
        """
        state = self._log.sync()
        head: dict[str, JSON] = {
            "type": "tree-head",
            "log_id": state.log_id,
            "tree_size": state.tree.size,
            "root_hash": state.tree.root,
            "timestamp": now(),
        }
        if signer is not None:
            signed = head_bytes(head)
            attestation = signer.attest(signed)
            head["key_id"] = signer.key_id
            head["signature"] = signer.hmac(signed)
            head["attestations"] = [] if attestation is None else [dict(attestation)]
        return head

    def verify(self, heads: Iterable[Mapping[str, JSON]] = ()) -> LedgerReport:
        """Recompute every leaf and every head from the file; writes nothing.

        Args:
            heads: Heads kept elsewhere, from ``head`` or from the ``preregistration.ledger`` of proofs.
                Their signatures are not checked here.
        """
        return verify_file(self._log.path, heads)


def _encode(value: Mapping[str, JSON]) -> bytes:
    try:
        return canonical_bytes(value)
    except RecordError:  # perhaps only for a tuple or a mapping that is no dict
        return canonical_bytes(to_json(value))


def _parse(index: int, leaf: bytes) -> dict[str, JSON]:
    try:
        value = json.loads(leaf)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise LedgerError(f"entry {index} of the ledger is not a JSON object; run 'ophamin log verify'")
    return value


def head_bytes(head: Mapping[str, JSON]) -> bytes:
    """The bytes a tree head's signature is made over: its five own fields, canonical."""
    return canonical_bytes({k: head.get(k) for k in ("type", "log_id", "tree_size", "root_hash", "timestamp")})
