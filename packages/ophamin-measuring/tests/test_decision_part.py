from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.measuring.decision import ClaimDecision, PartDecision, decide, decide_claim, least_n
from ophamin.proof.decision import outcome
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import EstimatorCall, Score


def part(
    value: list[Any],
    comparator: str = ">=",
    theta: Any = 0.9,
    status: list[str] | None = None,
    estimator: str = "proportion",
    options: dict[str, Any] | None = None,
    alphas: tuple[float, float] = (0.05, 0.05),
    columns: dict[str, list[Any]] | None = None,
    **decision: Any,
) -> PartDecision:
    table = {"value": value, "status": status or ["ok"] * len(value), **(columns or {})}
    return decide(
        Threshold("m", comparator, theta),
        Decision(estimator=estimator, **decision),
        EstimatorCall("m", estimator, table, options or {}),
        alpha_validate=alphas[0],
        alpha_refute=alphas[1],
        seed=7,
    )


def test_the_interval_decides() -> None:
    assert part([1] * 95 + [0] * 5, theta=0.85).outcome == "VALIDATED"
    assert part([1] * 95 + [0] * 5, theta=0.9).outcome == "INCONCLUSIVE"
    assert part([1] * 380 + [0] * 20, theta=0.99).outcome == "REFUTED"
    assert part([1] * 95 + [0] * 5, "<=", 0.99).outcome == "VALIDATED"


@given(
    k=st.integers(0, 120),
    n=st.integers(60, 120),
    errors=st.integers(0, 10),
    lost=st.integers(0, 5),
    theta=st.floats(0.05, 0.95),
    comparator=st.sampled_from(["<=", "<", ">=", ">"]),
    policy=st.sampled_from(["bound", "fail", "exclude"]),
)
@settings(max_examples=200)
def test_outcome_follows_from_the_stored_interval(
    k: int, n: int, errors: int, lost: int, theta: float, comparator: str, policy: str
) -> None:
    k = min(k, n)
    value = [1] * k + [0] * (n - k) + [None] * (errors + lost)
    status = ["ok"] * n + ["error"] * errors + ["unmeasured"] * lost
    p = part(value, comparator, theta, status, error_policy=policy)
    assert (p.n_planned, p.n_used, p.n_errors, p.n_unmeasured) == (n + errors + lost, n, errors, lost)
    assert p.evidence.ci_low == p.interval.lower
    assert p.evidence.ci_high == p.interval.upper
    assert p.evidence.statistic_value == p.estimate.value
    if not p.reason:
        assert p.outcome == outcome(p.threshold, p.interval.lower, p.interval.upper)
        assert (p.p_validated <= 0.05) is (p.outcome == "VALIDATED")
        assert (p.p_refuted <= 0.05) is (p.outcome == "REFUTED")
    if policy == "bound":
        assert p.interval.lower <= k / n <= p.interval.upper  # type: ignore[operator]


@given(
    truth=st.lists(st.booleans(), min_size=60, max_size=100),
    failed=st.lists(st.sampled_from(["ok", "error", "unmeasured"]), min_size=100, max_size=100),
)
@settings(max_examples=100)
def test_bounds_with_gaps_contain_those_without(truth: list[bool], failed: list[str]) -> None:
    status = failed[: len(truth)]
    whole = part([int(v) for v in truth], theta=0.5)
    gaps = part([int(v) if s == "ok" else None for v, s in zip(truth, status, strict=True)], theta=0.5, status=status)
    if gaps.n_used:
        assert gaps.interval.lower <= whole.interval.lower  # type: ignore[operator]
        assert gaps.interval.upper >= whole.interval.upper  # type: ignore[operator]
        if gaps.outcome != "INCONCLUSIVE":
            assert whole.outcome == gaps.outcome


def test_error_policies_differ_where_they_should() -> None:
    value, status = [1] * 190 + [None] * 10, ["ok"] * 190 + ["error"] * 10
    bound = part(value, status=status)
    fail = part(value, status=status, error_policy="fail")
    exclude = part(value, status=status, error_policy="exclude")
    assert bound.interval.upper == 1
    assert fail.interval.upper is not None
    assert fail.interval.upper < 1
    assert bound.interval.lower == fail.interval.lower
    assert exclude.interval.lower > fail.interval.lower  # type: ignore[operator]
    assert (bound.estimate.value, fail.estimate.value, exclude.estimate.value) == (1.0, 0.95, 1.0)
    lost = ["ok"] * 190 + ["unmeasured"] * 10
    for policy in ("bound", "fail", "exclude"):
        p = part(value, status=lost, error_policy=policy)
        assert (p.interval.lower, p.interval.upper) == (bound.interval.lower, 1)


