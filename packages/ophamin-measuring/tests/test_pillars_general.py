"""Pillar X: laws, another library as oracle, degenerate input, seeded coverage."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_ind

from ophamin import registry
from ophamin.measuring.pillars.general import means, power, proportions
from ophamin.measuring.pillars.general.adjust import METHODS, adjust
from ophamin.measuring.pillars.general.correlations import correlate, exact_spearman
from ophamin.measuring.pillars.general.effects import standardized_difference
from ophamin.measuring.pillars.general.paired_counts import mcnemar
from ophamin.measuring.pillars.general.permutation import permutation_test
from ophamin.measuring.pillars.general.plugins_families import Adjust, CorrelationTest, Power
from ophamin.measuring.pillars.general.plugins_samples import MannWhitneyTest, StudentTest
from ophamin.measuring.pillars.general.plugins_shares import Share, ShareDifference
from ophamin.measuring.pillars.general.ranks import mann_whitney
from ophamin.proof.errors import UsageError

RNG = np.random.default_rng(6)
X, Y = RNG.normal(0, 1, 14), RNG.normal(0.5, 2, 11)


@pytest.mark.parametrize(("method", "other"), [("wilson", "wilson"), ("clopper-pearson", "beta"),
                                               ("agresti-coull", "agresti_coull"), ("jeffreys", "jeffreys")])  # fmt: skip
def test_share_intervals_are_those_of_statsmodels(method: str, other: str) -> None:
    k, n = np.array([1, 5, 30, 99]), np.array([9, 10, 77, 100])
    low, high = proportion_confint(k, n, alpha=0.1, method=other)
    found = proportions.interval(k, n, method=method, level=0.9)
    assert found.lower == pytest.approx(np.maximum(low, 0))
    assert found.upper == pytest.approx(np.minimum(high, 1))


@given(n=st.integers(1, 300), data=st.data(), level=st.floats(0.5, 0.999))
@settings(max_examples=80)
def test_share_intervals_mirror_and_nest(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n))
    for method in proportions.METHODS:
        one, other = (proportions.interval(c, n, method=method, level=level) for c in (k, n - k))
        assert one.lower == pytest.approx(1 - other.upper, abs=1e-9)
        wide = proportions.interval(k, n, method=method, level=level + (1 - level) / 2)
        assert wide.lower <= one.lower + 1e-12
        assert wide.upper >= one.upper - 1e-12
    exact = proportions.interval(k, n, method="clopper-pearson", level=level)
    score = proportions.interval(k, n, level=level)
    assert exact.lower <= score.estimate <= exact.upper


def test_two_sided_coverage_by_enumeration() -> None:
    n = 40
    k = np.arange(n + 1)
    coverage = {}
    for method in proportions.METHODS:
        found = proportions.interval(k, n, method=method)
        coverage[method] = [
            stats.binom.pmf(k, n, p)[(found.lower <= p) & (p <= found.upper)].sum() for p in np.linspace(0.05, 0.95, 91)
        ]
    assert min(coverage["clopper-pearson"]) >= 0.95
    assert min(coverage["wilson-corrected"]) >= 0.945
    for method in ("wilson", "agresti-coull", "jeffreys"):
        assert 0.945 < np.mean(coverage[method]) < 0.97
        assert min(coverage[method]) > 0.88


def test_no_trials_know_nothing() -> None:
    found = proportions.interval([0, 1], [0, 2])
    assert math.isnan(found.estimate[0])
    assert (found.lower[0], found.upper[0]) == (0.0, 1.0)
    assert proportions.difference_interval(0, 0, 1, 2).lower == -1.0


@given(shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
@settings(max_examples=40)
def test_t_tests_are_those_of_scipy_and_move_with_the_data(shift: float, scale: float) -> None:
    x, y = X * scale + shift, Y * scale
    for equal in (True, False):
        found, theirs = means.t_test(x, y, equal_variance=equal), stats.ttest_ind(x, y, equal_var=equal)
        interval = theirs.confidence_interval(0.95)
        assert (found.statistic, found.p_value, found.df) == pytest.approx((theirs.statistic, theirs.pvalue, theirs.df))
        assert (found.lower, found.upper) == pytest.approx((interval.low, interval.high))
    found, theirs = means.paired(x[:11], y), stats.ttest_rel(x[:11], y)
    assert (found.statistic, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    ours = means.tost(means.t_test(x, y), -3 * scale, 3 * scale)
    assert ours.p_value == pytest.approx(ttost_ind(x, y, -3 * scale, 3 * scale, usevar="unequal")[0])
    assert ours.equivalent is (-3 * scale <= ours.lower and ours.upper <= 3 * scale)


def test_mann_whitney_is_scipys_and_exact_with_ties() -> None:
    found = mann_whitney(X, Y)
    for key, options in (
        ("p_exact", {"method": "exact"}), ("p_corrected", {"method": "asymptotic"}),
        ("p_asymptotic", {"method": "asymptotic", "use_continuity": False}),
    ):  # fmt: skip
        assert getattr(found, key) == pytest.approx(stats.mannwhitneyu(X, Y, **options).pvalue)
    x, y = np.array([1, 2, 2, 3, 3]), np.array([2, 3, 4, 4])
    found = mann_whitney(x, y)
    ranks = stats.rankdata(np.concatenate([x, y]))
    sums = np.array([sum(c) for c in combinations(ranks, 5)])
    seen = ranks[:5].sum()
    by_hand = min(1.0, 2 * min(np.mean(sums <= seen + 1e-9), np.mean(sums >= seen - 1e-9)))
    assert found.ties
    assert found.p_exact == pytest.approx(by_hand)
    theirs = stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=False).pvalue
    assert found.p_asymptotic == pytest.approx(theirs)
    assert mann_whitney(y, x).auc == pytest.approx(1 - found.auc)


@settings(max_examples=80)
@given(
    values=st.lists(st.integers(-40, 40), min_size=2, max_size=30, unique=True),
    first=st.integers(1, 29),
    tied=st.booleans(),
)
def test_placements_are_those_of_every_pair(values: list[int], first: int, tied: bool) -> None:
    x, y = (
        np.array(values[: min(first, len(values) - 1)], float),
        np.array(values[min(first, len(values) - 1) :], float),
    )
    if tied:
        x, y = np.floor(x / 4), np.floor(y / 4)
    pairs = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    found = mann_whitney(x, y)
    assert found.statistic == pairs.sum()
    assert found.auc == pytest.approx(pairs.mean(), abs=1e-15)
    assert found.ties == (len({*x.tolist(), *y.tolist()}) < len(values))
    if min(len(x), len(y)) > 1 and 0 < found.auc < 1 and not math.isnan(found.lower):
        error = math.sqrt(pairs.mean(axis=1).var(ddof=1) / len(x) + pairs.mean(axis=0).var(ddof=1) / len(y))
        half = stats.norm.ppf(0.975) * error / (found.auc * (1 - found.auc))
        assert found.lower == pytest.approx(1 / (1 + math.exp(-(math.log(found.auc / (1 - found.auc)) - half))))


@pytest.mark.slow
def test_the_interval_of_the_auc_covers() -> None:
    rng, runs, hit = np.random.default_rng(1), 3000, 0
    truth = stats.norm.cdf(1 / math.sqrt(2))
    for _ in range(runs):
        found = mann_whitney(rng.normal(1, 1, 25), rng.normal(0, 1, 30))
        hit += found.lower <= truth <= found.upper
    assert stats.binom.ppf(1e-5, runs, 0.94) <= hit <= stats.binom.ppf(1 - 1e-5, runs, 0.965)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pearson", "spearman", "kendall"])
def test_intervals_of_correlations_cover(kind: str) -> None:
    rng, runs, hit = np.random.default_rng(3), 3000, 0
    r = 0.5
    truth = {"pearson": r, "spearman": 6 / math.pi * math.asin(r / 2), "kendall": 2 / math.pi * math.asin(r)}[kind]
    for _ in range(runs):
        z = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], 60)
        found = correlate(z[:, 0], z[:, 1], kind=kind)
        hit += found.lower <= truth <= found.upper
    assert stats.binom.ppf(1e-5, runs, 0.94) <= hit <= stats.binom.ppf(1 - 1e-5, runs, 0.965)


def test_correlations_are_scipys() -> None:
    x, y = X[:11], Y + X[:11]
    for kind, fn in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
        found, theirs = correlate(x, y, kind=kind), fn(x, y)
        assert (found.estimate, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    exact = stats.permutation_test(
        (x[:6],), lambda a: stats.spearmanr(a, y[:6]).statistic, permutation_type="pairings", n_resamples=1000
    )
    assert exact_spearman(x[:6], y[:6]) == pytest.approx(exact.pvalue)


def test_mcnemar_against_scipy() -> None:
    found = mcnemar(10, 3, 60)
    assert found.p_exact == pytest.approx(stats.binomtest(10, 13).pvalue)
    assert found.p_asymptotic == pytest.approx(stats.chi2.sf((7 - 1) ** 2 / 13, 1))
    assert found.p_mid == pytest.approx(found.p_exact - stats.binom.pmf(3, 13, 0.5))
    low, high = stats.binomtest(10, 13).proportion_ci()
    assert (found.lower, found.upper) == pytest.approx((low / (1 - low), high / (1 - high)))
    assert mcnemar(4, 4, 20).p_mid == pytest.approx(1 - stats.binom.pmf(4, 8, 0.5) / 2)
    assert "no pair" in mcnemar(0, 0, 9).problem
    assert math.isnan(mcnemar(4, 0, 9).odds_ratio)


def test_a_permutation_test_is_exact_or_counts_itself() -> None:
    assert permutation_test(X, Y, seed=1).p_value == permutation_test(X, Y, seed=1).p_value
    small = permutation_test([3.0, 4, 5, 6], [1.0, 2, 3.5])
    assert small.exact
    assert small.resamples == 35
    far = permutation_test(np.arange(30.0), np.arange(30.0) + 100, resamples=199, seed=0)
    assert far.p_value >= 1 / 200
    pairs = permutation_test([1.0, 2, 3, 4], [0.0, 0, 0, 0], paired=True)
    assert pairs.p_value == pytest.approx(2 / 16)


STATSMODELS = {"holm": "holm", "hochberg": "simes-hochberg", "bonferroni": "bonferroni", "bh": "fdr_bh", "by": "fdr_by"}


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=9))
@settings(max_examples=10)  # statsmodels collects all garbage in each call
def test_adjusted_p_values_keep_order_and_only_grow(p: list[float]) -> None:
    for method in METHODS:
        adjusted = adjust(p, method)
        assert (adjusted >= np.array(p) - 1e-15).all()
        order = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[order]) >= -1e-12).all()
        theirs = multipletests(p, method=STATSMODELS[method])[1]
        assert adjusted == pytest.approx(theirs, rel=1e-9, abs=1e-300)
    assert (adjust(p, "hochberg") <= adjust(p, "holm") + 1e-12).all()
    assert (adjust(p, "bh") <= adjust(p, "by") + 1e-12).all()


def test_power_of_the_exact_test_by_enumeration_and_n_is_stable() -> None:
    k = np.arange(101)
    reject = (stats.binom.sf(k - 1, 100, 0.5) <= 0.025) | (stats.binom.cdf(k, 100, 0.5) <= 0.025)
    assert power.power("proportion", 0.1, 100) == pytest.approx(stats.binom.pmf(k, 100, 0.6)[reject].sum())
    n = power.sample_size("proportion", 0.1)
    assert n is not None
    assert all(power.power("proportion", 0.1, m) >= 0.8 for m in range(n, n + 60))
    assert power.power("proportion", 0.1, n - 1) < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("test", ["mann-whitney", "correlation", "mcnemar"])
def test_approximate_power_is_near_the_simulated(test: str) -> None:
    rng, runs = np.random.default_rng(8), 1500
    effect = {"mann-whitney": stats.norm.cdf(0.5 / math.sqrt(2)) - 0.5, "correlation": 0.3, "mcnemar": 0.1}[test]
    base = {"mcnemar": 0.3}.get(test, 0.0)
    n = power.sample_size(test, effect, base=base)
    assert n is not None
    hits = 0
    for _ in range(runs):
        if test == "mann-whitney":
            p = mann_whitney(rng.normal(0.5, 1, n), rng.normal(0, 1, n)).p_asymptotic
        elif test == "correlation":
            z = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], n)
            p = correlate(z[:, 0], z[:, 1]).p_value
        else:
            b, c, _ = rng.multinomial(n, [0.2, 0.1, 0.7])
            p = 2 * stats.norm.sf(abs(b - c) / math.sqrt(b + c))
        hits += p <= 0.05
    assert hits / runs == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lambda: means.t_test([1.0], [2.0, 3.0]), "at least 2"),
        (lambda: means.t_test([1.0, 1.0], [1.0, 1.0]), "equal"),
        (lambda: means.t_test([], []), "at least 2"),
        (lambda: mann_whitney([], [1.0]), "no values"),
        (lambda: mann_whitney([1.0, 1.0], [1.0]), "equal"),
        (lambda: correlate([1, 1, 1, 1], [1, 2, 3, 4]), "constant"),
        (lambda: correlate([1, 2, 3, 4], [1, 2, 3, 4]), "on a line"),
        (lambda: correlate([1, 2], [1, 2]), "at least 3"),
        (lambda: standardized_difference([1, 1], [1, 1]), "no spread"),
        (lambda: standardized_difference([1], [1, 2]), "at least 2"),
        (lambda: permutation_test([1], [1, 2]), "at least 2"),
    ],
)
def test_what_does_not_exist_says_so(found: Any, said: str) -> None:
    assert said in found().problem


@pytest.mark.parametrize(
    "call",
    [
        lambda: proportions.interval(3, 2),
        lambda: proportions.interval(1, 2, method="wald"),
        lambda: proportions.interval(1, 2, level=1.0),
        lambda: means.t_test([1.0, math.nan], [1.0, 2.0]),
        lambda: means.paired([1.0], [1.0, 2.0]),
        lambda: means.tost(means.t_test(X, Y), 1.0, -1.0),
        lambda: means.non_inferiority(means.t_test(X, Y), 0.0),
        lambda: mann_whitney([math.inf], [1.0]),
        lambda: correlate([1], [1, 2]),
        lambda: correlate([1], [1], kind="phi"),
        lambda: exact_spearman(range(10), range(10)),
        lambda: mcnemar(-1, 2, 3),
        lambda: permutation_test(X, Y, resamples=9),
        lambda: permutation_test(X, Y, statistic="mode"),
        lambda: adjust([1.5]),
        lambda: adjust([0.5], "sidak"),
        lambda: power.power("anova", 0.1, 10),
        lambda: power.power("mann-whitney", 0.7, 10),
        lambda: power.sample_size("proportion", 0.7),
        lambda: Share().compute({"value": [2]}, seed=0),
        lambda: StudentTest().compute({"value": [1, 2, 3], "arm": ["a", "b", "c"]}, seed=0),
        lambda: StudentTest().compute({"value": [1, 2], "arm": ["a", "b"]}, seed=0, first="z"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any) -> None:
    with pytest.raises(UsageError):
        call()


def test_plugins_say_who_computed_what() -> None:
    table = {"value": [1, 0, None, 1], "arm": ["a", "b", "a", "b"]}
    result = ShareDifference().compute(table, seed=0, first="b")
    assert result.evidence[0].detail["arms"] == ["b", "a"]
    assert any("left out" in w for w in result.warnings)
    item = MannWhitneyTest().compute({"value": X.tolist() + Y.tolist(), "arm": ["x"] * 14 + ["y"] * 11}, seed=0)
    assert (item.evidence[0].library, item.evidence[0].effect_size) == (
        "ophamin-measuring", pytest.approx(2 * item.evidence[0].statistic_value - 1),
    )  # fmt: skip
    grouped = Share().compute({"value": [1, 0, 1] * 20, "group": [i // 3 for i in range(60)]}, seed=0)
    assert grouped.evidence[0].interval_method == "korn-graubard"
    few = CorrelationTest().compute({"value": [1, 2, 3, 5, 4], "other": [2, 1, 3, 4, 5]}, seed=0, kind="spearman")
    assert few.evidence[0].p_value == exact_spearman([1, 2, 3, 5, 4], [2, 1, 3, 4, 5])
    missing = Adjust().compute({"p_value": [0.01, None]}, seed=0)
    assert missing.tables["adjusted"]["adjusted"] == [0.02, 1.0]
    assert Power().compute({"effect": [0.0]}, seed=0).evidence[0].statistic_value is None


def test_the_power_of_equivalence_is_what_tests_show() -> None:
    n = power.sample_size("tost", 0.8)
    assert n is not None
    assert power.power("tost", 0.8, n) >= 0.8 > power.power("tost", 0.8, n - 1)
    runs, rng = 2000, np.random.default_rng(8)
    for truth in (0.0, 0.4):
        pairs = rng.normal([[truth], [0.0]], 1, (runs, 2, n))
        tests = [means.t_test(x, y, equal_variance=True) for x, y in pairs]
        shown = np.mean([means.tost(test, -0.8, 0.8).equivalent for test in tests])
        # Four standard errors of a share of 2,000: a right power falls outside once in 15,000.
        assert abs(shown - power.power("tost", 0.8, n, base=truth)) < 4 * np.sqrt(0.25 / runs)


def test_the_power_of_non_inferiority_is_a_shifted_one_sided_t() -> None:
    assert power.power("non-inferiority", 0.5, 40, base=0.1) == power.power("t", 0.6, 40, sides=1)
    assert power.power("non-inferiority", 0.3, 40, base=-0.4) == 0.0
    assert power.sample_size("non-inferiority", 0.5) == power.sample_size("t", 0.5, sides=1)


def test_what_is_compared_with_unless_told() -> None:
    assert power.power("correlation", 0.3, 80) == power.power("correlation", 0.3, 80, base=0.0) > 0.7
    assert power.power("proportion", 0.1, 200) == power.power("proportion", 0.1, 200, base=0.5)
    for test in ("tost", "non-inferiority"):
        with pytest.raises(UsageError, match="margin"):
            power.power(test, -0.5, 20)
    found = Power().compute({"effect": [0.3]}, seed=0, test="correlation", base="0.1")
    assert found.tables["power"]["n"] == [power.sample_size("correlation", 0.3, base=0.1)]
    with pytest.raises(UsageError, match="is a number"):
        Power().compute({"effect": [0.3]}, seed=0, base="x")


@pytest.mark.parametrize("name", ["X.t_test", "X.tost", "X.non_inferiority", "X.smd", "X.permutation"])
def test_n_counts_pairs_where_rows_are_paired(name: str) -> None:
    first, second = [4.9, 5.2, 5.0, 5.3, 4.8], [4.1, 3.9, 4.4, 4.0, 4.2]
    (paired,) = registry.get_pillar(name)().compute({"value": first, "other": second}, seed=0).evidence
    table = {"value": first + second, "arm": ["a"] * 5 + ["b"] * 5}
    (apart,) = registry.get_pillar(name)().compute(table, seed=0).evidence
    assert (paired.n, apart.n) == (5, 10)
