from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ophamin import registry
from ophamin.comparing._command.synthesis import analyze as analyze_command
from ophamin.comparing._command.synthesis import diagnose as diagnose_command
from ophamin.comparing._command.synthesis import summarize as summarize_command
from ophamin.comparing.drift.proofs import Proof, proof_of
from ophamin.comparing.index import ProofIndex, Series
from ophamin.comparing.synthesis import analyze, correct, diagnose, summarize
from ophamin.comparing.synthesis.diagnosis import Question
from ophamin.comparing.synthesis.p_values import levels_of
from ophamin.proof.errors import IntegrityError, MissingDependency, UsageError
from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.kinds import PROOF
from ophamin.proof.signed import sign
from ophamin.proof.types import to_json
from ophamin.protocols import Settings

OPEN = {"value": 0.91, "lower": 0.88, "upper": 0.94, "outcome": "INCONCLUSIVE"}
BAD = {"value": 0.80, "lower": 0.76, "upper": 0.84, "outcome": "REFUTED"}


@pytest.fixture
def put(home: Path, project: Settings, body: Any) -> Callable[..., Path]:
    """Signs a body into the project's store; each is a minute later than the one before."""
    count = iter(range(1, 60))

    def write(*, signer: Signer | None = None, change: Any = None, **given: Any) -> Path:
        nth = next(count)
        made = body(**{"created": f"2026-11-24T10:{nth:02}:00+00:00", **given})
        made["preregistration"]["data_hash"] = made["data"]["datasets"][0]["content_hash"]
        if change is not None:
            change(made)
        path = Path(project.store) / "proof" / f"{nth:02}" / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(sign(to_json(made), PROOF, signer or Keyring().signer())))
        return path

    return write


@pytest.fixture
def series(project: Settings, home: Path) -> Callable[[], list[Series]]:
    def look() -> list[Series]:
        with ProofIndex(project.store) as index:
            index.refresh()
            return index.series()

    return look


@pytest.fixture
def call(project: Settings, home: Path) -> Callable[..., Result]:
    def run(command: Any, *words: str) -> Result:
        return CliRunner().invoke(command, list(words), obj=project, catch_exceptions=False)

    return run


def loaded(path: Path) -> Proof:
    return proof_of(json.loads(path.read_text()), path)


# --- summarize


def test_counts_and_flips(put: Any, series: Any) -> None:
    put(revision="r1")
    put(revision="r2", **OPEN)
    put(revision="r3", **BAD)
    put(revision="r3", statement="Another claim.", scenario="contract")
    found = summarize(series())
    assert (found.n_proofs, found.n_series) == (4, 2)
    assert found.by_verdict == {"VALIDATED": 2, "REFUTED": 1, "INCONCLUSIVE": 1}
    assert found.latest == {"VALIDATED": 1, "REFUTED": 1}
    assert found.by_scenario["contract"] == {"VALIDATED": 1}
    assert [f"{f.before.outcome}>{f.after.outcome}" for f in found.flips] == [
        "VALIDATED>INCONCLUSIVE",
        "INCONCLUSIVE>REFUTED",
    ]
    assert found.flips[0].differs == {"revision": ("r1", "r2")}
    assert [name.split()[-1] for name in found.by_revision] == ["r1", "r2", "r3"]


def test_a_flip_says_what_else_differs(put: Any, series: Any) -> None:
    put(revision="r1")

    def other_seed(made: Any) -> None:
        made["preregistration"]["seed"] = 7

    put(revision="r2", change=other_seed, **BAD)
    (flip,) = summarize(series()).flips
    assert flip.differs == {"revision": ("r1", "r2"), "seed": ("0", "7")}


