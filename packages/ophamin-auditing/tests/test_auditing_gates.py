from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.auditing import duplicates, gates
from ophamin.auditing._counts import SEVERITIES
from ophamin.proof.errors import UsageError

SAME = ["sha256:a", "sha256:a"]


def pillar(name, severities=(), complete=True, status="ok"):
    findings = [
        {"pillar_name": name, "rule_id": f"R{i}", "severity": s, "path": "a.py"} for i, s in enumerate(severities)
    ]
    return {"pillar_name": name, "status": status, "complete": complete, "findings": findings}


def decided(gate, pillars, passes=SAME, unchanged=True):
    names = [p["pillar_name"] for p in pillars]
    return gates.decide([gates.parse(g, names) for g in gate.split(" and ")], pillars, passes, unchanged)


@pytest.mark.parametrize(
    ("gate", "outcome", "observed"),
    [
        ("high == 0", "REFUTED", 2),
        ("high <= 2", "VALIDATED", 2),
        ("high == 2", "VALIDATED", 2),
        ("critical == 0", "VALIDATED", 0),
        ("total < 3", "REFUTED", 3),
        ("total_findings <= 3", "VALIDATED", 3),
        ("ruff == 1", "VALIDATED", 1),
        ("bandit.high >= 2", "REFUTED", 1),
        ("ruff.low == 0", "VALIDATED", 0),
        ("bandit.R1 == 1", "VALIDATED", 1),
        ("bandit.B999 > 0", "REFUTED", 0),
    ],
)
def test_complete_audits_are_decided_by_the_count(gate, outcome, observed):
    verdict = decided(gate, [pillar("ruff", ["high"]), pillar("bandit", ["high", "low"])])
    assert (verdict["outcome"], verdict["observed_value"]) == (outcome, observed)
    assert verdict["decided_by"] == "exact"


@pytest.mark.parametrize("status", ["unavailable", "error", "timeout"])
def test_a_missing_or_failed_tool_never_validates_but_findings_of_the_others_may_refute(status):
    pillars = [pillar("ruff", ["high"]), pillar("bandit", complete=False, status=status)]
    assert decided("medium == 0", pillars)["outcome"] == "INCONCLUSIVE"
    assert decided("medium <= 5", pillars)["outcome"] == "INCONCLUSIVE"
    assert decided("bandit == 0", pillars)["outcome"] == "INCONCLUSIVE"
    assert "bandit did not examine everything" in decided("medium == 0", pillars)["reasoning"]
    assert decided("high == 0", pillars)["outcome"] == "REFUTED"
    assert decided("high <= 0", pillars)["outcome"] == "REFUTED"
    assert decided("high >= 1", pillars)["outcome"] == "VALIDATED"
    assert decided("ruff.high == 1", pillars)["outcome"] == "VALIDATED"  # it does not need the other
    assert decided("medium == 0", pillars)["observed_value"] is None


def test_all_gates_must_hold():
    pillars = [pillar("ruff", ["high"])]
    assert decided("high == 1 and low == 0", pillars)["outcome"] == "VALIDATED"
    assert decided("high == 1 and low == 1", pillars)["outcome"] == "REFUTED"
    assert [g["outcome"] for g in decided("high == 1 and low == 1", pillars)["gates"]] == ["VALIDATED", "REFUTED"]


def test_nothing_is_decided_when_two_passes_differ_or_the_target_moved():
    for passes, unchanged in ((["sha256:a", "sha256:b"], True), (SAME, False), (["sha256:a"], True)):
        for gate in ("high == 0", "high >= 1", "high <= 9"):
            assert decided(gate, [pillar("ruff", ["high"])], passes, unchanged)["outcome"] == "INCONCLUSIVE"


@pytest.mark.parametrize(
    "gate", ["", "high", "high = 0", "high == -1", "high == 0.5", "high != 0", "hihg == 0", "== 0", "high == 0 or 1", "vulture == 0", "high == 1e400", "high == " + "9" * 5000]
)  # fmt: skip
def test_what_is_no_gate_is_a_usage_error(gate):
    with pytest.raises(UsageError, match=r"gate|counts"):
        gates.parse(gate, ["ruff", "bandit"])


def rows(tool, rules):
    return [
        {"pillar_name": tool, "rule_id": rule, "severity": severity, "path": "a.py", "line": line, "message": "",
         "fingerprint": f"{tool}{i}", "extra": {}}
        for i, (rule, severity, line) in enumerate(rules)
    ]  # fmt: skip


RULES = st.tuples(st.sampled_from(["602", "101"]), st.sampled_from(SEVERITIES[:3]), st.integers(1, 2))


@given(
    ruff=st.lists(RULES, max_size=4),
    bandit=st.lists(RULES, max_size=4),
    metric=st.sampled_from(["total", *SEVERITIES[:3], "ruff", "bandit.high"]),
    comparator=st.sampled_from(["<=", "<", ">=", ">", "=="]),
    value=st.integers(0, 7),
)
def test_what_another_tool_finds_too_overturns_no_verdict_made_without_it(ruff, bandit, metric, comparator, value):
    """A duplicate can move a finding from one severity to another, so until then it counts for none."""
    one = rows("ruff", [(f"S{rule}", *rest) for rule, *rest in ruff])
    two = rows("bandit", [(f"B{rule}", *rest) for rule, *rest in bandit])

    def outcome(other, complete):
        pillars = [
            {"pillar_name": "ruff", "status": "ok", "complete": True, "findings": [dict(f) for f in one]},
            {"pillar_name": "bandit", "status": "ok", "complete": complete, "findings": [dict(f) for f in other]},
        ]
        duplicates.mark(pillars)
        return decided(f"{metric} {comparator} {value}", pillars)["outcome"]

    whole = outcome(two, True)
    assert whole in ("VALIDATED", "REFUTED")
    for seen in range(len(two) + 1):
        assert outcome(two[:seen], False) in (whole, "INCONCLUSIVE")


@given(
    found=st.lists(st.sampled_from(SEVERITIES), max_size=6),
    unseen=st.lists(st.sampled_from(SEVERITIES), max_size=6),
    metric=st.sampled_from(["total", *SEVERITIES, "ruff", "ruff.high"]),
    comparator=st.sampled_from(["<=", "<", ">=", ">", "=="]),
    value=st.integers(0, 7),
)
def test_no_verdict_on_part_of_the_findings_is_overturned_by_the_rest(found, unseen, metric, comparator, value):
    gate = f"{metric} {comparator} {value}"
    part = decided(gate, [pillar("ruff", found, complete=False)])["outcome"]
    whole = decided(gate, [pillar("ruff", [*found, *unseen])])["outcome"]
    assert whole in ("VALIDATED", "REFUTED")
    assert part in (whole, "INCONCLUSIVE")
