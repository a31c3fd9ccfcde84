"""Traps of the list that came with the reference cases (``reference/TRAPS.md``) under pillars M, I and X."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from ophamin.measuring.pillars.general.proportions import difference_interval, interval
from ophamin.measuring.pillars.general.ranks import mann_whitney
from ophamin.measuring.pillars.mixed_effects.factorial import factorial
from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
from ophamin.measuring.pillars.mixed_effects.oneway import one_way
from ophamin.measuring.pillars.synthesis.effects import standardized_mean_difference
from ophamin.measuring.pillars.synthesis.pooling import pool


@pytest.fixture(autouse=True)
def _no_warning_gets_through() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _slopes(unit: float = 1.0, spread: float = 1.0) -> tuple[Any, list[int], Any]:
    rng = np.random.default_rng(12)
    group, time = np.repeat(np.arange(18), 10), np.tile(np.arange(10.0), 18)
    own = rng.normal(size=(2, 18)) * spread
    y = 250 + 10 * time + 25 * own[0][group] + 6 * own[1][group] * time + 25 * rng.normal(size=180)
    return y, group.tolist(), unit * time


@pytest.mark.parametrize("unit", [1.0, 1e4, 1e-4])
def test_traps_15_and_16_random_slopes_converge_whatever_the_unit_of_the_covariate(unit: float) -> None:
    here, there = (
        mixed_model(y, group, numeric={"t": t}, structure="slope", slope="t")
        for y, group, t in (_slopes(), _slopes(unit))
    )
    assert there.beta[1] * unit == pytest.approx(here.beta[1], rel=1e-5)
    assert there.residual_sd == pytest.approx(here.residual_sd, rel=1e-4)
    assert there.sd["group:t"] * unit == pytest.approx(here.sd["group:t"], rel=1e-3)
    # A top of the likelihood, not a place where an optimiser stopped: the gradient over the fixed part is 0.
    assert here.neg2loglik + 2 * math.log(unit) == pytest.approx(there.neg2loglik, abs=1e-3)


def test_trap_17_a_variance_of_zero_is_said() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=60)
    y -= np.repeat(y.reshape(6, 10).mean(axis=1), 10)  # the groups do not differ at all
    found = mixed_model(y, np.repeat(np.arange(6), 10).tolist())
    assert found.sd["group:intercept"] == pytest.approx(0.0, abs=1e-6)
    assert found.singular


def test_trap_18_few_groups_have_few_degrees_of_freedom() -> None:
    y, group, t = _slopes()
    found = mixed_model(y[:50], group[:50], numeric={"t": t[:50]}, structure="slope", slope="t")
    assert found.df[1] < 10
    p = 2 * stats.t.sf(abs(found.beta[1] / found.se[1]), found.df[1])
    assert found.p_values[1] == pytest.approx(p)
    assert p > 2 * stats.norm.sf(abs(found.beta[1] / found.se[1]))


def test_trap_21_type_three_takes_sum_contrasts_and_an_aliased_term_has_no_f() -> None:
    rng = np.random.default_rng(2)
    a, b = (
        np.repeat([0, 1], [20, 30]),
        np.concatenate([np.repeat([0, 1, 2], [12, 5, 3]), np.repeat([0, 1, 2], [3, 9, 18])]),
    )
    y = a + b * 0.5 + a * b + rng.normal(size=50)
    found = {term.name: term for term in factorial(y, {"a": a.tolist(), "b": b.tolist()}, type=3).terms}
    # By hand: the residual sum of squares without the column of A, all columns in sum contrasts.
    one, two = np.where(a == 0, 1.0, -1.0), np.column_stack([(b == j) * 1.0 - (b == 2) for j in (0, 1)])
    whole = np.column_stack([np.ones(50), one, two, two * one[:, None]])
    rest = [float(np.linalg.lstsq(x, y, rcond=None)[1][0]) for x in (whole, np.delete(whole, 1, axis=1))]
    assert found["a"].sum_of_squares == pytest.approx(rest[1] - rest[0], rel=1e-8)
    assert found["a"].f == pytest.approx((rest[1] - rest[0]) / (rest[0] / 44), rel=1e-8)
    block = [i // 4 for i in range(16)]
    n, p = [i % 2 for i in range(16)], [i // 2 % 2 for i in range(16)]
    copy = factorial(rng.normal(size=16), {"n": n, "p": p, "q": n}, type=2, order=1, block=block)
    aliased = {term.name: term for term in copy.terms}["q"]
    assert aliased.df == 0
    assert math.isnan(aliased.f)


def test_trap_22_thirteen_constant_digits_cost_nothing() -> None:
    y = np.tile([0.375, 0.25, 0.625, 0.5], 3) + np.repeat([0.0, 0.25, 0.5], 4)
    group = np.repeat([0, 1, 2], 4).tolist()
    near, far = (one_way(y + shift, group).classic.statistic for shift in (0.0, 1e12))
    assert far == pytest.approx(near, rel=1e-12)


def test_trap_23_tau2_is_never_below_zero_and_it_is_said() -> None:
    y, v = [0.10, 0.11, 0.09, 0.10], [0.04, 0.05, 0.03, 0.04]
    fixed = pool(y, v, method="FE")
    for method in ("DL", "PM", "REML", "ML"):
        found = pool(y, v, method=method)
        assert (found.tau2, found.i2) == (0.0, 0.0)
        assert (found.estimate, found.se) == pytest.approx((fixed.estimate, fixed.se))
    assert pool(y, v, method="DL").tau2_truncated


def test_traps_24_and_28_hedges_factor_is_exact() -> None:
    found = standardized_mean_difference([10.0], [2.0], [5], [8.0], [2.0], [6])
    j = math.exp(float(gammaln(9 / 2) - gammaln(8 / 2))) / math.sqrt(9 / 2)
    assert found.effect[0] == pytest.approx(j, rel=1e-12)
    assert found.effect[0] != pytest.approx(1 - 3 / (4 * 9 - 1), rel=1e-4)


def test_trap_25_newcombe_is_method_ten_and_clopper_pearson_the_beta_quantiles() -> None:
    exact = interval(56, 70, method="clopper-pearson")
    ends = stats.beta.ppf(0.025, 56, 15), stats.beta.ppf(0.975, 57, 14)
    assert (float(exact.lower), float(exact.upper)) == pytest.approx(ends, rel=1e-10)
    one, two = interval(56, 70, method="wilson"), interval(48, 80, method="wilson")
    found, gap = difference_interval(56, 70, 48, 80), 56 / 70 - 48 / 80
    below = math.hypot(56 / 70 - float(one.lower), float(two.upper) - 48 / 80)
    above = math.hypot(float(one.upper) - 56 / 70, 48 / 80 - float(two.lower))
    # Newcombe (1998), Stat Med 17:873, table II, (a), method 10: 0.0524 to 0.3339.
    assert (float(found.lower), float(found.upper)) == pytest.approx((gap - below, gap + above), rel=1e-10)
    assert (float(found.lower), float(found.upper)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_trap_27_an_exact_rank_test_counts_ties() -> None:
    x, y = [1.0, 2.0, 2.0, 3.0], [2.0, 3.0, 3.0, 4.0, 4.0]
    ranks = stats.rankdata(x + y)
    sums = np.array([ranks[list(c)].sum() for c in itertools.combinations(range(9), 4)])
    above, below = ((sums >= ranks[:4].sum()).mean(), (sums <= ranks[:4].sum()).mean())
    found = mann_whitney(x, y)
    assert found.p_exact == pytest.approx(2 * min(above, below))  # twice the smaller tail
    assert found.p_greater == pytest.approx(above)
    assert found.ties


def test_traps_29_and_40_knapp_hartung_and_the_prediction_interval_are_asked_for_by_name() -> None:
    y, v = [0.1, 0.9, -0.3, 0.7, 0.4], [0.02, 0.05, 0.03, 0.04, 0.06]
    plain, adjusted = pool(y, v, method="DL"), pool(y, v, method="DL", test="knapp-hartung")
    assert plain.df is None
    assert adjusted.df == 4
    assert plain.se != adjusted.se
    ends = {how: pool(y, v, prediction=how).prediction for how in ("t-k-2", "t-k-1", "z")}
    widths = [high - low for low, high in ends.values()]
    assert widths[0] > widths[1] > widths[2]
    spread = math.hypot(math.sqrt(pool(y, v).tau2), pool(y, v).se)
    assert widths[0] / 2 == pytest.approx(float(stats.t.ppf(0.975, 3)) * spread)
    assert widths[2] / 2 == pytest.approx(float(stats.norm.ppf(0.975)) * spread)