@pytest.mark.parametrize(
    ("proofs", "code"),
    [
        ([{}], 0),
        ([BAD], 1),
        ([BAD, {}], 0),  # the latest of the series counts
        ([{}, {**BAD, "statement": "Another claim."}], 1),
        ([OPEN], 4),
        ([{"signer": Signer(b"somebody else's secret key")}], 5),
        ([{"signer": Signer(b"somebody else's secret key"), **OPEN}], 5),
        ([], 2),
    ],
)
def test_summarize_exits_by_the_latest_verdicts(
    put: Any, call: Any, project: Settings, proofs: list[dict[str, Any]], code: int
) -> None:
    Path(project.store).mkdir(parents=True)
    for given in proofs:
        put(**given)
    result = call(summarize_command, "--json")
    assert result.exit_code == code
    told = json.loads(result.stdout)
    assert (told["exit_code"], told["n_proofs"]) == (code, len(proofs))
    assert call(summarize_command, project.store).exit_code == code


def test_a_forged_record_is_named_and_the_rest_counted(put: Any, call: Any) -> None:
    put()
    path = put(statement="Another claim.")
    path.write_text(path.read_text().replace("Another claim.", "A better claim."))
    result = call(summarize_command)
    assert result.exit_code == 3
    assert "1 proof in 1 series: 1 VALIDATED" in result.stdout
    assert f"forged: {path}" in result.stderr
    told = json.loads(call(summarize_command, "--json").stdout)
    assert [p["state"] for p in told["problems"]] == ["forged"]


