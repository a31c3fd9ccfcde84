from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ophamin.measuring.estimators.proportion import proportion
from ophamin.measuring.estimators.quantile import quantile
from ophamin.proof.errors import UsageError


@pytest.mark.parametrize(("q", "least"), [(0.95, 59), (0.99, 299), (0.5, 5)])
def test_least_n_of_an_upper_bound(q: float, least: int) -> None:
    x = [float(i) for i in range(least)]
    assert quantile({"value": x}, confidence=0.95, q=q).upper == x[-1]
    assert quantile({"value": x[:-1]}, confidence=0.95, q=q).upper is None


def test_order_statistics_of_the_median_as_published() -> None:
    # Conover (1999), table for the sign test: n = 15, ranks 4 and 12 bound the median at 96.5 % two-sided.
    estimate = quantile({"value": list(range(1, 16))}, confidence=0.9824, q=0.5)
    assert (estimate.lower, estimate.upper) == (4, 12)
    assert binom.cdf(3, 15, 0.5) == pytest.approx(0.0176, abs=1e-4)


@given(
    x=st.lists(st.integers(-5, 30), min_size=1, max_size=120),
    q=st.sampled_from([0.05, 0.5, 0.9, 0.95]),
    theta=st.integers(-6, 31),
    comparator=st.sampled_from(["<=", "<", ">=", ">"]),
)
@settings(max_examples=300)
def test_decides_as_clopper_pearson_on_exceedances(x: list[int], q: float, theta: int, comparator: str) -> None:
    estimate = quantile({"value": x}, confidence=0.96, q=q, threshold=theta, comparator=comparator)
    # p_q <= θ is P(X > θ) <= 1−q; p_q >= θ is P(X < θ) <= q.
    strict = comparator in ("<", ">=")
    beyond = [int(v >= theta if strict else v > theta) for v in x]
    upwards = comparator in (">=", ">")
    share = proportion({"value": beyond}, confidence=0.96, threshold=1 - q, comparator=">=" if upwards else "<=")
    assert estimate.p_validated == pytest.approx(share.p_validated, rel=1e-9)
    assert estimate.p_refuted == pytest.approx(share.p_refuted, rel=1e-9)
    upper = math.inf if estimate.upper is None else estimate.upper
    lower = -math.inf if estimate.lower is None else estimate.lower
    inside = {"<=": upper <= theta, "<": upper < theta, ">=": lower >= theta, ">": lower > theta}[comparator]
    outside = {"<=": lower > theta, "<": lower >= theta, ">=": upper < theta, ">": upper <= theta}[comparator]
    assert inside is (share.p_validated <= 1 - 0.96)
    assert outside is (share.p_refuted <= 1 - 0.96)


@given(
    seed=st.integers(0, 10_000),
    theta=st.floats(0.5, 4),
    comparator=st.sampled_from(["<=", "<", ">=", ">"]),
    ties=st.booleans(),
)
@settings(max_examples=100)
def test_grouped_bounds_decide_as_the_exceedance_of_theta(seed: int, theta: float, comparator: str, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=200) + np.repeat(rng.exponential(size=25), 8) * 0.3
    if ties:
        x, theta = np.round(x, 1), round(theta, 1)
    table = {"value": x.tolist(), "group": [i // 8 for i in range(200)]}
    estimate = quantile(table, confidence=0.95, q=0.9, threshold=theta, comparator=comparator)
    strict, upwards = comparator in ("<", ">="), comparator in (">=", ">")
    hits = (x >= theta if strict else x > theta).astype(int).tolist()
    share = proportion(
        {"value": hits, "group": table["group"]}, confidence=0.95, threshold=0.1, comparator=">=" if upwards else "<="
    )
    assert estimate.method == "exceedance"
    assert estimate.p_validated == pytest.approx(share.p_validated, rel=1e-9)
    upper = math.inf if estimate.upper is None else estimate.upper
    lower = -math.inf if estimate.lower is None else estimate.lower
    inside = {"<=": upper <= theta, "<": upper < theta, ">=": lower >= theta, ">": lower > theta}[comparator]
    outside = {"<=": lower > theta, "<": lower >= theta, ">=": upper < theta, ">": upper <= theta}[comparator]
    assert inside is (share.p_validated <= 0.05)
    assert outside is (share.p_refuted <= 0.05)


def test_infinite_values_are_values_and_nan_is_not() -> None:
    estimate = quantile({"value": [1.0] * 100 + [math.inf] * 20}, confidence=0.95, q=0.95)
    assert estimate.value is None
    assert estimate.upper is None
    assert estimate.lower is None  # infinite too, so no finite bound can be told
    assert "not finite" in quantile({"value": [1.0, math.nan]}, confidence=0.95).problem
    assert quantile({"value": [1.0] * 200 + [math.inf]}, confidence=0.95, q=0.95).upper == 1.0


def test_misuse_is_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        quantile({"value": [1]}, confidence=0.95, q=95)
    with pytest.raises(UsageError, match="no bound"):
        quantile({"value": [1]}, confidence=0.95, method="normal")
    grouped = {"value": list(range(60)), "group": [i // 2 for i in range(60)]}
    assert "independent rows" in quantile(grouped, confidence=0.95, method="order-statistics").problem
    few = {"value": list(range(60)), "group": [i // 6 for i in range(60)]}
    assert "fewer than 20" in quantile(few, confidence=0.95).problem


@pytest.mark.parametrize("n", [59, 100, 400])
def test_each_side_is_held_by_enumeration(n: int) -> None:
    # Both bounds depend on the number of values below the quantile alone, which is binomial.
    x = np.arange(n, dtype=float)
    estimate = quantile({"value": x.tolist()}, confidence=0.95, q=0.95)
    rank = lambda b, none: none if b is None else int(b) + 1  # noqa: E731
    u, low = rank(estimate.upper, n + 1), rank(estimate.lower, 0)
    assert binom.sf(u - 1, n, 0.95) <= 0.05  # at least u values below the quantile
    assert binom.cdf(low - 1, n, 0.95) <= 0.05
    assert u <= 2 or binom.sf(u - 2, n, 0.95) > 0.05  # and the bounds are the tightest there are
    assert binom.cdf(low, n, 0.95) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [20, 40])
def test_blocks_of_a_correlated_series(blocks: int) -> None:
    # Latencies whose level wanders from block to block: plain order statistics would be far off.
    rng = np.random.default_rng(blocks)
    size, runs, alpha = 25, 1000, 0.05
    theta = float(np.quantile(np.exp(0.5 * rng.normal(size=2_000_000) + 0.2 * rng.normal(size=2_000_000)), 0.95))
    group = [i // size for i in range(blocks * size)]
    missed = np.zeros(2)
    for _ in range(runs):
        x = np.exp(0.5 * rng.normal(size=blocks * size) + np.repeat(0.2 * rng.normal(size=blocks), size))
        e = quantile(
            {"value": x.tolist(), "group": group}, confidence=1 - alpha, q=0.95, threshold=theta, comparator="<="
        )
        missed += ((e.lower or -math.inf) > theta, (e.upper or math.inf) < theta)
    assert missed.max() / runs <= alpha + 4 * math.sqrt(alpha * (1 - alpha) / runs)
