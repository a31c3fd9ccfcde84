"""Stores of several machines as one: records, their files, runs and notes in a file that can be merged anywhere.

A record is found by its content, so it is the same on every machine that has it; runs have random ids; notes are texts
that keep everybody's words. Hence files may be merged in any order and as often as one likes. Marks of staleness are
not merged: they speak of the machine that looked.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.comparing.provenance.crdt.notes import notes_in
from ophamin.comparing.provenance.crdt.replica import Replica, applied, open_replica, vetted
from ophamin.comparing.provenance.filling import take_in
from ophamin.comparing.provenance.graph import provenance_of
from ophamin.comparing.provenance.lineage import LineageStore
from ophamin.comparing.provenance.neighbours import bound
from ophamin.proof.errors import OphaminError, RecordError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.reading import parse, parse_value
from ophamin.proof.recordkind import RecordKind
from ophamin.proof.signed import SignedRecord, identify, verify
from ophamin.proof.store import Store

__all__ = ["Merged", "merge", "merge_states", "snapshot"]

JSON = Any
RECORD = "record.json"
_NOTES, _STATE = "notes.yjs", "state.yjs"
_LONGEST = 1 << 30
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*").fullmatch
_ID = re.compile(r"[0-9a-f]{64}").fullmatch
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass
class Merged:
    """What a merge brought.

    Args:
        records: Ids of the records that are new here.
        runs: Ids of the runs that are new here.
        notes: Ids of the records whose note changed.
        left_out: Record id → why it was not taken.
        files_left_out: ``ID/NAME`` of a file beside a record that was taken → why the file was not.
        tampered: Whether one of them is not what was signed.
    """

    records: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    files_left_out: dict[str, str] = field(default_factory=dict)
    tampered: bool = False


def snapshot(lineage: LineageStore, store: Store, *, backend: str = "") -> bytes:
    """Everything a machine knows, as the bytes of a file for ``merge``.

    Args:
        lineage: Its lineage.
        store: Its records; one that cannot be read is left out.
        backend: Of ``open_replica``.
    """
    state = open_replica((), backend)
    state.put("records", ((row.id, row.path.read_text("utf-8")) for row in store.rows() if not row.problem))
    state.put("files", _files(store))
    runs = lineage.runs()
    state.put("runs", ((r.run_id, _text([r.kind, r.name, r.started_at, dict(r.attributes)])) for r in runs))
    state.put("ends", ((r.run_id, _text([r.ended_at, r.outcome])) for r in runs if r.ended_at))
    state.put("links", ((_text(pair), "") for pair in lineage.links()))
    state.put("withdrawals", ((_text([node, reason]), at) for node, reason, at in lineage.withdrawals()))
    return _pack(open_replica(lineage.updates(), backend).update(), state.update())


def merge_states(*states: bytes, backend: str = "") -> bytes:
    """Several such files as one; needs neither store nor key.

    Args:
        *states: From ``snapshot`` or ``merge_states``.
        backend: Of ``open_replica``.

    Raises:
        RecordError: One of them is no such file.
    """
    both = open_replica((), backend), open_replica((), backend)
    for packed in states:
        for replica, update in zip(both, vetted(_unpack(packed), "the file", backend), strict=True):
            applied(replica, update, "the file")
    return _pack(both[0].update(), both[1].update())


def merge(packed: bytes, lineage: LineageStore, store: Store, *, backend: str = "") -> Merged:
    """Take what another machine knew into this one.

    Every record is verified; what is not what was signed is left out and said, and the rest is taken.

    Args:
        packed: From ``snapshot`` or ``merge_states``.
        lineage: Of this machine.
        store: Of this machine.
        backend: Of ``open_replica``.

    Raises:
        RecordError: It is no such file.
    """
    state = open_replica((), backend)  # a library that is not there is no fault of the file
    notes_update, state_update = vetted(_unpack(packed), "the file", backend)
    applied(state, state_update, "the file")
    notes = open_replica(lineage.updates(), backend)
    before, seen = notes_in(notes), notes.state()
    applied(notes, notes_update, "the file")
    there, found = _Runs.of(state), Merged()
    _merge_records(state, lineage, store, found)
    _merge_runs(there, lineage, found)
    after = notes_in(notes)
    found.notes = [record_id for record_id, text in after.items() if text != before.get(record_id, "")]
    if notes.state() != seen or found.notes:
        lineage.append_update(notes_update)
    return found


def _merge_records(state: Replica, lineage: LineageStore, store: Store, found: Merged) -> None:
    # A record that was torn here comes whole from elsewhere.
    here = {row.id for row in store.rows() if not row.problem}
    files: dict[str, dict[str, str]] = {}
    for name, text in state.entries("files").items():
        record_id, _, plain = name.partition("/")
        files.setdefault(record_id, {})[plain] = text
    keyring = Keyring()
    kinds = [registry.records.get(name) for name in registry.records.names()]
    for record_id, text in sorted(state.entries("records").items()):
        if record_id in here:
            continue
        with tempfile.TemporaryDirectory(prefix="ophamin-merge-") as folder:
            beside = files.get(record_id, {})
            try:
                record = SignedRecord(*_identified(text, kinds), Path(folder) / RECORD)
                if record.id != record_id:
                    raise RecordError("it is filed under another id than its own")
                there, odd = _unpacked(beside, Path(folder))
                checked = verify(record, keyring)
                if checked.exit_code == 3:
                    checked.require()
                kept, unbound = bound(record.object, there)
                # What its graph is no PROV for is known before anything is stored.
                provenance_of(record.object, record.kind.name, record.kind.id_field)
                store.put(record.object, record.kind, kept)
                take_in(lineage, record, checked, keyring.trusted())
            except OphaminError as error:
                found.tampered = found.tampered or error.exit_code == 3
                found.left_out[record_id] = str(error)
                continue
        found.records.append(record_id)
        found.files_left_out.update({f"{record_id}/{name}": why for name, why in {**odd, **unbound}.items()})


def _identified(text: str, kinds: Sequence[RecordKind]) -> tuple[RecordKind, dict[str, JSON]]:
    obj = parse(text.encode("utf-8"))
    return identify(obj, kinds), obj


def _unpacked(files: Mapping[str, str], folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Write what came along where ``verify`` looks for it; a name that is not plain is written nowhere."""
    there: dict[str, Path] = {}
    odd: dict[str, str] = {}
    for name, text in files.items():
        if not _PLAIN(name) or name == RECORD:
            odd[name] = "its name is not plain"
            continue
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            odd[name] = "it is not base64"
            continue
        there[name] = folder / name
        there[name].write_bytes(data)
    return there, odd


