"""The road in order: what is registered, when, and what the record says."""

from __future__ import annotations

import gzip
import hashlib
import json
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest

from ophamin.proof.canonical import canonical_bytes, digest
from ophamin.proof.errors import (
    CorpusUnavailable,
    LeakageError,
    NotApplicable,
    SubstrateFailure,
    UnknownPlugin,
    UsageError,
)
from ophamin.proof.merkle import leaf_hash, root_hash


def test_a_true_claim_is_validated_and_everything_about_its_record_verifies(road):
    result = road.run(substrate="tiny?p=0.97")
    assert result.outcome == "VALIDATED"
    checks = road.verify(result.path).checks
    assert {c.name: c.state for c in checks if c.state != "good"} == {} or {
        c.name for c in checks if c.state != "good"
    } <= {
        "attestation"  # without cryptography nothing attests
    }
    assert {"id", "signature", "schema", "consistency", "ledger", "observations"} <= {
        c.name for c in checks if c.state == "good"
    }


def test_a_false_claim_is_refuted_and_a_close_one_is_left_open(road):
    assert road.run(substrate="tiny?p=0.6").outcome == "REFUTED"
    assert road.run(substrate="tiny:other?p=0.8").outcome == "INCONCLUSIVE"


def test_the_record_has_every_field_of_version_1_1(road):
    result = road.run(substrate="tiny?p=0.97")
    record = result.record
    assert list(record)[1:9] == [
        "identity", "claim", "preregistration", "data", "evidence", "verdict", "reproduction", "provenance",
    ]  # fmt: skip
    registered = record["preregistration"]
    assert {
        "claim_hash", "timing", "attempt", "alpha_used", "error_bound", "seed", "seed_origin", "plan", "code", "ledger",
    } <= set(registered)  # fmt: skip
    assert registered["seed_origin"] == "derived"
    assert registered["timing"] == "before_data"
    assert registered["plan"]["n_planned"] == 100
    assert registered["plan"]["underpowered"] is True
    assert registered["code"]["source_hash"].startswith("sha256:")
    assert record["data"]["substrate"]["revision"] == "rev1"
    assert record["data"]["datasets"][0]["selection"]["n_selected"] == 100
    assert record["claim"]["decision"]["target"].startswith("the registered corpus tiny sha256:")
    assert record["reproduction"]["environment"]["ophamin-measuring"] == version("ophamin-measuring")
    assert record["reproduction"]["environment"]["ophamin-core"] == version("ophamin-core")
    assert shlex.split(record["reproduction"]["command"]) == record["reproduction"]["argv"]
    assert record["reproduction"]["run_spec"]["arms"] == {"main": "tiny?p=0.97"}
    assert not {"project", "key_file", "store", "data_root"} & set(record["reproduction"]["run_spec"])
    verdict = record["verdict"]
    assert verdict["n_planned"] == verdict["n_used"] + verdict["n_errors"] + verdict["n_unmeasured"] == 100
    assert record["identity"]["created_at"] >= registered["preregistered_at"]
    assert {"activity", "entity", "agent"} <= set(record["provenance"])


def test_the_observations_are_bound_by_digest_root_and_values(road):
    result = road.run()
    stated = result.record["data"]["observations"]
    packed = Path(result.path).with_name("observations.jsonl.gz").read_bytes()
    data = gzip.decompress(packed)
    assert packed[4:8] == b"\0\0\0\0"
    assert stated["digest"] == "sha256:" + hashlib.sha256(data).hexdigest()
    lines = data.splitlines(keepends=True)
    assert stated["n_rows"] == len(lines) == 100
    assert stated["merkle_root"] == root_hash([leaf_hash(line) for line in lines])
    rows = [json.loads(line) for line in lines]
    assert lines == [canonical_bytes(row) + b"\n" for row in rows]
    shown = [[r["index"], r["record"], r["arm"], r["status"], r["values"]] for r in rows]
    assert stated["values_digest"] == digest(shown)
    assert [r["index"] for r in rows] == list(range(100))
    assert sorted({r["block"] for r in rows}) == list(range(20))


