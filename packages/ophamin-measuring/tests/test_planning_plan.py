from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from ophamin.measuring.decision import decide
from ophamin.measuring.planning import Plan, how_many_more, plan, plan_claim
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Interval, Threshold
from ophamin.protocols import EstimatorCall


def proportion(comparator: str = ">=", theta: float = 0.9, delta: float | None = 0.05, **more: Any) -> tuple[Any, Any]:
    return Threshold("m", comparator, theta), Decision(estimator="proportion", smallest_difference=delta, **more)


def power_by_hand(n: int, theta: float, truth: float, alpha: float = 0.05) -> tuple[float, float]:
    """Exact power of ``share >= θ`` by adding up binomial terms."""
    k = np.arange(n + 1)
    validates = binom.sf(k - 1, n, theta) <= alpha
    refutes = binom.cdf(k, n, theta) <= alpha
    mass = binom.pmf(k, n, truth)
    return float(mass[validates].sum()), float(mass[refutes].sum())


@pytest.mark.parametrize(("theta", "delta"), [(0.9, 0.05), (0.5, 0.1), (0.8, 0.04), (0.95, 0.03)])
def test_share_power_is_exact_and_n_is_stable(theta: float, delta: float) -> None:
    p = plan(*proportion(">=", theta, delta))
    assert p.n is not None
    assert p.power_validate == pytest.approx(power_by_hand(p.n, theta, theta + delta)[0], rel=1e-9)
    assert p.power_refute == pytest.approx(power_by_hand(p.n, theta, theta - delta)[1], rel=1e-9)

    def least(n: int) -> float:
        return min(power_by_hand(n, theta, theta + delta)[0], power_by_hand(n, theta, theta - delta)[1])

    assert all(least(n) >= 0.8 for n in range(p.n, p.n + 150))
    assert least(p.n - 1) < 0.8
    assert not p.underpowered


def test_direction_does_not_matter() -> None:
    up, down = plan(*proportion(">=", 0.9)), plan(*proportion("<=", 1 - 0.9))
    assert (up.n, up.least_n) == (down.n, down.least_n)
    assert down.validate_at == {"m": pytest.approx(0.05)}
    assert down.refute_at == {"m": pytest.approx(0.15)}


def test_power_at_theta_is_at_most_alpha() -> None:
    for n in (30, 100, 517):
        p = plan(*proportion(delta=1e-12), n=n)
        assert p.power_validate is not None
        assert p.power_refute is not None
        assert 0 < p.power_validate <= 0.05 + 1e-9
        assert p.power_refute <= 0.05 + 1e-9
        assert p.underpowered


def test_smallest_difference_of_an_n() -> None:
    p = plan(*proportion(delta=None), n=500)
    assert p.power_validate is None
    assert p.smallest_difference is not None
    at = plan(*proportion(delta=p.smallest_difference), n=500)
    assert min(at.power_validate or 0, at.power_refute or 0) >= 0.8
    below = plan(*proportion(delta=0.97 * p.smallest_difference), n=500)
    assert min(below.power_validate or 0, below.power_refute or 0) < 0.8
    assert plan(*proportion(delta=None), n=20).smallest_difference is None


def test_expected_errors_cost_rows_or_all_power() -> None:
    clean = plan(*proportion())
    some = plan(*proportion(), expected_error_rate=0.02)
    assert (some.n or 0) > 1.5 * (clean.n or 0)
    with pytest.raises(UsageError, match="no n reaches"):
        plan(*proportion(), expected_error_rate=0.06)
    # Under "fail" an error also speaks for refuting.
    assert (plan(*proportion(error_policy="fail"), n=560, expected_error_rate=0.02).power_refute or 0) > (
        plan(*proportion(), n=560, expected_error_rate=0.02).power_refute or 1
    )


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(UsageError, match="no sample can validate") as refused:
        plan(*proportion(">=", 1.0))
    assert refused.value.exit_code == 2
    with pytest.raises(UsageError, match="smallest difference"):
        plan(*proportion(delta=None))
    with pytest.raises(UsageError, match="standard deviation"):
        plan(Threshold("m", "<=", 1.0), Decision(estimator="mean", smallest_difference=0.1))
    with pytest.raises(UsageError, match="a plan assumes"):
        plan(*proportion(), colour=1)
    with pytest.raises(UsageError, match="power lies"):
        plan(*proportion(), power=1.0)
    with pytest.raises(UsageError, match="which quantile"):
        plan(Threshold("latency", "<=", 1.0), Decision(estimator="quantile", smallest_difference=0.03))


