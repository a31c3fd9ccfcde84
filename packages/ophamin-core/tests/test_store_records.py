"""The store: whole records or none, an index that heals itself."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ophamin.proof._index import Row
from ophamin.proof.errors import RecordError, UnknownRecord, UsageError
from ophamin.proof.project import Project
from ophamin.proof.store import Store


class Kind:
    name = "proof"
    id_field = "proof_id"


def signed(number, **more):
    record_id = hashlib.sha256(f"record {number}".encode()).hexdigest()
    return {
        "proof_id": record_id,
        "schema_version": "1.1",
        "identity": {"created_at": f"2026-01-01T00:00:{number:02}+00:00"},
        "claim": {"threshold": {"metric": "accuracy", "comparator": ">=", "value": 0.9}},
        "data": {"substrate_name": "mock", "substrate": {"revision": "abc"}},
        "verdict": {"outcome": ("VALIDATED", "REFUTED")[number % 2], "observed_value": number / 10},
        "reproduction": {"argv": ["ophamin", "run", "metric", "--json"]},
        "signature": "00",
        **more,
    }


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "proofs", tmp_path / ".ophamin" / "index.sqlite")


def age(store):
    """Make every folder look settled, as it is two seconds later."""
    for shard in store.root.glob("*/*"):
        os.utime(shard, (time.time() - 60, time.time() - 60))


def index_file(store):
    return store.root.parent / ".ophamin" / "index.sqlite"


def test_a_record_and_its_neighbours_are_found_again(store, tmp_path):
    (tmp_path / "trace.bin").write_bytes(b"\x00" * 3_000_000)
    obj = signed(1)
    path = store.put(obj, Kind, {"observations.jsonl.gz": b"rows", "trace.bin": tmp_path / "trace.bin"})
    assert path == store.root / "proof" / obj["proof_id"][:2] / obj["proof_id"] / "record.json"
    assert json.loads(path.read_text("utf-8")) == obj
    assert path.read_text("utf-8").startswith('{\n  "')
    assert path.with_name("observations.jsonl.gz").read_bytes() == b"rows"
    assert path.with_name("trace.bin").read_bytes() == b"\x00" * 3_000_000
    assert sorted(p.name for p in path.parent.iterdir()) == ["observations.jsonl.gz", "record.json", "trace.bin"]
    assert [p.name for p in path.parent.parent.iterdir()] == [obj["proof_id"]], "no temporary folder is left"
    assert store.path(obj["proof_id"]) == path
    assert store.path(obj["proof_id"][:4].upper()) == path
    [row] = store.rows()
    assert row == Row(
        id=obj["proof_id"],
        kind="proof",
        schema_version="1.1",
        created_at="2026-01-01T00:00:01+00:00",
        scenario="metric",
        metric="accuracy",
        threshold=">= 0.9",
        outcome="REFUTED",
        observed_value=0.1,
        substrate="mock",
        revision="abc",
        size=path.stat().st_size,
        mtime_ns=path.stat().st_mtime_ns,
        problem="",
        location=str(path),
    )
    assert row.path == path


def test_putting_it_twice_is_putting_it_once(store):
    store.put(signed(1), Kind, {"a": b"1"})
    path = store.put(signed(1, signature="11"), Kind, {"b": b"2"})
    assert json.loads(path.read_text())["signature"] == "11"
    assert sorted(p.name for p in path.parent.iterdir()) == ["a", "b", "record.json"]
    assert len(store.rows()) == 1


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "record.json", "a\x00b", "..", "a\\b", "a:b"])
def test_names_that_leave_the_folder_are_refused(store, name):
    with pytest.raises(UsageError, match="cannot name"):
        store.put(signed(1), Kind, {name: b""})
    assert not list(store.root.glob("**/*"))


@pytest.mark.parametrize("record_id", [None, 7, "", "abc", "AB" * 32, "../" + "a" * 61, "a" * 65])
def test_an_object_without_id_is_refused(store, record_id):
    with pytest.raises(UsageError, match="sign it first"):
        store.put(signed(1, proof_id=record_id), Kind)
    assert not store.root.exists()


def test_what_cannot_be_stored_leaves_nothing(store, tmp_path):
    with pytest.raises(RecordError):
        store.put(signed(1, extra=float("nan")), Kind)
    with pytest.raises(OSError, match="missing"):
        store.put(signed(1), Kind, {"a": tmp_path / "missing"})
    assert store.rows() == []
    assert not [p for p in store.root.glob("*/*/*") if p.is_dir()]


def test_rows_are_ordered_and_filtered(store):
    for number in (5, 3, 8, 1):
        store.put(signed(number), Kind)
    assert [r.observed_value for r in store.rows()] == [0.1, 0.3, 0.5, 0.8]
    assert [r.observed_value for r in store.rows(outcome="VALIDATED")] == [0.8]
    assert len(store.rows("proof", metric="accuracy", outcome="REFUTED")) == 3
    assert store.rows("audit") == []
    assert store.rows(metric=None) == []
    with pytest.raises(UsageError, match="cannot be filtered by colour"):
        store.rows(colour="red")


def test_other_kinds_and_odd_values_are_listed(store):
    class Scan:
        name = "drift-scan"
        id_field = "scan_id"

    record_id = "ab" * 32
    store.put({"scan_id": record_id, "schema_version": 3, "captured_at": "2026", "verdict": None}, Scan)
    odd = signed(2)
    odd["verdict"] = {"outcome": True, "observed_value": 10**30}
    odd["data"] = ["not", "a", "mapping"]
    store.put(odd, Kind)
    scan, proof = store.rows()
    assert (scan.kind, scan.schema_version, scan.created_at, scan.outcome) == ("drift-scan", 3, "2026", None)
    assert (proof.outcome, proof.observed_value, proof.substrate) == ("true", str(10**30), None)


def test_ids_are_found_by_prefix_without_an_index(store):
    a, b = "abcd" + "0" * 60, "abcd" + "1" * 60
    for record_id in (a, b):
        store.put(signed(1, proof_id=record_id), Kind)
    assert store.path(a[:5]).parent.name == a
    with pytest.raises(UsageError, match=r"2 ids.*abcd00000000.*abcd11111111"):
        store.path("abcd")
    for short in ("", "abc", "xyz1", "ab/../", "g" * 64, "a" * 65, "*bcd"):
        with pytest.raises(UsageError, match="4 to 64 hex"):
            store.path(short)
    with pytest.raises(UnknownRecord, match="begins with dead"):
        store.path("dead")
    assert not index_file(store).exists()


def test_records_others_add_or_remove_are_seen(store):
    for number in range(4):
        store.put(signed(number), Kind)
    age(store)
    assert len(store.rows()) == 4
    other = Store(store.root)  # with an index of its own
    other.put(signed(9), Kind)
    assert len(other.rows()) == len(store.rows()) == 5
    path = store.path(signed(2)["proof_id"])
    path.unlink()
    path.parent.rmdir()
    assert len(store.rows()) == 4
    path.parent.parent.rmdir()
    assert len(store.rows()) == len(other.rows()) == 4


def test_a_record_changed_in_place_is_seen_by_refresh(store):
    path = store.put(signed(1), Kind)
    age(store)
    store.rows()
    time.sleep(0.01)
    path.write_text(path.read_text().replace("accuracy", "exactness"))
    store.refresh()
    assert store.rows()[0].metric == "exactness"


def test_unreadable_records_are_listed_with_their_problem(store):
    good = store.put(signed(0), Kind)
    bad = {n: store.put(signed(n), Kind) for n in range(1, 6)}
    bad[1].write_bytes(b"{}")
    bad[2].write_bytes(b"not json")
    bad[3].unlink()
    bad[4].write_text(bad[5].read_text())
    bad[5].unlink()
    bad[5].mkdir()
    notes = store.root / "proof" / "zz" / "notes"
    notes.mkdir(parents=True)
    (notes / "record.json").write_text(good.read_text())
    rows = {r.id: r for r in store.rows()}
    assert len(rows) == 7
    assert rows[good.parent.name].problem == ""
    problems = {n: rows[path.parent.name].problem for n, path in bad.items()}
    assert "not the name of its folder" in problems[1]
    assert "JSON" in problems[2]
    assert "no record.json" in problems[3]
    assert "not the name of its folder" in problems[4]
    assert "directory" in problems[5]
    assert "not named after" in rows["notes"].problem
    assert all(rows[path.parent.name].outcome is None for path in bad.values())
    # Repaired, it is seen at once: what has a problem is looked at every time.
    age(store)
    store.rows()
    bad[2].write_text(json.dumps(signed(2)))
    assert {r.id: r.problem for r in store.rows()}[bad[2].parent.name] == ""


def test_links_out_of_the_store_are_not_followed(store, tmp_path):
    path = store.put(signed(1), Kind)
    outside = tmp_path / "outside"
    moved = path.parent.rename(outside)
    try:
        path.parent.symlink_to(moved, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    assert [(r.problem, r.outcome) for r in store.rows()] == [("it is a link, and links are not followed", None)]
    with pytest.raises(UnknownRecord):
        store.path(path.parent.name)
    path.parent.unlink()
    path.parent.mkdir()
    path.symlink_to(outside / "record.json")
    assert "link" in store.rows()[0].problem
    with pytest.raises(UnknownRecord):
        store.path(path.parent.name)
    (store.root / "linked").symlink_to(tmp_path, target_is_directory=True)
    assert {r.kind for r in store.rows()} == {"proof"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.unlink(),
        lambda f: f.write_bytes(b""),
        lambda f: f.write_bytes(b"not a database, far from it" * 100),
        lambda f: f.write_bytes(f.read_bytes()[:5000]),
        lambda f: f.write_bytes(f.read_bytes()[:4096] + b"\x55" * (len(f.read_bytes()) - 4096)),
    ],
    ids=["missing", "empty", "foreign", "cut", "overwritten"],
)
def test_a_damaged_index_is_rebuilt(store, damage):
    for number in range(20):
        store.put(signed(number), Kind)
    wanted = store.rows()
    damage(index_file(store))
    assert store.rows() == wanted
    assert store.rows() == wanted
    assert index_file(store).stat().st_size > 4096


def test_an_index_of_another_version_table_or_store_is_rebuilt(store, tmp_path):
    store.put(signed(1), Kind)
    wanted = store.rows()
    for statement in ("PRAGMA user_version = 99", "DROP TABLE records", "UPDATE meta SET root = 'x'"):
        db = sqlite3.connect(index_file(store))
        db.execute(statement)
        db.commit()
        db.close()
        assert store.rows() == wanted
    assert Store(tmp_path / "elsewhere", index_file(store)).rows() == []
    assert store.rows() == wanted


def test_where_no_index_can_be_kept_lists_still_work(store, tmp_path):
    store.put(signed(1), Kind)
    (tmp_path / "file").write_bytes(b"")
    blocked = Store(store.root, tmp_path / "file" / "index.sqlite")
    assert len(blocked.rows()) == 1
    blocked.refresh()
    assert Store(tmp_path / "none", tmp_path / "file" / "index.sqlite").rows() == []


def test_looking_into_a_store_that_is_not_there_makes_no_record_folder(tmp_path):
    store = Store(tmp_path / "proofs", tmp_path / "index.sqlite")
    assert store.rows() == []
    store.refresh()
    with pytest.raises(UnknownRecord):
        store.path("abcdef")
    assert list(tmp_path.iterdir()) == []


WRITE = """
    import hashlib, sys
    from pathlib import Path
    from ophamin.proof.store import Store

    class Kind:
        name, id_field = "proof", "proof_id"

    store = Store(Path(sys.argv[1]))
    print("ready", flush=True)
    for number in range(100_000):
        record_id = hashlib.sha256(f"{sys.argv[2]} {number}".encode()).hexdigest()
        store.put({"proof_id": record_id, "text": "x" * 20_000}, Kind, {"rows": b"r" * 100_000})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")
