"""A run that stops as soon as its claim is decided: what is stored, what is shown, and what a kill changes."""

from __future__ import annotations

import gzip
import json
import signal
from collections import Counter

import pytest

from ophamin.measuring.scenarios.recomputing import recompute
from ophamin.measuring.scenarios.reproduction import reproduce
from ophamin.measuring.scenarios.words import run_text, summary
from ophamin.proof.errors import ProtocolViolation, UsageError

EARLY = {"rule": "sequential", "n": 250}


def shown(rows):
    return [json.dumps({**row, "wall_s": None, "block": None}, sort_keys=True) for row in rows]


def test_it_stops_where_it_is_decided_and_the_record_says_where(road):
    result = road.run(**EARLY)
    verdict, plan = result.record["verdict"], result.record["preregistration"]["plan"]
    n = verdict["n_planned"]
    assert result.outcome == "VALIDATED"
    assert 15 < n < 150
    assert (verdict["n_max"], verdict["stopped_at"], verdict["cycles_saved"]) == (250, n, 250 - n)
    assert verdict["n_used"] + verdict["n_errors"] + verdict["n_unmeasured"] == n == len(road.rows(result.path))
    assert plan["n_planned"] == 250 == road.entries("registration")[0]["n_planned"]
    assert plan["stopping"].startswith("sequential")
    assert plan["expected_n_validate"] < 250
    assert f"Stopped after {n} of at most 250 cycles." in result.reasoning
    assert verdict["interval"]["lower"] >= 0.8
    selection = result.record["data"]["datasets"][0]["selection"]
    assert len(selection["not_reached"]) == 250 - n
    assert road.verify(result.path).exit_code == 0
    assert road.entries("outcome")[0]["cycles"] == n


def test_one_cycle_less_would_not_have_decided(road):
    """The stop is the first cycle at which the rows so far decide, by the function anyone can call."""
    from ophamin.measuring.decision import decide
    from ophamin.proof.types import Decision, Threshold
    from ophamin.protocols import EstimatorCall

    result = road.run(**EARLY)
    decision = Decision(**result.record["claim"]["decision"])
    values = [row["values"]["value"] for row in road.rows(result.path)]

    def outcome(n):
        call = EstimatorCall("accuracy", "proportion", {"value": values[:n]})
        return decide(
            Threshold("accuracy", ">=", 0.8), decision, call, alpha_validate=0.05, alpha_refute=0.05, seed=0
        ).outcome

    assert [outcome(n) for n in range(1, len(values))] == ["INCONCLUSIVE"] * (len(values) - 1)
    assert outcome(len(values)) == "VALIDATED"


def test_recompute_and_reproduce_know_where_it_stopped(road):
    result = road.run(**EARLY)
    again = recompute(result.path)
    assert again.agrees, again.differences
    assert again.n == result.record["verdict"]["stopped_at"]
    found = reproduce(result.path, project=str(road.folder))
    assert (found.answer, found.exact, found.n) == ("AGREE", True, again.n)


def test_another_system_is_compared_by_bounds_that_hold_where_the_first_run_stopped(road):
    result = road.run(**EARLY)
    found = reproduce(result.path, project=str(road.folder), arms={"main": "tiny?p=0.2"})
    assert found.answer == "DISAGREE"
    assert found.comparisons[0].method == "betting"


def test_undecided_at_its_maximum_it_is_inconclusive_without_a_last_test(road):
    result = road.run(substrate="tiny?p=0.82", rule="sequential", n=60)
    verdict = result.record["verdict"]
    assert result.outcome == "INCONCLUSIVE"
    assert (verdict["stopped_at"], verdict["cycles_saved"], verdict["stopped_by"]) == (60, 0, "n_max")
    assert "no last test" in result.reasoning
    assert road.verify(result.path).exit_code == 0
    assert recompute(result.path).agrees


