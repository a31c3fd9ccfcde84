"""The contract of a scenario: a claim that can be decided, rows that are pure, controls that can fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.proof.types import Claim, Decision, Threshold
from ophamin.protocols import CycleResult, OptionSpec, Record, ScenarioProtocol, Score
from ophamin.testing._controls import check_controls
from ophamin.testing._stimuli import RECORDS
from ophamin.testing._values import assert_columns, assert_json, is_number, snapshot

__all__ = ["check_scenario"]

TIERS = ("scientific", "engineering", "philosophical", "measurement-machinery", "structural")
_ROLES: Mapping[str, Any] = {
    "blocked": True,
    "answer": "yes",
    "confidence": 0.75,
    "latency_s": 0.01,
    "cpu_s": 0.01,
    "rss_bytes": 1_000_000.0,
    "value": 1.0,
    "label": "yes",
}


def check_scenario(
    cls: type[ScenarioProtocol],
    *,
    records: Sequence[Record] = RECORDS,
    options: Mapping[str, Any] | None = None,
    roles: Mapping[str, Any] | None = None,
) -> None:
    """Check a scenario without running it: claim, arms, observe, score, controls.

    Args:
        cls: The scenario.
        records: Records of the kind its corpus gives, of every class its claim speaks of.
        options: Values over its defaults.
        roles: Example value of each observable it asks for that is not one of the usual ones.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    scenario = cls()
    assert isinstance(scenario, ScenarioProtocol), f"{cls.__name__} lacks a member of ScenarioProtocol"
    assert scenario.name, "the scenario has no name"
    assert scenario.tier in TIERS, f"the tier is one of {', '.join(TIERS)}, not {scenario.tier!r}"
    assert scenario.goal.strip(), "the scenario does not say its goal"
    for name, spec in scenario.options.items():
        assert isinstance(spec, OptionSpec), f"option {name!r} is a {type(spec).__name__}, not an OptionSpec"
        assert spec.help.strip(), f"option {name!r} has no help"
        assert_json(spec.default, f"the default of option {name!r}")
    chosen = {**{name: spec.default for name, spec in scenario.options.items()}, **(options or {})}
    given = snapshot(chosen)

    claim = scenario.claim(chosen)
    _check_claim(claim)
    assert assert_json(scenario.claim(chosen), "the claim") == assert_json(claim, "the claim"), "claim() is not pure"
    arms = list(scenario.arms(chosen))
    assert arms, "a scenario has at least one arm"
    assert all(isinstance(a, str) and a for a in arms), f"arms are names, not {arms}"
    assert len(set(arms)) == len(arms), f"arms are named once each: {arms}"

    asked = scenario.roles(chosen) if hasattr(scenario, "roles") else scenario.observables
    assert all(isinstance(t, str) and t.strip() for t in asked.values()), "an observable is not described"
    examples = {role: {**_ROLES, **(roles or {})}.get(role, 1.0) for role in asked}
    _check_score(scenario, claim, chosen, arms, records, examples)
    assert chosen == given, "the scenario changed its options"
    check_controls(scenario, claim, chosen)


def _check_claim(claim: Claim) -> None:
    assert isinstance(claim, Claim), f"claim() gave a {type(claim).__name__}, not a Claim"
    for name in ("statement", "operationalization", "h0", "h1"):
        assert getattr(claim, name).strip(), f"the claim has no {name}"
    parts = claim.parts()
    metrics = [threshold.metric for threshold, _ in parts]
    # Two-sided claims name one metric twice, once for each side.
    sides = [(threshold.metric, threshold.comparator) for threshold, _ in parts]
    assert len(set(sides)) == len(sides), f"a threshold stands twice in the claim: {sides}"
    for threshold, decision in parts:
        _check_part(threshold, decision)
        if decision.error_policy == "exclude":
            assert "error_rate" in metrics, "error_policy 'exclude' needs a co-primary error_rate <= ε"
    assert_json(claim, "the claim")


def _check_part(threshold: Threshold, decision: Decision) -> None:
    what = f"the threshold {threshold}"
    assert threshold.metric, "a threshold has no metric"
    assert threshold.comparator in (">=", "<=", ">", "<", "=="), f"{what} has comparator {threshold.comparator!r}"
    assert decision.rule in ("interval", "sequential", "exact"), f"{what} is decided by the rule {decision.rule!r}"
    if threshold.comparator == "==":
        assert decision.rule == "exact", f"{what}: '==' is decided by rule exact only"
    else:
        assert is_number(threshold.value), f"{what} needs a finite number"
    assert decision.estimator, f"{what} names no estimator"
    assert 0 < decision.alpha < 0.5, f"{what} has alpha {decision.alpha}"
    assert abs(decision.confidence - (1 - decision.alpha)) < 1e-12, f"{what}: confidence is not 1 - alpha"
    assert decision.error_policy in ("bound", "fail", "exclude"), f"{what} has policy {decision.error_policy!r}"
    assert decision.target.strip(), f"{what} does not say which population it speaks of (target)"
    assert decision.attempts >= 1, f"{what} has {decision.attempts} attempts"
    difference = decision.smallest_difference
    if decision.rule != "exact":
        assert is_number(difference), f"{what} has no smallest_difference"
        assert difference is not None
        assert difference > 0, f"{what} needs a smallest_difference above 0"