def test_expected_truth_stands_in_for_delta() -> None:
    assert plan(*proportion(delta=None), expected=0.95).n == plan(*proportion(delta=0.05)).n


def test_quantiles_are_planned_as_exceedances() -> None:
    latency = Threshold("p95_latency_s", "<=", 0.2), Decision(estimator="quantile", smallest_difference=0.03)
    p = plan(*latency)
    assert p.least_n == 59
    assert p.n == plan(*proportion(">=", 0.95, 0.03)).n
    assert list(p.validate_at.values()) == [pytest.approx(0.02)]
    assert plan(latency[0], latency[1], q=0.5).n != p.n


def test_exact_needs_no_n() -> None:
    p = plan(Threshold("violations", "==", 0), Decision(rule="exact", estimator="value"))
    assert p.n is None
    assert "whole target" in p.notes[0]


def test_co_primaries_are_planned_together() -> None:
    parts = [proportion("<=", 0.05, 0.03), proportion(">=", 0.8, 0.05)]
    (first, decision), (second, other) = parts
    claim = Claim("", "", "", "", first, decision, [CoPrimary(Threshold("n", ">=", second.value), other)])
    both = plan_claim(claim)
    alone = [plan(*p) for p in parts]
    assert both.n is not None
    assert both.n > max(p.n or 0 for p in alone)
    # Independent parts have at least the joint power promised.
    inside = [power_by_hand(both.n, 0.95, 0.98)[0], power_by_hand(both.n, 0.8, 0.85)[0]]
    assert both.power_validate is not None
    assert 0.8 <= both.power_validate <= math.prod(inside)
    outside = [power_by_hand(both.n, 0.95, 0.92, 0.025)[1], power_by_hand(both.n, 0.8, 0.75, 0.025)[1]]
    assert both.power_refute == pytest.approx(min(outside))
    assert plan_claim(claim, n=100).underpowered


def test_how_many_more_is_a_range_or_a_reason_to_stop() -> None:
    threshold, decision = proportion(delta=0.02)
    more = how_many_more(threshold, decision, Interval(0.85, 0.95, 0.9), alpha=0.025)
    assert more.low is not None
    assert more.high is not None
    assert more.low < more.high
    assert more.high == plan(threshold, decision, alpha=0.025).n
    near = how_many_more(threshold, decision, Interval(0.885, 0.915, 0.9), alpha=0.025)
    assert near.low is None
    assert "nearer to 0.9 than worth knowing" in near.note
    one_sided = how_many_more(threshold, decision, Interval(None, 0.95, 0.9), alpha=0.025)
    assert one_sided.high == more.high
    with pytest.raises(UsageError, match="no smallest difference"):
        how_many_more(*proportion(delta=None), Interval(0.85, 0.95, 0.9), alpha=0.025)


def simulated(p: Plan, threshold: Threshold, decision: Decision, draw: Any, runs: int) -> tuple[float, float]:
    """Share of runs VALIDATED at δ inside and REFUTED at δ outside, through ``decide`` itself."""
    out = []
    for inside, want in ((True, "VALIDATED"), (False, "REFUTED")):
        hits = 0
        for seed in range(runs):
            columns, options = draw(np.random.default_rng([seed, inside]), p.n, inside)
            call = EstimatorCall(threshold.metric, decision.estimator, columns, options)
            part = decide(threshold, decision, call, alpha_validate=0.05, alpha_refute=0.05, seed=seed)
            hits += part.outcome == want
        out.append(hits / runs)
    return out[0], out[1]


def shares(truths: tuple[float, float], group_size: int = 1, icc: float = 0.0, errors: float = 0.0) -> Any:
    def draw(rng: np.random.Generator, n: int, inside: bool) -> Any:
        truth, groups = truths[0] if inside else truths[1], n // group_size
        s = 1 / icc - 1 if icc else 0
        share = rng.beta(truth * s, (1 - truth) * s, groups) if icc else np.full(groups, truth)
        codes = np.repeat(np.arange(groups), group_size)
        value: list[Any] = (rng.random(len(codes)) < share[codes]).astype(int).tolist()
        failed = rng.random(len(codes)) < errors
        columns: dict[str, list[Any]] = {"value": [None if f else v for v, f in zip(value, failed, strict=True)]}
        columns["status"] = ["error" if f else "ok" for f in failed]
        if group_size > 1:
            columns["group"] = codes.tolist()
        return columns, {}

    return draw