def test_the_ledger_knows_of_the_run_before_its_first_cycle(road, world):
    seen = []

    class Watching(world.TinySystem):
        def run_batch(self, records, *, seed, timeout_s):
            seen.append([e["type"] for e in (entry.value for entry in road.ledger.entries())])
            yield from super().run_batch(records, seed=seed, timeout_s=timeout_s)

    from ophamin import registry

    registry.register_substrate("watching", Watching)
    try:
        road.run(substrate="watching")
    finally:
        registry.substrates.unregister("watching")
    assert seen[0] == ["registration"]
    assert [e["outcome"] for e in road.entries("outcome")] == ["VALIDATED"]


def test_nothing_is_left_in_the_journals_but_the_selections(road):
    road.run()
    assert road.journals() == []
    assert len(list((road.folder / ".ophamin" / "journals" / "selections").iterdir())) == 1


def test_n_comes_from_the_plan_and_is_bounded_by_the_corpus(road):
    planned = road.run(n=None)
    assert planned.record["preregistration"]["plan"]["n_planned"] == 127
    assert planned.record["preregistration"]["plan"]["underpowered"] is False
    small = road.run(n=None, corpus="tiny:50", options={"theta": 0.85})
    assert small.record["preregistration"]["plan"]["n_planned"] == 50
    assert small.record["preregistration"]["plan"]["underpowered"] is True


@pytest.mark.parametrize("n", [0, 1, 13])
def test_too_few_cycles_are_inconclusive_with_the_reason(road, n):
    result = road.run(n=n, substrate="tiny?p=1")
    assert result.outcome == "INCONCLUSIVE"
    assert result.record["verdict"]["decided_by"].startswith("none: ")
    assert result.record["verdict"]["n_planned"] == n
    assert road.verify(result.path).exit_code == 0


# --- attempts


def test_attempts_share_alpha_take_fresh_records_and_other_seeds(road):
    runs = [road.run(n=90, substrate="tiny?p=0.82") for _ in range(3)]
    registered = [r.record["preregistration"] for r in runs]
    assert [p["attempt"] for p in registered] == [1, 2, 3]
    assert [p["alpha_used"] for p in registered] == [0.05, 0.025, 0.0125]
    assert [p["error_bound"] for p in registered] == pytest.approx([0.05, 0.075, 0.0875])
    assert len({p["seed"] for p in registered}) == 3
    ids = [{row["record"] for row in road.rows(r.path)} for r in runs]
    assert not ids[0] & ids[1]
    assert not (ids[0] | ids[1]) & ids[2]
    assert all(road.verify(r.path).exit_code == 0 for r in runs)
    # 30 records are left: the next attempt takes them, the one after finds none.
    assert len(road.rows(road.run(n=90, substrate="tiny?p=0.82").path)) == 30
    with pytest.raises(UsageError, match="no fresh record"):
        road.run(n=90, substrate="tiny?p=0.82")


def test_another_alpha_n_or_seed_is_no_way_to_start_counting_again(road):
    road.run(n=20)
    again = road.run(n=30, alpha=0.04, seed=7)
    assert again.record["preregistration"]["attempt"] == 2
    assert again.record["preregistration"]["seed_origin"] == "chosen"
    assert again.record["preregistration"]["alpha_used"] == 0.02
    assert road.run(n=20, options={"theta": 0.85}).record["preregistration"]["attempt"] == 1
    # Nor is another edition of the same corpus, such as one with a row more.
    assert road.run(n=20, corpus="tiny:300?edition=2").record["preregistration"]["attempt"] == 3


def test_attempts_registered_in_advance_share_alpha_evenly_and_end(road):
    for k in (1, 2):
        registered = road.run(n=20, attempts=2).record["preregistration"]
        assert (registered["attempt"], registered["alpha_used"]) == (k, 0.025)
    assert registered["error_bound"] == pytest.approx(0.05)
    with pytest.raises(UsageError, match="registered"):
        road.run(n=20, attempts=2)
    with pytest.raises(UsageError, match="registered 2 attempts in advance"):
        road.run(n=20, attempts=3)


