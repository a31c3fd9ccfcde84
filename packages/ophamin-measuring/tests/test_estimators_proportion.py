from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from statsmodels.stats.proportion import proportion_confint

from ophamin.measuring.estimators._table import Table
from ophamin.measuring.estimators.proportion import beta_bounds, effective_sizes, proportion, share_bounds
from ophamin.proof.errors import UsageError


def rows(k: int, n: int) -> dict[str, list[int]]:
    return {"value": [1] * k + [0] * (n - k)}


@pytest.mark.parametrize(
    ("k", "n", "lower", "upper"),
    # Newcombe (1998), Statist. Med. 17:857, table I, method 5 (two-sided 95 %).
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_pearson_as_published(k: int, n: int, lower: float, upper: float) -> None:
    estimate = proportion(rows(k, n), confidence=0.975)
    assert (round(estimate.lower or 0, 4), round(estimate.upper or 1, 4)) == (lower, upper)
    assert estimate.guarantee == "guaranteed"
    assert estimate.method == "clopper-pearson"


@pytest.mark.parametrize("method", ["clopper-pearson", "wilson", "agresti-coull", "jeffreys"])
@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 7), (7, 7), (81, 263), (499, 500)])
def test_agrees_with_statsmodels(method: str, k: int, n: int) -> None:
    other = {"clopper-pearson": "beta", "agresti-coull": "agresti_coull"}.get(method, method)
    low, high = proportion_confint(k, n, alpha=0.1, method=other)
    estimate = proportion(rows(k, n), confidence=0.95, method=method)
    if method != "jeffreys" or 0 < k < n:  # ours is one-sided exact at the ends, theirs is not
        assert estimate.lower == pytest.approx(max(0, low), abs=1e-10)
        assert estimate.upper == pytest.approx(min(1, high), abs=1e-10)
    assert bool(estimate.problem) is (method != "clopper-pearson")