def test_text_of_a_record_cannot_steer_the_terminal(put: Any, call: Any) -> None:
    put(statement="It is \x1b[31mred\u202e\n.")
    put(statement="It is \x1b[31mred\u202e\n.", **BAD)
    shown = call(summarize_command).stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\u001b[31mred" in shown


# --- analyze


def test_a_trajectory_shows_every_proof_and_averages_none(put: Any, series: Any, call: Any) -> None:
    put(revision="r1")
    put(revision="r1", value=0.96, lower=0.94, upper=0.98)
    put(revision="r2", **BAD)
    put(statement="Another claim.")
    first, second = analyze(series(), "accuracy")
    assert [p.part.bounds.value for p in first.points if p.part.bounds] == [0.95, 0.96, 0.80]
    assert [p.entry.revision for p in first.points] == ["r1", "r1", "r2"]
    assert first.smallest_difference == 0.02
    assert len(second.points) == 1
    result = call(analyze_command, "accuracy", "--json")
    assert result.exit_code == 0
    point = json.loads(result.stdout)["trajectories"][0]["points"][2]
    assert (point["value"], point["lower"], point["upper"], point["upper_confidence"]) == (0.80, 0.76, 0.84, 0.95)
    assert point["outcome"] == "REFUTED"
    shown = call(analyze_command, "accuracy").stdout
    assert "0.8" in shown
    assert "[0.76, 0.84] each 95 %" in shown


def test_an_unknown_metric_names_the_nearest(put: Any, series: Any) -> None:
    put()
    with pytest.raises(UsageError, match="did you mean 'accuracy'"):
        analyze(series(), "acuracy")
    with pytest.raises(UsageError, match="there are accuracy"):
        analyze(series(), "latency")


# --- diagnose


@pytest.mark.parametrize(
    ("given", "slack", "words"),
    [
        ({}, 0.03, "the lower bound passing 0.9"),
        (BAD, 0.06, "the upper bound passing 0.9"),
        (OPEN, 0.02, "to validate the lower bound would have to move by 0.02; to refute the upper bound"),
        ({"comparator": "<=", "value": 0.85, "lower": 0.82, "upper": 0.88}, 0.02, "the upper bound passing 0.9"),
    ],
)
def test_what_would_change_a_verdict(put: Any, given: dict[str, Any], slack: float, words: str) -> None:
    (bound,) = diagnose(loaded(put(**given)), []).bounds
    assert bound.slack == pytest.approx(slack)
    assert bound.would.startswith(words)


def test_siblings_and_cousins(put: Any, series: Any) -> None:
    path = put(revision="r1")
    put(revision="r2", **BAD)
    put(corpus="sha256:" + "6f" * 32)
    put(statement="Another claim.")
    found = diagnose(loaded(path), series())
    assert [(e.revision, d["revision"]) for e, d in found.siblings] == [("r2", ("r1", "r2"))]
    ((_, differs),) = found.cousins
    assert list(differs) == ["corpus"]


def test_how_many_more_is_asked_at_delta_and_at_the_far_end(put: Any) -> None:
    asked: list[Question] = []

    def plan(question: Question) -> int:
        asked.append(question)
        return 900 if "delta" not in question.options else 200

    given = {"value": 0.91, "lower": 0.87, "upper": 0.95, "outcome": "INCONCLUSIVE"}
    found = diagnose(loaded(put(**given)), [], plan)
    assert found.more == ["a new registration of 200 to 900 units would decide it with power 0.8, at α 0.025"]
    assert [question.alpha for question in asked] == [0.025, 0.025]
    assert asked[1].options["delta"] == pytest.approx(0.05)
    assert diagnose(loaded(put()), [], plan).more == []  # decided: nothing to ask


def test_an_interval_within_delta_of_theta_advises_no_n(put: Any) -> None:
    given = {"value": 0.90, "lower": 0.89, "upper": 0.91, "outcome": "INCONCLUSIVE"}
    found = diagnose(loaded(put(**given)), [], lambda question: pytest.fail("nobody should be asked"))
    assert found.more == ["the truth lies nearer to 0.9 than worth knowing; no n is advised"]


def test_why_no_n_can_be_told_is_said(put: Any) -> None:
    def plan(question: Question) -> int:
        raise UsageError("to plan n, say --assume sd")

    assert diagnose(loaded(put(**OPEN)), [], plan).more == ["no n can be told: to plan n, say --assume sd"]


@pytest.mark.parametrize(("given", "code"), [({}, 0), (BAD, 1)])
def test_diagnose_exits_by_the_verdict(put: Any, call: Any, given: dict[str, Any], code: int) -> None:
    path = put(**given)
    put(revision="r9")
    result = call(diagnose_command, str(path), "--json")
    assert result.exit_code == code
    told = json.loads(result.stdout)
    assert told["outcome"] == ("REFUTED" if code else "VALIDATED")
    assert len(told["siblings"]) == 1
    assert call(diagnose_command, str(path)).exit_code == code


def test_diagnose_refuses_what_was_not_signed_so(put: Any, call: Any) -> None:
    path = put()
    path.write_text(path.read_text().replace("It is right", "It is great"))
    with pytest.raises(IntegrityError, match="is not what was signed"):
        call(diagnose_command, str(path))


# --- correct: what needs no measuring; the rest in tests-integration


def with_p(validated: float | None, refuted: float | None) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        made["evidence"] = [to_json(e) for e in made["evidence"]]
        made["evidence"][0]["detail"] = {"p_validated": validated, "p_refuted": refuted}

    return change


def test_p_values_are_read_by_threshold(put: Any) -> None:
    path = put(change=with_p(0.001, 0.9))
    assert levels_of(json.loads(path.read_text())) == [(0.001, 0.9)]
    assert levels_of(json.loads(put(change=with_p(None, 7.0)).read_text())) == [(None, None)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "bonferoni"}, "use holm, bh, by"),
        ({"alpha": 0.5}, "alpha lies between 0 and 0.5"),
    ],
)
def test_what_no_family_can_be_corrected_with(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        correct([], **options)


def test_two_proofs_of_one_series_are_one_claim(put: Any) -> None:
    with pytest.raises(UsageError, match="one claim"):
        correct([loaded(put()), loaded(put(revision="r2"))])


alone = pytest.mark.skipif("holm" in registry.estimators.names(), reason="measuring is installed here")


@alone
def test_without_measuring_a_family_cannot_be_corrected(put: Any) -> None:
    with pytest.raises(MissingDependency, match=r"pip install 'ophamin-comparing\[stats\]'"):
        correct([loaded(put())])


@alone
def test_without_measuring_a_diagnosis_says_what_it_lacks(put: Any, call: Any) -> None:
    result = call(diagnose_command, str(put(**OPEN)))
    assert result.exit_code == 4
    assert "pip install 'ophamin-comparing[stats]'" in result.stdout