def test_fail_is_the_worst_for_either_comparator() -> None:
    value, status = [0] * 190 + [None] * 10, ["ok"] * 190 + ["error"] * 10
    p = part(value, "<=", 0.1, status, error_policy="fail")
    assert p.estimate.value == 0.05
    assert p.interval.lower > 0  # type: ignore[operator]


def test_an_ok_cycle_without_a_value_is_an_error() -> None:
    p = part([1] * 99 + [None])
    assert (p.n_used, p.n_errors, p.n_planned) == (99, 1, 100)
    assert p.interval.lower == pytest.approx(part([1] * 99 + [0]).interval.lower)


def test_an_errored_cycle_never_lends_its_value() -> None:
    # A scenario that scores a failed cycle as 0 by mistake must not lower the bound of "false positives <= ε".
    p = part([0] * 200, "<=", 0.02, ["ok"] * 150 + ["error"] * 50)
    assert p.n_used == 150
    assert p.outcome == "INCONCLUSIVE"


def test_a_random_denominator() -> None:
    # Precision: rows not flagged are out of scope; a failed row might have been in, right or wrong.
    value = [1] * 90 + [0] * 5 + [None] * 105 + [None] * 4
    scope = [True] * 95 + [False] * 105 + [None] * 4
    p = part(value, theta=0.8, status=["ok"] * 200 + ["error"] * 4, columns={"in_scope": scope})
    assert (p.n_planned, p.n_used, p.n_errors) == (99, 95, 4)
    assert p.estimate.value == pytest.approx(90 / 95)
    assert p.interval.lower == pytest.approx(part([1] * 90 + [0] * 9, theta=0.8).interval.lower)
    assert p.interval.upper == pytest.approx(part([1] * 94 + [0] * 5, theta=0.8).interval.upper)
    empty = part([None] * 50, columns={"in_scope": [False] * 50})
    assert (empty.outcome, empty.n_planned) == ("INCONCLUSIVE", 0)
    assert "no observations" in empty.reason


@pytest.mark.parametrize("n", [0, 1, 28])
@pytest.mark.parametrize("hit", [0, 1])
def test_too_few_rows_are_inconclusive_whatever_they_say(n: int, hit: int) -> None:
    p = part([hit] * n)
    assert p.outcome == "INCONCLUSIVE"
    assert p.reason
    assert (p.p_validated, p.p_refuted) == (1.0, 1.0)
    assert part([hit] * 29).outcome == ("VALIDATED" if hit else "REFUTED")


def test_too_few_rows_for_p95_and_for_a_bounded_mean() -> None:
    options = {"q": 0.95}
    for x in (0.0, 9.0):
        p = part([x] * 58, "<=", 1.0, estimator="quantile", options=options)
        assert p.outcome == "INCONCLUSIVE"
        assert "59 is the least" in p.reason
    assert part([0.0] * 59, "<=", 1.0, estimator="quantile", options=options).outcome == "VALIDATED"
    assert part([9.0] * 59, "<=", 1.0, estimator="quantile", options=options).outcome == "REFUTED"
    few = part([0.0, 0.1], ">=", 0.9, estimator="mean", support=[0, 1])
    assert "too few" in few.reason


def test_least_n_agrees_with_the_decision() -> None:
    for theta in (0.5, 0.8, 0.9, 0.99):
        for alpha in (0.05, 0.0125):
            for comparator, hit in ((">=", 1), ("<=", 0), (">", 1), ("<", 0)):
                share = theta if hit else 1 - theta
                least = least_n(Threshold("m", comparator, share), Decision(estimator="proportion"), alpha=alpha)
                assert least is not None
                assert part([hit] * least, comparator, share, alphas=(alpha, alpha)).outcome == "VALIDATED"
                assert part([hit] * (least - 1), comparator, share, alphas=(alpha, alpha)).outcome == "INCONCLUSIVE"


