"""Differences, equivalence, slopes, correlations, effect sizes: against other libraries, and each side by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from ophamin.measuring.decision import Member, correct_family, decide, hochberg
from ophamin.measuring.estimators._shares import FORMULAS, newcombe
from ophamin.measuring.estimators.correlation import correlation
from ophamin.measuring.estimators.difference import (
    difference_clopper_pearson,
    difference_newcombe,
    exact_difference,
)
from ophamin.measuring.estimators.difference_mean import difference_mean
from ophamin.measuring.estimators.effect_size import effect_size, hedges
from ophamin.measuring.estimators.equivalence import tost
from ophamin.measuring.estimators.false_nulls import false_nulls
from ophamin.measuring.estimators.slope import slope_hac
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Decision, Threshold
from ophamin.protocols import EstimatorCall

RUNS, ALPHA = 4000, 0.05
# A right one-sided 5 % method exceeds this once in 100,000 times.
MOST = int(stats.binom.isf(1e-5, RUNS, ALPHA))
RNG = np.random.default_rng(20)
X, Y = RNG.normal(5, 2, 30), RNG.normal(6, 3, 22)
ARM = ["base"] * 30 + ["head"] * 22
TABLE: dict[str, list[Any]] = {"value": [*X, *Y], "arm": ARM}


def shares(k1: int, n1: int, k2: int, n2: int) -> dict[str, list[Any]]:
    return {"value": [1] * k1 + [0] * (n1 - k1) + [1] * k2 + [0] * (n2 - k2), "arm": ["base"] * n1 + ["head"] * n2}


@pytest.mark.parametrize(("k1", "n1", "k2", "n2"), [(48, 80, 56, 70), (3, 10, 9, 10), (0, 20, 0, 10), (0, 10, 10, 10)])
def test_newcombe_is_that_of_statsmodels(k1: int, n1: int, k2: int, n2: int) -> None:
    found = difference_newcombe(shares(k1, n1, k2, n2), confidence=0.975)
    low, high = confint_proportions_2indep(k2, n2, k1, n1, method="newcomb", compare="diff", alpha=0.05)
    assert (found.lower, found.upper) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))


def test_welch_paired_and_equivalence_are_those_of_scipy_and_statsmodels() -> None:
    found = difference_mean(TABLE, confidence=0.975, threshold=0.3, comparator=">=")
    theirs = stats.ttest_ind(Y, X, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert (found.lower, found.upper) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p_validated == pytest.approx(
        stats.ttest_ind(Y - 0.3, X, equal_var=False, alternative="greater").pvalue
    )
    paired = {"value": [*X[:22], *Y], "arm": ["base"] * 22 + ["head"] * 22, "pair": [*range(22), *range(22)]}
    found = difference_mean(paired, confidence=0.975)
    interval = stats.ttest_rel(Y, X[:22]).confidence_interval(0.95)
    assert found.method == "paired-t"
    assert (found.lower, found.upper, found.n_groups) == (
        pytest.approx(interval.low), pytest.approx(interval.high), 22,
    )  # fmt: skip
    for table, theirs in (
        (TABLE, ttost_ind(Y, X, -2.5, 2.5, usevar="unequal")),
        (paired, ttost_paired(Y, X[:22], -2.5, 2.5)),
    ):
        found = tost(table, confidence=0.95, threshold=2.5, comparator="<=")
        assert found.p_validated == pytest.approx(theirs[0])
        assert (found.upper <= 2.5) is (found.p_validated <= 0.05)


def test_a_pair_is_a_group_with_a_row_in_each_arm() -> None:
    value, arm, pair = [*X[:22], *Y], ["base"] * 22 + ["head"] * 22, [*range(22), *range(22)]
    paired = difference_mean({"value": value, "arm": arm, "pair": pair}, confidence=0.9)
    grouped = difference_mean({"value": value, "arm": arm, "group": pair}, confidence=0.9)
    assert (grouped.lower, grouped.upper) == (pytest.approx(paired.lower), pytest.approx(paired.upper))


def test_incomplete_pairs_are_left_out_and_doubled_ones_refused() -> None:
    table = {"value": [1, 2, 3, 5, 9], "arm": ["base", "head"] * 2 + ["base"], "pair": [1, 1, 2, 2, 3]}
    assert difference_mean(table, confidence=0.9).n_groups == 2
    assert "more than one" in difference_mean({**table, "pair": [1, 1, 2, 2, 2]}, confidence=0.9).problem


def test_correlation_and_effect_size_are_those_of_scipy() -> None:
    x, y = X[:22], Y + X[:22]
    found = correlation({"value": x, "other": y}, confidence=0.975)
    interval = stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.lower, found.upper) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert correlation({"value": x, "other": y}, confidence=0.9, kind="spearman").value == pytest.approx(
        stats.spearmanr(x, y).statistic
    )
    found = effect_size(TABLE, confidence=0.95, threshold=0.0, comparator=">")
    theirs = stats.ttest_ind(Y, X, alternative="greater")
    assert found.p_validated == pytest.approx(theirs.pvalue)
    root = math.sqrt(30 * 22 / 52)
    assert stats.nct.sf(theirs.statistic, 50, found.lower * root) == pytest.approx(0.05, rel=1e-6)
    assert stats.nct.cdf(theirs.statistic, 50, found.upper * root) == pytest.approx(0.05, rel=1e-6)
    assert hedges(18) == pytest.approx(0.9576464, rel=1e-6)


@pytest.mark.parametrize("scale", [0.5, 3.0, 30.0, 1000.0])
def test_effects_of_any_size_have_bounds_or_say_why_not(scale: float) -> None:
    for alpha in (0.2, 0.05, 0.0039, 1e-4):
        for sign in (-1, 1):
            value = [*X[:8], *(Y[:9] / 3 + sign * scale)]
            found = effect_size({"value": value, "arm": ["base"] * 8 + ["head"] * 9}, confidence=1 - alpha)
            assert found.problem or found.lower < found.value < found.upper
            assert scale > 100 or not found.problem


@pytest.mark.parametrize("name", ["holm", "hochberg", "bonferroni"])
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12), alpha=st.floats(0.001, 0.4))
@settings(max_examples=12)  # statsmodels collects all garbage in each call
def test_adjusted_p_values_are_those_of_statsmodels(name: str, p: list[float], alpha: float) -> None:
    other = {"hochberg": "simes-hochberg"}.get(name, name)
    rejected, adjusted, _, _ = multipletests(p, alpha, method=other)
    found = false_nulls({"value": p}, confidence=1 - alpha, method=name)
    assert found.detail["adjusted"] == pytest.approx(list(adjusted))
    if min(abs(q - alpha) for q in adjusted) > 1e-9:
        assert found.lower == rejected.sum()


@given(k1=st.integers(0, 30), k2=st.integers(0, 40), theta=st.floats(-0.95, 0.95), alpha=st.floats(0.002, 0.2))
@settings(max_examples=60)
@pytest.mark.parametrize("fn", [difference_newcombe, difference_clopper_pearson])
def test_p_values_of_share_differences_are_dual(fn: Any, k1: int, k2: int, theta: float, alpha: float) -> None:
    found = fn(shares(k1, 30, k2, 40), confidence=1 - alpha, threshold=theta, comparator=">=")
    if abs(found.p_validated - alpha) > 1e-7:
        assert (found.lower >= theta) is (found.p_validated <= alpha)
    if abs(found.p_refuted - alpha) > 1e-7:
        assert (found.upper <= theta) is (found.p_refuted <= alpha)


@given(d=st.floats(-3, 3), theta=st.floats(0.05, 3), alpha=st.floats(0.002, 0.2), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_p_values_of_the_others_are_dual(d: float, theta: float, alpha: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = {"value": [*rng.normal(0, 1, 8), *rng.normal(d, 1, 9)], "arm": ["base"] * 8 + ["head"] * 9}
    for fn in (difference_mean, tost, effect_size):
        found = fn(table, confidence=1 - alpha, threshold=theta, comparator="<=")
        assert not found.problem
        if abs(found.p_validated - alpha) > 1e-6:
            assert (found.upper <= theta) is (found.p_validated <= alpha)
        if abs(found.p_refuted - alpha) > 1e-6:
            assert (found.lower > theta) is (found.p_refuted <= alpha)


@pytest.mark.parametrize(("n1", "n2"), [(5, 9), (12, 12), (25, 40)])
def test_the_exact_difference_holds_each_side_by_enumeration(n1: int, n2: int) -> None:
    k1, k2 = np.meshgrid(np.arange(n1 + 1), np.arange(n2 + 1), indexing="ij")
    low, high = exact_difference(k2, n2, k1, n1, ALPHA)
    approximate = newcombe(k2, n2, k1, n1, ALPHA)
    worst = worst_newcombe = 0.0
    for p1 in np.linspace(0.01, 0.99, 33):
        for p2 in np.linspace(0.01, 0.99, 33):
            mass = np.outer(stats.binom.pmf(np.arange(n1 + 1), n1, p1), stats.binom.pmf(np.arange(n2 + 1), n2, p2))
            d = p2 - p1
            worst = max(worst, mass[low > d + 1e-12].sum(), mass[high < d - 1e-12].sum())
            miss = mass[approximate[0] > d + 1e-12].sum(), mass[approximate[1] < d - 1e-12].sum()
            worst_newcombe = max(worst_newcombe, *miss)
    assert worst <= ALPHA
    # Why Newcombe is called approximate: its worst side, over all pairs of shares.
    assert ALPHA < worst_newcombe < 0.16


def _count(draw: Any, truth: float, fn: Any, **options: Any) -> tuple[int, int]:
    low = high = 0
    for _ in range(RUNS):
        found = fn(draw(), confidence=1 - ALPHA, **options)
        low += found.lower > truth
        high += found.upper < truth
    return low, high


@pytest.mark.slow
@pytest.mark.parametrize("name", ["welch", "paired", "correlation", "effect-size", "slope"])
def test_each_side_misses_no_more_than_alpha_in_simulation(name: str) -> None:
    rng = np.random.default_rng(4)
    arm, pair = ["base"] * 12 + ["head"] * 12, [*range(12), *range(12)]

    def two(sd: float) -> dict[str, Any]:
        return {"value": [*rng.normal(0, 1, 12), *rng.normal(1, sd, 12)], "arm": arm}

    def line() -> dict[str, Any]:
        return {"value": rng.normal(size=60) + 0.5 * np.arange(60), "time": range(60)}

    def both() -> dict[str, Any]:
        z = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 40)
        return {"value": z[:, 0], "other": z[:, 1]}

    draw, truth, fn = {
        "welch": (lambda: two(3.0), 1.0, difference_mean),
        "paired": (lambda: {**two(1.0), "pair": pair}, 1.0, difference_mean),
        "correlation": (both, 0.6, correlation),
        "effect-size": (lambda: two(1.0), 1.0, effect_size),
        "slope": (line, 0.5, slope_hac),
    }[name]
    low, high = _count(draw, truth, fn)
    assert max(low, high) <= MOST
    assert min(low, high) > 0.6 * ALPHA * RUNS  # and not by being useless


@pytest.mark.slow
@pytest.mark.parametrize(("n", "worst"), [(50, 0.08), (200, 0.065)])
def test_the_slope_of_an_autocorrelated_series(n: int, worst: float) -> None:
    rng = np.random.default_rng(9)

    def draw() -> dict[str, Any]:
        e = rng.normal(size=n + 50)
        y = np.zeros(n + 50)
        for t in range(1, n + 50):
            y[t] = 0.5 * y[t - 1] + e[t]
        return {"value": y[50:], "time": range(n)}

    assert max(_count(draw, 0.0, slope_hac)) <= stats.binom.isf(1e-5, RUNS, worst)


def test_equivalence_errs_by_at_most_alpha_at_the_margin() -> None:
    rng = np.random.default_rng(3)
    validated = refuted = 0
    for _ in range(RUNS):
        found = tost({"value": rng.normal(0.5, 1, 20)}, confidence=1 - ALPHA, threshold=0.5, comparator="<=")
        validated += found.upper <= 0.5
        refuted += found.lower > 0.5
    assert validated <= MOST
    assert refuted <= MOST
    assert validated > 0.02 * RUNS


@pytest.mark.parametrize(
    ("fn", "table", "said"),
    [
        (difference_newcombe, {"value": [1, 0], "arm": ["base", "base"]}, "'head' has no observations"),
        (difference_newcombe, {"value": [1, 0], "arm": ["base", "x"]}, "'x' is neither"),
        (difference_newcombe, {"value": [1, 2], "arm": ["base", "head"]}, "0 and 1"),
        (difference_newcombe, {"value": [1, 0] * 2, "arm": ["base", "head"] * 2, "group": [1, 1, 2, 2]}, "grouped"),
        (difference_clopper_pearson, {"value": [1, 0], "arm": ["base", "head"], "pair": [1, 1]}, "paired"),
        (difference_mean, {"value": [1, 1], "arm": ["base", "head"]}, "at least 2"),
        (difference_mean, {"value": [1, 1, 1, 1], "arm": ["base", "head"] * 2}, "equal"),
        (difference_mean, {"value": [1, 2, math.nan, 4], "arm": ["base", "head"] * 2}, "not finite"),
        (difference_mean, {"value": [1, 2, 3, 4], "arm": ["base", "head"] * 2, "pair": [1, 1, None, 2]}, "which pair"),
        (difference_mean, {"value": [1, 2], "arm": ["base", "head"], "pair": [1, 2]}, "no pair"),
        (tost, {"value": [1.0]}, "at least 2"),
        (tost, {"value": [1.0, 1.0]}, "equal"),
        (slope_hac, {"value": [1, 2, 3], "time": [1, 1, 1]}, "different times"),
        (slope_hac, {"value": list(range(9)), "time": list(range(9))}, "30 is the least"),
        (slope_hac, {"value": list(range(40)), "time": list(range(40))}, "on a line"),
        (correlation, {"value": [1, 2, 3], "other": [1, 5, 3]}, "at least 4"),
        (correlation, {"value": [1, 2, 3, 4], "other": [2, 2, 2, 2]}, "constant"),
        (correlation, {"value": [1, 2, 3, 4], "other": [2, 4, 6, 8]}, "on a line"),
        (effect_size, {"value": [1, 1, 2, 2], "arm": ["base", "base", "head", "head"]}, "no scale"),
        (false_nulls, {"value": [0.1, 1.2]}, "between 0 and 1"),
        (false_nulls, {"value": []}, "no hypotheses"),
    ],
)
def test_what_cannot_be_said_is_a_problem(fn: Any, table: dict[str, Any], said: str) -> None:
    found = fn(table, confidence=0.95)
    assert said in found.problem
    assert found.lower is None
    assert found.upper is None


def test_misuse_is_refused() -> None:
    for fn in (difference_newcombe, difference_mean, tost, effect_size):
        with pytest.raises(UsageError, match="method"):
            fn(TABLE, confidence=0.95, method="wald")
    with pytest.raises(UsageError, match="two arms"):
        difference_mean(TABLE, confidence=0.95, arms=["a"])
    with pytest.raises(UsageError, match="column 'arm'"):
        difference_mean({"value": [1]}, confidence=0.95)
    with pytest.raises(UsageError, match="equal lengths"):
        difference_mean({"value": [1], "arm": []}, confidence=0.95)


def test_missing_cycles_take_the_end_that_hurts_in_each_arm() -> None:
    table = shares(20, 100, 80, 100)
    call = EstimatorCall("d", "difference.newcombe", {**table, "status": ["ok"] * 200})
    full = decide(Threshold("d", ">=", 0.4), Decision(), call, alpha_validate=0.05, alpha_refute=0.05, seed=0)
    assert full.outcome == "VALIDATED"
    value: list[Any] = list(table["value"])
    value[:20] = [None] * 20  # the successes of base are unknown: 0 of 80 at best, 20 of 100 at worst
    status = ["error"] * 20 + ["ok"] * 180
    call = EstimatorCall("d", "difference.newcombe", {"value": value, "arm": table["arm"], "status": status})
    part = decide(Threshold("d", ">=", 0.4), Decision(), call, alpha_validate=0.05, alpha_refute=0.05, seed=0)
    assert part.interval.lower == pytest.approx(full.interval.lower)
    assert part.interval.upper == pytest.approx(float(newcombe(80, 100, 0, 100, 0.05)[1]))


def test_a_row_without_its_other_value_is_a_gap() -> None:
    table = {"value": [1.0, 2, 3, 4, 5], "other": [2.0, 1, None, 4, 3], "status": ["ok"] * 5}
    call = EstimatorCall("r", "correlation", table)
    part = decide(Threshold("r", ">=", 0.0), Decision(), call, alpha_validate=0.05, alpha_refute=0.05, seed=0)
    assert (part.outcome, part.n_errors) == ("INCONCLUSIVE", 1)


@pytest.mark.parametrize(
    ("estimator", "comparator", "value"),
    [("difference.newcombe", ">=", 1.0), ("correlation", "<=", -1.0), ("tost", "<=", 0.0)],
)
def test_claims_no_sample_can_validate_are_refused(estimator: str, comparator: str, value: float) -> None:
    call = EstimatorCall("m", estimator, {"value": [1]})
    with pytest.raises(UsageError, match="no sample can validate"):
        decide(Threshold("m", comparator, value), Decision(estimator=estimator), call, alpha_validate=0.05,
               alpha_refute=0.05, seed=0)  # fmt: skip


def test_a_family_is_corrected_both_ways_and_only_weakens() -> None:
    family = [
        Member("a", "VALIDATED", 0.01, 0.9),
        Member("b", "VALIDATED", 0.03, 0.9),
        Member("c", "REFUTED", 0.9, 0.012),
        Member("d", "INCONCLUSIVE"),
        Member("e", "VALIDATED", exact=True),
    ]
    holm = correct_family(family, alpha=0.05)
    assert [c.outcome for c in holm] == ["VALIDATED", "INCONCLUSIVE", "REFUTED", "INCONCLUSIVE", "VALIDATED"]
    assert [c.p_validated for c in holm[:2]] == pytest.approx([0.04, 0.09])
    assert "false-discovery" in correct_family(family, alpha=0.05, method="by")[0].bound
    assert hochberg([0.04, 0.045]) == pytest.approx([0.045, 0.045])
    with pytest.raises(UsageError, match="one name"):
        correct_family([family[0], family[0]], alpha=0.05)
    with pytest.raises(UsageError, match="sidak"):
        correct_family(family, alpha=0.05, method="sidak")


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_share_formulas_take_arrays(name: str) -> None:
    k, n = np.array([0, 3, 7, 20]), np.array([20, 7, 7, 20])
    low, high = FORMULAS[name](k, n, 0.025)
    for i in range(4):
        one = FORMULAS[name](int(k[i]), int(n[i]), 0.025)
        assert (low[i], high[i]) == (one[0], one[1])
        assert 0 <= low[i] <= k[i] / n[i] <= high[i] <= 1
