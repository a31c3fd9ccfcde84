"""Merging without a server: the laws, on real merges of both libraries and of one with the other."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophamin.comparing.provenance.crdt.replica import BACKENDS, Replica, open_replica, vetted
from ophamin.proof.errors import OphaminError, RecordError, UsageError
from ophamin.protocols import Settings

pytest.importorskip("pycrdt")
pytest.importorskip("y_py")

BESIDE = b"what an instrument wrote"
PAIRS = list(itertools.product(BACKENDS, repeat=2))
TEXTS = st.text(st.sampled_from("ab é☃😀\n"), min_size=1, max_size=6)
STEP = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(["m", "n"]), st.sampled_from("xyz"), TEXTS),
    st.tuples(st.just("drop"), st.sampled_from(["m", "n"]), st.sampled_from("xyz")),
    st.tuples(st.just("append"), st.sampled_from(["t", "u"]), TEXTS),
    st.tuples(st.just("cut"), st.sampled_from(["t", "u"]), st.integers(0, 8), st.integers(0, 4)),
)
HISTORY = st.lists(STEP, max_size=8)


def do(replica: Replica, steps: list[Any]) -> Replica:
    for name, *rest in steps:
        if name == "put":
            replica.put(rest[0], [(rest[1], rest[2])])
        else:
            getattr(replica, name)(*rest)
    return replica


def seen(replica: Replica) -> Any:
    return [replica.entries(n) for n in "mn"] + [replica.text(n) for n in "tu"]


def merged(backend: str, *updates: bytes) -> Any:
    return seen(open_replica(updates, backend))


@pytest.mark.parametrize("backends", PAIRS)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(common=HISTORY, one=HISTORY, other=HISTORY, third=HISTORY)
def test_merges_are_commutative_associative_and_idempotent(
    backends: Any, common: Any, one: Any, other: Any, third: Any
) -> None:
    """Three machines go on from a common past at the same time; who merges whose work, when and how often is all one."""
    past = do(open_replica(backend=backends[0]), common).update()
    a, b, c = (
        do(open_replica([past], backend), steps).update()
        for backend, steps in zip((backends[0], backends[1], backends[0]), (one, other, third), strict=True)
    )
    expected = merged(backends[0], a, b, c)
    for backend in backends:
        for order in itertools.permutations((a, b, c)):
            assert merged(backend, *order) == expected  # commutative
        ab, bc = open_replica([a, b], backend).update(), open_replica([b, c], backends[0]).update()
        assert merged(backend, ab, c) == merged(backend, a, bc) == expected  # associative
        assert merged(backend, a, a, b, c, b, past, a) == expected  # idempotent


@pytest.mark.parametrize("backends", PAIRS)
def test_both_ends_of_a_concurrent_edit_are_kept(backends: Any) -> None:
    past = open_replica(backend=backends[0])
    past.append("t", "héllo 😀")
    one, other = (open_replica([past.update()], backend) for backend in backends)
    one.append("t", " one")
    other.append("t", " other")
    other.put("m", [("k", "v")])
    one.apply(other.update())
    other.apply(one.update())
    assert one.text("t") == other.text("t")
    assert one.text("t").startswith("héllo 😀")
    assert {" one", " other"} <= {one.text("t")[7:11], one.text("t")[7:13], one.text("t")[11:], one.text("t")[13:]}
    assert one.entries("m") == {"k": "v"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_the_change_travels(backend: str) -> None:
    one = open_replica(backend=backend)
    one.append("t", "x" * 10_000)
    other = open_replica([one.update()], backend)
    before = one.state()
    one.append("t", "!")
    change = one.update(before)
    assert len(change) < 200
    other.apply(change)
    assert other.text("t") == one.text("t")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "data", [b"", b"garbage", b"\xff" * 40, b"\xff\xff\xff\xff\xff\x7f" + b"\x01" * 20, b"\x01" * 7]
)
def test_bytes_that_are_no_update_are_refused(backend: str, data: bytes) -> None:
    """Some of them end the process that reads them; it is not ours."""
    with pytest.raises(RecordError, match="no update"):
        vetted([data], "the file", backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_update_is_let_through(backend: str) -> None:
    good = open_replica(backend=backend)
    good.append("t", "kept")
    assert open_replica(vetted([good.update()], "the file", backend)).text("t") == "kept"


def test_an_unknown_library_is_said() -> None:
    with pytest.raises(UsageError, match="pycrdt, y-py"):
        open_replica(backend="automerge")


# --- stores


class Machine:
    """A project of its own with the same keys."""

    def __init__(self, folder: Path) -> None:
        from ophamin.comparing.provenance.filling import lineage_of, refresh, store_of

        self.settings = Settings(project=str(folder), store=str(folder / "proofs"))
        self.lineage, self.store = lineage_of(self.settings), store_of(self.settings)
        self._refresh = lambda: refresh(self.lineage, self.settings)

    def put(self, body: dict[str, Any]) -> str:
        from ophamin.proof.keys import Keyring
        from ophamin.proof.kinds import PROOF
        from ophamin.proof.signed import sign

        digest = "sha256:" + hashlib.sha256(BESIDE).hexdigest()
        body["reproduction"]["artifacts"] = [{"name": "trace.txt", "media_type": "text/plain", "digest": digest}]
        record = sign(body, PROOF, Keyring().signer())
        self.store.put(record, PROOF, {"trace.txt": BESIDE})
        self._refresh()
        return str(record["proof_id"])

    def state(self) -> Any:
        from ophamin.comparing.provenance.crdt.notes import notes_in

        files = {p.relative_to(self.store.root): p.read_bytes() for p in self.store.root.rglob("[!.]*") if p.is_file()}
        runs = {(r.run_id, r.kind, r.name, r.started_at, r.ended_at, r.outcome, r.parents) for r in self.lineage.runs()}
        falls = {record_id: [m.detail for m in marks] for record_id, marks in self.lineage.marks().items()}
        return files, runs, self.lineage.links(), notes_in(open_replica(self.lineage.updates())), falls


@pytest.fixture
def machines(home: Path, tmp_path: Path, made: Any) -> list[Machine]:
    """Three machines with a record in common, records of their own, runs, a withdrawal, and notes on the same record."""
    from ophamin.comparing.provenance.crdt.notes import add_note

    found = [Machine(tmp_path / name) for name in "abc"]
    for number, machine in enumerate(found):
        common = machine.put(made())
        machine.put(made(revision=f"own {number}"))
        sweep = machine.lineage.begin("sweep", f"sweep {number}")
        machine.lineage.end(machine.lineage.begin("cell", "cell", parent=sweep), "VALIDATED")
        add_note(machine.lineage, common, f"seen on machine {number}", backend=BACKENDS[number % 2])
    found[0].lineage.withdraw([node.node_id for node in found[0].lineage.find("own 0")], "wrong branch")
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_stores_merge_in_any_order_and_as_often_as_one_likes(
    machines: list[Machine], tmp_path: Path, backend: str
) -> None:
    from ophamin.comparing.provenance.crdt.merging import merge, merge_states, snapshot

    files = [snapshot(m.lineage, m.store, backend=BACKENDS[i % 2]) for i, m in enumerate(machines)]
    orders = [(0, 1, 2), (2, 1, 0), (1, 0, 2, 0, 2)]
    states = []
    for number, order in enumerate(orders):
        fresh = Machine(tmp_path / f"fresh {number}")
        for i in order:
            assert merge(files[i], fresh.lineage, fresh.store, backend=backend).left_out == {}
        states.append(fresh.state())
    whole = Machine(tmp_path / "whole")
    merge(merge_states(merge_states(files[0], files[1], backend=backend), files[2]), whole.lineage, whole.store)
    states.append(whole.state())
    for machine, others in zip(machines, ((1, 2), (2, 0), (0, 1)), strict=True):
        for i in others:
            merge(files[i], machine.lineage, machine.store)
        states.append(machine.state())
    assert all(state == states[0] for state in states)
    records, runs, _, notes, falls = states[0]
    assert len([p for p in records if p.name == "record.json"]) == 4
    assert len([run for run in runs if run[1] == "cell"]) == 3
    [note] = notes.values()
    assert sorted(note.splitlines()) == [f"seen on machine {i}" for i in range(3)]
    assert len(falls) == 1


def test_a_forged_record_stays_away_and_the_rest_comes(machines: list[Machine], tmp_path: Path) -> None:
    from ophamin.comparing.provenance.crdt.merging import _pack, _unpack, merge, snapshot

    notes, state = _unpack(snapshot(machines[0].lineage, machines[0].store))
    replica = open_replica([state])
    good, bad = sorted(replica.entries("records"))
    forged = json.loads(replica.entries("records")[bad])
    forged["verdict"]["reasoning"] = "because I say so"
    replica.put("records", [(bad, json.dumps(forged)), ("00" * 32, replica.entries("records")[good])])
    replica.put("files", [(f"{good}/../../evil", "aGk=")])
    fresh = Machine(tmp_path / "fresh")
    found = merge(_pack(notes, replica.update()), fresh.lineage, fresh.store)
    assert found.tampered
    assert set(found.left_out) == {bad, "00" * 32}
    assert "id is bad" in found.left_out[bad]
    assert "another id" in found.left_out["00" * 32]
    assert not list(tmp_path.rglob("evil"))
    assert found.files_left_out == {f"{good}/../../evil": "its name is not plain"}
    assert [row.id for row in fresh.store.rows()] == [good]


def test_a_library_that_does_not_exist_is_no_fault_of_the_file(machines: list[Machine]) -> None:
    from ophamin.comparing.provenance.crdt.merging import merge, snapshot

    packed = snapshot(machines[0].lineage, machines[0].store)
    with pytest.raises(UsageError, match="no CRDT library is called 'zz'"):
        merge(packed, machines[1].lineage, machines[1].store, backend="zz")


def test_what_a_link_in_the_store_leads_to_is_not_exported(machines: list[Machine], tmp_path: Path) -> None:
    from ophamin.comparing.provenance.crdt.merging import _unpack, snapshot

    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "key").write_text("of mine")
    (secrets / "record.json").write_text("{}")
    machine = machines[0]
    link = machine.store.root / "proof" / "00" / ("00" * 32)
    link.parent.mkdir(parents=True)
    link.symlink_to(secrets)
    replica = open_replica([_unpack(snapshot(machine.lineage, machine.store))[1]])
    assert {name.partition("/")[2] for name in replica.entries("files")} == {"trace.txt"}


def spoilt(machine: Machine, where: str, entries: dict[str, str]) -> bytes:
    """What a machine exports, with some entries set by somebody else."""
    from ophamin.comparing.provenance.crdt.merging import _pack, _unpack, snapshot

    notes, state = _unpack(snapshot(machine.lineage, machine.store))
    replica = open_replica([state])
    replica.put(where, entries.items())
    return _pack(notes, replica.update())


def test_only_files_a_record_was_signed_with_come_to_lie_beside_it(machines: list[Machine], tmp_path: Path) -> None:
    from ophamin.comparing.provenance.crdt.merging import merge

    swapped, loaded = sorted(row.id for row in machines[0].store.rows())
    word = base64.b64encode(b"another trace").decode()
    files = {f"{swapped}/trace.txt": word, f"{loaded}/evil.sh": word, f"{loaded}/odd.txt": "\xe9"}
    fresh = Machine(tmp_path / "fresh")
    found = merge(spoilt(machines[0], "files", files), fresh.lineage, fresh.store)
    assert found.tampered
    assert set(found.left_out) == {swapped}
    assert "'trace.txt' beside it is not the one it was signed with" in found.left_out[swapped]
    assert set(found.files_left_out) == {f"{loaded}/evil.sh", f"{loaded}/odd.txt"}
    [row] = fresh.store.rows()
    assert {path.name: path.read_bytes() for path in row.path.parent.iterdir() if path.name != "record.json"} == {
        "trace.txt": BESIDE
    }


def test_nobody_tells_the_run_of_a_record_but_the_record(machines: list[Machine], tmp_path: Path) -> None:
    from ophamin.comparing.provenance.crdt.merging import merge

    [own] = {row.id for row in machines[1].store.rows()} - {row.id for row in machines[0].store.rows()}
    forged = {own: json.dumps(["proof", "forged", "1970-01-01T00:00:00+00:00", {}])}
    fresh = Machine(tmp_path / "fresh")
    merge(spoilt(machines[0], "runs", forged), fresh.lineage, fresh.store)
    merge(
        spoilt(machines[1], "ends", {own: json.dumps(["1970-01-01T00:00:00+00:00", "REFUTED"])}),
        fresh.lineage,
        fresh.store,
    )
    told = fresh.lineage.run(own)
    assert (told.name, told.outcome) == ("metric", "VALIDATED")


def test_a_record_that_was_torn_here_comes_whole_from_elsewhere(machines: list[Machine]) -> None:
    from ophamin.comparing.provenance.crdt.merging import merge, snapshot

    packed = snapshot(machines[0].lineage, machines[0].store)
    row = machines[0].store.rows()[0]
    whole = row.path.read_bytes()
    row.path.write_bytes(whole[:100])
    machines[0].store.refresh()
    assert merge(packed, machines[0].lineage, machines[0].store).records == [row.id]
    assert row.path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x03\x04" + b"\x00" * 40])
def test_a_file_that_is_none_is_refused(machines: list[Machine], content: bytes) -> None:
    from ophamin.comparing.provenance.crdt.merging import merge

    before = machines[0].state()
    with pytest.raises(RecordError, match="lineage export"):
        merge(content, machines[0].lineage, machines[0].store)
    assert machines[0].state() == before


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("runs", {"r": "{"}),
        ("runs", {"r": '["cell", "x", "", {"loss": NaN}]'}),
        ("runs", {"r": '["cell", "\\ud800", "", {}]'}),
        ("ends", {"r": "[1, 2]"}),
        ("links", {'["a"]': ""}),
    ],
)
def test_runs_that_are_none_are_refused_before_anything_is_taken(
    machines: list[Machine], where: str, rows: Any
) -> None:
    from ophamin.comparing.provenance.crdt.merging import _pack, merge

    state = open_replica()
    state.put(where, rows.items())
    before = machines[0].state()
    with pytest.raises(OphaminError):
        merge(_pack(open_replica().update(), state.update()), machines[0].lineage, machines[0].store)
    assert machines[0].state() == before


def test_a_bomb_is_not_unpacked(machines: list[Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    from ophamin.comparing.provenance.crdt import merging

    monkeypatch.setattr(merging, "_LONGEST", 1 << 20)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.yjs", b"\x00\x00")
        archive.writestr("state.yjs", bytes(4 << 20))
    with pytest.raises(UsageError, match="unpacks to over"):
        merging.merge(packed.getvalue(), machines[0].lineage, machines[0].store)