def test_quantiles_take_infinity_for_a_gap() -> None:
    x: list[Any] = [float(i) for i in range(300)]
    p = part([*x, None, None, None], "<=", 295.0, ["ok"] * 300 + ["error"] * 3, "quantile", {"q": 0.95})
    plain = part(x, "<=", 295.0, None, "quantile", {"q": 0.95})
    assert p.interval.upper > plain.interval.upper  # type: ignore[operator]
    assert p.interval.lower < plain.interval.lower  # type: ignore[operator]
    assert p.estimate.value == plain.estimate.value
    many = part([*x, *[None] * 30], "<=", 1e9, ["ok"] * 300 + ["error"] * 30, "quantile", {"q": 0.95})
    assert many.interval.upper is None
    assert many.outcome == "INCONCLUSIVE"
    worst = part([*x, *[None] * 30], "<=", 10.0, ["ok"] * 300 + ["error"] * 30, "quantile", {"q": 0.95})
    assert worst.outcome == "REFUTED"


def test_means_take_the_ends_of_the_support() -> None:
    x: list[Any] = [0.4, 0.5, 0.6] * 60
    status = ["ok"] * 180 + ["error"] * 6
    two = part([*x, *[None] * 6], ">=", 0.3, status, "mean", support=[0, 1])
    assert two.outcome == "VALIDATED"
    assert two.interval.lower < 0.5 < two.interval.upper  # type: ignore[operator]
    one = part([*x, *[None] * 6], "<=", 0.9, status, "mean", support=[0, None])
    assert one.interval.upper is None
    assert one.interval.lower is not None
    assert "no worst value" in one.reason
    none = part([*x, *[None] * 6], "<=", 0.9, status, "mean")
    assert none.outcome == "INCONCLUSIVE"
    assert part(x, "<=", 0.9, None, "mean").outcome == "VALIDATED"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_inconclusive(value: float) -> None:
    for estimator in ("proportion", "mean"):
        p = part([1.0] * 200 + [value], estimator=estimator, theta=0.5)
        assert p.outcome == "INCONCLUSIVE"
        assert "not finite" in p.reason


def test_too_few_groups_are_inconclusive() -> None:
    p = part([1] * 500, columns={"group": [i % 19 for i in range(500)]})
    assert p.outcome == "INCONCLUSIVE"
    assert "19 groups are fewer than 20" in p.reason
    assert p.estimate.value == 1


def test_groups_that_all_agree_do_not_forbid_a_refutation() -> None:
    # 25 agreeing groups count as 25 rows, fewer than the 29 that "accuracy >= 0.9" needs.
    groups = {"group": [i % 25 for i in range(500)]}
    assert part([1] * 500, columns=groups).outcome == "INCONCLUSIVE"
    assert part([int(i % 3 > 0) for i in range(500)], columns=groups).outcome == "REFUTED"


def test_calibration_gaps_cost_one_each() -> None:
    c: list[Any] = [0.75] * 400
    y: list[Any] = [1, 1, 1, 0] * 100
    status = ["ok"] * 400 + ["error"] * 8

    def ece(policy: str, comparator: str = "<=", theta: float = 0.1) -> PartDecision:
        return decide(
            Threshold("ece", comparator, theta),
            Decision(estimator="calibration-error", error_policy=policy),
            EstimatorCall(
                "ece",
                "calibration-error",
                {"confidence": c + [None] * 8, "correct": y + [None] * 8, "status": status},
            ),
            alpha_validate=0.05,
            alpha_refute=0.05,
            seed=1,
        )

    assert ece("exclude").interval.upper == pytest.approx(0.0356, abs=1e-3)
    assert ece("bound").interval.upper == pytest.approx(0.0196 + 0.0374, abs=3e-3)
    assert ece("bound").interval.lower == 0
    assert ece("fail").estimate.value == pytest.approx(8 / 408)
    assert ece("bound").outcome == "VALIDATED"


def test_computed_bounds_are_widened_and_observations_are_not() -> None:
    p = part([1] * 95 + [0] * 5)
    assert p.interval.lower == pytest.approx(p.estimate.lower * (1 - 1e-9), rel=1e-15)  # type: ignore[operator]
    q = part([float(i) for i in range(100)], "<=", 60.0, None, "quantile", {"q": 0.5})
    assert q.interval.upper == 58.0
    # Exactly at the bound the widened one does not decide.
    assert part([1] * 95 + [0] * 5, theta=p.estimate.lower).outcome == "INCONCLUSIVE"