def _check_score(
    scenario: ScenarioProtocol,
    claim: Claim,
    options: Mapping[str, Any],
    arms: Sequence[str],
    records: Sequence[Record],
    examples: Mapping[str, Any],
) -> None:
    fine = _table(scenario, arms, records, examples, "ok")
    failed = _table(scenario, arms, records, examples, "error")
    unmeasured = _table(scenario, arms, records, examples, "unmeasured")
    width = max(len(fine["record_id"]), len(failed["record_id"]))
    assert width, "observe() puts every record out of scope; give check_scenario records of the right kind"
    mixed = {c: [*fine.get(c, [None] * len(fine["status"])), *failed.get(c, [None] * len(failed["status"]))]
             for c in {**fine, **failed}}  # fmt: skip
    empty: dict[str, list[Any]] = {column: [] for column in mixed}
    scores = {}
    for what, columns in {
        "good cycles": fine,
        "errors only": failed,
        "unmeasured cycles only": unmeasured,
        "good and failed cycles": mixed,
        "no rows": empty,
    }.items():
        scores[what] = _checked_score(scenario, claim, options, columns, what)
    for (_, decision), good, bad in zip(
        claim.parts(), scores["good cycles"].calls, scores["errors only"].calls, strict=True
    ):
        if decision.error_policy != "exclude" and assert_columns(good.columns, good.metric):
            left = assert_columns(bad.columns, bad.metric)
            assert left, f"{bad.metric}: the rows of failed cycles are gone; errors are data and stay in the columns"


def _checked_score(
    scenario: ScenarioProtocol, claim: Claim, options: Mapping[str, Any], columns: Mapping[str, list[Any]], what: str
) -> Score:
    before = snapshot(columns)
    try:
        score = scenario.score(columns, options)
    except Exception as error:  # whatever it raises is the finding
        raise AssertionError(f"score() of {what} raises {type(error).__name__}: {error}") from error
    assert isinstance(score, Score), f"score() gave a {type(score).__name__}, not a Score"
    assert columns == before, "score() changed its columns"
    wanted = [(threshold.metric, decision.estimator) for threshold, decision in claim.parts()]
    got = [(call.metric, call.estimator) for call in score.calls]
    assert got == wanted, f"score() of {what} gives one call per threshold in the claim's order: {wanted}, not {got}"
    for call in score.calls:
        rows = assert_columns(call.columns, f"the columns of {call.metric}")
        for column in ("value", "status"):
            assert column in call.columns, f"the columns of {call.metric} lack {column!r}"
        states = set(call.columns["status"])
        assert states <= {"ok", "error", "unmeasured"}, f"{call.metric} has rows of status {states}"
        assert rows <= max(len(columns["status"]), 1) * 1000, f"{call.metric} makes {rows} rows of {what}"
        assert_json(call.options, f"the options of {call.metric}")
    assert all(e.role in ("secondary", "control") for e in score.evidence), "further evidence never decides"
    again = scenario.score(snapshot(before), options)
    assert repr(again.calls) == repr(score.calls), f"score() of {what} is not repeatable"
    return score


def _table(
    scenario: ScenarioProtocol, arms: Sequence[str], records: Sequence[Record], examples: Mapping[str, Any], status: str
) -> dict[str, list[Any]]:
    """The columns the engine would make of one cycle per record and arm, all of one status."""
    fixed: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for arm in arms:
        for index, record in enumerate(records):
            row = _observed(scenario, record, index, arm, examples, status)
            if row is None:
                continue
            rows.append(row)
            group = record.group if record.group is not None else record.id
            fixed.append({"record_id": record.id, "group": group, "arm": arm, "status": status, "block": index // 4,
                          "wall_s": 0.01 if status == "ok" else None})  # fmt: skip
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in sorted(names)}
    for name in ("record_id", "group", "arm", "status", "block", "wall_s"):
        columns[name] = [row[name] for row in fixed]
    return columns


def _observed(
    scenario: ScenarioProtocol, record: Record, index: int, arm: str, examples: Mapping[str, Any], status: str
) -> dict[str, Any] | None:
    good = status == "ok"
    result = CycleResult(
        index=index,
        record_id=record.id,
        arm=arm,
        status=status,  # type: ignore[arg-type]
        output=dict(examples) if good else None,
        error=None if good else "it failed",
        wall_s=0.01 if good else None,
    )
    roles = dict(examples) if good else dict.fromkeys(examples)
    before = snapshot((record, result, roles))
    try:
        row, again = scenario.observe(record, result, roles), scenario.observe(record, result, roles)
    except Exception as error:  # whatever it raises is the finding
        raise AssertionError(f"observe() of a cycle that is {status} raises {type(error).__name__}: {error}") from error
    assert repr(row) == repr(again), "observe() is not pure: twice the same cycle, two different rows"
    assert repr((record, result, roles)) == repr(before), "observe() changed what it was given"
    if row is None:
        return None
    assert isinstance(row, dict), f"observe() gives a dict or None, not {type(row).__name__}"
    assert_json(row, "a row of observe()")
    return row
