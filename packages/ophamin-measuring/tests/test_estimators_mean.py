from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from ophamin.measuring.estimators.mean import mean
from ophamin.proof.errors import UsageError


def errors(draw: object, truth: float, runs: int, alpha: float = 0.05, **options: object) -> tuple[float, float]:
    """Share of runs whose lower, and whose upper bound misses the truth."""
    low = high = 0
    for i in range(runs):
        estimate = mean({"value": draw(i)}, confidence=1 - alpha, seed=i, **options)  # type: ignore[operator,arg-type]
        assert estimate.lower is not None
        assert estimate.upper is not None
        low, high = low + (estimate.lower > truth), high + (estimate.upper < truth)
    return low / runs, high / runs


def limit(alpha: float, runs: int) -> float:
    return alpha + 4 * math.sqrt(alpha * (1 - alpha) / runs)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50), st.floats(-1e3, 1e3))
def test_t_agrees_with_scipy(values: list[float], theta: float) -> None:
    estimate = mean({"value": values}, confidence=0.95, threshold=theta, comparator="<=")
    if estimate.problem:
        assert np.ptp(values) <= 1e-9 * (1 + max(map(abs, values)))
        return
    if np.ptp(values) < 1e-6:
        return
    test = ttest_1samp(values, theta, alternative="less")
    low, high = ttest_1samp(values, theta).confidence_interval(0.9)
    assert estimate.lower == pytest.approx(low, rel=1e-9, abs=1e-9)
    assert estimate.upper == pytest.approx(high, rel=1e-9, abs=1e-9)
    assert estimate.p_validated == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)


@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=80),
    theta=st.floats(0, 1),
    method=st.sampled_from(["betting", "empirical-bernstein"]),
)
@settings(max_examples=150)
def test_bounded_p_values_are_dual(values: list[float], theta: float, method: str) -> None:
    estimate = mean(
        {"value": values}, confidence=0.9, seed=3, method=method, support=[0, 1], threshold=theta, comparator=">="
    )
    assert estimate.lower is not None
    assert estimate.upper is not None
    assert estimate.p_validated is not None
    assert estimate.p_refuted is not None
    assert 0 <= estimate.lower <= estimate.upper <= 1
    if abs(estimate.lower - theta) > 1e-9:
        assert (estimate.lower > theta) is (estimate.p_validated <= 0.1)
    if abs(estimate.upper - theta) > 1e-9:
        assert (estimate.upper < theta) is (estimate.p_refuted <= 0.1)


def test_betting_is_equivariant_and_depends_on_order_only_through_the_seed() -> None:
    x = np.random.default_rng(0).beta(2, 5, 100)
    plain = mean({"value": x.tolist()}, confidence=0.95, seed=4, support=[0, 1])
    shifted = mean({"value": (10 * x - 3).tolist()}, confidence=0.95, seed=4, support=[-3, 7])
    mirrored = mean({"value": (1 - x).tolist()}, confidence=0.95, seed=4, support=[0, 1])
    assert shifted.lower == pytest.approx(10 * (plain.lower or 0) - 3)
    assert mirrored.upper == pytest.approx(1 - (plain.lower or 0))
    assert plain == mean({"value": x.tolist()}, confidence=0.95, seed=4, support=[0, 1])


def test_betting_is_much_shorter_than_bernstein_and_near_t() -> None:
    x = np.random.default_rng(1).beta(2, 5, 500).tolist()
    width = {}
    for method in ("betting", "empirical-bernstein", "t"):
        estimate = mean({"value": x}, confidence=0.95, method=method, support=[0, 1])
        width[method] = (estimate.upper or 0) - (estimate.lower or 0)
    assert width["t"] < width["betting"] < 1.8 * width["t"]
    assert width["betting"] < 0.8 * width["empirical-bernstein"]


def test_what_cannot_be_bounded_says_so() -> None:
    assert "equal" in mean({"value": [3, 3, 3]}, confidence=0.95).problem
    assert "at least 2" in mean({"value": [3]}, confidence=0.95).problem
    assert "outside the registered support" in mean({"value": [0, 2]}, confidence=0.95, support=[0, 1]).problem
    assert "both ends" in mean({"value": [0, 2]}, confidence=0.95, method="betting", support=[0, None]).problem
    assert "not finite" in mean({"value": [0, math.inf]}, confidence=0.95).problem
    grouped = {"value": list(range(30)), "group": [i % 10 for i in range(30)]}
    assert "fewer than 20" in mean(grouped, confidence=0.95).problem
    # With a support, equal values do have bounds.
    alike = mean({"value": [1.0] * 50}, confidence=0.95, support=[0, 1])
    assert not alike.problem
    assert 0.9 < (alike.lower or 0) < 1
    assert alike.upper == 1


