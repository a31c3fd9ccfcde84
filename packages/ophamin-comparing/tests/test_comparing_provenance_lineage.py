"""The lineage of a store: many processes, hostile records, what falls with what, and what went stale."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.comparing._command import lineage as commands
from ophamin.comparing.provenance.filling import lineage_of, refresh
from ophamin.comparing.provenance.graph import provenance_of, record_node
from ophamin.comparing.provenance.inputs import SHIFTED, shift, summarize
from ophamin.comparing.provenance.lineage import LineageStore
from ophamin.proof.errors import RecordError, UnknownRecord, UnsupportedVersion, UsageError
from ophamin.proof.keys import Keyring, Signer
from ophamin.protocols import Record, Settings

A, B = ("sha256:" + pair * 32 for pair in ("aa", "bb"))


@pytest.fixture
def lineage(tmp_path: Path) -> LineageStore:
    return LineageStore(tmp_path / "lineage.sqlite")


# --- runs


def test_runs_have_parents_and_children_and_one_end(lineage: LineageStore) -> None:
    sweep = lineage.begin("sweep", "sizes", attributes={"cells": 2})
    cells = [lineage.begin("cell", f"size {i}", parent=sweep) for i in range(2)]
    lineage.end(cells[0], "VALIDATED")
    lineage.end(cells[0], "REFUTED")  # what has ended has ended
    assert {run.run_id for run in lineage.children(sweep)} == set(cells)
    assert lineage.run(cells[0]).outcome == "VALIDATED"
    assert lineage.run(cells[1]).ended_at == ""
    assert lineage.run(cells[0]).parents == (sweep,)
    assert lineage.run(sweep).attributes == {"cells": 2}
    for call in (lambda: lineage.begin("cell", "x", parent="run-none"), lambda: lineage.end("run-none", "x")):
        with pytest.raises(UnknownRecord):
            call()
    with pytest.raises(UnknownRecord):
        lineage.run("run-none")


def test_no_run_is_its_own_ancestor(lineage: LineageStore) -> None:
    lineage.link("a", "b")
    lineage.link("b", "c")
    for parent, child in (("c", "a"), ("a", "a"), ("b", "a")):
        with pytest.raises(UsageError, match="belong"):
            lineage.link(parent, child)
    assert lineage.links() == [("a", "b"), ("b", "c")]


def test_a_clock_that_goes_backwards_does_not_turn_a_run_around(lineage: LineageStore) -> None:
    late, early = "2030-01-01T00:00:00+00:00", "2020-01-01T00:00:00+00:00"
    parent = lineage.begin("sweep", "s", started_at=late)
    child = lineage.begin("cell", "c", parent=parent, started_at=early)
    lineage.end(child, "VALIDATED", ended_at=early)
    run = lineage.run(child)
    assert run.started_at == run.ended_at == late


def test_the_database_refuses_change_and_removal(lineage: LineageStore) -> None:
    run = lineage.begin("sweep", "s")
    lineage.end(run, "VALIDATED")
    for statement in ("UPDATE ends SET outcome = 'REFUTED'", "DELETE FROM runs", "DELETE FROM ends"):
        with sqlite3.connect(lineage.path) as db, pytest.raises(sqlite3.IntegrityError, match="only grows"):
            db.execute(statement)
        db.close()
    assert lineage.run(run).outcome == "VALIDATED"


WRITER = """
import sys
from pathlib import Path
from ophamin.comparing.provenance.lineage import LineageStore
lineage, name, n = LineageStore(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
parent = lineage.begin("sweep", name, run_id="run-shared")
for i in range(n):
    child = lineage.begin("cell", f"{name} {i}", parent="run-shared")
    lineage.append_update(f"{name} {i}".encode())
    lineage.end(child, "VALIDATED")
"""


def test_many_processes_write_at_once_and_nothing_is_lost(lineage: LineageStore) -> None:
    """All begin by making the same file."""
    n, each = 5, 20
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, lineage.path, f"w{i}", str(each)]) for i in range(n)]
    assert [writer.wait(120) for writer in writers] == [0] * n
    children = lineage.children("run-shared")
    assert {run.name for run in children} == {f"w{i} {j}" for i in range(n) for j in range(each)}
    assert {run.outcome for run in children} == {"VALIDATED"}
    assert len(lineage.updates()) == n * each


def test_a_killed_writer_leaves_a_sound_file(lineage: LineageStore) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, lineage.path, "w", "100000"])
    while len(lineage.runs()) < 20:
        assert writer.poll() is None
    writer.kill()
    writer.wait()
    runs = lineage.runs()
    lineage.end(lineage.begin("cell", "after"), "VALIDATED")
    assert len(lineage.runs()) >= len(runs) + 1
    with sqlite3.connect(lineage.path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


def test_a_damaged_or_newer_file_is_said(lineage: LineageStore, tmp_path: Path) -> None:
    lineage.begin("sweep", "s")
    with sqlite3.connect(lineage.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(UnsupportedVersion, match="upgrade"):
        lineage.runs()
    lineage.path.write_bytes(b"no database" * 1000)
    with pytest.raises(RecordError, match="move it away"):
        lineage.runs()


# --- records


def add(lineage: LineageStore, record: dict[str, Any], kind: str = "proof", id_field: str = "proof_id") -> bool:
    return lineage.add(record, kind, id_field, provenance_of(record, kind, id_field), verified=True)


def test_a_wrong_corpus_fells_exactly_the_verdicts_that_rest_on_it(lineage: LineageStore, made: Any) -> None:
    on_a = [{"proof_id": f"{i:064x}", **made(corpus=A, revision=f"r{i}")} for i in range(1, 4)]
    on_b = [{"proof_id": f"{i:064x}", **made(corpus=B, revision=f"r{i}")} for i in range(4, 6)]
    for record in (*on_a, *on_b):
        assert add(lineage, record)
        assert not add(lineage, record)
    for word, expected in (
        (A, on_a),
        (B, on_b),
        ("rows", [*on_a, *on_b]),
        ("r2", on_a[1:2]),
        ("scipy 1.15.3", [*on_a, *on_b]),
    ):
        nodes = lineage.find(word)
        assert nodes, word
        fallen = lineage.impact(node.node_id for node in nodes)
        assert {item.known.record_id for item in fallen} == {record["proof_id"] for record in expected}, word
    assert lineage.find("scipy 9") == []
    assert lineage.impact([]) == []


def test_what_rests_on_a_fallen_record_falls_too(lineage: LineageStore, made: Any) -> None:
    proof = {"proof_id": "01" * 32, **made(corpus=A)}
    sweep = {"sweep_id": "02" * 32, "schema_version": "sweep/1.0", "cells": [{"proof_id": proof["proof_id"]}]}
    alert = {"alert_id": "03" * 32, "before_ids": [sweep["sweep_id"]]}
    add(lineage, sweep, "sweep", "sweep_id")  # before its proof is known
    add(lineage, proof)
    add(lineage, alert, "alert", "alert_id")
    [corpus] = lineage.find(A)
    fallen = lineage.impact([corpus.node_id])
    assert [item.known.record_id for item in fallen] == [proof["proof_id"], sweep["sweep_id"], alert["alert_id"]]
    assert [run.run_id for run in lineage.children(sweep["sweep_id"])] == [proof["proof_id"]]
    assert lineage.children(alert["alert_id"]) == []


def test_forged_circles_of_records_end(lineage: LineageStore) -> None:
    first, second = "0a" * 32, "0b" * 32
    add(lineage, {"alert_id": first, "before_id": second}, "alert", "alert_id")
    add(lineage, {"alert_id": second, "before_id": first}, "alert", "alert_id")
    assert {item.known.record_id for item in lineage.impact([record_node(first)])} == {first, second}


def test_a_withdrawn_thing_marks_what_comes_later_too(lineage: LineageStore, made: Any) -> None:
    add(lineage, {"proof_id": "01" * 32, **made(corpus=A)})
    [corpus] = lineage.find(A)
    with pytest.raises(UsageError, match="--reason"):
        lineage.withdraw([corpus.node_id], " ")
    lineage.withdraw([corpus.node_id], "labels swapped")
    add(lineage, {"proof_id": "02" * 32, **made(corpus=A, revision="r2")})
    add(lineage, {"proof_id": "03" * 32, **made(corpus=B)})
    marks = lineage.marks()
    assert set(marks) == {"01" * 32, "02" * 32}
    assert "labels swapped" in marks["02" * 32][0].detail


def test_the_last_mark_counts_and_the_others_stay(lineage: LineageStore) -> None:
    for state in ("same", "left", "left", "same"):
        lineage.mark("ab", "corpus", state, f"it is {state}")
    assert [mark.state for mark in lineage.marks()["ab"]] == ["same"]
    with sqlite3.connect(lineage.path) as db:
        assert db.execute("SELECT COUNT(*) FROM marks").fetchone() == (3,)
    db.close()


# --- from the store


def test_the_lineage_is_built_anew_from_the_store(project: Settings, stored: Any, made: Any) -> None:
    ids = stored(*(made(revision=f"r{i}") for i in range(4)))
    lineage = lineage_of(project)
    assert refresh(lineage, project).added == sorted(ids) or set(lineage.record_ids()) == set(ids)
    assert refresh(lineage, project).added == []
    before = (lineage.runs(), lineage.records(), [lineage.rests_on(i) for i in ids])
    lineage.path.unlink()
    refresh(lineage, project)
    assert (lineage.runs(), lineage.records(), [lineage.rests_on(i) for i in ids]) == before


def test_bad_records_are_said_and_the_rest_is_served(project: Settings, stored: Any, made: Any, tmp_path: Path) -> None:
    good, forged, torn, linked, moved = stored(*(made(revision=f"r{i}") for i in range(5)))
    stranger = stored(made(revision="foreign"), signer=Keyring(tmp_path / "stranger", {}).signer())[0]
    folder = {i: Path(project.store, "proof", i[:2], i) for i in (good, forged, torn, linked, moved)}
    file = folder[forged] / "record.json"
    file.write_text(file.read_text().replace('"r1"', '"r9"'))
    (folder[torn] / "record.json").write_bytes((folder[torn] / "record.json").read_bytes()[:200])
    (folder[linked] / "record.json").rename(tmp_path / "elsewhere.json")
    (folder[linked] / "record.json").symlink_to(tmp_path / "elsewhere.json")
    folder[moved].rename(folder[moved].with_name(moved[:2] + "f" * 62))
    lineage = lineage_of(project)
    found = refresh(lineage, project)
    names = {good: "good", forged: "forged", torn: "torn", linked: "linked", moved: "moved", stranger: "stranger"}
    assert {names[i] for i in lineage.record_ids()} == {"good", "stranger"}
    assert found.tampered
    said = " ".join(found.left_out.values())
    assert len(found.left_out) == 4
    for reason in ("id: the body hashes to", "link", "not the name of its folder"):
        assert reason in said
    assert [known.verified for known in lineage.records([stranger])] == [False]


# --- inputs


def records_of(sizes: list[int], kind: str = "good") -> list[Record]:
    return [Record(f"r{i}", "x" * size, labels={"kind": kind}) for i, size in enumerate(sizes)]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=80))
def test_a_summary_is_a_distribution_and_equals_itself(sizes: list[int]) -> None:
    records = records_of(sizes)
    summary = summarize(records)
    assert summary["n"] == len(sizes)
    for part in summary["parts"].values():
        assert sum(part["shares"].values()) == pytest.approx(1)
    assert json.loads(json.dumps(summary)) == summary
    again = summarize(reversed(records), summary)
    assert set(shift(summary, again).values()) == {0.0}


def test_a_shift_of_sizes_or_labels_is_seen_and_more_of_the_same_is_not() -> None:
    reference = summarize(records_of(list(range(200))))
    assert max(shift(reference, summarize(records_of([i // 2 for i in range(400)]), reference)).values()) < 0.01
    moved = shift(reference, summarize(records_of(list(range(150, 350))), reference))
    assert moved["size"] > SHIFTED
    assert moved["label kind"] == 0
    assert shift(reference, summarize(records_of(list(range(200)), "bad"), reference))["label kind"] > SHIFTED


def test_the_index_is_what_the_book_says() -> None:
    """Siddiqi (2006): sum of (actual − expected) · ln(actual / expected)."""
    both = [{"parts": {"size": {"shares": {"0": a, "1": 1 - a}}}} for a in (0.5, 0.8)]
    # 0.3 ln 1.6 − 0.3 ln 0.4 = 0.3 ln 4
    assert shift(*both)["size"] == pytest.approx(0.41588830833596716)


# --- the commands


@pytest.fixture
def call(project: Settings) -> Any:
    def run(command: click.Command, *words: Any) -> Result:
        return CliRunner().invoke(command, [str(w) for w in words], obj=project)

    return run


def test_list_show_why_impact(call: Any, stored: Any, made: Any) -> None:
    first, second = stored(made(corpus=A), made(corpus=B, outcome="REFUTED", value=0.5, lower=0.4, upper=0.6))
    listed = json.loads(call(commands.list_, "--json").stdout)
    assert {run["run_id"]: run["outcome"] for run in listed["runs"]} == {first: "VALIDATED", second: "REFUTED"}
    shown = json.loads(call(commands.show, first[:10], "--json").stdout)
    assert {"corpus", "claim", "observations", "software", "key"} <= {n["kind"] for n in shown["rests_on"]}
    why = call(commands.why, first)
    assert why.exit_code == 0
    assert "wasDerivedFrom corpus rows" in why.stdout
    fallen = call(commands.impact, A, "--json")
    assert fallen.exit_code == 1
    assert [row["record_id"] for row in json.loads(fallen.stdout)["fallen"]] == [first]
    assert "1 records rest on" in call(commands.impact, A).stdout
    assert isinstance(call(commands.impact, "sha256:none").exception, UnknownRecord)
    assert isinstance(call(commands.show, "feed").exception, UnknownRecord)


def test_a_record_of_another_kind_began_and_ended_when_it_says(
    call: Any, project: Settings, write_proof: Any, body: Any
) -> None:
    from ophamin.comparing._command.compare import compare

    sides = [write_proof(f"{r}/record.json", body(revision=r)).parent for r in ("r1", "r2")]
    alert = json.loads(call(compare, *sides, "--json").stdout)["record"]
    made_at = json.loads(Path(alert).read_text())["generated_at"]
    [run] = json.loads(call(commands.list_, "--json").stdout)["runs"]
    assert (run["kind"], run["started_at"], run["ended_at"]) == ("regression-alert", made_at, made_at)
    assert f"ended  {made_at}" in call(commands.list_).stdout


def test_withdraw_marks_the_list(call: Any, stored: Any, made: Any) -> None:
    first, second = stored(made(corpus=A), made(corpus=B))
    assert call(commands.withdraw, A, "--reason", "swapped labels").exit_code == 0
    stale = {run["run_id"]: run["stale"] for run in json.loads(call(commands.list_, "--json").stdout)["runs"]}
    assert stale == {first: ["withdrawn"], second: []}
    assert "swapped labels" in call(commands.show, first).stdout


def test_a_tampered_record_ends_the_list_with_3(call: Any, project: Settings, stored: Any, made: Any) -> None:
    good, bad = stored(made(), made(revision="r2"))
    file = Path(project.store, "proof", bad[:2], bad, "record.json")
    file.write_text(file.read_text().replace('"r2"', '"r3"'))
    done = call(commands.list_)
    assert done.exit_code == 3
    assert bad in done.stderr
    assert good[:16] in done.stdout


def test_stale_sees_versions_and_says_what_it_cannot_look_at(call: Any, stored: Any, made: Any) -> None:
    from importlib.metadata import version

    fresh, old = made(), made(revision="r2")
    fresh["reproduction"]["environment"] = {"ophamin-core": version("ophamin-core")}
    old["reproduction"]["environment"] = {"ophamin-core": "0.0.1", "no-such-package": "1"}
    first, second = stored(fresh, old)
    done = call(commands.stale, "--json")
    assert done.exit_code == 1
    by_id = {row["record_id"]: row for row in json.loads(done.stdout)["proofs"]}
    assert by_id[first]["stale"] == []
    assert by_id[second]["stale"] == ["environment"]
    states = {mark["cause"]: (mark["state"], mark["detail"]) for mark in by_id[second]["marks"]}
    assert "ophamin-core 0.0.1 -> " in states["environment"][1]
    assert "no-such-package 1 -> not installed" in states["environment"][1]
    assert {states[cause][0] for cause in ("corpus", "code", "inputs")} == {"unknown"}
    assert "STALE: environment" in call(commands.list_).stdout


def test_stale_opens_nothing_that_a_stranger_or_a_forger_names(
    call: Any, project: Settings, stored: Any, made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "openedmodule.py").write_text(f"open({str(tmp_path / 'opened')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    foreign, forged = made(revision="r2"), made(revision="r3")
    for record in (foreign, forged):
        record["reproduction"]["run_spec"]["arms"] = {"main": "python:openedmodule:f"}
    [other] = stored(foreign, signer=Signer(b"somebody else's secret key"))
    [bad] = stored(forged)
    assert call(commands.list_).exit_code == 0
    file = Path(project.store, "proof", bad[:2], bad, "record.json")
    file.write_text(file.read_text().replace('"r3"', '"r4"'))
    done = call(commands.stale, "--json")
    assert done.exit_code == 3
    said = json.loads(done.stdout)
    assert [row["record_id"] for row in said["proofs"]] == [other]
    assert "nobody known signed it" in json.dumps(said["proofs"])
    assert set(said["left_out"]) == {bad}
    assert not (tmp_path / "opened").exists()
    assert "openedmodule" not in sys.modules


def test_versions_of_packages_without_a_name(call: Any, stored: Any, made: Any) -> None:
    odd = made()
    odd["reproduction"]["environment"] = {"": "1"}
    stored(odd)
    done = call(commands.stale, "--json")
    assert done.exit_code == 1, done.exception
    assert "not installed" in done.stdout


def test_why_is_asked_of_one_record(call: Any, project: Settings, stored: Any, made: Any, tmp_path: Path) -> None:
    stored(made(), made(revision="r2"))
    (tmp_path / "empty").mkdir()
    for words, count in ((project.store, 2), (str(tmp_path / "empty"), 0)):
        done = call(commands.why, words)
        assert isinstance(done.exception, UsageError)
        assert f"means {count} records" in str(done.exception)


def test_words_that_are_no_utf_8_are_no_bug(call: Any, stored: Any, made: Any) -> None:
    [record_id] = stored(made(corpus=A))
    word = "a\udcff"
    assert call(commands.withdraw, A, "--reason", word).exit_code == 0
    assert "a\\udcff" in call(commands.show, record_id).stdout
    for command in (commands.show, commands.impact):
        assert isinstance(call(command, word).exception, UnknownRecord)
    assert call(commands.list_, "--kind", word).exit_code == 0
