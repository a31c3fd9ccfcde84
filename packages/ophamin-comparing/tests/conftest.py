from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.kinds import PROOF
from ophamin.proof.signed import sign
from ophamin.proof.types import (
    Claim,
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


def _body(
    value: float = 0.95,
    lower: float | None = 0.93,
    upper: float | None = 0.97,
    outcome: str = "VALIDATED",
    *,
    statement: str = "It is right in 90 % of cases.",
    comparator: str = ">=",
    theta: float = 0.9,
    delta: float | None = 0.02,
    revision: str = "r1",
    corpus: str = HASH,
    scenario: str = "metric",
    estimator: str = "proportion",
    created: str = "2026-11-24T10:00:01+00:00",
    observations: dict[str, Any] | None = None,
) -> dict[str, Any]:
    threshold = Threshold("accuracy", comparator, theta)
    interval = Interval(lower, upper, 0.9, lower_confidence=0.95, upper_confidence=0.95)
    decision = Decision(estimator=estimator, method="clopper-pearson", smallest_difference=delta)
    body = EmpiricalProofRecord(
        identity={"ophamin_version": "0.1.0", "ophamin_git_commit": "", "created_at": created},
        claim=Claim(statement, "share of right answers", "h0", "h1", threshold, decision),
        preregistration=PreRegistration(HASH, HASH, "Count.", "2026-11-24T10:00:00+00:00"),
        data={
            "substrate_name": "filter",
            "substrate_git_commit": revision,
            "substrate": {
                "kind": "python",
                "name": "filter",
                "config_hash": HASH,
                "revision": revision,
                "dirty": False,
            },
            "datasets": [DatasetRef("rows", corpus, 400, "made up", "table")],
            **({"observations": observations} if observations else {}),
        },
        evidence=[PillarEvidence("accuracy", "accuracy", value, "scipy", "1.15.3", ci_low=lower, ci_high=upper, n=400)],
        verdict=Verdict(outcome, value, threshold, "as the interval says", interval, 400, 400),
        reproduction=Reproduction("ophamin run metric", argv=["ophamin", "run", scenario]),
        provenance={},
    ).body()
    body["reproduction"]["run_spec"] = {"scenario": scenario, "options": {}}
    return body


@pytest.fixture
def body() -> Any:
    """Makes the body of a proof of one threshold."""
    return _body


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for keys, away from the user's own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("OPHAMIN_HOME", str(folder))
    monkeypatch.delenv("OPHAMIN_SIGN_KEY", raising=False)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    """An empty project."""
    return Settings(project=str(tmp_path / "project"), store=str(tmp_path / "project" / "proofs"))


@pytest.fixture
def write_proof(home: Path, tmp_path: Path) -> Any:
    """Signs a body and writes it to a file, with its observations beside it."""

    def write(name: str, body: dict[str, Any], rows: list[Any] | None = None, signer: Signer | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if rows is not None:
            data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
            body["data"]["observations"] = {
                "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
                "media_type": "application/x-ndjson",
                "n_rows": len(rows),
            }
            # A record speaks of no more cycles than there are rows.
            body["verdict"].update(n_planned=len(rows), n_used=len(rows), n_errors=0, n_unmeasured=0)
            for evidence in body["evidence"]:
                evidence["n"] = len(rows)
            path.with_name("observations.jsonl.gz").write_bytes(gzip.compress(data, mtime=0))
        path.write_text(json.dumps(sign(body, PROOF, signer or Keyring().signer())), encoding="utf-8")
        return path

    return write


@pytest.fixture
def proof() -> Any:
    """Makes a proof as ``compare`` takes it."""
    from ophamin.comparing.drift import proof_of

    def make(*args: Any, **kwargs: Any) -> Any:
        record = _body(*args, **kwargs)
        return proof_of({"proof_id": content_id(canonical_bytes(record)), **record, "signature": "00" * 32})

    return make


@pytest.fixture
def made() -> Any:
    """Makes the body of a proof that holds the graph of its making, as the road writes it."""
    from ophamin.proof.provenance import prov_json

    def make(*, key_id: str = "k1", software: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        record = _body(**more)
        record["preregistration"]["data_hash"] = record["data"]["datasets"][0]["content_hash"]
        created, registered = record["identity"]["created_at"], record["preregistration"]["preregistered_at"]
        record["provenance"] = prov_json(
            claim=record["claim"],
            plan={"n_planned": 400},
            substrates={"main": record["data"]["substrate"]},
            datasets=record["data"]["datasets"],
            observations={"digest": "sha256:" + hashlib.sha256(json.dumps(more).encode()).hexdigest()},
            times={
                "register": (registered, registered),
                "run": (registered, created),
                "decide": (created, created),
                "sign": (created, created),
            },
            software=software or {"ophamin-core": "0.1.0", "scipy": "1.15.3"},
            key_id=key_id,
        )
        return record

    return make


@pytest.fixture
def stored(home: Path, project: Settings) -> Any:
    """Signs bodies and puts them into the project's store; returns the ids."""
    from ophamin.proof.project import Project
    from ophamin.proof.store import Store

    def put(*bodies: dict[str, Any], signer: Signer | None = None) -> list[str]:
        store = Store(Path(project.store), Project(Path(project.project)).index)
        records = [sign(body, PROOF, signer or Keyring().signer()) for body in bodies]
        for record in records:
            store.put(record, PROOF)
        return [record["proof_id"] for record in records]

    return put
