"""Pillar I: laws, another library, degenerate studies, and what correction does over many looks."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gamma
from statsmodels.stats.meta_analysis import combine_effects

from ophamin.measuring.pillars.synthesis import bias, effects, tables
from ophamin.measuring.pillars.synthesis.heterogeneity import METHODS
from ophamin.measuring.pillars.synthesis.plugins_pooling import CumulativeMeta, Meta, MetaRegression
from ophamin.measuring.pillars.synthesis.pooling import meta_regression, pool
from ophamin.measuring.pillars.synthesis.sequence import cumulative, leave_one_out
from ophamin.proof.errors import UsageError

STUDIES = st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 2)), min_size=3, max_size=12)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(studies=STUDIES, shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_units_and_order_do_not_matter(
    method: str, studies: list[tuple[float, float]], shift: float, scale: float
) -> None:
    y, v = np.array(studies).T
    one = pool(y, v, method=method)
    other = pool(scale * y[::-1] + shift, scale**2 * v[::-1], method=method)
    assert other.estimate == pytest.approx(scale * one.estimate + shift, abs=1e-5 * scale)
    assert other.tau2 == pytest.approx(scale**2 * one.tau2, rel=1e-4, abs=1e-6 * scale**2)
    assert other.lower <= other.estimate <= other.upper
    assert one.tau2 >= 0


@settings(max_examples=40)
@given(studies=STUDIES)
def test_agrees_with_statsmodels_where_it_converges(studies: list[tuple[float, float]]) -> None:
    y, v = np.array(studies).T
    fixed = pool(y, v, method="FE")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        other = combine_effects(y, v, method_re="chi2")
    assert fixed.estimate == pytest.approx(float(other.mean_effect_fe))
    assert fixed.se == pytest.approx(float(other.sd_eff_w_fe))
    assert fixed.q == pytest.approx(float(other.q), abs=1e-9)
    if other.tau2 > 0:
        random = pool(y, v, method="DL", test="knapp-hartung")
        assert random.estimate == pytest.approx(float(other.mean_effect_re))
        assert random.se == pytest.approx(float(other.sd_eff_w_re_hksj))


def test_likelihoods_are_at_their_highest_point() -> None:
    # Against a fine grid of the restricted likelihood, on studies whose likelihood has its top far from 0.
    y, v = np.array([-2.0, 1.5, 0.2, 3.1, -1.0]), np.array([0.1, 0.2, 0.05, 0.4, 0.1])

    def loglik(tau2: float) -> float:
        w = 1 / (v + tau2)
        mu = w @ y / w.sum()
        return float(0.5 * (np.log(w).sum() - w @ (y - mu) ** 2 - math.log(w.sum())))

    grid = np.linspace(0, 30, 300_001)
    best = grid[np.argmax([loglik(t) for t in grid[::100]]) * 100]
    assert pool(y, v, method="REML").tau2 == pytest.approx(best, abs=0.02)


def test_hedges_factor_is_exact() -> None:
    for df in (2, 10, 50):
        assert effects.hedges_factor(df) == pytest.approx(gamma(df / 2) / (math.sqrt(df / 2) * gamma((df - 1) / 2)))


def test_fixed_and_random_effects_of_one_study_are_that_study() -> None:
    for method in METHODS:
        found = pool([0.4], [0.09], method=method)
        assert (found.estimate, found.se, found.tau2) == pytest.approx((0.4, 0.3, 0.0))
        assert math.isnan(found.i2)
    assert any("one study" in w for w in Meta().compute({"effect": [0.4], "variance": [0.09]}, seed=0).warnings)


@pytest.mark.parametrize(
    ("effect", "variance"), [([0.1], [0.0]), ([math.inf], [1.0]), ([], []), ([1.0, 2.0], [1.0]), ([1.0], [-1.0])]
)
def test_malformed_studies_are_refused(effect: list[float], variance: list[float]) -> None:
    with pytest.raises(UsageError):
        pool(effect, variance)


def test_empty_cells() -> None:
    found = effects.counts("OR", [0, 0, 3], [10, 10, 10], [4, 0, 2], [10, 10, 10])
    assert math.isfinite(found.effect[0])
    assert math.isnan(found.effect[1])
    assert len(found.notes) == 2
    assert not np.isfinite(effects.counts("OR", [0], [10], [4], [10], correction=0).effect[0])
    nothing = tables.mantel_haenszel("OR", [0], [10], [0], [10])
    assert math.isnan(nothing.estimate)
    assert math.isnan(tables.peto([0], [10], [0], [10]).estimate)
    with pytest.raises(UsageError):
        effects.counts("OR", [11], [10], [1], [10])


@pytest.mark.parametrize("measure", ["OR", "RR", "RD"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_tables_worked_out_in_pieces_are_as_far_apart_as_all_at_once(measure: str, share: float) -> None:
    rng = np.random.default_rng(3)
    n = rng.integers(0, 60, (2, 2 * tables._AT_ONCE + 17))
    n[:, : tables._AT_ONCE // 2] += 1000  # some pieces without an empty cell or arm, and some with
    n[1, n.sum(axis=0) == 0] = 1
    a, c = rng.binomial(n, [[share], [0.9 * share]])
    found = tables.mantel_haenszel(measure, a, n[0], c, n[1])
    both = (n > 0).all(axis=0)
    own = effects.counts(measure, a[both], n[0][both], c[both], n[1][both], drop00="always")
    told = np.isfinite(own.effect) & (own.variance > 0)
    assert found.q_df == told.sum() - 1
    assert found.q == ((own.effect - found.estimate)[told] ** 2 / own.variance[told]).sum()


@settings(max_examples=60)
@given(
    cells=st.lists(st.tuples(*(st.integers(0, 12) for _ in range(4))), min_size=1, max_size=6),
    correction=st.sampled_from([0.0, 0.5, 1.0]),
    to=st.sampled_from(effects.CELLS),
)
def test_corrected_cells_are_those_that_ask(cells: list[tuple[int, int, int, int]], correction: float, to: str) -> None:
    table = np.array(cells, dtype=float).T
    found, touched = effects.corrected(tuple(table), correction, to)
    empty = (table == 0).any(axis=0)
    wanted = {"only0": empty, "all": empty | True, "if0all": empty | empty.any(), "none": empty & False}[to]
    assert (touched == (wanted & (correction > 0))).all()
    assert (np.array(found) == table + correction * wanted).all()


def test_a_table_without_observations_is_refused_whatever_the_others_hold() -> None:
    for arms in (([1, 0], [5, 0], [2, 0], [5, 0]), ([6], [5], [1], [5]), ([1], [5], [-1], [5]), ([], [], [], [])):
        with pytest.raises(UsageError, match="each table"):
            tables.mantel_haenszel("OR", *arms)


def test_peto_is_the_score_test_of_one_table() -> None:
    # (O − E)/V of the hypergeometric law, by hand: O = 4, E = 123·15/262, V = E·(139/262)·(247/261).
    expected = 123 * 15 / 262
    variance = expected * 139 / 262 * 247 / 261
    found = tables.peto([4], [123], [11], [139])
    assert found.estimate == pytest.approx((4 - expected) / variance)
    assert found.se == pytest.approx(variance**-0.5)


def test_meta_regression_of_exact_lines_and_bad_moderators() -> None:
    x = np.arange(8.0)
    found = meta_regression(0.5 + 0.25 * x, np.full(8, 0.1), {"x": x})
    assert found.coefficients == pytest.approx([0.5, 0.25])
    assert found.tau2 == 0
    with pytest.raises(UsageError, match="determine one another"):
        meta_regression(x, np.ones(8), {"x": x, "twice": 2 * x})
    with pytest.raises(UsageError, match="cannot tell"):
        meta_regression([1.0, 2.0], [1.0, 1.0], {"x": [1.0, 2.0]})
    small = {"effect": [1.0, 2.0], "variance": [1.0, 1.0], "moderator": [1, 2]}
    assert MetaRegression().compute(small, seed=0).evidence[0].statistic_value is None


def test_trim_and_fill_finds_the_studies_that_were_taken_away() -> None:
    half = np.linspace(0.05, 1.2, 12)
    y, v = np.concatenate([-half, half]), np.tile(np.linspace(0.01, 0.3, 12), 2)
    assert bias.trim_and_fill(y, v).missing == 0
    keep = np.argsort(y)[5:]
    found = bias.trim_and_fill(y[keep], v[keep])
    assert found.side == "left"
    assert 3 <= found.missing <= 5
    assert abs(found.pooled.estimate) < abs(pool(y[keep], v[keep], method="FE").estimate)
    mirrored = bias.trim_and_fill(-y[keep], v[keep])
    assert (mirrored.side, mirrored.missing) == ("right", found.missing)


def test_leaving_out_and_accumulating_meet() -> None:
    y, v = [0.1, 0.5, 0.3, 0.9], [0.1, 0.05, 0.2, 0.1]
    assert leave_one_out(y, v)[3].estimate == cumulative(y, v).pooled[2].estimate
    assert cumulative(y, v, order=[3, 2, 1, 0]).pooled[-1].estimate == pytest.approx(pool(y, v).estimate)
    with pytest.raises(UsageError):
        cumulative(y, v, order=[0, 0, 1, 2])
    with pytest.raises(UsageError):
        leave_one_out([1.0], [1.0])


def test_uncorrected_looks_are_warned_of() -> None:
    table = {"effect": [0.1, 0.5], "variance": [0.1, 0.1]}
    assert any("register max_information" in w for w in CumulativeMeta().compute(table, seed=0).warnings)


def test_spending_holds_the_error_over_many_looks() -> None:
    # 20,000 series of 20 looks without any effect; with equal variances the boundaries are the same for each.
    rng, k = np.random.default_rng(11), np.arange(1, 21)
    one = cumulative(rng.normal(0, 1, 20), np.ones(20), method="FE", max_information=20.0)
    critical = np.array([(u - p.estimate) / p.se for u, p in zip(one.upper, one.pooled, strict=True)])
    z = np.abs(rng.normal(0, 1, (20_000, 20)).cumsum(axis=1) / np.sqrt(k))
    assert 0.0435 <= (z > critical).any(axis=1).mean() <= 0.0565  # binomial limits at 1 in 100,000
    assert (z > 1.959964).any(axis=1).mean() == pytest.approx(0.248, abs=0.014)  # Armitage, McPherson & Rowe (1969)
