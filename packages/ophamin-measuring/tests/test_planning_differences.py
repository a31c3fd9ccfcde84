"""Plans of the two-arm and series estimators: against statsmodels, and against simulated decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from ophamin.measuring.planning import how_many_more, plan
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Decision, Interval, Threshold
from ophamin.registry import estimators

# estimator, comparator, θ, δ, assumptions, and a table of n at one truth
RNG = np.random.default_rng(11)


def _arms(base: Any, head: Any) -> dict[str, Any]:
    return {"value": [*base, *head], "arm": ["base"] * len(base) + ["head"] * len(head)}


def _shares(truth: float, n: int) -> dict[str, Any]:
    return _arms(RNG.random(n) < (1 - truth) / 2, RNG.random(n) < (1 + truth) / 2)


def _means(truth: float, n: int) -> dict[str, Any]:
    return _arms(RNG.normal(0, 1, n), RNG.normal(truth, 1, n))


def _series(truth: float, n: int) -> dict[str, Any]:
    return {"value": RNG.normal(size=n) + truth * np.arange(n), "time": range(n)}


def _both(truth: float, n: int) -> dict[str, Any]:
    z = RNG.multivariate_normal([0, 0], [[1, truth], [truth, 1]], n)
    return {"value": z[:, 0], "other": z[:, 1]}


CASES: list[tuple[str, str, float, float, dict[str, Any], Any]] = [
    ("difference.newcombe", ">=", 0.0, 0.2, {}, _shares),
    ("difference.clopper-pearson", "<=", 0.1, 0.3, {}, _shares),
    ("difference.mean", ">=", 0.0, 0.8, {"sd": 1.0}, _means),
    ("tost", "<=", 0.8, 0.6, {"sd": 1.0}, _means),
    ("slope.hac", "<=", 0.0, 0.02, {"sd": 1.0}, _series),
    ("correlation", ">=", 0.3, 0.3, {}, _both),
    ("effect-size", ">=", 0.5, 0.8, {}, _means),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "comparator", "theta", "delta", "assume", "draw"), CASES, ids=lambda v: str(v)[:12])
def test_the_promised_power_is_what_decisions_show(
    name: str, comparator: str, theta: float, delta: float, assume: dict[str, Any], draw: Any
) -> None:
    threshold, decision = Threshold("m", comparator, theta), Decision(estimator=name, smallest_difference=delta)
    promised = plan(threshold, decision, power=0.8, **assume)
    assert promised.n is not None
    assert min(promised.power_validate or 0, promised.power_refute or 0) >= 0.8
    sign, runs = (1 if comparator == ">=" else -1), 600
    validated = refuted = 0
    for _ in range(runs):
        for truth in (theta + sign * delta, theta - sign * delta):
            found = estimators.get(name)(draw(truth, promised.n), confidence=0.95, seed=0)
            inside = found.lower >= theta if sign > 0 else found.upper <= theta
            outside = found.upper < theta if sign > 0 else found.lower > theta
            validated += inside and truth == theta + sign * delta
            refuted += outside and truth == theta - sign * delta
    # The standard error of a share of 600 is 0.016; the approximate models are within 0.03.
    assert validated / runs == pytest.approx(promised.power_validate, abs=0.08)
    assert refuted / runs == pytest.approx(promised.power_refute, abs=0.08)


def test_means_are_planned_as_statsmodels_plans_them() -> None:
    threshold, decision = Threshold("m", ">=", 0.0), Decision(estimator="difference.mean", smallest_difference=0.5)
    independent = plan(threshold, decision, sd=1.0, n=50)
    theirs = TTestIndPower().power(0.5, 50, 0.05, alternative="larger")
    assert independent.power_validate == pytest.approx(theirs, abs=1e-6)
    paired = plan(threshold, decision, sd=1.0, n=50, paired=1)
    assert paired.power_validate == pytest.approx(TTestPower().power(0.5, 50, 0.05, alternative="larger"), abs=1e-6)


@pytest.mark.parametrize(("name", "comparator", "theta", "delta", "assume", "draw"), CASES, ids=lambda v: str(v)[:12])
def test_the_smallest_difference_of_an_n_is_that_whose_plan_it_is(
    name: str, comparator: str, theta: float, delta: float, assume: dict[str, Any], draw: Any
) -> None:
    threshold, decision = Threshold("m", comparator, theta), Decision(estimator=name, smallest_difference=delta)
    planned = plan(threshold, decision, **assume)
    assert planned.n is not None
    back = plan(threshold, decision, n=planned.n, **assume)
    assert back.smallest_difference == pytest.approx(delta, rel=0.1)
    assert plan(threshold, decision, n=4, **assume).underpowered
    more = how_many_more(threshold, decision, Interval(theta - 2 * delta, theta + delta / 2, 0.9), alpha=0.05, **assume)
    assert more.high == planned.n


def test_an_error_leaves_no_power_where_it_has_no_worst_value() -> None:
    threshold, decision = Threshold("m", ">=", 0.3), Decision(estimator="correlation", smallest_difference=0.2)
    with pytest.raises(UsageError, match="no n reaches"):
        plan(threshold, decision, expected_error_rate=0.01)
    shares = Decision(estimator="difference.newcombe", smallest_difference=0.2)
    clean, dirty = (plan(Threshold("m", ">=", 0.0), shares, expected_error_rate=e).n for e in (0.0, 0.03))
    assert clean is not None
    assert dirty is not None
    assert dirty > clean


def test_what_a_plan_must_be_told() -> None:
    mean = Decision(estimator="difference.mean", smallest_difference=0.5)
    with pytest.raises(UsageError, match="sd=VALUE"):
        plan(Threshold("m", ">=", 0.0), mean)
    with pytest.raises(UsageError, match="spread about the line"):
        plan(Threshold("m", ">=", 0.0), Decision(estimator="slope.hac", smallest_difference=0.5))
    for name in ("difference.newcombe", "difference.clopper-pearson", "correlation", "effect-size"):
        with pytest.raises(UsageError, match="decides nothing from grouped rows"):
            plan(Threshold("m", ">=", 0.0), Decision(estimator=name, smallest_difference=0.2), group_size=5, icc=0.1)
    slope = Decision(estimator="slope.hac", smallest_difference=0.2)
    for more in ({"icc": 1.0}, {"ar": 0.5}):
        with pytest.raises(UsageError, match="grouped rows of a slope"):
            plan(Threshold("m", ">=", 0.0), slope, sd=1.0, group_size=5, **more)
    with pytest.raises(UsageError, match="autocorrelation"):
        plan(Threshold("m", ">=", 0.0), mean, sd=1.0, ar=1.0)
    with pytest.raises(UsageError, match="plan_family"):
        plan(Threshold("m", ">=", 1), Decision(estimator="holm", smallest_difference=1))


@pytest.mark.parametrize("icc", [0.0, 0.3])
def test_grouped_rows_have_the_power_that_was_planned(icc: float) -> None:
    threshold, decision = Threshold("m", ">=", 0.0), Decision(estimator="difference.mean", smallest_difference=0.35)
    found = plan(threshold, decision, sd=1.0, group_size=5, icc=icc)
    alone = plan(threshold, decision, sd=1.0)
    assert found.n is not None
    assert alone.n is not None
    assert found.n >= 100
    assert found.n % 5 == 0
    if icc:  # Kish's design effect, and a little for the degrees of freedom
        assert 1 + 4 * icc <= found.n / alone.n <= 1.1 * (1 + 4 * icc)
    groups, estimate, rng = found.n // 5, estimators.get("difference.mean"), np.random.default_rng(5)
    names, won, runs = np.repeat(np.arange(2 * groups), 5).tolist(), 0, 1000
    for _ in range(runs):
        x = np.repeat(rng.normal(size=2 * groups), 5) * np.sqrt(icc) + rng.normal(size=10 * groups) * np.sqrt(1 - icc)
        x[5 * groups :] += 0.35
        table = {**_arms(x[: 5 * groups], x[5 * groups :]), "group": names}
        lower = estimate(table, confidence=0.95).lower
        won += lower is not None and lower >= 0
    assert found.power_validate is not None
    # Four standard errors of a share of 1,000: a right plan falls outside once in 15,000.
    assert abs(won / runs - found.power_validate) < 4 * np.sqrt(0.25 / runs)
    few = plan(threshold, decision, n=95, sd=1.0, group_size=5, icc=icc)
    assert few.power_validate == 0.0


@pytest.mark.parametrize("icc", [0.0, 0.4])
def test_grouped_series_have_the_power_that_was_planned(icc: float) -> None:
    threshold, decision = Threshold("m", ">=", 0.0), Decision(estimator="slope.hac", smallest_difference=0.05)
    found = plan(threshold, decision, sd=1.0, group_size=8, icc=icc)
    assert found.n is not None
    assert found.power_validate is not None
    assert found.n >= 160
    assert found.n % 8 == 0
    groups, estimate, rng = found.n // 8, estimators.get("slope.hac"), np.random.default_rng(7)
    names, times = np.repeat(np.arange(groups), 8).tolist(), np.tile(np.arange(8), groups)
    won, runs = 0, 1000
    for _ in range(runs):
        level = np.repeat(rng.normal(size=groups), 8)
        x = np.sqrt(icc) * level + np.sqrt(1 - icc) * rng.normal(size=found.n) + 0.05 * times
        lower = estimate({"value": x.tolist(), "time": times.tolist(), "group": names}, confidence=0.95).lower
        won += lower is not None and lower >= 0
    # Four standard errors of a share of 1,000.
    assert abs(won / runs - found.power_validate) < 4 * np.sqrt(0.25 / runs)
    assert plan(threshold, decision, n=152, sd=1.0, group_size=8, icc=icc).power_validate == 0.0