def test_a_forgotten_selection_stops_the_next_attempt(road):
    road.run(n=20)
    for path in (road.folder / ".ophamin" / "journals" / "selections").iterdir():
        path.write_text('["r1"]')
    with pytest.raises(UsageError, match="nobody knows any more"):
        road.run(n=20)


# --- units, strata, arms


def test_identical_inputs_are_one_unit(road):
    result = road.run(corpus="tiny:400?same=1", n=100, substrate="tiny?p=1")
    assert {row["unit"] for row in road.rows(result.path)} == {road.rows(result.path)[0]["unit"]}
    assert result.outcome == "INCONCLUSIVE"


def test_n_counts_groups_where_records_have_them(road):
    result = road.run(corpus="tiny:300?groups=60", n=40)
    rows = road.rows(result.path)
    assert len({row["unit"] for row in rows}) == 40
    assert len(rows) > 40


def test_strata_each_give_n_units_one_record_each_and_are_interleaved(road):
    result = road.run("tiny-pair", "tiny?p=0.97", corpus="tiny:600?groups=150", n=60)
    rows = road.rows(result.path)
    kinds = [row["values"]["label"] for row in rows]
    assert sorted(set(kinds)) == ["attack", "benign"]
    assert kinds != sorted(kinds)
    for kind in set(kinds):
        units = [row["unit"] for row in rows if row["values"]["label"] == kind]
        assert len(units) == len(set(units)) == 60
    assert result.record["verdict"]["co_primary"][0]["metric"] == "accuracy_benign"
    refuting = result.record["verdict"]["interval"]
    assert (refuting["lower_confidence"], refuting["upper_confidence"]) == (0.95, 0.975)
    assert road.verify(result.path).exit_code == 0


def test_arms_are_interleaved_in_seeded_order_and_recorded(road):
    arms = {f"arm{i}": f"tiny:{i}?p=0.9" for i in range(3)}
    result = road.run(substrate=arms, options={"arms": 3}, n=40)
    rows = road.rows(result.path)
    assert len(rows) == 120
    triples = [rows[i : i + 3] for i in range(0, 120, 3)]
    assert all(len({r["record"] for r in t}) == 1 and {r["arm"] for r in t} == set(arms) for t in triples)
    assert len({tuple(r["arm"] for r in t) for t in triples}) == 6
    assert [a["arm"] for a in result.record["data"]["arms"]] == list(arms)
    assert road.verify(result.path).exit_code == 0


def test_arms_that_do_not_fit_the_scenario_are_named(road):
    with pytest.raises(UsageError, match="measures the arms arm0, arm1"):
        road.run(options={"arms": 2})


# --- rule exact


def test_exact_measures_everything_twice(road):
    result = road.run(n=None, options={"rule": "exact"}, corpus="tiny:80", substrate="tiny?p=1")
    assert result.outcome == "VALIDATED"
    assert result.record["verdict"]["n_planned"] == 80
    assert result.record["preregistration"]["error_bound"] == 0.0
    assert road.verify(result.path).exit_code == 0
    assert road.run(n=None, options={"rule": "exact"}, corpus="tiny:80", substrate="tiny?p=0").outcome == "REFUTED"
    with pytest.raises(UsageError, match="whole corpus"):
        road.run(n=10, options={"rule": "exact"}, corpus="tiny:80")


def test_exact_is_inconclusive_when_two_passes_differ(road):
    result = road.run(n=None, options={"rule": "exact"}, corpus="tiny:80", substrate="tiny?fault=flaky&p=0.9")
    assert result.outcome == "INCONCLUSIVE"
    assert result.record["verdict"]["decided_by"].startswith("none: not deterministic")
    assert road.verify(result.path).exit_code == 0


# --- roles and hostile outputs


def test_a_missing_observable_is_not_applicable_and_no_attempt(road):
    with pytest.raises(NotApplicable, match=r"gives no 'answer'.*verdict.*--field answer=PATH"):
        road.run(substrate="tiny?fault=missing")
    assert [e["outcome"] for e in road.entries("outcome")] == ["NOT_APPLICABLE"]
    assert road.proofs() == []
    assert road.journals() == []
    found = road.run(substrate="tiny?fault=missing", fields={"answer": "verdict.is_right"})
    assert found.record["preregistration"]["attempt"] == 1
    assert road.verify(found.path).exit_code == 0