@pytest.mark.slow
@pytest.mark.parametrize("errors", [0.0, 0.02])
def test_simulated_power_of_a_share(errors: float) -> None:
    threshold, decision = proportion()
    p = plan(threshold, decision, expected_error_rate=errors)
    validated, refuted = simulated(p, threshold, decision, shares((0.95, 0.85), errors=errors), 400)
    assert validated == pytest.approx(p.power_validate, abs=0.08)
    assert refuted == pytest.approx(p.power_refute, abs=0.08)


@pytest.mark.slow
def test_simulated_power_of_grouped_shares() -> None:
    threshold, decision = proportion(">=", 0.8, 0.08)
    p = plan(threshold, decision, icc=0.1, group_size=10)
    validated, refuted = simulated(p, threshold, decision, shares((0.88, 0.72), 10, 0.1), 300)
    assert min(validated, refuted) >= 0.75
    assert validated == pytest.approx(p.power_validate, abs=0.1)
    assert refuted == pytest.approx(p.power_refute, abs=0.1)


@pytest.mark.slow
def test_simulated_power_of_a_mean() -> None:
    threshold = Threshold("m", "<=", 1.0)
    decision = Decision(estimator="mean", smallest_difference=0.1)
    p = plan(threshold, decision, sd=0.5)

    def draw(rng: np.random.Generator, n: int, inside: bool) -> Any:
        return {"value": rng.normal(0.9 if inside else 1.1, 0.5, n).tolist()}, {}

    assert simulated(p, threshold, decision, draw, 1000) == pytest.approx((p.power_validate, p.power_refute), abs=0.05)


@pytest.mark.slow
def test_simulated_power_of_a_bounded_mean() -> None:
    threshold = Threshold("m", ">=", 0.5)
    decision = Decision(estimator="mean", support=[0, 1], smallest_difference=0.08)
    p = plan(threshold, decision, sd=0.2)

    def draw(rng: np.random.Generator, n: int, inside: bool) -> Any:
        mean = 0.58 if inside else 0.42
        size = mean * (1 - mean) / 0.04 - 1
        return {"value": rng.beta(mean * size, (1 - mean) * size, n).tolist()}, {}

    # Both sides are simulated, so both carry an error of about 0.02.
    assert simulated(p, threshold, decision, draw, 400) == pytest.approx((p.power_validate, p.power_refute), abs=0.09)


@pytest.mark.slow
def test_simulated_power_of_a_quantile() -> None:
    threshold = Threshold("p90", "<=", 1.0)
    decision = Decision(estimator="quantile", smallest_difference=0.05)
    p = plan(threshold, decision)

    def draw(rng: np.random.Generator, n: int, inside: bool) -> Any:
        beyond = 0.05 if inside else 0.15
        return {"value": (rng.exponential(size=n) / -math.log(beyond)).tolist()}, {"q": 0.9}

    assert simulated(p, threshold, decision, draw, 500) == pytest.approx((p.power_validate, p.power_refute), abs=0.07)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["calibration-error", "brier-skill"])
def test_simulated_power_of_calibration(estimator: str) -> None:
    ece = estimator == "calibration-error"
    threshold = Threshold("m", "<=", 0.1) if ece else Threshold("m", ">", 0.0)
    decision = Decision(estimator=estimator, smallest_difference=0.05 if ece else 0.0208)
    p = plan(threshold, decision)

    def draw(rng: np.random.Generator, n: int, inside: bool) -> Any:
        c = rng.uniform(0.5, 1, n)
        # Calibrated confidences uniform in (½, 1) have a skill of 1/48 = 0.0208 over the base rate.
        gap = (0.05 if inside else 0.15) if ece else 0.0
        p_right = c - gap if ece or inside else np.clip(1.5 - c, 0, 1) * 0.577 + 0.317
        return {"confidence": c.tolist(), "correct": (rng.random(n) < p_right).tolist()}, {}

    validated, refuted = simulated(p, threshold, decision, draw, 200)
    assert p.power_validate is not None
    assert validated >= p.power_validate - 0.11
    if ece:
        assert p.power_refute is not None
        assert refuted >= p.power_refute - 0.11
