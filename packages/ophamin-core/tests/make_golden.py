"""Writes the golden records: one signed record of every version, kept for ever.

Run once per version (``python make_golden.py 1.1``), then never again for that version: the files prove that what was
written then still reads and verifies. Everything in them is made up.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ophamin.proof import (
    PROOF,
    Claim,
    CoPrimary,
    DatasetRef,
    Decision,
    EmpiricalProofRecord,
    Interval,
    PillarEvidence,
    PreRegistration,
    Reproduction,
    Signer,
    Threshold,
    Verdict,
    canonical_bytes,
    claim_hash,
    content_id,
    sign,
)
from ophamin.proof.merkle import inclusion_path, leaf_hash, root_hash

SECRET = b"golden records are signed with this key, which is public"
GOLDEN = Path(__file__).parent / "golden"
HASH = "sha256:" + "5e" * 32
ENVIRONMENT = {f"invented-package-{i:03}": f"{i}.{i % 7}.{i % 11}" for i in range(110)}


def body_1_0() -> dict:
    """A proof as earlier implementations wrote it."""
    threshold = {"metric": "wrong_rate", "comparator": "<=", "value": 0.1, "units": "fraction"}
    return {
        "schema_version": "1.0",
        "identity": {
            "ophamin_version": "0.1.0",
            "ophamin_git_commit": "",
            "created_at": "2026-01-02T03:04:05.678901+00:00",
        },
        "claim": {
            "statement": "The invented filter is wrong in at most 10 % of cases — «à peu près».",
            "operationalization": "share of wrong answers",
            "threshold": threshold,
            "h0": "wrong_rate > 0.1",
            "h1": "wrong_rate <= 0.1",
        },
        "preregistration": {
            "config_hash": "1a" * 32,
            "data_hash": "2b" * 32,
            "analysis_plan": "Count.",
            "sweep_grid": {},
            "preregistered_at": "2026-01-02T03:04:05.000001+00:00",
        },
        "data": {
            "substrate_name": "invented-filter",
            "substrate_git_commit": "",
            "datasets": [
                {"name": "rows", "content_hash": "2b" * 32, "n_records": 400, "source": "made up", "kind": "table"}
            ],
        },
        "evidence": [
            {
                "pillar": "O.wrong",
                "statistic_name": "wrong_rate",
                "statistic_value": 0.0325,
                "library": "statsmodels",
                "library_version": "0.14.5",
                "effect_size": None,
                "ci_low": 0.01894,
                "ci_high": 0.0549,
                "p_value": 1e-07,
                "cross_check": "n/a",
                "detail": {"wrong": 13, "zero": -0.0, "astral": "𝛼"},
            }
        ],
        "verdict": {"outcome": "VALIDATED", "observed_value": 0.0325, "threshold": threshold, "reasoning": "13/400"},
        "reproduction": {"command": "invented run", "environment": dict(ENVIRONMENT), "lineage_chain": []},
        "provenance": {"prefix": {"ophamin": "https://ophamin.example/"}, "entity": {}},
    }


def body_1_1() -> dict:
    """A proof of two co-primary thresholds at its second attempt, with everything 1.1 added."""
    decision = Decision(
        method="clopper-pearson",
        estimator="proportion",
        smallest_difference=0.02,
        target="the registered corpus",
        group="record",
    )
    share, coverage = Threshold("wrong_rate", "<=", 0.1, "fraction"), Threshold("coverage", ">=", 0.9, "fraction")
    claim = Claim(
        statement="The invented filter is wrong in at most 10 % of cases and answers in 90 % — «à peu près».",
        operationalization="share of wrong answers; share of answers",
        h0="wrong_rate > 0.1 or coverage < 0.9",
        h1="wrong_rate <= 0.1 and coverage >= 0.9",
        threshold=share,
        decision=decision,
        co_primary=[CoPrimary(coverage, decision)],
    )
    leaves = [leaf_hash(f"leaf {i}".encode()) for i in range(5)]
    shares = Interval(0.015625, 0.0546875, 0.95, lower_confidence=0.9875, upper_confidence=0.975)
    covered = Interval(0.95, 0.99, 0.95, lower_confidence=0.975, upper_confidence=0.9875)

    def evidence(name: str, value: float, bounds: Interval, role: str) -> PillarEvidence:
        return PillarEvidence(
            pillar=f"O.{name}",
            statistic_name=name,
            statistic_value=value,
            library="scipy",
            library_version="1.15.3",
            ci_low=bounds.lower,
            ci_high=bounds.upper,
            p_value=1e-07,
            detail={"wrong": 13, "zero": -0.0, "astral": "𝛼"},
            n=396,
            n_groups=396,
            interval_method="clopper-pearson",
            guarantee="guaranteed",
            role=role,
        )

    return EmpiricalProofRecord(
        identity={
            "ophamin_version": "0.1.0",
            "ophamin_git_commit": "",
            "created_at": "2026-11-24T10:00:00.5+00:00",
        },
        claim=claim,
        preregistration=PreRegistration(
            config_hash=HASH,
            data_hash=HASH,
            analysis_plan="Count, then decide from both intervals.",
            preregistered_at="2026-11-24T10:00:00+00:00",
            claim_hash=claim_hash(claim),
            attempt=2,
            alpha_used=0.025,
            error_bound=0.075,
            seed=1234567890,
            plan={"n_planned": 400, "expected_error_rate": 0.0, "stopping": "fixed", "underpowered": False},
            code={"distribution": "ophamin-measuring", "version": "0.1.0", "source_hash": HASH},
            ledger={
                "log_id": "3c" * 16,
                "index": 2,
                "leaf_hash": leaves[2],
                "tree_size": 5,
                "root_hash": root_hash(leaves),
                "path": inclusion_path(leaves, 2),
            },
        ),
        data={
            "substrate_name": "invented-filter",
            "substrate_git_commit": "",
            "substrate": {"kind": "python", "config_hash": HASH, "revision": "", "dirty": None},
            "datasets": [
                DatasetRef(
                    "rows",
                    HASH,
                    4000,
                    "made up",
                    "table",
                    {"n_selected": 400, "content_hash": HASH, "method": "seeded sample", "seed": 7},
                )
            ],
            "observations": {
                "digest": HASH,
                "media_type": "application/jsonl+gzip",
                "n_rows": 400,
                "merkle_root": leaves[0],
            },
        },
        evidence=[
            evidence("wrong_rate", 0.0325, shares, "primary"),
            evidence("coverage", 0.975, covered, "primary"),
            evidence("latency_s", 0.001, Interval(0.0009, 0.0011, 0.95), "secondary"),
        ],
        verdict=Verdict(
            outcome="VALIDATED",
            observed_value=0.0325,
            threshold=share,
            reasoning="Both bounds lie inside.",
            interval=shares,
            n_planned=400,
            n_used=396,
            n_errors=3,
            n_unmeasured=1,
            co_primary=[
                {"metric": "coverage", "observed_value": 0.975, "interval": covered, "outcome": "VALIDATED"},
            ],
        ),
        reproduction=Reproduction("invented run", dict(ENVIRONMENT), argv=["invented", "run"], seed=1234567890),
        provenance={"prefix": {"ophamin": "https://ophamin.example/"}, "entity": {}},
    ).body()


def signed_1_0() -> dict:
    """Signed as 1.0 was: one attestation, whose author is not signed."""
    body, signer = body_1_0(), Signer(SECRET)
    data = canonical_bytes(body)
    attestation = signer.attest(data)
    assert attestation is not None
    del attestation["key_id"]
    return {
        "proof_id": content_id(data),
        **body,
        "signature": signer.hmac(data),
        "attestation": {"author": "nobody", **attestation},
    }


RECORDS = {"1.0": signed_1_0, "1.1": lambda: sign(body_1_1(), PROOF, Signer(SECRET))}

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for version in sys.argv[1:]:
        text = json.dumps(RECORDS[version](), indent=2, ensure_ascii=False) + "\n"
        (GOLDEN / f"proof-{version}.json").write_text(text, encoding="utf-8")
