"""The record of what changed between two sets of proofs, and the command that leaves it."""

from __future__ import annotations

import copy
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from ophamin import registry
from ophamin.comparing._command.compare import compare as command
from ophamin.comparing.drift import compare, proof_of
from ophamin.comparing.drift.alert import alert_body
from ophamin.comparing.drift.record import REGRESSION_ALERT, check_alert
from ophamin.proof.errors import RecordError
from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.signed import identify, read, sign, verify
from ophamin.testing import check_record_kind

JSON = Any
SIGNING = (REGRESSION_ALERT, Signer(b"a key of the past, long enough"))
GOOD, BAD = (0.95, 0.93, 0.97), (0.8, 0.78, 0.82, "REFUTED")
OLD = {
    "schema_version": "regression-alert/1.0",
    "before_root": "main",
    "after_root": "head",
    "n_before": 2,
    "n_after": 1,
    "generated_at": "2024-11-24T10:00:00+00:00",
    "ophamin_version": "0.0.9",
    "ophamin_git_commit": "",
    "transitions": [
        {
            "pair_key": "latency|p95|<=|1.5",
            "family": "latency",
            "threshold_metric": "p95",
            "before_verdict": "INCONCLUSIVE",
            "before_observed": 1.5,
            "before_commit": "a",
            "before_path": "main/1.json",
            "after_verdict": "REFUTED",
            "after_observed": 1.9,
            "after_commit": "b",
            "after_path": "head/1.json",
            "transition_class": "regression",
        }
    ],
    "unmatched_in_before": ["latency|p99|<=|1.5"],
    "unmatched_in_after": [],
}


@pytest.fixture
def run(project, home):
    return lambda *words: CliRunner().invoke(command, list(map(str, words)), obj=project)


@pytest.fixture
def sides(body, write_proof, tmp_path):
    """A claim that fell, one that did not change, one on either side alone, and a superseded proof."""
    for side, revision in (("before", "r1"), ("after", "r2")):
        write_proof(f"{side}/a.json", body(*(GOOD if side == "before" else BAD), statement="A", revision=revision))
        later = "2026-11-24T11:00:00+00:00"
        write_proof(f"{side}/b.json", body(*GOOD, statement="B", revision=revision, created=later))
        write_proof(f"{side}/c.json", body(*GOOD, statement=f"only {side}", revision=revision))
    write_proof("after/d.json", body(*GOOD, statement="B"))
    return tmp_path / "before", tmp_path / "after"


@pytest.fixture
def alert(run, sides) -> dict[str, JSON]:
    done = run(*sides, "--json")
    assert done.exit_code == 1, done.output
    return json.loads(Path(json.loads(done.stdout)["record"]).read_bytes())


def test_the_command_leaves_a_signed_alert(run, sides, alert, project):
    assert {t["transition_class"] for t in alert["transitions"]} == {"regression", "unchanged"}
    assert (alert["n_before"], alert["n_after"]) == (3, 4)
    assert [u["side"] for u in alert["unmatched"]] == ["before", "after"]
    assert [s["side"] for s in alert["superseded"]] == ["after"]
    assert alert["settings"] == {"alpha": 0.05, "correction": "holm", "family": 2}
    assert alert["summary"] == {"regression": 1, "recovery": 0, "lateral": 0, "unchanged": 1}
    delta = fell(alert)["deltas"][0]
    assert delta["difference"]["value"] == pytest.approx(-0.15)
    assert delta["p_values"]["worse"]["adjusted"] == pytest.approx(2 * delta["p_values"]["worse"]["p"])
    assert delta["transition"] == "regression"
    path = next(Path(project.store).glob("regression-alert/*/*/record.json"))
    assert verify(read(path, [REGRESSION_ALERT]), Keyring()).ok
    check_record_kind(REGRESSION_ALERT, alert)
    Draft202012Validator(REGRESSION_ALERT.schema).validate(alert)
    # An earlier alert in a folder that is compared is no news.
    again = run(sides[0], sides[1], "--json")
    assert again.exit_code == 1
    (sides[1] / "alert.json").write_bytes(path.read_bytes())
    assert json.loads(run(*sides, "--json").stdout)["problems"] == []


def test_an_alert_can_be_kept_elsewhere_or_not_at_all(run, sides, project, tmp_path):
    assert run(*sides, "--no-record").exit_code == 1
    assert not Path(project.store).exists()
    assert run(*sides, "--no-record", "--out", tmp_path / "x.json").exception.exit_code == 2
    assert run(*sides, "--out", tmp_path / "x.json").exit_code == 1
    assert verify(read(tmp_path / "x.json", [REGRESSION_ALERT]), Keyring()).ok
    assert "the record itself is stored" in str(run(*sides, "--out", tmp_path / "no" / "x.json").exception)


def test_junit_has_a_case_a_series_and_a_lateral_change_is_no_failure(body):
    def record(i, outcome):
        return proof_of({"proof_id": f"{i:064x}", **body(*GOOD, outcome, revision=str(i))})

    alert = sign(alert_body(compare([record(1, "VALIDATED")], [record(2, "INCONCLUSIVE")]), "a", "b"), *SIGNING)
    if "junit" not in registry.exporters.names():
        pytest.skip("no exporter 'junit' is installed")
    registry.exporters.get("junit")().export(alert, out := io.BytesIO())
    (suite,) = ET.fromstring(out.getvalue())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "1",
        "0",
        "0",
        "1",
    )