def test_not_applicable_is_found_in_runs_shorter_than_three_cycles(road):
    with pytest.raises(NotApplicable):
        road.run(substrate="tiny?fault=missing", n=1)


def test_a_bare_output_stands_for_the_answer(road):
    assert road.run(substrate="tiny?fault=bare&p=0.97").outcome == "VALIDATED"


def test_a_role_that_looks_like_a_slip_is_refused(road):
    with pytest.raises(UsageError, match="did you mean 'answer'"):
        road.run(fields={"anwser": "a.b"})


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("sometimes-missing", "gives no 'answer'"),
        ("nan", "cannot use"),
        ("surrogate", "cannot use"),
        ("error", "crashed"),
    ],
)
def test_cycles_that_give_no_usable_observable_are_errors_and_data(road, fault, words):
    result = road.run(substrate=f"tiny?fault={fault}&at=10&p=1")
    verdict = result.record["verdict"]
    assert (verdict["n_used"], verdict["n_errors"]) == (90, 10)
    assert all(words in row["error"] for row in road.rows(result.path) if row["status"] == "error")
    assert road.verify(result.path).exit_code == 0


def test_an_output_of_the_wrong_type_throughout_is_not_applicable(road):
    with pytest.raises(NotApplicable, match="not a boolean"):
        road.run(substrate="tiny?fault=string")


def test_unmeasured_cycles_are_tried_once_more(road):
    result = road.run(substrate="tiny?fault=unmeasured&at=10&p=1")
    # The second try is another turn, so it succeeds.
    assert result.record["verdict"]["n_unmeasured"] == 0
    always = road.run(substrate="tiny:always?fault=unmeasured&at=1&p=1", n=30)
    assert always.record["verdict"]["n_unmeasured"] == 30
    assert always.outcome == "INCONCLUSIVE"
    assert road.verify(always.path).exit_code == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise", "segmentation fault"),
        ("wrong-id", "someone else"),
        ("not-a-result", "a dict"),
        ("start", "no such model"),
    ],
)
def test_a_failing_substrate_is_an_error_of_its_own(road, fault, words):
    with pytest.raises(SubstrateFailure, match=words) as raised:
        road.run(substrate=f"tiny?fault={fault}&at=0")
    assert raised.value.exit_code == 6
    assert [e["outcome"] for e in road.entries("outcome")] == ["ERRORED"]
    assert road.journals() == []
    assert road.run().record["preregistration"]["attempt"] == 1


def test_a_substrate_that_dies_on_the_way_can_be_mended_and_resumed(road, world, monkeypatch):
    with pytest.raises(SubstrateFailure, match="40 cycles are kept"):
        road.run(substrate="tiny?fault=raise&at=40")
    assert [e["outcome"] for e in road.entries("outcome")] == ["ABORTED"]
    assert len(road.journals()) == 1
    monkeypatch.setattr(world.TinySystem, "_one", _mended(world.TinySystem._one))
    result = road.run(substrate="tiny?fault=raise&at=40")
    assert result.record["preregistration"]["attempt"] == 1
    assert len(road.rows(result.path)) == 100
    assert road.verify(result.path).exit_code == 0


def _mended(one):
    def mended(self, *args):
        self.fault = ""
        return one(self, *args)

    return mended


def test_a_substrate_that_cannot_be_made_leaves_no_trace(road):
    with pytest.raises(SubstrateFailure, match="install it first"):
        road.run(substrate="tiny?fault=make")
    assert not (road.folder / ".ophamin").exists()


def test_a_broken_scenario_is_named_and_its_cycles_are_kept(road):
    from ophamin.proof.errors import OphaminError

    with pytest.raises(OphaminError, match="cannot score"):
        road.run(options={"broken": "score"})
    assert [e["outcome"] for e in road.entries("outcome")] == ["ABORTED"]
    assert len(road.journals()) == 1


