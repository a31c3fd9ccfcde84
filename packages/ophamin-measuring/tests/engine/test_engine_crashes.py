"""Killed at every point of the road, by a real kill -9 of a real process."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from ophamin.proof.ledger import Ledger

SLOW = {"substrate": "tiny?sleep=0.01", "n": 100}


def _shown(rows):
    """Rows without when: what has to be the same byte for byte."""
    return [json.dumps({**row, "wall_s": None}, sort_keys=True) for row in rows]


def _uninterrupted(road, world, tmp_path, **more):
    """The same run in a project of its own, never interrupted."""
    from dataclasses import replace

    from ophamin.measuring.scenarios import run_scenario

    other = tmp_path / "other"
    other.mkdir()
    return run_scenario(replace(road.spec(**more), project=str(other)))


@pytest.mark.parametrize(
    ("point", "registrations", "cycles_kept"),
    [
        ("in-selection-file", 0, False),
        ("before-register", 0, False),
        ("after-register", 1, False),
        ("before-decide", 1, True),
        ("before-sign", 1, True),
        ("after-sign", 1, True),
        ("after-store", 1, True),
        ("after-outcome", 1, True),
    ],
)
def test_killed_at_a_point_of_the_road_the_next_run_ends_in_one_proof(
    road, world, tmp_path, point, registrations, cycles_kept
):
    code, _, _ = road.child(point)
    assert code == -signal.SIGKILL
    assert len(road.entries("registration")) == registrations
    stored = [p.parent.name for p in road.proofs()]
    journal = [p for p in road.journals() if (p / "proof.json").exists()]
    signed = json.loads((journal[0] / "proof.json").read_text())["proof_id"] if journal else None
    if cycles_kept:
        assert (road.journals()[0] / "observations.jsonl").read_bytes().count(b"\n") == 100
    code, out, err = road.child()
    assert code == 0, err
    result = json.loads(out)
    assert len(road.entries("registration")) == max(registrations, 1)
    assert [p.parent.name for p in road.proofs()] == [result["proof_id"]]
    assert stored in ([], [result["proof_id"]])
    assert signed in (None, result["proof_id"])
    assert road.ledger.verify().ok
    assert road.verify(result["path"]).exit_code == 0
    assert road.journals() == []
    outcomes = [e for e in road.entries("outcome") if e["outcome"] != "ABORTED"]
    assert [e["proof_id"] for e in outcomes] == [result["proof_id"]]
    whole = _uninterrupted(road, world, tmp_path)
    assert _shown(road.rows(result["path"])) == _shown(road.rows(whole.path))


@pytest.mark.parametrize("turn", ["1", "2", "64", "65", "100"])
def test_killed_in_a_cycle_the_run_resumes_as_the_same_attempt(road, world, tmp_path, turn, monkeypatch):
    spec = f"tiny?kill={turn}"
    code, _, _ = road.child(substrate=spec)
    assert code == -signal.SIGKILL
    kept = (road.journals()[0] / "observations.jsonl").read_bytes().count(b"\n")
    assert kept == int(turn) - 1
    monkeypatch.setattr(world.TinySystem, "deadly", False)
    result = road.run(substrate=spec)
    assert result.record["preregistration"]["attempt"] == 1
    assert len(road.entries("registration")) == len(road.entries("resumption")) == 1
    assert road.verify(result.path).exit_code == 0
    assert road.ledger.verify().ok
    whole = _uninterrupted(road, world, tmp_path, substrate=spec)
    assert _shown(road.rows(result.path)) == _shown(road.rows(whole.path))
    assert (
        result.record["data"]["observations"]["values_digest"] == whole.record["data"]["observations"]["values_digest"]
    )


def test_interleaved_arms_resume_in_the_same_order(road, world, tmp_path, monkeypatch):
    more = {"substrate": {"arm0": "tiny:a", "arm1": "tiny:b?kill=31"}, "options": {"arms": 2}, "n": 50}
    assert road.child(**more)[0] == -signal.SIGKILL
    monkeypatch.setattr(world.TinySystem, "deadly", False)
    result = road.run(**more)
    whole = _uninterrupted(road, world, tmp_path, **more)
    assert _shown(road.rows(result.path)) == _shown(road.rows(whole.path))


def test_a_torn_last_row_is_cut_and_measured_again(road, world, tmp_path, monkeypatch):
    assert road.child(substrate="tiny?kill=50")[0] == -signal.SIGKILL
    path = road.journals()[0] / "observations.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    monkeypatch.setattr(world.TinySystem, "deadly", False)
    result = road.run(substrate="tiny?kill=50")
    rows = road.rows(result.path)
    assert [row["index"] for row in rows] == list(range(100))
    assert _shown(rows) == _shown(road.rows(_uninterrupted(road, world, tmp_path, substrate="tiny?kill=50").path))


def test_fresh_gives_up_the_interrupted_attempt_which_stays_visible(road, world, monkeypatch):
    assert road.child(substrate="tiny?kill=50")[0] == -signal.SIGKILL
    monkeypatch.setattr(world.TinySystem, "deadly", False)
    result = road.run(substrate="tiny?kill=50", fresh=True)
    assert result.record["preregistration"]["attempt"] == 2
    assert result.record["preregistration"]["alpha_used"] == 0.025
    assert [e["outcome"] for e in road.entries("outcome")] == ["ABORTED", result.outcome]
    assert road.journals() == []
    assert road.verify(result.path).exit_code == 0


def test_another_claim_does_not_resume_it(road, monkeypatch):
    assert road.child(substrate="tiny?kill=50")[0] == -signal.SIGKILL
    other = road.run(options={"theta": 0.7})
    assert other.record["preregistration"]["attempt"] == 1
    assert len(road.journals()) == 1


def test_interrupted_by_hand_the_journal_stays_and_the_run_resumes(road, world, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        road.run(substrate="tiny?fault=interrupt&at=30")
    assert [e["outcome"] for e in road.entries("outcome")] == ["ABORTED"]
    one = world.TinySystem._one

    def mended(self, *args):
        self.fault = ""
        return one(self, *args)

    monkeypatch.setattr(world.TinySystem, "_one", mended)
    result = road.run(substrate="tiny?fault=interrupt&at=30")
    assert result.record["preregistration"]["attempt"] == 1
    assert len(road.rows(result.path)) == 100


@pytest.mark.slow
def test_killed_at_moments_nobody_chose(road):
    for moment in (0.25, 0.5, 0.75, 1.0, 1.25):
        process = road.child(wait=False, **SLOW)
        time.sleep(moment)
        process.kill()
        process.communicate()
        Ledger(road.folder / ".ophamin" / "ledger").verify()
    code, out, err = road.child(**SLOW)
    assert code == 0, err
    result = json.loads(out)
    assert road.verify(result["path"]).exit_code == 0
    assert [row["index"] for row in road.rows(result["path"])] == list(range(100))
    assert len(road.proofs()) == len([e for e in road.entries("outcome") if e["outcome"] != "ABORTED"])


def test_two_runs_of_one_claim_at_once_are_two_attempts_on_different_records(road):
    both = [road.child(wait=False, **SLOW) for _ in range(2)]
    results = []
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
        results.append(json.loads(out))
    attempts = [json.loads(Path(r["path"]).read_bytes())["preregistration"]["attempt"] for r in results]
    assert sorted(attempts) == [1, 2]
    first, second = ({row["record"] for row in road.rows(r["path"])} for r in results)
    assert not first & second
    assert road.ledger.verify().ok
    assert all(road.verify(r["path"]).exit_code == 0 for r in results)
    assert road.journals() == []
