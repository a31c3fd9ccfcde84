"""Rule sequential: one process per verdict, θ its null; bounds that hold at every n; what may not be stopped early."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.measuring.decision import decide, decide_claim
from ophamin.measuring.decision._check import check_part
from ophamin.measuring.pillars.adaptive.processes import PROCESSES, Running, greatest_rejected
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import EstimatorCall, Score

MOST = 595  # of 10,000 at a rate of 0.05 exceeded once in 100,000
SETS = 10_000
SHARE = Decision("sequential", estimator="proportion", smallest_difference=0.05)
MEAN = Decision("sequential", estimator="mean", smallest_difference=0.05, support=[0, 1])


def part(values: Any, threshold: Threshold, decision: Decision = SHARE, alpha: float = 0.05, **columns: Any) -> Any:
    options = {"q": columns.pop("q")} if "q" in columns else {}
    call = EstimatorCall(threshold.metric, decision.estimator, {"value": list(values), **columns}, options)
    return decide(threshold, decision, call, alpha_validate=alpha, alpha_refute=alpha, seed=0)


# --- the processes


@pytest.mark.parametrize("name", PROCESSES)
@settings(max_examples=60)
@given(data=st.data())
def test_a_process_falls_in_m_and_is_the_same_one_by_one(name: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=60))
    delta = data.draw(st.floats(0.01, 0.3))
    grid = np.linspace(0.005, 0.995, 100)
    paths = np.array([PROCESSES[name](values, m, delta).max() for m in grid])
    assert (np.diff(paths) <= 1e-9 * (1 + np.abs(paths[1:]))).all()
    running = Running(name, 0.3, delta)
    one_by_one = [running.add(x) for x in values]
    assert np.allclose(one_by_one, PROCESSES[name](values, 0.3, delta), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["mixture-sprt", "likelihood-ratio"])
@settings(max_examples=60)
@given(data=st.data())
def test_a_ratio_rises_in_every_value(name: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(0, 1), min_size=2, max_size=40))
    lower = [max(0.0, v - data.draw(st.floats(0, 0.5))) for v in values]
    assert (PROCESSES[name](lower, 0.4, 0.1) <= PROCESSES[name](values, 0.4, 0.1) + 1e-9).all()


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize(("theta", "delta"), [(0.9, 0.05), (0.5, 0.05), (0.02, 0.02)])
def test_each_side_errs_at_most_alpha_over_all_looks(name: str, theta: float, delta: float) -> None:
    """10,000 sets exactly at θ, looked at after each of 400 values."""
    rng, goal = np.random.default_rng(1), math.log(20)
    above = below = 0
    for _ in range(5):
        x = (rng.random((SETS // 5, 400)) < theta).astype(float)
        above += int((PROCESSES[name](x, theta, delta) >= goal).any(axis=1).sum())
        below += int((PROCESSES[name](1 - x, 1 - theta, delta) >= goal).any(axis=1).sum())
    assert above <= MOST
    assert below <= MOST
    assert max(above, below) > 50  # the bound is used, not only kept


def test_values_between_the_ends_err_at_most_alpha_too() -> None:
    """Skewed means of groups: beta values with mean exactly θ."""
    rng, goal = np.random.default_rng(2), math.log(20)
    x = rng.beta(0.4, 1.6, (SETS, 200))
    for name, process in PROCESSES.items():
        crossed = (
            (process(x, 0.2, 0.05) >= goal).any(axis=1).sum(),
            (process(1 - x, 0.8, 0.05) >= goal).any(axis=1).sum(),
        )
        assert max(crossed) <= MOST, name


def test_testing_again_at_fixed_n_after_each_value_would_err_far_more() -> None:
    """What the test above would see of a rule that looks without paying for it."""
    from scipy.special import bdtr

    x = np.random.default_rng(3).random((2000, 400)) < 0.5
    k, n = x.cumsum(axis=1), np.arange(1, 401)
    p = 1 - bdtr(k - 1, n, 0.5)
    assert (p <= 0.05).any(axis=1).mean() > 0.15


# --- bounds and outcomes


@settings(max_examples=80)
@given(
    values=st.lists(st.integers(0, 1), min_size=1, max_size=150),
    theta=st.sampled_from([0.05, 0.3, 0.5, 0.8, 0.95]),
    comparator=st.sampled_from([">=", ">", "<=", "<"]),
)
def test_the_outcome_is_that_of_the_process_at_theta(values: list[int], theta: float, comparator: str) -> None:
    found = part(values, Threshold("m", comparator, theta))
    goal = math.log(20)
    above = PROCESSES["mixture-sprt"](values, theta, 0.05).max() >= goal + 1e-6
    below = PROCESSES["mixture-sprt"]([1 - v for v in values], 1 - theta, 0.05).max() >= goal + 1e-6
    validating, refuting = (above, below) if comparator in (">=", ">") else (below, above)
    if found.reason:
        assert found.outcome == "INCONCLUSIVE"
    else:
        assert found.outcome == ("VALIDATED" if validating else "REFUTED" if refuting else "INCONCLUSIVE")
    assert found.interval.lower <= found.interval.upper or "drift" in found.reason


def test_bounds_only_come_nearer_and_a_crossing_latches() -> None:
    rng = np.random.default_rng(4)
    x = [*(rng.random(200) < 0.97).astype(int).tolist(), *([0] * 4)]
    found = [part(x[:n], Threshold("m", ">=", 0.8)) for n in range(20, 205, 8)]
    lower = [p.interval.lower for p in found]
    assert lower == sorted(lower)
    first = next(i for i, p in enumerate(found) if p.outcome == "VALIDATED")
    assert all(p.outcome == "VALIDATED" for p in found[first:])


def test_a_drifting_stream_is_inconclusive() -> None:
    """Good, then bad: the lower bound of the beginning lies above the upper bound of the end."""
    first = part([1] * 100, Threshold("m", ">=", 0.8))
    assert first.outcome == "VALIDATED"
    late = part([1] * 100 + [0] * 1500, Threshold("m", ">=", 0.8))
    assert late.outcome == "INCONCLUSIVE"
    assert late.interval.lower > late.interval.upper
    assert "drifted" in late.reason


def test_both_thresholds_must_have_crossed_and_the_refuting_one_at_half_alpha() -> None:
    claim = Claim("", "", "", "", Threshold("a", ">=", 0.8), SHARE, [CoPrimary(Threshold("b", ">=", 0.8), SHARE)])

    def joint(a: list[int], b: list[int]) -> Any:
        calls = [EstimatorCall(m, "proportion", {"value": v}) for m, v in (("a", a), ("b", b))]
        return decide_claim(claim, Score(calls), alpha=0.05, seed=0)

    assert joint([1] * 60, [1] * 60).outcome == "VALIDATED"
    assert joint([1] * 60, [1] * 10).outcome == "INCONCLUSIVE"
    assert joint([1] * 60, [0] * 60).outcome == "REFUTED"
    upper = joint([1] * 60, [0] * 60).parts[1].interval.upper
    alone = part([0] * 60, Threshold("b", ">=", 0.8)).interval.upper
    assert upper > alone
    assert upper == pytest.approx(part([0] * 60, Threshold("b", ">=", 0.8), alpha=0.025).interval.upper)


def test_errors_take_the_worst_for_one_bound_and_the_best_for_the_other() -> None:
    status = ["ok"] * 90 + ["error"] * 5 + ["unmeasured"] * 5
    values = [1] * 90 + [None] * 10
    found = part(values, Threshold("m", ">=", 0.8), status=status)
    worst = part([1] * 90 + [0] * 10, Threshold("m", ">=", 0.8))
    best = part([1] * 100, Threshold("m", ">=", 0.8))
    assert (found.interval.lower, found.interval.upper) == (worst.interval.lower, best.interval.upper)
    assert found.estimate.value == 1.0
    assert (found.n_planned, found.n_used, found.n_errors, found.n_unmeasured) == (100, 90, 5, 5)
    failing = part([None] * 100, Threshold("m", ">=", 0.8), status=["error"] * 100)
    assert failing.outcome == "INCONCLUSIVE"


def test_a_group_is_one_observation_in_order_of_completion() -> None:
    rng = np.random.default_rng(5)
    groups = [f"g{i // 5}" for i in range(200)]
    rows = (rng.random(200) < 0.9).astype(int).tolist()
    found = part(rows, Threshold("m", ">=", 0.6), group=groups)
    means = np.array(rows).reshape(40, 5).mean(axis=1)
    # Means of groups are no 0 and 1, so they are compared with the bound of the process itself.
    direct = greatest_rejected(PROCESSES["mixture-sprt"], means, delta=0.05, alpha=0.05, start=0.6)
    assert found.interval.lower == pytest.approx(direct, rel=2e-9)
    assert found.evidence.n_groups == 40
    assert found.estimate.value == pytest.approx(means.mean())
    few = part(rows[:95], Threshold("m", ">=", 0.2), group=groups[:95])
    assert few.outcome == "INCONCLUSIVE"
    assert "19 groups are fewer than 20" in few.reason


def test_a_quantile_is_decided_by_its_exceedances_and_bounded_by_observations() -> None:
    rng = np.random.default_rng(6)
    decision = replace(SHARE, estimator="quantile", smallest_difference=0.02)
    values = rng.exponential(1.0, 600)
    truth = -math.log(0.05)
    found = part(values, Threshold("p95", "<=", 4.5), decision, q=0.95)
    assert found.outcome == "VALIDATED"
    assert found.interval.lower in values
    assert found.interval.upper in values
    assert found.interval.lower <= truth <= found.interval.upper
    assert part(values, Threshold("p95", "<=", 1.0), decision, q=0.95).outcome == "REFUTED"
    assert part(-values, Threshold("p5", ">=", -4.5), decision, q=0.05).outcome == "VALIDATED"
    gone = part([*values[:300], None], Threshold("p95", "<=", 4.5), decision, q=0.95, status=["ok"] * 300 + ["error"])
    assert gone.interval.upper >= part(values[:300], Threshold("p95", "<=", 4.5), decision, q=0.95).interval.upper


@pytest.mark.parametrize("comparator", ["<=", "<", ">=", ">"])
def test_the_bounds_of_a_quantile_and_its_process_say_the_same_with_ties(comparator: str) -> None:
    rng, decision = np.random.default_rng(7), replace(SHARE, estimator="quantile", smallest_difference=0.1)
    for theta in (1, 2, 3):
        for size in (40, 120):
            values = rng.integers(0, 5, size).astype(float)
            found = part(values, Threshold("median", comparator, theta), decision, q=0.5)
            crossed = found.evidence.detail["crossed_above_at"], found.evidence.detail["crossed_below_at"]
            validating, refuting = (0, 1) if comparator in (">=", ">") else (1, 0)
            if not found.reason:
                expected = "VALIDATED" if crossed[validating] else "REFUTED" if crossed[refuting] else "INCONCLUSIVE"
                assert found.outcome == expected


def test_a_mean_of_small_variance_is_decided_soon() -> None:
    rng = np.random.default_rng(8)
    narrow, wide = 0.4 + 0.02 * rng.standard_normal(300), rng.choice([0.0, 1.0], 300, p=[0.6, 0.4])
    small = part(narrow, Threshold("m", "<=", 0.5), MEAN)
    large = part(wide, Threshold("m", "<=", 0.5), MEAN)
    assert small.outcome == "VALIDATED"
    assert small.evidence.detail["crossed_below_at"] < large.evidence.detail["crossed_below_at"]
    assert part([0.2, 1.5], Threshold("m", "<=", 0.5), MEAN).reason.startswith("a value, 1.5, lies outside")


@pytest.mark.parametrize("values", [[], [None], ["yes"], [math.nan], [0.5]])
def test_what_has_no_usable_value_is_inconclusive(values: list[Any]) -> None:
    found = part(values, Threshold("m", ">=", 0.5))
    assert (found.outcome, found.estimate.value) == ("INCONCLUSIVE", None)
    assert found.reason


def test_too_few_to_validate_refutes_neither() -> None:
    assert part([0] * 40, Threshold("m", ">=", 0.9)).outcome == "INCONCLUSIVE"
    assert "too few" in part([0] * 40, Threshold("m", ">=", 0.9)).reason
    assert part([0] * 41, Threshold("m", ">=", 0.9)).outcome == "REFUTED"
    assert part([1] * 41, Threshold("m", ">=", 0.9)).outcome == "VALIDATED"


# --- registered looks

LOOKS = replace(SHARE, method="group-sequential:50,100,200")


def test_only_registered_looks_decide() -> None:
    values = [1] * 99
    assert part(values, Threshold("m", ">=", 0.9), LOOKS).outcome == "INCONCLUSIVE"
    found = part([*values, 1], Threshold("m", ">=", 0.9), LOOKS)
    assert found.outcome == "VALIDATED"
    assert [look["n"] for look in found.evidence.detail["looks"]] == [50, 100]
    assert found.evidence.interval_method == "group-sequential clopper-pearson"
    assert found.evidence.guarantee == "approximate"
    assert part([1] * 30, Threshold("m", ">=", 0.9), LOOKS).reason.startswith("30 units, and the first")


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
@pytest.mark.parametrize("theta", [0.5, 0.9])
def test_looks_spend_alpha_once_on_each_side(spending: str, theta: float) -> None:
    """Exact, through the counts at each look: 10,000 sets exactly at θ."""
    rng, looks = np.random.default_rng(9), (60, 120, 200)
    decision = replace(SHARE, method=f"group-sequential:60,120,200?spending={spending}")
    counts = np.cumsum(
        [rng.binomial(b - a, theta, SETS) for a, b in zip((0, *looks[:-1]), looks, strict=True)], axis=0
    ).T
    distinct, weights = np.unique(counts, axis=0, return_counts=True)
    found: Counter[str] = Counter()
    known: dict[tuple[int, int], Any] = {}

    def bounds(k: int, look: int) -> tuple[float, float]:
        if (k, look) not in known:
            n = looks[look]
            level = part([1] * k + [0] * (n - k), Threshold("m", ">=", theta), decision).evidence.detail["looks"][-1]
            known[k, look] = level["lower"], level["upper"]
        return known[k, look]

    for row, weight in zip(distinct.tolist(), weights.tolist(), strict=True):
        pairs = [bounds(k, look) for look, k in enumerate(row)]
        found["above"] += weight * any(low >= theta for low, _ in pairs)
        found["below"] += weight * any(high <= theta for _, high in pairs)
    assert found["above"] <= MOST
    assert found["below"] <= MOST


# --- what is refused


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (replace(SHARE, estimator="calibration-error"), "decides proportions, means between two known ends"),
        (replace(SHARE, estimator="slope.hac"), "use rule interval"),
        (replace(SHARE, group="block"), "contiguous blocks"),
        (replace(SHARE, error_policy="exclude"), "errors count by bound"),
        (replace(SHARE, error_policy="fail"), "errors count by bound"),
        (replace(SHARE, smallest_difference=None), "smallest difference worth knowing"),
        (replace(SHARE, method="clopper-pearson"), "no sequential method for the estimator 'proportion'"),
        (replace(MEAN, method="likelihood-ratio"), "use auto, betting, group-sequential"),
        (replace(MEAN, support=None), "without the ends of one value"),
        (replace(MEAN, support=[0, None]), "without the ends of one value"),
        (replace(SHARE, method="group-sequential:100,50"), "rising numbers"),
        (replace(SHARE, method="group-sequential:"), "rising numbers"),
        (replace(SHARE, method="group-sequential:10,20?spending=all"), "obrien-fleming or pocock"),
    ],
)
def test_what_cannot_be_stopped_early_says_so(decision: Decision, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_part(Threshold("m", ">=", 0.5), decision)


def test_importing_the_room_loads_no_science() -> None:
    import subprocess
    import sys

    code = "import sys, ophamin.measuring.decision; sys.exit('numpy' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