@dataclass(frozen=True)
class _Runs:
    """The part of a state that is no record, checked as a whole before any of it is taken."""

    runs: Mapping[str, list[Any]]
    ends: Mapping[str, list[Any]]
    links: list[list[Any]]
    withdrawals: list[list[Any]]

    @classmethod
    def of(cls, state: Replica) -> _Runs:
        """Read them out of a state.

        Raises:
            RecordError: One is not shaped as it should be.
        """
        return cls(
            {run_id: _row(text, (str, str, str, dict)) for run_id, text in sorted(state.entries("runs").items())},
            {run_id: _row(text, (str, str)) for run_id, text in sorted(state.entries("ends").items())},
            [_row(text, (str, str)) for text in sorted(state.entries("links"))],
            [_row(text, (str, str)) for text in sorted(state.entries("withdrawals"))],
        )


def _merge_runs(there: _Runs, lineage: LineageStore, found: Merged) -> None:
    known = {run.run_id for run in lineage.runs()}
    for run_id, (kind, name, started, attributes) in there.runs.items():
        # The run of a record is for the record to tell, which was verified; nobody else may speak for it.
        if run_id not in known and not _ID(run_id):
            lineage.begin(kind, name, run_id=run_id, started_at=started, attributes=attributes)
            found.runs.append(run_id)
            known.add(run_id)
    for run_id, (ended, outcome) in there.ends.items():
        if run_id in known and not _ID(run_id):
            lineage.end(run_id, outcome, ended_at=ended)
    for parent, child in there.links:
        with contextlib.suppress(UsageError):  # a circle, which only a forger makes, is not taken over
            lineage.link(parent, child)
    for node, reason in there.withdrawals:
        with contextlib.suppress(UsageError):  # without a reason
            lineage.withdraw([node], reason)


def _files(store: Store) -> Iterator[tuple[str, str]]:
    for row in store.rows():
        if row.problem:  # it may be a link, and what lies where that leads is nobody's business
            continue
        for path in sorted(row.path.parent.iterdir()):
            if path.is_file() and not path.is_symlink() and path.name != RECORD and not path.name.startswith("."):
                yield f"{row.id}/{path.name}", base64.b64encode(path.read_bytes()).decode("ascii")


def _text(value: JSON) -> str:
    return json.dumps(value, sort_keys=True)


def _row(text: str, types: tuple[type, ...]) -> list[Any]:
    try:
        row = parse_value(text.encode("utf-8"))
    except (ValueError, RecordError) as error:
        raise RecordError(f"the file holds a run that is no JSON ({error})") from error
    if not isinstance(row, list) or [type(cell) for cell in row] != list(types):
        raise RecordError("the file holds a run that is not shaped as one")
    return row


def _pack(notes: bytes, state: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ((_NOTES, notes), (_STATE, state)):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()


def _unpack(packed: bytes) -> tuple[bytes, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            parts = []
            for name in (_NOTES, _STATE):
                with archive.open(name) as member:
                    data = member.read(_LONGEST + 1)
                if len(data) > _LONGEST:
                    raise UsageError(f"the file unpacks to over {_LONGEST >> 20} MiB; merge fewer records at a time")
                parts.append(data)
    except (zipfile.BadZipFile, KeyError, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise RecordError(f"it is no file that lineage export wrote ({error})") from error
    return parts[0], parts[1]