@given(n=st.integers(1, 400), data=st.data(), theta=st.floats(0.01, 0.99), alpha=st.floats(0.001, 0.2))
@settings(max_examples=200)
def test_p_values_are_dual_to_the_bounds(n: int, data: st.DataObject, theta: float, alpha: float) -> None:
    k = data.draw(st.integers(0, n))
    estimate = proportion(rows(k, n), confidence=1 - alpha, threshold=theta, comparator=">=")
    assert estimate.lower is not None
    assert estimate.upper is not None
    assert estimate.p_validated == pytest.approx(binomtest(k, n, theta, "greater").pvalue, rel=1e-9, abs=1e-300)
    assert estimate.p_refuted == pytest.approx(binomtest(k, n, theta, "less").pvalue, rel=1e-9, abs=1e-300)
    if abs(estimate.p_validated - alpha) > 1e-9:
        assert (estimate.lower >= theta) is (estimate.p_validated <= alpha)
    if abs(estimate.p_refuted - alpha) > 1e-9:
        assert (estimate.upper < theta) is (estimate.p_refuted <= alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_each_side_is_held_to_alpha_by_enumeration(alpha: float) -> None:
    worst = 0.0
    for n in [1, 2, 3, 5, 10, 20, 29, 59, 100, 250]:
        bounds = [beta_bounds(k, n, alpha) for k in range(n + 1)]
        lower, upper = np.array([b[0] for b in bounds]), np.array([b[1] for b in bounds])
        # The worst truths are the bounds themselves, approached from the side that is missed.
        for theta in [*np.linspace(0.001, 0.999, 199), *(lower - 1e-12), *(upper + 1e-12)]:
            if 0 < theta < 1:
                mass = binom.pmf(np.arange(n + 1), n, theta)
                worst = max(worst, mass[lower > theta].sum(), mass[upper < theta].sum())
    assert worst <= alpha * (1 + 1e-6)
    assert worst > 0.9 * alpha  # and not by being useless


def test_wilson_is_not_one_sided() -> None:
    # Why it never decides: at k = 0 of 20 truths just above its lower bound at k = 1 are missed far too often.
    low = proportion(rows(1, 20), confidence=0.95, method="wilson").lower
    assert low is not None
    assert 1 - binom.cdf(0, 20, low - 1e-9) > 0.1


def test_groups_need_twenty_and_clopper_pearson_refuses_them() -> None:
    table = {"value": [1, 0] * 19, "group": [i // 2 for i in range(38)]}
    assert "fewer than 20" in proportion(table, confidence=0.95).problem
    assert "grouped" in proportion(table, confidence=0.95, method="clopper-pearson").problem


def test_groups_of_one_row_are_no_groups() -> None:
    value = [1, 1, 0, 1, 1]
    plain = proportion({"value": value}, confidence=0.9)
    assert proportion({"value": value, "group": list("abcde")}, confidence=0.9) == plain
    assert proportion({"value": value, "group": [None] * 5}, confidence=0.9) == plain


def test_korn_graubard_counts_identical_groups_once() -> None:
    # Every row of a group agrees, so a group is one observation.
    value = [v for v in [1] * 20 + [0] * 10 for _ in range(50)]
    estimate = proportion({"value": value, "group": [i // 50 for i in range(1500)]}, confidence=0.95)
    sizes = estimate.detail["n_effective"]
    assert all(24 <= n <= 30 for n in sizes)
    alike = proportion({"value": [1] * 200, "group": [i // 10 for i in range(200)]}, confidence=0.95)
    assert alike.lower == pytest.approx(0.05 ** (1 / 20))


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"value": []}, "no observations"),
        ({"value": [None, None]}, "no observations"),
        ({"value": [1, math.nan]}, "not finite"),
        ({"value": [1, 0.5]}, "0 and 1"),
        ({"value": ["yes"]}, "not a number"),
    ],
)
def test_bad_input_is_a_problem_not_a_number(columns: dict[str, list[object]], problem: str) -> None:
    estimate = proportion(columns, confidence=0.95)
    assert problem in estimate.problem
    assert estimate.lower is None
    assert estimate.upper is None


def test_misuse_is_refused() -> None:
    with pytest.raises(UsageError, match="wald"):
        proportion(rows(1, 2), confidence=0.95, method="wald")
    with pytest.raises(UsageError, match="one-sided confidence"):
        proportion(rows(1, 2), confidence=0.05)
    with pytest.raises(UsageError, match="column 'value'"):
        proportion({"x": [1]}, confidence=0.95)
    with pytest.raises(UsageError, match="equal lengths"):
        proportion({"value": [1, 0], "group": ["a"]}, confidence=0.95)


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "size", "icc"), [(20, 20, 0.1), (50, 10, 0.1), (50, 10, 0.3), (30, 20, 0.0)])
@pytest.mark.parametrize("theta", [0.05, 0.5, 0.9, 0.98])
def test_grouped_proportion_errs_about_alpha(groups: int, size: int, icc: float, theta: float) -> None:
    runs, alpha = 800, 0.05
    rng = np.random.default_rng([groups, size, int(100 * theta), int(100 * icc)])
    codes = np.repeat(np.arange(groups), size)
    missed = np.zeros(2)
    for _ in range(runs):
        s = 1 / icc - 1 if icc else 0
        share = rng.beta(theta * s, (1 - theta) * s, groups) if icc else np.full(groups, theta)
        hits = (rng.random(groups * size) < share[codes]).astype(float)
        lower, upper = share_bounds(
            hits.mean(), effective_sizes(Table({"value": hits}, codes, groups), hits, alpha), alpha
        )
        missed += (lower > theta, upper < theta)
    # About α: 0.05 and four standard errors of the simulation.
    assert missed.max() / runs <= alpha + 4 * math.sqrt(alpha * (1 - alpha) / runs)


def test_korn_graubard_as_published_is_there_and_never_wider_than_ours():
    """Closed form: n* = p(1−p)/v · (t_{n−1}/t_{G−1})², then Clopper–Pearson at n*."""
    from scipy.special import betainccinv, betaincinv
    from scipy.stats import t as student

    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(30), 10)
    value = (rng.random(300) < np.repeat(rng.beta(8, 2, 30), 10)).astype(int)
    columns = {"value": value.tolist(), "group": group.tolist()}
    published = proportion(columns, confidence=0.95, method="korn-graubard")
    p = value.mean()
    totals = np.array([(value[group == g] - p).sum() for g in range(30)])
    variance = 30 / 29 * (totals**2).sum() / 300**2
    size = min(300, p * (1 - p) / variance * (student.ppf(0.95, 299) / student.ppf(0.95, 29)) ** 2)
    k = p * size
    assert published.lower == pytest.approx(betaincinv(k, size - k + 1, 0.05), rel=1e-9)
    assert published.upper == pytest.approx(betainccinv(k + 1, size - k, 0.05), rel=1e-9)
    ours = proportion(columns, confidence=0.95)
    assert ours.method == "korn-graubard-adverse"
    assert ours.lower <= published.lower
    assert ours.upper >= published.upper


def test_groups_of_unequal_size_count_as_what_they_weigh():
    """Kish: one group with half of the rows and 60 singles weigh as fewer than 20 equal groups."""
    value = [1, 0] * 60
    few = proportion({"value": value, "group": ["big"] * 60 + list(range(60))}, confidence=0.95)
    assert "weigh as 3.9 equal ones" in few.problem
    many = proportion({"value": value, "group": [i // 2 for i in range(120)]}, confidence=0.95)
    assert not many.problem
