from __future__ import annotations

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ophamin import registry
from ophamin.comparing._signed import keep, signer_of
from ophamin.comparing.history._show import bisection_json, gate_json, gate_text, history_json, history_text
from ophamin.comparing.history.bisect import Bisection
from ophamin.comparing.history.cost_gate import GateResult, GateSpec, SystemResult, gate_request, gate_words
from ophamin.comparing.history.gate_rule import GateRule
from ophamin.comparing.history.history import History
from ophamin.comparing.history.measuring import Measured
from ophamin.comparing.history.record import HISTORY, history_body
from ophamin.comparing.history.revisions import Moving, Revision
from ophamin.proof.errors import ConsistencyError
from ophamin.proof.signed import sign
from ophamin.testing import check_record_kind

MOVED = Moving({"main": "repo:.?target=a:b"}, ("main",), Path("/somewhere/checkout"))


def revision(number: int) -> Revision:
    return Revision(f"{number:040x}", "2026-11-26T00:00:00+00:00", f"Change {number}")


@pytest.fixture
def points(proof: Any) -> tuple[Measured, ...]:
    """Good, skipped, bad, and good again."""
    good, bad = proof(), proof(0.85, 0.83, 0.87, "REFUTED")
    return (
        Measured(revision(1), good), Measured(revision(2), skipped="it does not import"), Measured(revision(3), bad),
        Measured(revision(4), good),
    )  # fmt: skip


def gate(slower: float = 1.2, sd: float = 0.005) -> GateResult:
    rng, rule = random.Random(4), GateRule()
    system = SystemResult("main", "repo:.?target=a:b")
    for _ in range(rule.looks[0]):
        system.base_s.append(math.exp(rng.gauss(0, sd)))
        system.head_s.append(slower * math.exp(rng.gauss(0, sd)))
    system.looks.append(rule.look(system.base_s, system.head_s))
    spec = GateSpec({"main": system.spec}, "v1", "v2", "table:rows.csv")
    return GateResult(spec, {"base": f"{1:040x}", "head": f"{2:040x}"}, (system,), 1, rule, ())


@pytest.fixture
def bodies(points: tuple[Measured, ...]) -> dict[str, dict[str, Any]]:
    """One body of each command."""
    found = History(MOVED, points, 1.0)
    runs = (points[0], points[2], Measured(revision(2), points[2].proof))
    revisions = tuple(revision(i) for i in (1, 2, 3))
    searched = Bisection(
        MOVED, revisions, runs, (revision(2),), 0.05, runs[2].alpha_used or 0.0, "it flipped the verdict"
    )
    gated = gate()
    return {
        "history": history_body("history", {}, history_json(found), ["ophamin", "history"]),
        "bisect": history_body("bisect", {}, bisection_json(searched), ["ophamin", "bisect"]),
        "cost-gate": history_body("cost-gate", gate_request(gated.spec), gate_json(gated), gate_words(gated.spec)),
    }


@pytest.mark.parametrize("command", ["history", "bisect", "cost-gate"])
def test_a_record_fits_its_kind_and_is_read_again(bodies, command, home, project):
    body = bodies[command]
    kept = keep(json.loads(json.dumps(body)), HISTORY, project, signer_of())
    record = registry.read_record(kept.path)
    assert record.kind is registry.records.get("history")
    check_record_kind(record.kind, record.object)
    jsonschema.validate(record.object, HISTORY.schema)
    assert [case["outcome"] for case in record.kind.cases(record.object)]
    assert "/somewhere" not in kept.path.read_text()


def changes() -> list[tuple[str, Any]]:
    def at(*path: Any, to: Any) -> Any:
        def change(body: dict[str, Any]) -> None:
            inner = body
            for name in path[:-1]:
                inner = inner[name]
            inner[path[-1]] = to

        return change

    look = ("result", "systems", 0, "looks", 0)
    return [
        ("history", at("outcome", to="VALIDATED")),
        ("history", at("result", "flips", to=[])),
        ("history", at("result", "revisions", 2, "outcome", to="VALIDATED")),
        ("history", at("result", "revisions", 1, "proof_id", to="ab" * 32)),
        ("history", lambda body: body["result"].pop("flips")),
        ("history", at("identity", "captured_at", to="yesterday")),
        ("bisect", at("outcome", to="UNDECIDED")),
        ("bisect", at("result", "error_bound", to=0.01)),
        ("bisect", at("result", "runs", 2, "outcome", to="VALIDATED")),
        ("bisect", at("result", "first_bad", to=[])),
        ("cost-gate", at("outcome", to="VALIDATED")),
        ("cost-gate", at("result", "systems", 0, "outcome", to="VALIDATED")),
        ("cost-gate", at(*look, "outcome", to="VALIDATED")),
        ("cost-gate", at(*look, "lower", to=0.9)),
        ("cost-gate", at(*look, "ratio", to=1.0)),
        ("cost-gate", at(*look, "noisy", to=True)),
        ("cost-gate", at(*look, "spread", to=0.2)),
        ("cost-gate", at(*look, "rounds", to=9)),
        ("cost-gate", at("result", "systems", 0, "base_s", 0, to=0.0)),
        ("cost-gate", at("result", "rule", "margin", to=0.5)),
    ]


@pytest.mark.parametrize(("command", "change"), changes())
def test_a_record_that_contradicts_itself_is_not_signed(bodies, home, command, change):
    body = copy.deepcopy(bodies[command])
    sign(body, HISTORY, signer_of())
    change(body)
    with pytest.raises(ConsistencyError):
        sign(body, HISTORY, signer_of())


def test_the_table_names_what_was_skipped_and_where_it_flipped(points):
    text = history_text(History(MOVED, points, 1.0))
    assert "SKIPPED" in text
    assert "it does not import" in text
    before, after = (f"{i:040x}"[:12] for i in (1, 3))
    assert f"flip: VALIDATED at {before} -> REFUTED at {after}, 1 undecided or skipped between: Change 3" in text
    assert "3 of 4 revisions measured" in text


def test_what_a_commit_says_cannot_steer_a_terminal(points):
    evil = Revision("0" * 40, "2026", "\x1b]0;title\x07\x1b[2J")
    text = history_text(History(MOVED, (*points, Measured(evil, skipped="\x1b[31m")), 1.0))
    assert "\x1b" not in text


def test_the_gate_says_what_it_found():
    assert gate_text(gate()).startswith("main: REFUTED: slower than the margin of 0.03: +")
    assert gate_text(gate(1.2, 0.3)).startswith("main: INCONCLUSIVE: too noisy: identical code spreads by ")