def test_nothing_compared_leaves_no_record(run, sides, project):
    assert run(sides[0] / "a.json", sides[1] / "b.json").exit_code == 2
    assert not Path(project.store).exists()


@pytest.mark.parametrize("method", ["holm", "bh", "by", "none"])
def test_the_correction_is_an_option_and_stands_in_the_record(run, sides, method):
    done = run(*sides, "--correction", method, "--alpha", "0.01", "--json")
    record = json.loads(Path(json.loads(done.stdout)["record"]).read_bytes())
    assert record["settings"] == {"alpha": 0.01, "correction": method, "family": 2}
    assert not check_alert(record)


def test_a_difference_that_does_not_survive_the_correction_is_no_regression(proof):
    # Each alone is just beyond δ at 95 %; of forty, that is what chance does.
    def drift(n, correction):
        before = [proof(0.99, 0.985, 0.995, statement=f"{i}") for i in range(n)]
        after = [proof(0.95, 0.935, 0.9645, statement=f"{i}", revision="r2") for i in range(n)]
        return compare(before, after, correction=correction)

    assert drift(1, "holm").transition == "regression"
    assert drift(40, "none").transition == "regression"
    assert drift(40, "holm").transition == "unchanged"
    assert drift(40, "bh").transition == "regression"


def test_equivalence_is_shown_not_assumed(proof):
    def part(*after):
        (pair,) = compare([proof(0.95, 0.948, 0.952)], [proof(*after, revision="r2")]).pairs
        return pair.parts[0]

    assert part(0.951, 0.949, 0.953).equivalent
    wide = part(0.951, 0.90, 0.99)
    assert (wide.equivalent, wide.transition) == (False, "unchanged")
    assert not part(0.90, 0.898, 0.902).equivalent


def fell(record):
    """The transition that is a regression; ids decide where it stands."""
    (found,) = (t for t in record["transitions"] if t["transition_class"] == "regression")
    return found


def held(record):
    (found,) = (t for t in record["transitions"] if t["transition_class"] == "unchanged")
    return found


CHANGES = [
    (lambda r: r["transitions"].reverse(), "not sorted"),
    (lambda r: r["summary"].update(regression=0), "does not count"),
    (lambda r: r.update(n_after=9), "n_after does not count"),
    (lambda r: r["unmatched"].pop(), "unmatched_in_after does not list"),
    (lambda r: fell(r).update(transition_class="lateral"), "does not follow from its verdicts"),
    (lambda r: fell(r).update(before_observed=0.5), "is not the value of its first difference"),
    (lambda r: fell(r).update(family="x"), "not that of its family"),
    (lambda r: fell(r)["deltas"][0].update(transition="unchanged"), "called does not follow"),
    (lambda r: held(r)["deltas"][0].update(equivalent=True), "are equivalent does not follow"),
    (lambda r: fell(r)["deltas"][0]["difference"].update(value=0.1), "not after minus before"),
    (lambda r: fell(r)["deltas"][0]["p_values"]["worse"].update(adjusted=0.5), "not corrected"),
    (lambda r: r["settings"].update(family=1), "does not count the differences"),
    (lambda r: r.update(generated_at="yesterday"), "not a time"),
    (lambda r: r["superseded"][0].update(proof_id=fell(r)["after_proof_id"]), "listed twice"),
]


@pytest.mark.parametrize(("change", "sentence"), CHANGES, ids=[s for _, s in CHANGES])
def test_an_alert_that_contradicts_itself_is_refused(alert, change, sentence):
    broken = copy.deepcopy(alert)
    change(broken)
    assert any(sentence in problem for problem in check_alert(broken)), check_alert(broken)


def test_alerts_of_version_1_0_are_read(home):
    record = sign_old(OLD)
    assert identify(record, [REGRESSION_ALERT]) is REGRESSION_ALERT
    assert not check_alert(record)
    assert [case["outcome"] for case in REGRESSION_ALERT.cases(record)] == ["regression", "unmatched"]
    Draft202012Validator(REGRESSION_ALERT.schema_for("regression-alert/1.0")).validate(record)
    wrong = copy.deepcopy(record)
    wrong["transitions"][0]["transition_class"] = "lateral"
    assert check_alert(wrong)
    with pytest.raises(RecordError):
        sign_old({k: v for k, v in OLD.items() if k != "n_after"})


def sign_old(body):
    return sign(body, *SIGNING)


def test_an_alert_of_proofs_of_any_age(proof):
    # Bounds missing on one side, no δ, an exact value: each has its place in the record.
    before = [proof(0.95, 0.91, None, statement="a"), proof(0.95, statement="b", delta=None)]
    after = [proof(0.5, None, 0.99, "INCONCLUSIVE", statement="a"), proof(0.5, statement="b", delta=None)]
    body = alert_body(compare(before, after), "x", "y")
    assert not check_alert(body)
    assert body["settings"]["family"] == 1
    assert [t["transition_class"] for t in body["transitions"]] in (["lateral", "unchanged"], ["unchanged", "lateral"])