def test_a_killed_writer_leaves_no_half_record(tmp_path):
    store = Store(tmp_path / "proofs")
    seen = 0
    for round_ in range(8):
        command = [sys.executable, "-c", textwrap.dedent(WRITE), str(store.root), str(round_)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(0.02 + 0.007 * round_)
        writer.kill()
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        rows = store.rows()
        assert [r for r in rows if r.problem] == []
        for path in store.root.glob("*/*/[!.]*"):
            assert sorted(p.name for p in path.iterdir()) == ["record.json", "rows"]
            assert (path / "rows").stat().st_size == 100_000
        assert len(rows) >= seen
        seen = len(rows)
    assert seen > 0
    store.refresh()
    assert list(store.root.glob("*/*/.tmp-*")) == [], "what killed writers left is cleared away"


def test_a_living_writers_folder_is_left_alone_and_an_abandoned_one_is_not(store):
    from ophamin.proof.store import _temporary_name

    path = store.put(signed(1), Kind)
    mine = path.parent.parent / _temporary_name()
    foreign, old = path.parent.parent / ".tmp-from-elsewhere", path.parent.parent / ".tmp-old"
    for folder in (mine, foreign, old):
        folder.mkdir()
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    store.refresh()
    assert mine.exists()
    assert foreign.exists()
    assert not old.exists()
    assert len(store.rows()) == 1


def test_two_processes_store_and_list_at_once(tmp_path):
    code = """
        import hashlib, sys
        from pathlib import Path
        from ophamin.proof.store import Store

        class Kind:
            name, id_field = "proof", "proof_id"

        store = Store(Path(sys.argv[1]))
        for number in range(40):
            record_id = hashlib.sha256(f"{number // 2}".encode()).hexdigest()  # both write the same ones
            store.put({"proof_id": record_id, "who": sys.argv[2]}, Kind, {"a": b"1"})
            assert not [r for r in store.rows() if r.problem]
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "proofs")]
    writers = [subprocess.Popen([*command, str(n)], stderr=subprocess.PIPE, text=True) for n in range(2)]
    for writer in writers:
        _, err = writer.communicate(timeout=60)
        assert writer.returncode == 0, err
    assert len(Store(tmp_path / "proofs").rows()) == 20
    assert list((tmp_path / "proofs").glob("*/*/.tmp-*")) == []


def test_a_store_follows_its_project(tmp_path):
    project = Project(tmp_path)
    store = Store(project.proofs, project.index)
    assert store.put(signed(1), Kind).is_relative_to(Path(tmp_path / "proofs"))
    assert store.rows()
    assert project.index.is_file()
