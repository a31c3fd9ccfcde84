"""Claims, answers and contracts in words: what is understood, and what is refused with advice."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin import registry
from ophamin.measuring.decision import decide_claim
from ophamin.measuring.scenarios._answers import same_answer
from ophamin.measuring.scenarios._blocks import blocks_of
from ophamin.measuring.scenarios._contract_grammar import Contract, shape_of
from ophamin.measuring.scenarios._metric_grammar import parse_claim
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult, Record


@pytest.mark.parametrize(
    ("text", "metric", "comparator", "value"),
    [
        ("accuracy >= 0.9", "accuracy", ">=", 0.9),
        ("  accuracy>=90% ", "accuracy", ">=", 0.9),
        ("error_rate < 1e-2", "error_rate", "<", 0.01),
        ("rate( blocked ) ≤ 0.02", "rate(blocked)", "<=", 0.02),
        ("mean(value) >= -3.5", "mean(value)", ">=", -3.5),
        ("p95(latency_s) <= 0.2", "p95(latency_s)", "<=", 0.2),
        ("p99.9(latency_s) <= 2", "p99.9(latency_s)", "<=", 2),
        ("quantile(x, 0.95) => 1", "p95(x)", ">=", 1),
        ("median(x) > 1", "p50(x)", ">", 1),
        ("accuracy_difference >= -0.02", "accuracy_difference", ">=", -0.02),
        ("rate_difference(blocked) <= 0", "rate_difference(blocked)", "<=", 0),
    ],
)
def test_claims_that_are_understood(text, metric, comparator, value):
    [part] = parse_claim(text)
    assert (part.metric, part.comparator, part.value) == (metric, comparator, value)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "say what is claimed"),
        ("accuracy", "METRIC COMPARATOR VALUE"),
        (">= 0.9", "METRIC COMPARATOR VALUE"),
        ("accuracy >=", "METRIC COMPARATOR VALUE"),
        ("acuracy >= 0.9", "did you mean 'accuracy'"),
        ("accuracy == 0.9", "two claims that hold together"),
        ("accuracy = 0.9", "here >= or <="),
        ("accuracy != 0.9", "no comparator"),
        ("accuracy >= high", "no number"),
        ("accuracy >= nan", "no number"),
        ("accuracy >= 90", "between 0 and 1"),
        ("accuracy(answer) >= 0.9", "takes no observable"),
        ("mean >= 0.9", r"mean\(ROLE\)"),
        ("mean(a b) >= 0.9", r"mean\(ROLE\)"),
        ("quantile(x) >= 1", r"quantile\(ROLE, 0.95\)"),
        ("quantile(x, 95) >= 1", "between 0 and 1"),
        ("p0(x) >= 1", "between 0 and 1"),
        ("p95_difference(x) >= 1", "mean_difference"),
        ("sd(x) >= 1", "no metric is called 'sd'"),
        ("accuracy >= 0.9 and accuracy >= 0.8", "twice"),
        ("accuracy >= 0.9 and accuracy_difference >= 0", "mixes"),
    ],
)
def test_claims_that_are_refused_with_advice(text, advice):
    with pytest.raises(UsageError, match=advice):
        parse_claim(text)


@given(st.text())
def test_any_text_is_a_claim_or_a_usage_error(text):
    with contextlib.suppress(UsageError):
        assert parse_claim(text)


def options_of(**given):
    scenario = registry.get_scenario("metric")
    return {**{k: s.default for k, s in scenario.options.items()}, **given}


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"claim": "mean(value) >= 1"}, "--set delta"),
        ({"claim": "mean(value) >= 1", "support": "0"}, "two numbers"),
        ({"claim": "mean(value) >= 1", "support": "1,0"}, "LOW < HIGH"),
        ({"claim": "accuracy >= 0.9", "delta": "small"}, "greater than 0"),
        ({"claim": "accuracy >= 0.9", "delta": 0}, "greater than 0"),
        ({"claim": "accuracy >= 0.9 and error_rate <= 0.1", "delta": "0.1,0.1,0.1"}, "each of the 2 parts"),
        ({"claim": "accuracy >= 0.9", "group": "author"}, "auto, record or block"),
    ],
)
def test_metric_options_that_make_no_sense(given, advice):
    with pytest.raises(UsageError, match=advice):
        registry.get_scenario("metric")().claim(options_of(**given))


def test_metric_defaults_are_stated_and_the_claim_reads_as_sentences():
    claim = registry.get_scenario("metric")().claim(options_of(claim="p95(latency_s) <= 0.2 and rate(ok) >= 0.9"))
    assert claim.statement == (
        "The 95 % quantile of latency_s is at most 0.2, and the share of cycles whose ok is true is at least 0.9."
    )
    assert [d.smallest_difference for _, d in claim.parts()] == [0.02, 0.05]
    assert [d.group for _, d in claim.parts()] == ["block", "record"]
    assert claim.h0 == "p95(latency_s) > 0.2 or rate(ok) < 0.9"


def test_two_arms_are_paired_by_record():
    scenario, options = registry.get_scenario("metric")(), options_of(claim="accuracy_difference >= 0")
    assert scenario.arms(options) == ("base", "head")
    columns = {name: [] for name in ("answer", "truth", "record_id", "group", "arm", "status")}
    for i in range(40):
        record = Record(f"r{i}", "x", labels={"label": "yes"})
        # Interleaved in either order, as the engine does.
        for arm in ("base", "head") if i % 2 else ("head", "base"):
            status = "error" if arm == "head" and i == 7 else "ok"
            answer = None if status == "error" else "yes" if arm == "head" or i % 4 else "no"
            row = scenario.observe(record, CycleResult(0, record.id, arm, status), {"answer": answer})
            for name, value in {
                **row,
                "record_id": record.id,
                "group": record.id,
                "arm": arm,
                "status": status,
            }.items():
                columns[name].append(value)
    [call] = scenario.score(columns, options).calls
    assert len(call.columns["value"]) == 40
    assert [call.columns["value"].count(v) for v in (1, 0, -1, None)] == [10, 29, 0, 1]
    assert call.columns["status"][7] == "error"
    assert list(scenario.claim(options).decision.support) == [-1.0, 1.0]


def test_failing_is_what_an_error_rate_measures():
    scenario, options = registry.get_scenario("metric")(), options_of(claim="error_rate <= 0.1")
    assert scenario.roles(options) == {}
    status = ["ok"] * 95 + ["error"] * 4 + ["unmeasured"]
    columns = {"truth": [None] * 100, "record_id": list(range(100)), "group": list(range(100)), "arm": ["main"] * 100,
               "status": status}  # fmt: skip
    decision = decide_claim(scenario.claim(options), scenario.score(columns, options), alpha=0.05, seed=0)
    [part] = decision.parts
    assert (part.n_used, part.n_errors, part.n_unmeasured) == (99, 0, 1)
    assert part.estimate.value == 4 / 99


@pytest.mark.parametrize(
    ("answer", "truth", "same"),
    [
        ("4", "4", True),
        (4, "4", True),
        (4.0, " 4 ", True),
        (True, "True", True),
        (True, "1", False),
        (1, True, True),
        ("4.0", "4", False),
        (4, "four", False),
        (None, "None", False),
        ([1], "1", False),
    ],
)
def test_right_answers(answer, truth, same):
    assert same_answer(answer, truth) is same


@given(st.integers(0, 3000), st.integers(1, 200))
def test_blocks_are_contiguous_even_and_long_enough(n, blocks):
    found = blocks_of(n, blocks)
    assert found == sorted(found)
    sizes = [found.count(b) for b in set(found)]
    assert len(sizes) <= blocks
    if len(sizes) > 1:
        assert min(sizes) >= 10
        assert max(sizes) - min(sizes) <= 1


CONTRACT = {
    "blocked": "boolean",
    "confidence": "number 0..1",
    "count": "integer",
    "answer?": "string|null",
    "verdict": {"reason": "string", "tags?": "array"},
}
GOOD = {"blocked": True, "confidence": 0.5, "count": 3, "verdict": {"reason": "x"}}


@pytest.mark.parametrize(
    ("change", "violations"),
    [
        ({}, []),
        ({"answer": None}, []),
        ({"answer": "yes", "more": 1}, []),
        ({"confidence": 1}, []),
        ({"blocked": 1}, ["blocked is not boolean"]),
        ({"blocked": "true"}, ["blocked is not boolean"]),
        ({"confidence": 1.01}, ["confidence is not number 0..1"]),
        ({"confidence": True}, ["confidence is not number 0..1"]),
        ({"count": 3.0}, ["count is not integer"]),
        ({"answer": 4}, ["answer is not string|null"]),
        ({"verdict": "x"}, ["verdict is not object"]),
        ({"verdict": {}}, ["verdict.reason is missing"]),
        ({"verdict": {"reason": "x", "tags": "a"}}, ["verdict.tags is not array"]),
        ({"blocked": None, "count": "3"}, ["blocked is not boolean", "count is not integer"]),
    ],
)
def test_violations_by_enumeration(change, violations):
    contract = Contract.read(json.dumps(CONTRACT))
    assert contract.violations(shape_of({**GOOD, **change})) == violations
    assert len(violations) <= contract.most


@pytest.mark.parametrize("field", ["blocked", "confidence", "count", "verdict"])
def test_every_required_field_can_be_missed(field):
    output = {k: v for k, v in GOOD.items() if k != field}
    assert Contract.read(json.dumps(CONTRACT)).violations(shape_of(output)) == [f"{field} is missing"]


@pytest.mark.parametrize("output", [None, 3, "text", [1], {}])
def test_what_is_no_object_misses_every_required_field(output):
    contract = Contract.read(json.dumps(CONTRACT))
    assert len(contract.violations(shape_of(output))) == 4
    assert Contract.read('{"a?": "any"}').violations(shape_of("text")) == ["the output is not object"]


def test_other_fields_can_be_forbidden():
    contract = Contract.read(json.dumps(CONTRACT), extra=False)
    assert contract.violations(shape_of({**GOOD, "more": 1, "most": 2})) == ["the output has other fields"]
    assert contract.violations(shape_of({**GOOD, "verdict": {"reason": "x", "y": 1}})) == ["verdict has other fields"]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("{", "not JSON"),
        ("{}", "fields and types"),
        ("no-such-file.json", "neither JSON nor a file"),
        ('{"a": "bool"}', "did you mean 'boolean'"),
        ('{"a": 3}', "the type 3"),
        ('{"a": {"b": "text"}}', "no type of a contract"),
        ('{"a": "number 1..0"}', "lower end first"),
        ('{"a": "number low..1"}', "no number"),
    ],
)
def test_contracts_that_are_refused_with_advice(text, advice):
    with pytest.raises(UsageError, match=advice):
        Contract.read(text)


def test_a_contract_may_lie_in_a_file(tmp_path):
    path = tmp_path / "contract.json"
    path.write_text(json.dumps(CONTRACT), encoding="utf-8")
    assert Contract.read(str(path)) == Contract.read(json.dumps(CONTRACT))


@pytest.mark.parametrize(
    ("outputs", "outcome"),
    [
        ([GOOD] * 5, "VALIDATED"),
        ([GOOD] * 4 + [{}], "REFUTED"),
        ([GOOD] * 4 + [None], "INCONCLUSIVE"),
        ([{}] * 4 + [None], "REFUTED"),
        ([None] * 5, "INCONCLUSIVE"),
        ([], "INCONCLUSIVE"),
    ],
)
def test_contract_by_enumeration(outputs, outcome):
    """The rule is exact: every number of violations and of failed cycles decides as it must (``None``: failed)."""
    scenario = registry.get_scenario("interface-contract")()
    options = {"contract": json.dumps(CONTRACT), "extra": True}
    columns = {"shape": [], "status": []}
    for i, output in enumerate(outputs):
        status = "error" if output is None else "ok"
        row = scenario.observe(Record(f"r{i}", ""), CycleResult(i, f"r{i}", "main", status, output), {})
        columns["shape"].append(row["shape"])
        columns["status"].append(status)
    decision = decide_claim(scenario.claim(options), scenario.score(columns, options), alpha=0.05, seed=0)
    assert decision.outcome == outcome
