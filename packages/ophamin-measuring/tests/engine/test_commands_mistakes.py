"""Slips on the command line: each is one sentence, and none costs an attempt."""

from __future__ import annotations

import inspect

import pytest
from click.testing import CliRunner

from ophamin import registry
from ophamin.measuring._command.road import plan, run
from ophamin.measuring.scenarios._metric_grammar import parse_claim
from ophamin.proof.errors import UnknownPlugin, UsageError
from ophamin.protocols import Settings


@pytest.fixture
def ask(road):
    settings = Settings(str(road.folder), str(road.folder / "proofs"), fields={"elsewhere": "a.b"})

    def ask(command, *words):
        result = CliRunner().invoke(command, list(words), obj=settings)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return ask


@pytest.fixture
def nothing_registered(road):
    yield
    assert not (road.folder / ".ophamin").exists()
    assert not (road.folder / "proofs").exists()


METRIC = ("metric", "--corpus", "tiny:300", "--substrate", "tiny", "--claim", "rate(answer) >= 0.8")


@pytest.mark.parametrize("words", [(run, "tiny", "--substrate", "tiny", "--n", "0"), (plan, "tiny", "--n", "0")])
def test_a_run_measures_at_least_one_unit(ask, nothing_registered, words):
    result = ask(*words)
    assert result.exit_code == 2
    assert "x>=1" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--field", "zzz=a.b"), "it reads: answer"),
        (("--field", "anser=a.b"), "did you mean 'answer'"),
        (("--timeout", "inf"), "a timeout is a positive number of seconds"),
        (("--timeout", "nan"), "a timeout is a positive number of seconds"),
        (("--timeout", "-1"), "a timeout is a positive number of seconds"),
        (("--set", "error_policy=exclude", "--error-policy", "bound"), "say different things"),
    ],
)
def test_a_slip_is_told_before_anything(ask, nothing_registered, words, message):
    with pytest.raises(UsageError, match=message):
        ask(run, *METRIC, *words)


def test_a_catalog_in_the_settings_may_name_roles_of_other_scenarios(ask):
    assert ask(run, *METRIC, "--n", "50", "--field", "answer=answer").exit_code in (0, 1, 4)


def test_a_slip_in_the_scenario_is_told_first(ask, nothing_registered):
    with pytest.raises(UnknownPlugin, match="metrc"):
        ask(run, "metrc")


def test_a_store_that_cannot_be_written_is_found_before_the_run(ask, road, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--store"):
        ask(run, *METRIC, "--store", str(tmp_path / "file" / "proofs"))
    assert not (road.folder / ".ophamin").exists()


def test_what_metric_says_of_itself_names_every_metric(ask):
    words = inspect.getdoc(registry.get_scenario("metric"))
    assert "_metric_grammar" not in words
    for example in ("accuracy >= 0.9", "rate(blocked) <= 2%"):
        assert example in words
        assert parse_claim(example)
    for metric in ("accuracy", "error_rate", "rate(ROLE)", "mean(ROLE)", "median(ROLE)", "p95(ROLE)",
                   "quantile(ROLE, 0.95)", "accuracy_difference", "error_rate_difference", "rate_difference(ROLE)",
                   "mean_difference(ROLE)"):  # fmt: skip
        assert metric in words
        assert parse_claim(f"{metric} >= 0.5")