def test_a_false_claim_is_refuted_early(road):
    result = road.run(substrate="tiny?p=0.4", **EARLY)
    assert result.outcome == "REFUTED"
    assert result.record["verdict"]["cycles_saved"] > 150


def test_errors_count_by_bound(road):
    """A fifth of the cycles fail: they can neither validate nor refute."""
    result = road.run(substrate="tiny?p=1.0&fault=error&at=5", **EARLY)
    verdict = result.record["verdict"]
    assert result.outcome == "INCONCLUSIVE"
    assert verdict["n_errors"] == 50
    assert verdict["interval"]["lower"] < 0.8 < verdict["interval"]["upper"]


def test_progress_shows_counts_and_time_only_and_ends_at_the_stop(road):
    ticks = []
    result = road.run(progress=ticks.append, **EARLY)
    n = result.record["verdict"]["stopped_at"]
    assert {tuple(vars(t)) if hasattr(t, "__dict__") else tuple(t.__slots__) for t in ticks} == {
        ("phase", "done", "total", "elapsed_s")
    }
    assert (ticks[-1].done, ticks[-1].total) == (n, n)


@pytest.mark.parametrize("turn", ["1", "12", "20"])
def test_killed_in_a_cycle_it_goes_on_with_the_same_process(road, world, tmp_path, turn, monkeypatch):
    spec = {**EARLY, "substrate": f"tiny?kill={turn}"}
    code, _, err = road.child(**spec)
    assert code == -signal.SIGKILL, err
    monkeypatch.setattr(world.TinySystem, "deadly", False)
    result = road.run(**spec)
    from dataclasses import replace

    from ophamin.measuring.scenarios import run_scenario

    other = tmp_path / "other"
    other.mkdir()
    whole = run_scenario(replace(road.spec(**spec), project=str(other)))
    assert shown(road.rows(result.path)) == shown(road.rows(whole.path))
    assert result.record["verdict"]["interval"] == whole.record["verdict"]["interval"]
    assert result.record["preregistration"]["plan"]["resumptions"] == 1
    assert len(road.entries("registration")) == 1
    assert road.verify(result.path).exit_code == 0


def test_killed_after_the_crossing_no_further_cycle_is_run(road, world):
    code, _, err = road.child("before-decide", **EARLY)
    assert code == -signal.SIGKILL, err
    kept = (road.journals()[0] / "observations.jsonl").read_bytes().count(b"\n")
    assert kept < 150
    result = road.run(**EARLY)
    assert (result.outcome, len(road.rows(result.path))) == ("VALIDATED", kept)


