"""Conventions of R's beside our own, what they refuse, and laws they keep; R's numbers are in ``oracle/``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ophamin.measuring.pillars.general.correlations import correlate, edgeworth_spearman
from ophamin.measuring.pillars.general.paired_counts import mcnemar, paired_difference
from ophamin.measuring.pillars.general.plugins_shares import McNemarTest
from ophamin.measuring.pillars.general.power import power
from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
from ophamin.measuring.pillars.mixed_effects.oneway import one_way
from ophamin.measuring.pillars.robustness.bootstrap import _ends
from ophamin.measuring.pillars.synthesis import bias, effects, tables
from ophamin.measuring.pillars.synthesis.plugins_bias import SmallStudy
from ophamin.measuring.pillars.synthesis.plugins_effects import EffectSizes, MantelHaenszel
from ophamin.measuring.pillars.synthesis.plugins_pooling import Meta, MetaRegression
from ophamin.measuring.pillars.synthesis.pooling import PREDICTIONS, meta_regression, pool
from ophamin.proof.errors import UsageError

STUDIES = {"effect": [0.1, 0.3, 0.35, 0.9, -0.2], "variance": [0.01, 0.03, 0.05, 0.2, 0.08]}
Y, V = STUDIES["effect"], STUDIES["variance"]
NO_EVENT: Any = ([0, 4], [20, 30], [0, 9], [25, 28])


# --- paired shares


def test_the_paired_difference_is_as_published() -> None:
    # Newcombe (1998), Statist. Med. 17:2635, method 10.
    assert paired_difference(36, 12, 2, 50) == pytest.approx((0.0569, 0.3404), abs=5e-5)


@settings(max_examples=100, deadline=None)
@given(counts=st.tuples(*[st.integers(0, 30)] * 4))
def test_the_paired_difference_mirrors_and_holds_its_estimate(counts: tuple[int, int, int, int]) -> None:
    a, b, c, d = counts
    n = a + b + c + d
    low, high = paired_difference(a, b, c, n)
    assert (-high, -low) == pytest.approx(paired_difference(a, c, b, n))
    assert -1 <= low <= high <= 1
    if n:
        assert low - 1e-9 <= (b - c) / n <= high + 1e-9


def test_pairs_split_evenly_show_no_difference() -> None:
    found = mcnemar(6, 6, 20)
    assert (found.statistic, found.p_asymptotic, found.statistic_uncorrected) == (0.0, 1.0, 0.0)
    assert mcnemar(6, 5, 20).statistic == 0.0
    assert mcnemar(9, 5, 20).statistic == pytest.approx(9 / 14)


def test_the_plugin_shows_both_chi_squares_and_the_interval() -> None:
    item = McNemarTest().compute({"value": [1] * 12 + [0] * 4, "other": [0] * 12 + [1] * 4}, seed=0).evidence[0]
    assert item.detail["chi2"] == pytest.approx(49 / 16)
    assert item.detail["chi2_uncorrected"] == pytest.approx(4.0)
    assert (item.ci_low, item.ci_high) == pytest.approx(paired_difference(0, 12, 4, 16))
    assert McNemarTest().compute({"value": [], "other": []}, seed=0).evidence[0].ci_low is None


# --- ranks


def test_the_edgeworth_series_is_nearer_to_permutations_than_t() -> None:
    x, y = np.arange(11.0), np.array([3.0, 0, 5, 1, 7, 2, 9, 10, 4, 8, 6])
    rho = correlate(x, y, kind="spearman")
    rng = np.random.default_rng(5)
    orders = rng.permuted(np.tile(x, (100_000, 1)), axis=1)
    drawn = (orders - 5) @ (x - 5) / float((x - 5) @ (x - 5))
    wanted = float((np.abs(drawn) >= abs(rho.estimate) - 1e-9).mean())
    assert abs(edgeworth_spearman(x, y) - wanted) < abs(rho.p_value - wanted)
    assert edgeworth_spearman(x, -y) == pytest.approx(edgeworth_spearman(x, y))


@pytest.mark.parametrize(("x", "y"), [(range(9), range(9)), ([1, *range(10)], range(11))])
def test_the_edgeworth_series_needs_ten_rows_without_ties(x: Any, y: Any) -> None:
    with pytest.raises(UsageError, match="10 rows or more without ties"):
        edgeworth_spearman(list(x), list(y))


def test_kendall_and_begg_are_exact_below_fifty() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 45))
    assert correlate(x, y, kind="kendall").p_value == stats.kendalltau(x, y, method="exact").pvalue
    more = rng.normal(size=(2, 50))
    assert correlate(*more, kind="kendall").p_value == stats.kendalltau(*more, method="asymptotic").pvalue


# --- tables


def test_a_table_that_is_left_out_asks_for_no_correction() -> None:
    kept, dropped = (effects.counts("OR", *NO_EVENT, to="if0all", drop00=d) for d in ("never", "always"))
    plain = effects.counts("OR", *NO_EVENT, to="none")
    assert math.isnan(dropped.effect[0])
    assert dropped.effect[1] == plain.effect[1] != kept.effect[1]
    assert np.isfinite(kept.effect).all()


def test_a_risk_difference_is_dropped_only_when_asked() -> None:
    assert np.isfinite(effects.counts("RD", *NO_EVENT).effect).all()
    assert math.isnan(effects.counts("RD", *NO_EVENT, drop00="always").effect[0])


def test_without_information_no_test_of_tables_exists() -> None:
    nothing: Any = ([0, 5], [5, 5], [0, 4], [5, 4])
    assert math.isnan(tables.cochran_mantel_haenszel(*nothing).p_value)
    assert math.isnan(tables.tarone(*nothing).p_value)
    assert math.isnan(tables.tarone([3], [10], [5], [10]).statistic)  # one table cannot differ from itself
    assert math.isnan(tables.tarone([0, 0], [10, 10], [5, 4], [10, 10]).statistic)  # a pooled odds ratio of 0
    assert math.isnan(tables.mantel_haenszel("OR", [3], [10], [5], [10]).q_p_value)
    items = MantelHaenszel().compute(dict(zip(("events_1", "n_1", "events_2", "n_2"), nothing, strict=True)), seed=0)
    assert [e.p_value for e in items.evidence] == [None] * 4


def test_two_tables_of_one_odds_ratio_do_not_differ() -> None:
    found = tables.tarone([4, 8], [10, 20], [6, 12], [10, 20])
    assert (found.statistic, found.df) == (pytest.approx(0, abs=1e-9), 1)
    assert tables.mantel_haenszel("OR", [4, 8], [10, 20], [6, 12], [10, 20]).q == pytest.approx(0, abs=1e-9)


# --- studies


def test_prediction_intervals_widen_with_fewer_degrees_of_freedom() -> None:
    narrow, middle, wide = (pool(Y, V, prediction=p).prediction for p in ("z", "t-k-1", "t-k-2"))
    assert wide[0] < middle[0] < narrow[0] < narrow[1] < middle[1] < wide[1]
    two = [pool(Y[:2], V[:2], prediction=p).prediction[0] for p in PREDICTIONS]
    assert [math.isnan(low) for low in two] == [True, False, False]
    method = {e.statistic_name: e.interval_method for e in Meta().compute(STUDIES, seed=0, prediction="z").evidence}
    assert method["prediction_interval"] == "normal"


def test_both_kinds_of_i_squared_agree_for_dersimonian_and_laird() -> None:
    found = pool(Y, V, method="DL")
    assert found.i2_tau2 == pytest.approx(found.i2)
    assert found.h2_tau2 == pytest.approx(found.h2)
    assert pool(Y, V, method="REML").i2_tau2 != pytest.approx(found.i2, rel=1e-3)


def test_t_takes_the_normal_standard_error() -> None:
    z, t = pool(Y, V), pool(Y, V, test="t")
    assert (t.se, t.df) == (z.se, 4)
    assert t.upper - t.estimate == pytest.approx(float(stats.t.ppf(0.975, 4)) * z.se)


def test_the_joint_test_of_one_moderator_is_its_own() -> None:
    at = {"x": [1.0, 2.0, 3.0, 4.0, 5.5]}
    for test in ("z", "t", "knapp-hartung"):
        found = meta_regression(Y, V, at, test=test)
        assert found.q_moderators_p_value == pytest.approx(found.p_values[1])
    small = meta_regression(Y, V, {"x": [1e-9 * x for x in at["x"]]})
    assert small.q_moderators == pytest.approx(meta_regression(Y, V, at).q_moderators)
    names = [e.statistic_name for e in MetaRegression().compute({**STUDIES, "moderator": at["x"]}, seed=0).evidence]
    assert "Q_moderators" in names


def test_egger_by_the_size_of_studies() -> None:
    n = [100, 33, 20, 5, 12]
    found = bias.egger(Y, V, predictor="1/n", sizes=n)
    line = np.polyfit(1 / np.array(n), Y, 1, w=1 / np.sqrt(V))
    assert (found.intercept, found.slope) == pytest.approx(tuple(line))
    with pytest.raises(UsageError, match="needs the number of observations"):
        bias.egger(Y, V, predictor="n")
    item = SmallStudy().compute({**STUDIES, "n": n}, seed=0, model="mixed", predictor="1/sqrt-n").evidence[0]
    assert item.library == "ophamin-measuring"
    assert item.detail["df"] is None
    assert item.detail["z"] is not None


def test_every_estimator_of_missing_studies_finds_none_in_a_symmetric_funnel() -> None:
    y, v = [-0.4, -0.1, 0.0, 0.1, 0.4], [0.2, 0.05, 0.01, 0.05, 0.2]
    for estimator in bias.ESTIMATORS:
        assert bias.trim_and_fill(y, v, estimator=estimator).missing == 0


# --- what sums up resamples and variance


def test_ends_are_order_statistics() -> None:
    drawn = np.random.default_rng(1).permutation(np.arange(1.0, 1000.0))
    assert _ends(drawn, (0.025, 0.975)) == (25.0, 975.0)  # the 1000·p-th of 999
    assert _ends(drawn, (1e-9, 1 - 1e-9)) == (1.0, 999.0)
    low, high = _ends(drawn, (0.0255, 0.9745))
    assert 25 < low < 26
    assert 974 < high < 975
    assert low + high == pytest.approx(1000)


def test_the_interval_of_eta_squared_inverts_the_noncentral_f() -> None:
    rng = np.random.default_rng(3)
    y, group = np.concatenate([rng.normal(size=8), rng.normal(size=7) + 2, rng.normal(size=9) + 1]), [0] * 8 + [1] * 7
    found = one_way(y, [*group, *[2] * 9])
    for end, left in zip(found.eta2_interval, (0.975, 0.025), strict=True):
        noncentrality = 24 * end / (1 - end)
        assert float(stats.ncf.cdf(found.classic.statistic, 2, 21, noncentrality)) == pytest.approx(left, abs=1e-9)
    assert one_way([1.0, 2.0, 1.5, 1.4, 1.6, 1.5], [0, 0, 0, 1, 1, 1]).eta2_interval[0] == 0.0


def test_power_of_the_pooled_test_at_the_null_is_alpha() -> None:
    assert power("proportions-pooled", 0.0, 50, base=0.3) == pytest.approx(0.05)
    assert power("proportions-pooled", 0.0, 50, base=0.0) == 0.0
    assert power("proportions-pooled", -0.2, 50, base=0.5) == pytest.approx(
        power("proportions-pooled", 0.2, 50, base=0.5)
    )


# --- mixed models whose likelihood has several hills


@pytest.mark.parametrize("structure", ["slope", "slope-uncorrelated", "crossed", "nested"])
def test_no_variances_are_likelier_than_those_found(structure: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(5):
        group = np.repeat(np.arange(6), rng.integers(3, 7, 6))
        t = np.concatenate([np.arange(n) for n in np.bincount(group)]).astype(float)
        y = np.round(rng.normal(size=6)[group] * rng.choice([0, 0.5]) + rng.normal(size=len(group)), 2)
        second = rng.integers(0, 4, len(group)).tolist() if structure in ("crossed", "nested") else None
        slope = "t" if structure.startswith("slope") else None
        found = mixed_model(
            y, group.tolist(), numeric={"t": t}, structure=structure, slope=slope, second=second, df="asymptotic"
        )
        free = np.array(found.random.nonnegative)
        tried = np.where(free, rng.exponential(0.7, (400, len(free))), rng.normal(0, 0.7, (400, len(free))))
        tried[::4, 0] = 0.0
        assert found.criterion.profiled(found.theta) <= min(map(found.criterion.profiled, tried)) + 1e-6


def test_units_that_reproduce_the_outcomes_have_no_likeliest_variance() -> None:
    y, group, inner = [1.0, 1.0, 4.0, 4.0, 2.5, 2.5, 7.0, 7.0], list("aaaabbbb"), [0, 0, 1, 1, 0, 0, 1, 1]
    with pytest.raises(UsageError, match="no likelihood has a maximum"):
        mixed_model(y, group, structure="nested", second=inner)


# --- what makes no sense


@pytest.mark.parametrize(
    "call",
    [
        lambda: effects.counts("OR", [1], [5], [2], [5], to="some"),
        lambda: effects.counts("OR", [1], [5], [2], [5], drop00="maybe"),
        lambda: effects.counts("OR", [1], [5], [2], [5], correction=-1),
        lambda: EffectSizes().compute(
            {"events_1": [1], "n_1": [5], "events_2": [2], "n_2": [5]}, seed=0, to="somewhere"
        ),
        lambda: tables.mantel_haenszel("OR", [1], [5], [2], [5], correction=math.nan),
        lambda: pool(Y, V, prediction="t-k-3"),
        lambda: pool(Y, V, test="F"),
        lambda: bias.egger(Y, V, model="lm"),
        lambda: bias.egger(Y, V, predictor="n", sizes=[1, 2, 3, 4, 0]),
        lambda: bias.egger(Y, V, predictor="n", sizes=[7] * 5),
        lambda: bias.trim_and_fill(Y, V, estimator="Q1"),
        lambda: paired_difference(3, 2, 2, 6),
        lambda: paired_difference(-1, 2, 2, 6),
        lambda: paired_difference(1, 2, 2, 6, level=1.0),
        lambda: power("proportions-pooled", 0.6, 20, base=0.5),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any) -> None:
    with pytest.raises(UsageError):
        call()
