"""Every contradiction between the sections of a proof is found, and nothing else is."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from ophamin.proof.claims import claim_hash
from ophamin.proof.kinds import PROOF
from ophamin.proof.reading import parse
from ophamin.proof.schemas import violations

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def proof():
    return parse((GOLDEN / "proof-1.1.json").read_bytes())


@pytest.fixture
def old():
    return parse((GOLDEN / "proof-1.0.json").read_bytes())


def put(record, path, value):
    *where, last = path.split(".")
    for key in where:
        record = record[int(key) if key.isdigit() else key]
    record[int(last) if last.isdigit() else last] = value


def rehash(record):
    record["preregistration"]["claim_hash"] = claim_hash(record["claim"])


def problems(record):
    assert not violations(record, PROOF.schema_for(record["schema_version"]))
    return list(PROOF.check(record))


def test_the_golden_records_agree_with_themselves(proof, old):
    assert problems(proof) == problems(old) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict.threshold.value": 0.2}, "threshold is not the claim's"),
        ({"verdict.threshold.value": 1}, "threshold is not the claim's"),
        ({"verdict.outcome": "REFUTED"}, "rule and interval give VALIDATED"),
        ({"verdict.outcome": "INCONCLUSIVE"}, "rule and interval give VALIDATED"),
        ({"verdict.interval.upper": 0.2, "evidence.0.ci_high": 0.2}, "rule and interval give INCONCLUSIVE"),
        ({"verdict.interval": None, "evidence.0.ci_low": None, "evidence.0.ci_high": None}, "give INCONCLUSIVE"),
        ({"verdict.co_primary.0.outcome": "INCONCLUSIVE"}, "coverage: the outcome is INCONCLUSIVE"),
        ({"verdict.co_primary": []}, "co-primary parts are not the claim's"),
        ({"verdict.co_primary.0.metric": "other"}, "co-primary parts are not the claim's"),
        ({"verdict.decided_by": "none: too few groups"}, "although it was decided by 'none"),
        ({"verdict.observed_value": 0.0326}, "observed value is not"),
        ({"verdict.observed_value": None}, "observed value is not"),
        ({"evidence.0.ci_low": 0.01}, "lower bound is not"),
        ({"evidence.0.ci_high": None}, "upper bound is not"),
        ({"evidence.1.statistic_value": 1}, "coverage: the observed value is not"),
        ({"evidence.1.role": "secondary"}, "coverage: no primary evidence"),
        ({"evidence.0.role": "control", "evidence.1.role": "control"}, "no evidence has the role primary"),
        ({"evidence.2.library": " "}, "evidence[2] names no library"),
        ({"evidence.2.library_version": "unknown"}, "'unknown' is no installed version"),
        ({"evidence.2.library_version": ""}, "is no installed version"),
        ({"identity.created_at": "2026-11-24T09:59:59.999Z"}, "created before"),
        ({"identity.created_at": "2026-13-24T09:59:59Z"}, "not a moment"),
        ({"verdict.n_used": 397}, "cycles were planned"),
        ({"verdict.n_errors": 0}, "cycles were planned"),
        ({"preregistration.alpha_used": 0.05}, "alpha / 2^1 = 0.025"),
        ({"preregistration.attempt": 1}, "alpha / 2^0 = 0.05"),
        ({"preregistration.attempt": 10**6, "preregistration.alpha_used": 0.025}, "alpha / 2^999999"),
        ({"claim.decision.attempts": 4}, "alpha / 4"),
        ({"claim.decision.attempts": 1, "preregistration.attempt": 3}, "alpha / 2^2"),
        ({"verdict.interval.level": 0.9}, "level is 0.9"),
        ({"verdict.interval.lower_confidence": 0.95}, "lower_confidence is 0.95"),
        ({"verdict.co_primary.0.interval.upper_confidence": 0.95}, "coverage: the interval's upper_confidence"),
        ({"claim.decision.rule": "point"}, "rule 'point' only reads"),
        ({"claim.threshold.comparator": "==", "verdict.threshold.comparator": "=="}, "cannot be recomputed"),
    ],
)
def test_one_contradiction_is_found(proof, changes, words):
    for path, value in changes.items():
        put(proof, path, value)
    rehash(proof)
    found = problems(proof)
    assert any(words in problem for problem in found), found


def test_the_claim_that_was_registered_is_the_claim_that_was_decided(proof):
    proof["claim"]["statement"] += " Always."
    assert problems(proof) == ["the claim is not the one that was preregistered: its hash differs"]
    proof["preregistration"]["claim_hash"] = ""
    assert problems(proof) == []


def test_an_outcome_follows_from_its_interval(proof):
    for side, name, value in (("lower", "ci_low", 0.11), ("upper", "ci_high", 0.2)):
        proof["verdict"]["interval"][side] = proof["evidence"][0][name] = value
    proof["verdict"]["observed_value"] = proof["evidence"][0]["statistic_value"] = 0.15
    proof["verdict"]["outcome"] = "REFUTED"
    assert problems(proof) == []


def test_a_reason_may_leave_undecided_what_the_interval_would_decide(proof):
    proof["verdict"].update(outcome="INCONCLUSIVE", decided_by="none: too few groups (12 of 20)")
    assert problems(proof) == []
    proof["verdict"]["co_primary"][0]["outcome"] = "INCONCLUSIVE"
    assert problems(proof) == []
    proof["verdict"]["co_primary"][0]["outcome"] = "REFUTED"
    assert len(problems(proof)) == 1


def test_an_exact_rule_decides_by_value_or_by_range(proof):
    proof["claim"]["co_primary"], proof["verdict"]["co_primary"] = [], []
    for section in (proof["claim"], proof["verdict"]):
        section["threshold"].update(comparator="==", value="sha256:1")
    proof["claim"]["decision"]["rule"] = "exact"
    proof["evidence"][0].update(statistic_value="sha256:1", ci_low=None, ci_high=None)
    proof["verdict"].update(
        observed_value="sha256:1", interval=None, decided_by="exact", n_used=400, n_errors=0, n_unmeasured=0
    )
    rehash(proof)
    assert problems(proof) == []
    proof["verdict"].update(n_used=399, n_unmeasured=1)
    assert "needs the range" in problems(proof)[0]
    proof["verdict"].update(n_used=400, n_unmeasured=0, observed_value="sha256:2")
    proof["evidence"][0]["statistic_value"] = "sha256:2"
    assert "give REFUTED" in problems(proof)[0]


def stopped(proof, n=100, most=400):
    """The proof as a sequential one that stopped at ``n``."""
    proof["claim"]["decision"]["rule"] = proof["verdict"]["decided_by"] = "sequential"
    proof["preregistration"].setdefault("plan", {})["n_planned"] = most
    verdict = proof["verdict"]
    verdict.update(n_planned=n, n_used=n, n_errors=0, n_unmeasured=0)
    verdict.update(n_max=most, stopped_at=n, cycles_saved=most - n, stopped_by="crossing")
    selection = proof["data"]["datasets"][0].setdefault("selection", {})
    selection["not_reached"] = [f"r{i}" for i in range(n, most)]
    rehash(proof)
    return proof


def test_a_sequential_rule_may_stop_early_and_accounts_for_what_it_measured(proof):
    assert problems(stopped(proof)) == []
    proof["verdict"]["n_used"] = 99
    assert "accounted for" in problems(proof)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["verdict"].update(cycles_saved=200), "but 100 were planned and 200 saved"),
        (lambda p: p["verdict"].update(stopped_at=90, cycles_saved=310), "stopped at 90"),
        (lambda p: p["verdict"].update(n_max=500, cycles_saved=400), "n_max is 500"),
        (
            lambda p: p["verdict"].update(outcome="INCONCLUSIVE", decided_by="none: nobody knows"),
            "without being decided",
        ),
        (lambda p: p["preregistration"]["plan"].update(n_planned=300), "but 300 cycles were registered"),
        (lambda p: [p["verdict"].pop(k) for k in ("n_max", "stopped_at", "cycles_saved")], "does not say where"),
    ],
)
def test_where_it_stopped_is_of_one_piece(proof, change, words):
    stopped(proof)
    change(proof)
    rehash(proof)
    assert any(words in problem for problem in problems(proof)), problems(proof)


def test_a_rule_with_a_fixed_n_leaves_out_no_record(proof):
    proof["data"]["datasets"][0].setdefault("selection", {})["not_reached"] = ["r7"]
    assert "only a sequential rule" in problems(proof)[0]


def test_attempts_registered_in_advance_share_alpha(proof):
    proof["claim"]["decision"]["attempts"] = 2
    rehash(proof)
    assert problems(proof) == []
    proof["preregistration"]["attempt"] = 3
    assert problems(proof) == ["attempt 3 of 2 registered ones"]


def test_what_1_1_added_may_be_absent(proof):
    for section, names in {
        "claim": ["co_primary"],
        "preregistration": ["claim_hash", "attempt", "alpha_used", "ledger", "plan", "code", "seed", "family"],
        "data": ["substrate", "observations"],
        "verdict": ["n_planned", "co_primary", "decided_by"],
        "reproduction": ["argv", "seed"],
    }.items():
        for name in names:
            proof[section].pop(name)
    proof["claim"].pop("decision")
    proof["evidence"][0].pop("role")
    assert problems(proof) == []
    for name in ("ci_low", "ci_high"):
        proof["evidence"][0][name] = None
    proof["verdict"].pop("interval")
    assert "give INCONCLUSIVE" in problems(proof)[0]  # a bare point decides nothing in 1.1


def test_integers_may_be_written_as_floats_without_harm(proof):
    proof["preregistration"]["attempt"] = 2.0
    proof["claim"]["decision"]["attempts"] = 1.0
    rehash(proof)
    assert problems(proof) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict.threshold.value": 0.2}, "threshold is not the claim's"),
        ({"verdict.outcome": "REFUTED"}, "is VALIDATED"),
        ({"verdict.observed_value": 0.2}, "is REFUTED"),
        ({"verdict.observed_value": None}, "is INCONCLUSIVE"),
        ({"claim.threshold.value": "x", "verdict.threshold.value": "x"}, "cannot be recomputed"),
    ],
)
def test_version_1_0_is_held_to_what_it_promised(old, changes, words):
    for path, value in changes.items():
        put(old, path, value)
    assert words in " ".join(problems(old))


def test_version_1_0_is_not_held_to_more(old):
    old["verdict"]["outcome"] = "INCONCLUSIVE"
    old["evidence"][0].update(library="", library_version="unknown", statistic_value=9)
    old["identity"]["created_at"] = "2020-01-01T00:00:00+00:00"
    assert problems(old) == []


def test_cases_list_every_threshold(proof, old):
    rows = PROOF.cases(proof)
    assert [r["outcome"] for r in rows] == ["VALIDATED", "VALIDATED"]
    assert rows[1]["name"] == "coverage >= 0.9 fraction"
    assert [r["name"] for r in PROOF.cases(old)] == ["wrong_rate <= 0.1 fraction"]


def test_checking_changes_nothing(proof):
    before = copy.deepcopy(proof)
    problems(proof)
    assert proof == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p["preregistration"].update(error_bound=0.0), "less than the alpha_used"),
        (lambda p: p["verdict"].update(decided_by="sequential"), "was registered"),
        (
            lambda p: p["data"]["datasets"][0].update(content_hash="sha256:" + "0" * 64),
            "content_hash and data_hash differ",
        ),
        (lambda p: p["data"]["observations"].update(n_rows=399), "n_planned is 400"),
        (lambda p: p["verdict"]["interval"].pop("level"), "does not say its level"),
        (
            lambda p: (p["verdict"].update(observed_value=0.2), p["evidence"][0].update(statistic_value=0.2)),
            "outside its own interval",
        ),
    ],
)
def test_numbers_that_cannot_be_are_contradictions(proof, change, words):
    assert problems(proof) == []
    change(proof)
    assert any(words in problem for problem in problems(proof)), problems(proof)
