"""What people are told: why nothing came of a run, how far a corpus reaches, and what a plan means."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ophamin import registry
from ophamin.measuring._command.road import plan, run
from ophamin.proof.errors import NotApplicable, UsageError
from ophamin.protocols import CycleResult, Record, Settings


@pytest.fixture
def ask(road):
    settings = Settings(str(road.folder), str(road.folder / "proofs"))

    def ask(command, *words):
        result = CliRunner().invoke(command, list(words), obj=settings)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return ask


@pytest.fixture
def giving(world, monkeypatch):
    """Let the tiny system answer with what a test chooses, by number of the cycle; an exception makes it fail."""

    def give(answer):
        def one(self, i, record, seed):
            found = answer(self.seen)
            if isinstance(found, Exception):
                return CycleResult(i, record.id, "", "error", None, f"{type(found).__name__}: {found}", 0.001)
            return CycleResult(i, record.id, "", "ok", {"answer": found}, None, 0.001)

        monkeypatch.setattr(world.TinySystem, "_one", one)

    return give


def metric(claim, **more):
    return {"scenario": "metric", "corpus": "tiny:300", "options": {"claim": claim, **more}}


@pytest.mark.parametrize(
    ("claim", "more", "value", "words"),
    [
        ("rate(answer) >= 0.5", {}, "yes", "'answer' is 'yes', neither true nor false"),
        ("rate(answer) >= 0.5", {}, [True], r"'answer' is \[True\], neither"),
        ("rate(answer) >= 0.5", {}, 0.5, r"'answer' is 0\.5, neither"),
        ("mean(answer) >= 0.5", {"support": "0,1"}, "0.7", r"'answer' is '0\.7', no finite number"),
        ("p95(answer) <= 0.5", {}, 10**400, "no finite number"),
    ],
)
def test_a_role_of_the_wrong_type_is_not_applicable(road, giving, claim, more, value, words):
    giving(lambda turn: value)
    with pytest.raises(NotApplicable, match=words) as raised:
        road.run(**metric(claim, **more))
    assert "--field answer=PATH" in str(raised.value)
    assert road.proofs() == []


@pytest.mark.parametrize(("claim", "value"), [("rate(answer) >= 0.5", 1), ("rate(answer) >= 0.5", True),
                                              ("mean(answer) >= 0.5 and rate(answer) >= 0.5", 1.0)])  # fmt: skip
def test_what_a_role_may_be(road, giving, claim, value):
    giving(lambda turn: value)
    assert road.run(**metric(claim, support="0,1")).outcome == "VALIDATED"


def test_now_and_then_of_the_wrong_type_it_is_an_error_of_that_cycle(road, giving):
    giving(lambda turn: "yes" if turn % 10 == 0 else True)
    record = road.run(**metric("rate(answer) >= 0.5")).record
    assert record["verdict"]["n_errors"] == 10
    assert "neither true nor false" in record["verdict"]["reasoning"]


def test_a_system_that_always_fails_is_told_why_and_nothing_is_advised(ask, giving):
    giving(lambda turn: ValueError("boom" if turn % 7 else "bang"))
    result = ask(run, "metric", "--corpus", "tiny:300", "--substrate", "tiny", "--claim", "rate(answer) >= 0.8",
                 "--n", "100")  # fmt: skip
    assert "error    ValueError: boom (86 cycles, the commonest)" in result.stdout
    assert "rate(answer) has no value, interval" in result.stdout
    assert "next" not in result.stdout
    found = json.loads(ask(run, "tiny", "--corpus", "tiny:300", "--substrate", "tiny", "--n", "100", "--json").stdout)
    assert "Commonest error: ValueError: boom (" in found["reasoning"]


def test_next_says_when_the_corpus_has_not_as_many_left(ask):
    words = ask(run, "tiny", "--substrate", "tiny:other?p=0.8", "--corpus", "tiny:110", "--n", "100").stdout
    assert "would decide" in words
    assert "the corpus has at most 10 left" in words


def test_more_than_the_corpus_has_is_said(ask):
    words = ask(run, "tiny", "--substrate", "tiny?p=1", "--n", "1000000").stdout
    assert "n = 1000000, and 300 were found: the corpus has 300 records" in words
    assert "asked" not in ask(run, "tiny", "--substrate", "tiny:b?p=1", "--n", "100").stdout


def test_a_plan_says_at_which_truths_its_powers_hold(ask):
    words = ask(plan, "metric", "--claim", "accuracy >= 0.9").stdout
    assert "δ = 0.05" in words
    assert "to validate if accuracy is really 0.95" in words
    assert "to refute if accuracy is really 0.85" in words


def test_a_plan_says_what_the_corpus_has(ask):
    claim = ("metric", "--claim", "rate(answer) >= 0.9", "--corpus", "tiny:200")
    assert "the corpus has 200 records, fewer than that" in ask(plan, *claim, "--set", "delta=0.01").stdout
    assert "the corpus has 200 records\n" in ask(plan, *claim, "--n", "100").stdout
    assert "the corpus has" not in ask(plan, *claim[:3]).stdout


def test_a_mean_without_spread_says_what_a_run_takes(road):
    with pytest.raises(UsageError, match=r"--set support=LOW,HIGH.*--n N"):
        road.run(**metric("mean(noise) <= 1e9", delta="1"), n=None)


def test_a_corpus_without_labels_says_how_to_give_them(road, world, monkeypatch):
    monkeypatch.setattr(world.TinyCorpus, "records", lambda self: (Record(f"r{i}", f"p{i}") for i in range(9)))
    with pytest.raises(UsageError, match=r"no record carries a label; add \?label=COLUMN"):
        road.run(**metric("accuracy >= 0.9"))


def test_strata_advice_speaks_of_strata_there_are():
    scenario = registry.get_scenario("metric")
    options = {**{k: o.default for k, o in scenario.options.items()}, "claim": "accuracy >= 0.9"}
    assert set(scenario.strata_advice) == set(scenario().strata(options))


def test_a_plan_of_a_family_says_what_the_correction_asks(ask):
    claim = ("metric", "--claim", "rate(answer) >= 0.9", "--set", "delta=0.05", "--family", "4")
    words = ask(plan, *claim).stdout
    assert "4 claims, corrected by holm at alpha 0.05; planned at 0.0125" in words
    assert "if all truths lie δ inside" in words
    found = json.loads(ask(plan, *claim, "--attempts", "2", "--correction", "by", "--json").stdout)
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4
    assert found["family"]["first_alpha"] == pytest.approx(0.025 / 4 / harmonic)  # α of one of two attempts
    assert found["n"] == found["family"]["n"] == found["parts"][0]["n"]
    assert json.loads(ask(plan, *claim[:5], "--json").stdout)["family"] is None
    with pytest.raises(UsageError, match="--family M"):
        ask(plan, *claim[:5], "--correction", "by")
    with pytest.raises(UsageError, match="divided by 4"):
        ask(plan, *claim, "--sequential")
