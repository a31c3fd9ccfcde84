from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ophamin.proof.keys import Keyring
from ophamin.proof.kinds import PROOF
from ophamin.proof.signed import sign
from ophamin.proof.types import (
    Claim,
    CoPrimary,
    DatasetRef,
    Decision,
    EmpiricalProofRecord,
    Interval,
    PillarEvidence,
    PreRegistration,
    Reproduction,
    Threshold,
    Verdict,
)
from ophamin.protocols import Settings

HASH = "sha256:" + "5e" * 32


def _evidence(name: str, value: float, bounds: Interval) -> PillarEvidence:
    return PillarEvidence(
        pillar=name,
        statistic_name=name,
        statistic_value=value,
        library="scipy",
        library_version="1.15.3",
        ci_low=bounds.lower,
        ci_high=bounds.upper,
        n=400,
        n_groups=400,
        interval_method="clopper-pearson",
        guarantee="guaranteed",
    )


def _body(statement: str = "The filter is wrong in at most 10 % of cases.") -> dict[str, Any]:
    decision = Decision(method="clopper-pearson", estimator="proportion", smallest_difference=0.02, group="record")
    wrong, covered = Threshold("wrong_rate", "<=", 0.1, "fraction"), Threshold("coverage", ">=", 0.9, "fraction")
    first = Interval(0.0156, 0.0547, 0.9, lower_confidence=0.975, upper_confidence=0.95)
    second = Interval(0.95, 0.99, 0.9, lower_confidence=0.95, upper_confidence=0.975)
    return EmpiricalProofRecord(
        identity={
            "ophamin_version": "0.1.0",
            "ophamin_git_commit": "",
            "created_at": "2026-11-24T10:00:01+00:00",
        },
        claim=Claim(statement, "share of wrong answers", "h0", "h1", wrong, decision, [CoPrimary(covered, decision)]),
        preregistration=PreRegistration(
            HASH,
            HASH,
            "Count.",
            "2026-11-24T10:00:00+00:00",
            ledger={},
            plan={"n_planned": 400},
        ),
        data={
            "substrate_name": "invented-filter",
            "substrate_git_commit": "",
            "datasets": [DatasetRef("rows", HASH, 4000, "made up", "table")],
        },
        evidence=[_evidence("wrong_rate", 0.0325, first), _evidence("coverage", 0.975, second)],
        verdict=Verdict(
            "VALIDATED",
            0.0325,
            wrong,
            "Both bounds lie inside.",
            first,
            n_planned=400,
            n_used=398,
            n_errors=1,
            n_unmeasured=1,
            co_primary=[{"metric": "coverage", "observed_value": 0.975, "interval": second, "outcome": "VALIDATED"}],
        ),
        reproduction=Reproduction("ophamin run metric", {"python": "3.11"}),
        provenance={"prefix": {}, "entity": {"ophamin:claim": {}}, "agent": {"ophamin:software": {}}},
    ).body()


@pytest.fixture
def body() -> Any:
    """Makes the body of a proof of two co-primary thresholds."""
    return _body


@pytest.fixture
def proof() -> Any:
    """Makes an unsigned proof object."""
    return lambda *args: {"proof_id": "ab" * 32, **copy.deepcopy(_body(*args)), "signature": "cd" * 32}


@pytest.fixture
def old_proof(proof: Any) -> dict[str, Any]:
    """A proof as version 1.0 had it: a bare value, and an interval in the evidence alone."""
    record = proof()
    record["schema_version"] = "1.0"
    record["claim"] = {k: v for k, v in record["claim"].items() if k not in ("decision", "co_primary")}
    keep = ("outcome", "observed_value", "threshold", "reasoning")
    record["verdict"] = {k: v for k, v in record["verdict"].items() if k in keep}
    keep = ("config_hash", "data_hash", "analysis_plan", "sweep_grid", "preregistered_at")
    record["preregistration"] = {k: v for k, v in record["preregistration"].items() if k in keep}
    return record


def _finding(i: int, severity: str = "low") -> dict[str, Any]:
    return {
        "pillar_name": "ruff",
        "rule_id": f"F{i:03}",
        "severity": severity,
        "message": f"message {i}",
        "path": "pkg/mod.py",
        "line": i,
        "column": 1,
        "extra": {},
    }


@pytest.fixture
def audit() -> dict[str, Any]:
    """An audit with a tool of each status and more findings than a page shows."""
    findings = [*(_finding(i) for i in range(300)), _finding(999, "high")]
    tools = [("ruff", "ok", findings), ("bandit", "unavailable", []), ("mypy", "error", []), ("slow", "timeout", [])]
    return {
        "audit_id": "ef" * 32,
        "schema_version": "audit/1.2",
        "identity": {"ophamin_version": "0.1.0", "ophamin_git_commit": "", "captured_at": "2026-11-24T10:00:00+00:00"},
        "target": {"target_path": "/x/pkg", "target_content_hash": HASH, "path": "pkg", "n_sources": 3},
        "pillars": [
            {
                "pillar_name": name,
                "tool_version": "1",
                "status": status,
                "finding_count": len(found) if status == "ok" else None,
                "findings": found,
                "wall_time_s": 0.5,
                "error_message": "" if status == "ok" else f"{name} says no",
            }
            for name, status, found in tools
        ],
        "summary": {"total_findings": len(findings)},
        "verdict": {
            "outcome": "REFUTED",
            "observed_value": 1,
            "threshold": {"metric": "high", "comparator": "==", "value": 0, "units": "findings"},
            "reasoning": "1 high finding",
            "gates": [{"metric": "high", "observed_value": 1, "lower": 1, "upper": None, "outcome": "REFUTED"}],
        },
        "reproduction": {"command": "ophamin audit pkg"},
        "signature": "cd" * 32,
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for keys, away from the user's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("OPHAMIN_HOME", str(folder))
    monkeypatch.delenv("OPHAMIN_SIGN_KEY", raising=False)
    return folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project in an empty working folder."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return Settings(project=str(project), store=str(project / "proofs"))


@pytest.fixture
def write_proof(home: Path, tmp_path: Path) -> Any:
    """Signs a body and writes it to a file."""

    def write(name: str, body: dict[str, Any] | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(sign(body or _body(), PROOF, Keyring().signer())), encoding="utf-8")
        return path

    return write