def test_a_scenario_may_not_name_a_column_the_engine_adds(road):
    from ophamin.proof.errors import ProtocolViolation

    with pytest.raises(ProtocolViolation, match="status"):
        road.run("tiny-reserved")


# --- refusals before anything is registered


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"options": {"thetta": 1}}, UsageError, "did you mean 'theta'"),
        ({"options": {"theta": "high"}}, UsageError, "is a float"),
        ({"options": {"strict": "perhaps"}}, UsageError, "is a bool"),
        ({"options": {"theta": 1.0}}, UsageError, "no sample can validate"),
        ({"alpha": 0.7}, UsageError, "alpha"),
        ({"attempts": 0}, UsageError, "attempts"),
        ({"rule": "posterior"}, UsageError, "rule"),
        ({"n": -1}, UsageError, "n is a number"),
        ({"seed": 2**32}, UsageError, "seed"),
        ({"scenario": "nope"}, UnknownPlugin, "installed"),
        ({"substrate": "nope"}, UnknownPlugin, "installed"),
        ({"corpus": "nope"}, UnknownPlugin, "installed"),
        ({"instruments": ["nope"]}, UnknownPlugin, "installed"),
        ({"substrate": "tiny?colour=red"}, UsageError, "colour"),
        ({"fields": {"answer": "a..b"}}, UsageError, "field path"),
        ({"substrate": "tiny?trained=r5", "n": 300}, LeakageError, "training set"),
    ],
)
def test_what_makes_no_sense_is_refused_and_registers_nothing(road, more, error, words):
    with pytest.raises(error, match=words):
        road.run(**more)
    assert road.entries("registration") == []
    assert road.proofs() == []


@pytest.mark.parametrize("state", ["absent", "partial", "wrong"])
def test_an_absent_corpus_says_where_it_looked_and_how_to_get_it(road, state):
    with pytest.raises(CorpusUnavailable) as raised:
        road.run(corpus=f"tiny:300?state={state}")
    for words in (state, "/data/tiny", "a folder of cats", "ophamin corpus sample tiny", "2 kB", "CC0-1.0"):
        assert words in str(raised.value)


def test_options_from_the_command_line_are_typed_by_their_defaults(road):
    record = road.run(options={"theta": "0.85", "arms": "1", "strict": "yes"}).record
    assert record["claim"]["threshold"]["value"] == 0.85


# --- progress


def test_progress_shows_counts_and_time_and_never_a_result(road):
    ticks = []
    road.run(progress=ticks.append)
    assert ticks[-1].done == ticks[-1].total == 100
    assert len(ticks) < 20
    assert {f for tick in ticks for f in tick.__slots__} == {"phase", "done", "total", "elapsed_s"}


# --- instruments


def test_instruments_add_resources_and_artifacts_bound_by_digest(road, tmp_path):
    from dataclasses import replace

    from ophamin import registry

    told = []

    class Wrapped:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def run_batch(self, records, *, seed, timeout_s):
            for result in self.inner.run_batch(records, seed=seed, timeout_s=timeout_s):
                yield replace(result, resources={"cpu_s": 0.5})

    class Watch:
        name = "watch"

        def wrap(self, substrate):
            return Wrapped(substrate)

        def scenario(self, spec):
            from contextlib import contextmanager

            @contextmanager
            def around():
                told.append("in")
                yield
                told.append("out")

            return around()

        def verdict(self, record):
            told.append(record["verdict"]["outcome"])

        def artifacts(self):
            path = tmp_path / "trace.json"
            path.write_text("{}")
            return [path]

    registry.instruments.register("watch", Watch)
    try:
        result = road.run(instruments=["watch"])
    finally:
        registry.instruments.unregister("watch")
    assert told == ["in", "out", "VALIDATED"]
    assert road.rows(result.path)[0]["resources"] == {"cpu_s": 0.5}
    (artifact,) = result.record["reproduction"]["artifacts"]
    kept = Path(result.path).with_name("trace.json").read_bytes()
    assert artifact == {
        "name": "trace.json",
        "media_type": "application/json",
        "digest": "sha256:" + hashlib.sha256(kept).hexdigest(),
    }
