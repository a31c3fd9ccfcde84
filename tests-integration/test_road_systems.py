"""Systems as they come: with fields elsewhere, in two versions, failing, hanging, and lying about their type."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Command = Callable[..., subprocess.CompletedProcess[str]]
TABLE = ("--corpus", "table:rows.csv")
SYSTEMS = """
import random, time

def nested(payload):
    return {"verdict": {"is_blocked": payload.endswith("0"), "scores": [{"k": "waf", "p": 0.25}]}}

def promised(payload):
    return {"blocked": True, "confidence": 0.5}

def mistyped(payload):
    return {"blocked": "yes" if payload == "word 7" else True, "confidence": 0.5}

def sometimes_fails(payload):
    if payload == "word 7":
        raise RuntimeError("out of memory")
    return promised(payload)

def undecided(payload):
    return {"blocked": True, "confidence": random.SystemRandom().random()}

def yes(payload):
    return "yes"

def sleepy(payload):
    time.sleep(0.3 if payload.endswith("0") else 0)
    return "yes"

def fails(payload):
    if payload.endswith("0"):
        raise ValueError("no")
    return "yes"

def leaves(payload):
    if payload.endswith("0"):
        raise SystemExit(3)
    return "yes"

def not_a_number(payload):
    return {"answer": "yes", "value": float("nan") if payload.endswith("0") else 0.5}

def enormous(payload):
    return "y" * 10_100_000 if payload.endswith("0") else "yes"

def cyclic(payload):
    loop = {"answer": "yes"}
    if payload.endswith("0"):
        loop["self"] = loop
    return loop

def half_a_pair(payload):
    return "\\ud800" if payload.endswith("0") else "yes"

def nothing(payload):
    return None if payload.endswith("0") else "yes"
"""


@pytest.fixture
def command(project: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process; 100 rows, all labelled yes, and systems to measure on them."""
    from ophamin.cli._run import run

    (project / "rows.csv").write_text("id,text,label\n" + "".join(f"{i},word {i},yes\n" for i in range(100)))
    (project / "road_systems.py").write_text(SYSTEMS)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return call


def road(command: Command, *words: str) -> tuple[int, dict[str, JSON], list[dict[str, JSON]]]:
    """Run; the exit code, the record, which verifies, and its observations."""
    done = command("run", *words, *TABLE, "--json")
    assert done.returncode in (0, 1, 4), done.stderr
    assert done.stderr == ""
    path = Path(json.loads(done.stdout)["path"])
    assert command("proof", "verify", str(path)).returncode == 0
    rows = gzip.decompress(path.with_name("observations.jsonl.gz").read_bytes()).splitlines()
    return done.returncode, json.loads(path.read_bytes()), [json.loads(row) for row in rows]


def outcomes(command: Command) -> list[str]:
    entries = json.loads(command("log", "show", "--json").stdout)["entries"]
    return [e["outcome"] for e in entries if e["type"] == "outcome"]


# --- where a role lies


def test_a_role_is_found_where_field_says(command: Command) -> None:
    system = ("--substrate", "python:road_systems:nested")
    _, record, rows = road(
        command, "metric", "--claim", "rate(blocked) <= 0.3", *system, "--field", "blocked=verdict.is_blocked"
    )
    assert record["verdict"]["observed_value"] == 0.1
    assert {row["values"]["blocked"] for row in rows} == {True, False}
    assert record["reproduction"]["run_spec"]["fields"] == {"blocked": "verdict.is_blocked"}
    _, record, _ = road(
        command, "metric", "--claim", "mean(p) <= 0.3", "--set", "support=0,1", *system,
        "--field", "p=verdict.scores[?k=='waf'].p",
    )  # fmt: skip
    assert record["verdict"]["observed_value"] == 0.25


def test_settings_may_say_where_a_role_lies(command: Command, project: Path) -> None:
    (project / "ophamin.toml").write_text('[fields]\nblocked = "verdict.is_blocked"\n')
    _, record, _ = road(
        command, "metric", "--claim", "rate(blocked) <= 0.3", "--substrate", "python:road_systems:nested"
    )
    assert record["verdict"]["observed_value"] == 0.1