def test_interrupted_it_resumes(road, world, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        road.run(substrate="tiny?fault=interrupt&at=10", **EARLY)
    one = world.TinySystem._one

    def mended(self, *args):
        self.fault = ""
        return one(self, *args)

    monkeypatch.setattr(world.TinySystem, "_one", mended)
    result = road.run(substrate="tiny?fault=interrupt&at=10", **EARLY)
    assert result.outcome == "VALIDATED"
    assert "Resumed once." in result.reasoning


def test_the_next_attempt_has_half_the_alpha_and_may_use_what_was_not_reached(road):
    first = road.run(**EARLY)
    second = road.run(**EARLY, fresh=True)
    registered = second.record["preregistration"]
    assert (registered["attempt"], registered["alpha_used"]) == (2, 0.025)
    assert registered["error_bound"] == pytest.approx(0.075)
    seen = [{row["record"] for row in road.rows(r.path)} for r in (first, second)]
    assert not seen[0] & seen[1]
    left = set(first.record["data"]["datasets"][0]["selection"]["not_reached"])
    assert seen[1] & left
    assert road.verify(second.path).exit_code == 0


def test_groups_run_one_after_another_and_each_is_one_observation(road):
    result = road.run(corpus="tiny:600?groups=60", substrate="tiny?p=0.99", rule="sequential", n=60)
    units = [row["unit"] for row in road.rows(result.path)]
    assert len(list(dict.fromkeys(units))) == len([u for i, u in enumerate(units) if i == 0 or units[i - 1] != u])
    evidence = result.record["evidence"][0]
    assert result.outcome == "VALIDATED"
    assert 20 <= evidence["n_groups"] < 60
    left = result.record["data"]["datasets"][0]["selection"]["not_reached"]
    assert left
    assert not {f"g{int(i[1:]) % 60}" for i in left} & set(units)  # it stops between two groups
    assert "units one after another" in result.record["data"]["datasets"][0]["selection"]["method"]


def test_co_primaries_must_both_have_crossed(road):
    result = road.run(scenario="tiny-pair", corpus="tiny:600", rule="sequential", n=200)
    verdict = result.record["verdict"]
    assert result.outcome == "VALIDATED"
    assert verdict["cycles_saved"] > 100
    assert verdict["co_primary"][0]["interval"]["upper_confidence"] == 0.975
    assert road.verify(result.path).exit_code == 0
    assert recompute(result.path).agrees


def test_registered_looks_are_the_only_ones(road):
    result = road.run(options={"looks": "40,80,160"}, rule="sequential", n=None)
    verdict = result.record["verdict"]
    assert verdict["n_max"] == 160
    assert verdict["stopped_at"] in (40, 80, 160)
    assert result.record["claim"]["decision"]["method"] == "group-sequential:40,80,160"
    assert road.verify(result.path).exit_code == 0
    assert recompute(result.path).agrees
    assert reproduce(result.path, project=str(road.folder)).answer == "AGREE"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"options": {"looks": "40,80"}}, "add --sequential"),
        ({"options": {"looks": "80,40"}, "rule": "sequential", "n": None}, "rising"),
        ({"options": {"looks": "40,80"}, "rule": "sequential", "n": 100}, "last registered look is at 80"),
        ({"options": {"spending": "pocock"}, "rule": "sequential"}, "name them"),
        ({"error_policy": "fail", "rule": "sequential"}, "by bound"),
        ({"options": {"theta": 1.0}, "rule": "sequential"}, "no sample can validate"),
    ],
)
def test_what_makes_no_sense_registers_nothing(road, more, words):
    with pytest.raises(UsageError, match=words):
        road.run(**{"n": 100, **more})
    assert road.entries("registration") == []


def test_a_scenario_whose_score_is_of_the_whole_is_not_stopped_early(road, world, monkeypatch):
    score = world.Tiny.score

    def whole(self, columns, options):
        found = score(self, columns, options)
        table = dict(found.calls[0].columns)
        table["value"] = [int(v == table["value"][0]) for v in table["value"]]
        return type(found)([type(found.calls[0])("accuracy", "proportion", table)])

    monkeypatch.setattr(world.Tiny, "score", whole)
    with pytest.raises(ProtocolViolation, match="use rule interval"):
        road.run(substrate="tiny?p=0.5", **EARLY)


def test_rows_left_out_or_reordered_do_not_verify(road):
    from pathlib import Path

    result = road.run(**EARLY)
    path = Path(result.path).with_name("observations.jsonl.gz")
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:-1]), mtime=0))
    assert road.verify(result.path).exit_code == 3


def test_the_words_say_what_was_saved(road):
    result = road.run(**EARLY)
    n = result.record["verdict"]["stopped_at"]
    assert f"stopped  at {n} of at most 250 cycles, {250 - n} saved" in run_text(result.record, result.path)
    assert summary(result.record, result.path)["cycles_saved"] == 250 - n


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["sequential"])
def test_exactly_at_theta_the_engine_errs_at_most_alpha(road, rule):
    """60 runs of other systems exactly at θ: more than 10 VALIDATED happen once in 4,000 at 5 %."""
    found = Counter(
        road.run(substrate=f"tiny:s{i}?p=0.8", rule=rule, n=120, corpus="tiny:300").outcome for i in range(60)
    )
    assert found["VALIDATED"] <= 10, found
    assert found["REFUTED"] <= 10, found