def test_exact_rule() -> None:
    exact: dict[str, Any] = {"estimator": "value", "rule": "exact"}
    assert part([0], "==", 0, **exact).outcome == "VALIDATED"
    assert part([3], "==", 0, **exact).outcome == "REFUTED"
    assert part(["sha256:ab"], "==", "sha256:ab", **exact).outcome == "VALIDATED"
    assert part([0, 0, 1], "<=", 1, options={"statistic": "sum"}, **exact).outcome == "VALIDATED"
    gap = {"status": ["ok", "ok", "error"], "support": [0, 1], "options": {"statistic": "sum"}}
    assert part([0, 0, None], "==", 0, **gap, **exact).outcome == "INCONCLUSIVE"
    assert part([0, 0, None], "<=", 1, **gap, **exact).outcome == "VALIDATED"
    assert part([1, 1, None], "==", 0, **gap, **exact).outcome == "REFUTED"
    assert part([0, 0, None], "==", 0, status=["ok", "ok", "error"], **exact).outcome == "INCONCLUSIVE"
    assert part([0, 1], "==", 0, **exact).reason == "the rows differ where one value was claimed"


def claim_of(*parts: tuple[str, float], policy: str = "bound") -> Claim:
    thresholds = [Threshold(f"m{i}", c, t) for i, (c, t) in enumerate(parts)]
    decision = Decision(estimator="proportion", error_policy=policy)
    return Claim("s", "o", "h0", "h1", thresholds[0], decision, [CoPrimary(t, decision) for t in thresholds[1:]])


def decided(claim: Claim, *values: list[Any], alpha: float = 0.05) -> ClaimDecision:
    calls = [
        EstimatorCall(t.metric, "proportion", {"value": v, "status": ["ok"] * len(v)})
        for (t, _), v in zip(claim.parts(), values, strict=True)
    ]
    return decide_claim(claim, Score(calls), alpha=alpha, seed=0)


def test_co_primaries_all_must_hold() -> None:
    claim = claim_of(("<=", 0.05), (">=", 0.8))
    good, bad, open_ = [0] * 200, [1] * 40 + [0] * 160, [1] * 8 + [0] * 192
    hits = [1] * 195 + [0] * 5
    assert decided(claim, good, hits).outcome == "VALIDATED"
    assert decided(claim, open_, hits).outcome == "INCONCLUSIVE"
    worse = decided(claim, bad, hits)
    assert worse.outcome == "REFUTED"
    assert [p.outcome for p in worse.parts] == ["REFUTED", "VALIDATED"]
    assert worse.p_refuted == pytest.approx(2 * worse.parts[0].p_refuted)
    assert worse.p_validated == worse.parts[0].p_validated
    # The refuting side is held to α/K, the validating one to α.
    first, second = worse.parts
    assert (first.interval.upper_confidence, first.interval.lower_confidence) == (0.95, 0.975)
    assert (second.interval.lower_confidence, second.interval.upper_confidence) == (0.95, 0.975)
    assert first.interval.level == pytest.approx(0.925)


def test_reasoning_is_one_sentence_with_the_numbers() -> None:
    result = decided(claim_of((">=", 0.9)), [1] * 200)
    assert result.reasoning == (
        "VALIDATED: m0 = 1, bounds [0.985133, 1] by clopper-pearson (200 of 200 cycles used) lie within 'm0 >= 0.9'."
    )
    assert result.decided_by == "interval"
    short = decided(claim_of((">=", 0.9)), [1] * 10)
    assert short.decided_by.startswith("none: n = 10 is too few")
    assert "because" in short.reasoning