def test_a_missing_role_is_not_applicable_and_never_refuted(command: Command, project: Path) -> None:
    words = ("metric", "--claim", "rate(blocked) <= 0.3", "--substrate", "python:road_systems:nested", *TABLE)
    done = command("run", *words)
    assert done.returncode == 2
    assert done.stdout == ""
    for said in ("not applicable", "'blocked'", "verdict", "--field blocked=PATH"):
        assert said in done.stderr
    assert outcomes(command) == ["NOT_APPLICABLE"]
    assert not (project / "proofs").exists()
    # It taught nobody anything, so it does not count.
    _, record, _ = road(command, *words[:-2], "--field", "blocked=verdict.is_blocked")
    assert (record["preregistration"]["attempt"], record["preregistration"]["alpha_used"]) == (1, 0.05)


# --- two arms


def test_two_arms_are_interleaved_in_seeded_order(command: Command) -> None:
    arms = ("--substrate", "base=mock?seed=1&correct=0.9", "--substrate", "head=mock?seed=2&correct=0.9")
    code, record, rows = road(command, "metric", "--claim", "accuracy_difference >= -0.2", *arms, "--n", "100")
    assert len(rows) == record["verdict"]["n_planned"] == 200
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    assert all(a["record"] == b["record"] for a, b in pairs)
    orders = [(a["arm"], b["arm"]) for a, b in pairs]
    assert set(orders) == {("base", "head"), ("head", "base")}
    assert 25 <= orders.count(("base", "head")) <= 75
    assert {a["arm"] for a in record["data"]["arms"]} == {"base", "head"}
    right = {arm: sum(r["values"]["answer"] == "yes" for r in rows if r["arm"] == arm) for arm in ("base", "head")}
    assert record["verdict"]["observed_value"] == pytest.approx((right["head"] - right["base"]) / 100)
    assert record["evidence"][0]["n_groups"] == 100
    assert code == {"VALIDATED": 0, "REFUTED": 1, "INCONCLUSIVE": 4}[record["verdict"]["outcome"]]


def test_arms_that_do_not_fit_the_claim_are_refused(command: Command, project: Path) -> None:
    done = command("run", "metric", "--claim", "accuracy_difference >= -0.2", "--substrate", "mock", *TABLE)
    assert done.returncode == 2
    assert "base" in done.stderr
    assert "head" in done.stderr
    assert not (project / ".ophamin").exists()


# --- the exact rule


@pytest.mark.parametrize(
    ("system", "outcome", "violations"),
    [("promised", "VALIDATED", 0), ("mistyped", "REFUTED", 1), ("sometimes_fails", "INCONCLUSIVE", 0)],
)
def test_the_exact_rule_measures_everything_twice(command: Command, system: str, outcome: str, violations: int) -> None:
    _, record, rows = road(command, "interface-contract", "--substrate", f"python:road_systems:{system}")
    verdict = record["verdict"]
    assert (verdict["outcome"], verdict["observed_value"]) == (outcome, violations)
    assert len(rows) == 100
    assert record["preregistration"]["plan"]["stopping"].startswith("exact")
    assert record["data"]["datasets"][0]["selection"]["n_selected"] == 100


def test_a_system_that_is_not_deterministic_has_no_exact_value(command: Command) -> None:
    code, record, _ = road(command, "interface-contract", "--substrate", "python:road_systems:undecided")
    assert code == 4
    assert "not deterministic" in record["verdict"]["decided_by"]
    assert "not deterministic" in record["verdict"]["reasoning"]


# --- what it costs


def test_instruments_put_resources_into_the_rows(command: Command) -> None:
    words = ("metric", "--claim", "mean(rss_bytes) <= 5e11", "--set", "support=0,1e12")
    _, record, rows = road(command, *words, "--substrate", "python:road_systems:yes", "--instrument", "resources")
    for row in rows:
        assert row["resources"]["rss_bytes"] > 1e6
        assert row["resources"]["latency_s"] == row["wall_s"]
        assert row["values"]["rss_bytes"] == row["resources"]["rss_bytes"]
        assert row["resources"].get("cpu_s", 0.0) >= 0
    assert record["reproduction"]["environment"]["ophamin-instrumenting"]
    done = command("run", *words, "--substrate", "python:road_systems:promised", *TABLE)
    assert done.returncode == 2
    assert "--instrument" in done.stderr