def test_misuse_is_refused() -> None:
    for options in ({"method": "wald"}, {"support": [1, 0]}, {"support": [1]}, {"target": "pages"}):
        with pytest.raises(UsageError):
            mean({"value": [0.5, 0.6]}, confidence=0.95, **options)  # type: ignore[arg-type]


def test_groups_are_the_units() -> None:
    rng = np.random.default_rng(2)
    level = rng.normal(size=30)
    value = [float(v) for v in level for _ in range(40)]
    table = {"value": value, "group": [i // 40 for i in range(1200)]}
    estimate = mean(table, confidence=0.95)
    alone = mean({"value": level.tolist()}, confidence=0.95)
    assert estimate.n_groups == 30
    assert estimate.lower == pytest.approx(alone.lower)
    assert estimate.detail["target"] == "rows"
    by_groups = mean(table, confidence=0.95, target="groups", method="t")
    assert by_groups.upper == pytest.approx(alone.upper)
    bounded = mean({**table, "value": [0.5 + 0.01 * v for v in value]}, confidence=0.95, support=[0, 1])
    assert (bounded.method, bounded.guarantee, bounded.n_groups) == ("betting", "guaranteed", 30)
    uneven = {"value": [0.5, *(0.4 + 0.001 * i for i in range(59))], "group": [0, 0, 0, *(i // 2 for i in range(57))]}
    assert mean(uneven, confidence=0.95, support=[0, 1]).method == "t"


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 20, 100])
def test_t_holds_each_side_on_normal_values(n: int) -> None:
    rng = np.random.default_rng(n)
    low, high = errors(lambda i: rng.normal(1, 2, n).tolist(), 1.0, 3000)
    assert max(low, high) <= limit(0.05, 3000)
    assert min(low, high) >= 0.03


@pytest.mark.slow
def test_t_is_only_approximate_on_skewed_values() -> None:
    # Documented, not hidden: on lognormal values the upper bound misses more than α, and less so with n.
    rng = np.random.default_rng(5)
    truth = math.exp(0.5)
    rates = [errors(lambda i, n=n: rng.lognormal(size=n).tolist(), truth, 1500)[1] for n in (20, 100, 500)]
    assert rates[0] > rates[1] > rates[2] > 0.05
    assert rates[0] < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("method", ["betting", "empirical-bernstein"])
@pytest.mark.parametrize(("name", "n"), [("rare", 50), ("rare", 300), ("skew", 30), ("coin", 100), ("ends", 20)])
def test_bounded_methods_hold_each_side_on_any_distribution(method: str, name: str, n: int) -> None:
    rng = np.random.default_rng(n)
    draws = {
        "rare": (lambda i: (rng.random(n) < 0.03).astype(float).tolist(), 0.03),
        "skew": (lambda i: rng.beta(0.2, 2, n).tolist(), 0.2 / 2.2),
        "coin": (lambda i: (rng.random(n) < 0.5).astype(float).tolist(), 0.5),
        "ends": (lambda i: rng.beta(0.1, 0.1, n).tolist(), 0.5),
    }
    draw, truth = draws[name]
    runs = 400
    assert max(errors(draw, truth, runs, method=method, support=[0, 1])) <= limit(0.05, runs)


@pytest.mark.slow
def test_grouped_t_holds_under_correlation() -> None:
    rng = np.random.default_rng(8)
    group = [i // 8 for i in range(240)]

    def once() -> tuple[bool, bool]:
        x = rng.normal(size=240) + np.repeat(rng.normal(size=30) * 0.5, 8)
        e = mean({"value": x.tolist(), "group": group}, confidence=0.95)
        return (e.lower or 0) > 0, (e.upper or 0) < 0

    missed = np.array([once() for _ in range(2000)]).mean(axis=0)
    assert missed.max() <= limit(0.05, 2000)