@pytest.mark.parametrize(
    ("claim", "match"),
    [
        (claim_of((">=", 1)), "no sample can validate"),
        (claim_of(("<=", 0)), "no sample can validate"),
        (claim_of(("==", 0.5)), "write '== θ'"),
        (claim_of((">=", math.nan)), "finite number"),
        (claim_of((">=", 0.5), policy="exclude"), "error_rate"),
        (claim_of((">=", 0.5), policy="skip"), "error policy"),
        (
            Claim("", "", "", "", Threshold("m", ">=", 0.5), Decision("interval", "wilson", estimator="proportion")),
            "two-sided",
        ),
        (Claim("", "", "", "", Threshold("m", ">=", 0.5), Decision("point", estimator="proportion")), "old records"),
        (
            Claim("", "", "", "", Threshold("m", ">=", 0.5), Decision("sequential", estimator="calibration-error")),
            "stopped early",
        ),
        (
            Claim("", "", "", "", Threshold("m", "==", 0.5), Decision("exact", estimator="value")),
            "integers and strings",
        ),
        (Claim("", "", "", "", Threshold("m", ">=", 0.5), Decision(alpha=0.7, estimator="proportion")), "alpha"),
    ],
)
def test_claims_that_make_no_sense_are_refused(claim: Claim, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        decided(claim, [1] * 100)


def test_exclude_is_allowed_with_a_limited_error_rate() -> None:
    decision = Decision(estimator="proportion", error_policy="exclude")
    claim = Claim(
        "s", "o", "h0", "h1", Threshold("accuracy", ">=", 0.8), decision,
        [CoPrimary(Threshold("error_rate", "<=", 0.05), Decision(estimator="proportion"))],
    )  # fmt: skip
    calls = [
        EstimatorCall(
            "accuracy", "proportion", {"value": [1] * 198 + [None] * 2, "status": ["ok"] * 198 + ["error"] * 2}
        ),
        EstimatorCall("error_rate", "proportion", {"value": [0] * 198 + [1] * 2, "status": ["ok"] * 200}),
    ]
    assert decide_claim(claim, Score(calls), alpha=0.05, seed=0).outcome == "VALIDATED"


def test_calls_must_answer_the_claim() -> None:
    claim = claim_of((">=", 0.5))
    call = EstimatorCall("other", "proportion", {"value": [1]})
    with pytest.raises(UsageError, match="asks for m0"):
        decide_claim(claim, Score([call]), alpha=0.05, seed=0)
    with pytest.raises(UsageError, match="registered for 'proportion'"):
        decide_claim(claim, Score([EstimatorCall("m0", "mean", {"value": [1]})]), alpha=0.05, seed=0)
    with pytest.raises(UsageError, match="registered for method"):
        part([1] * 50, method="clopper-pearson", options={"method": "korn-graubard"})


def test_importing_the_room_imports_no_science() -> None:
    code = (
        "import sys, ophamin.measuring, ophamin.measuring.decision, ophamin.measuring.planning, "
        "ophamin.measuring.estimators, ophamin.measuring.pillars; "
        "assert not {'numpy', 'scipy', 'statsmodels', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_small_claim_does_not_pay_for_scipy_stats() -> None:
    code = (
        "import sys; from ophamin.registry import estimators\n"
        "for name in ('proportion', 'mean', 'quantile', 'calibration-error', 'brier-skill', 'value'):\n"
        "    estimators.get(name)\n"
        "from ophamin.measuring.planning import plan\n"
        "assert 'scipy.special' in sys.modules\n"
        "assert not {'scipy.stats', 'statsmodels', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rule_exact_is_decided_by_the_value_itself():
    """The whole target was measured: no interval, whatever the estimator, and alpha plays no part."""
    decision = Decision(rule="exact", estimator="proportion")
    for hits, expected in ((269, "REFUTED"), (270, "VALIDATED")):
        call = EstimatorCall("accuracy", "proportion", {"value": [1] * hits + [0] * (300 - hits)})
        part = decide(Threshold("accuracy", ">=", 0.9), decision, call, alpha_validate=1e-6, alpha_refute=1e-6, seed=0)
        assert (part.outcome, part.interval.lower, part.interval.upper) == (expected, hits / 300, hits / 300)
        assert part.evidence.interval_method == "exact"


def test_rule_exact_with_gaps_lies_between_the_worst_and_the_best():
    decision = Decision(rule="exact", estimator="proportion")
    columns = {"value": [1] * 269 + [0] * 30 + [None], "status": ["ok"] * 299 + ["error"]}
    call = EstimatorCall("accuracy", "proportion", columns)
    part = decide(Threshold("accuracy", ">=", 0.9), decision, call, alpha_validate=0.05, alpha_refute=0.05, seed=0)
    assert (part.outcome, part.interval.lower, part.interval.upper) == ("INCONCLUSIVE", 269 / 300, 270 / 300)