# --- systems that fail: data, never a made-up value


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("fails", "ValueError: no"),
        ("leaves", "SystemExit: 3"),
        ("sleepy", "timeout after 0.1 s"),
        ("enormous", "10 MB"),
        ("cyclic", "cyclic"),
        ("nothing", "null"),
    ],
)
def test_a_failing_cycle_is_an_error_and_counts(command: Command, system: str, said: str) -> None:
    code, record, rows = road(
        command, "metric", "--claim", "accuracy >= 0.7", "--n", "60", "--timeout", "0.1",
        "--substrate", f"python:road_systems:{system}",
    )  # fmt: skip
    failed = [row for row in rows if row["status"] == "error"]
    verdict = record["verdict"]
    assert failed
    assert (verdict["n_planned"], verdict["n_used"], verdict["n_errors"]) == (60, 60 - len(failed), len(failed))
    assert all(said in row["error"] for row in failed), failed[0]["error"]
    assert all(set(row["values"].values()) <= {None, "yes"} for row in failed)
    # Every cycle that worked was right; those that failed hold the lower bound down.
    assert verdict["observed_value"] == 1.0
    assert verdict["interval"]["lower"] < 1 - len(failed) / 60
    assert verdict["interval"]["upper"] == 1.0
    assert code in (0, 4)


def test_what_no_json_can_hold_is_no_value(command: Command) -> None:
    """NaN is no number and half a surrogate pair is no text: no measurement rather than a wrong one."""
    _, record, rows = road(
        command, "metric", "--claim", "mean(value) >= 0.1", "--set", "support=0,1", "--n", "60",
        "--substrate", "python:road_systems:not_a_number",
    )  # fmt: skip
    failed = [row for row in rows if row["status"] == "error"]
    assert failed
    assert all(row["values"]["value"] is None for row in failed)
    assert record["verdict"]["observed_value"] == 0.5
    assert record["verdict"]["n_errors"] == len(failed)
    _, record, rows = road(
        command, "metric", "--claim", "accuracy >= 0.7", "--n", "60", "--substrate", "python:road_systems:half_a_pair"
    )
    wrong = [row for row in rows if row["values"]["answer"] != "yes"]
    assert wrong
    assert record["verdict"]["observed_value"] == pytest.approx(1 - len(wrong) / 60)


@pytest.mark.parametrize("policy", ["bound", "fail"])
def test_errors_are_data(command: Command, policy: str) -> None:
    _, record, rows = road(
        command, "metric", "--claim", "accuracy >= 0.7", "--error-policy", policy,
        "--substrate", "mock?seed=2&correct=1&error_rate=0.1&unmeasured_rate=0.05",
    )  # fmt: skip
    verdict = record["verdict"]
    states = [row["status"] for row in rows]
    assert min(states.count("error"), states.count("unmeasured")) > 0
    assert verdict["n_planned"] == len(rows) == 100
    assert verdict["n_planned"] == verdict["n_used"] + verdict["n_errors"] + verdict["n_unmeasured"]
    assert (verdict["n_errors"], verdict["n_unmeasured"]) == (states.count("error"), states.count("unmeasured"))
    # Under fail an error is wrong on both sides; what nobody looked at never is.
    assert (verdict["interval"]["upper"] == 1.0) is (policy == "bound")


def test_leaving_errors_out_needs_a_limit_on_them(command: Command) -> None:
    words = ("metric", "--substrate", "mock", *TABLE, "--error-policy", "exclude", "--claim")
    done = command("run", *words, "accuracy >= 0.7")
    assert done.returncode == 2
    assert "error_rate" in done.stderr
    assert command("log", "show").returncode == 2, "a claim that is refused leaves no ledger"


def test_a_system_that_always_fails_validates_nothing(command: Command) -> None:
    code, record, _ = road(command, "metric", "--claim", "accuracy >= 0.1", "--substrate", "mock?mode=error")
    assert code == 4
    assert record["verdict"]["observed_value"] is None
    assert record["verdict"]["n_errors"] == 100


def test_a_program_that_cannot_live_is_a_failure_of_its_own(command: Command, project: Path) -> None:
    done = command("run", "metric", "--claim", "accuracy >= 0.7", "--substrate", "command:false", *TABLE)
    assert done.returncode == 6
    assert "command:false" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert outcomes(command) in (["ERRORED"], ["ABORTED"])
    assert not (project / "proofs").exists()
