"""Pillar M, mixed models: laws, other fits as oracle, what degenerate data answers, error rates with few groups."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.regression.mixed_linear_model import MixedLM

from ophamin.measuring.pillars.mixed_effects import _library
from ophamin.measuring.pillars.mixed_effects.inference import icc_interval, likelihood_ratio, profile_interval
from ophamin.measuring.pillars.mixed_effects.linear import mixed_model
from ophamin.measuring.pillars.mixed_effects.plugins_lmm import LikelihoodRatioTest, LinearMixedModel
from ophamin.measuring.pillars.mixed_effects.repeated import repeated_measures
from ophamin.measuring.pillars.mixed_effects.terms import term_tests
from ophamin.proof.errors import UsageError


def _data(seed: int, groups: int = 8, each: int = 6, spread: float = 1.0) -> tuple[Any, list[int], Any]:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    time = np.tile(np.arange(each, dtype=float), groups)
    y = 2 + 0.5 * time + spread * rng.normal(size=groups)[group] + rng.normal(size=len(group))
    return y, group.tolist(), time


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), shift=st.floats(-1e4, 1e4), scale=st.floats(0.01, 100))
def test_units_do_not_matter(seed: int, shift: float, scale: float) -> None:
    y, group, time = _data(seed)
    one = mixed_model(y, group, numeric={"t": time}, structure="slope", slope="t")
    other = mixed_model(
        scale * y + shift, [f"g{g}" for g in group], numeric={"t": 1000 * time}, structure="slope", slope="t"
    )
    assert other.beta[0] == pytest.approx(scale * one.beta[0] + shift, rel=1e-4, abs=1e-4 * scale)
    assert other.beta[1] == pytest.approx(scale * one.beta[1] / 1000, rel=1e-4, abs=1e-7 * scale)
    assert other.residual_sd == pytest.approx(scale * one.residual_sd, rel=2e-3)
    # −2 log-likelihood moves by the Jacobian: n−p times log scale², and log|X'X| by the covariate's unit.
    moved = 2 * (one.n - 2) * math.log(scale) + 2 * math.log(1000)
    assert other.neg2loglik == pytest.approx(one.neg2loglik + moved, abs=1e-4)


@pytest.mark.parametrize("reml", [True, False])
def test_agrees_with_statsmodels_where_that_converges(reml: bool) -> None:
    y, group, time = _data(3, spread=2.0)
    ours = mixed_model(y, group, numeric={"t": time}, reml=reml, df="asymptotic")
    theirs = MixedLM(y, np.column_stack([np.ones(len(y)), time]), groups=np.array(group)).fit(reml=reml)
    assert ours.library == "statsmodels"
    assert ours.beta == pytest.approx(theirs.fe_params, rel=1e-5)
    assert ours.se == pytest.approx(theirs.bse_fe, rel=5e-3)
    assert ours.sd["group:intercept"] ** 2 == pytest.approx(float(theirs.cov_re[0, 0]), rel=1e-3)
    name, units, effects, _ = ours.blups()[0]
    assert (name, units[0]) == ("group:intercept", "0")
    assert effects == pytest.approx([float(theirs.random_effects[g].iloc[0]) for g in range(8)], rel=1e-3, abs=1e-4)


def test_a_balanced_one_way_layout_has_closed_forms() -> None:
    # REML of a balanced one-way layout is the analysis of variance: σ² = MSW, τ² = (MSB − MSW)/m; df of the mean: k−1.
    y, group, _ = _data(5, groups=6, each=5, spread=2.0)
    rows = y.reshape(6, 5)
    msw = float(rows.var(axis=1, ddof=1).mean())
    msb = 5 * float(rows.mean(axis=1).var(ddof=1))
    found = mixed_model(y, group)
    assert found.residual_sd**2 == pytest.approx(msw, rel=1e-5)
    assert found.sd["group:intercept"] ** 2 == pytest.approx((msb - msw) / 5, rel=1e-5)
    assert found.se[0] == pytest.approx(math.sqrt(msb / 30), rel=1e-5)
    assert found.df[0] == pytest.approx(5, rel=1e-3)
    low, high = icc_interval(found)
    assert 0 <= low < found.icc < high < 1


def test_satterthwaite_holds_its_level_with_few_groups_and_the_normal_does_not() -> None:
    # 400 sets of 5 groups, the mean tested at its true value.
    wrong = {"satterthwaite": 0, "asymptotic": 0}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        y = np.repeat(2 * rng.normal(size=5), 4) + rng.normal(size=20)
        for kind in wrong:
            found = mixed_model(y, np.repeat(np.arange(5), 4).tolist(), df=kind)
            wrong[kind] += not found.lower[0] <= 0 <= found.upper[0]
    assert wrong["satterthwaite"] <= binom.ppf(1 - 1e-5, 400, 0.05)
    assert wrong["asymptotic"] > binom.ppf(1 - 1e-3, 400, 0.05)


def test_profile_intervals_cover() -> None:
    missed = 0
    for seed in range(120):
        y, group, _ = _data(1000 + seed, groups=12, each=4, spread=1.5)
        time = np.tile(np.arange(4.0), 12)
        low, high = profile_interval(mixed_model(y, group, numeric={"t": time}), "group:intercept", 0.9)
        missed += not low <= 1.5 <= high
    assert missed <= binom.ppf(1 - 1e-4, 120, 0.13)


def test_a_variance_of_zero_is_singular_and_has_an_interval_from_zero() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=24)
    y = (y.reshape(6, 4) - y.reshape(6, 4).mean(axis=1, keepdims=True)).ravel()
    found = mixed_model(y, np.repeat(np.arange(6), 4).tolist())
    assert found.singular
    assert found.sd["group:intercept"] == 0
    assert found.library == "ophamin-measuring"
    low, high = profile_interval(found, "group:intercept")
    assert low == 0
    assert 0 < high < 1
    result = LinearMixedModel().compute({"value": y.tolist(), "group": [i // 4 for i in range(24)]}, seed=0)
    assert any("singular" in w for w in result.warnings)


def test_a_correlation_of_one_is_singular() -> None:
    group, time = np.repeat(np.arange(8), 5), np.tile(np.arange(5.0), 8)
    rng = np.random.default_rng(2)
    level = rng.normal(size=8)[group]
    y = level * (1 + time) + 0.3 * rng.normal(size=40)
    found = mixed_model(y, group.tolist(), numeric={"t": time}, structure="slope", slope="t")
    low, high = profile_interval(found, "correlation")
    assert found.correlation > 0.95
    assert low < found.correlation
    assert math.isnan(high) or high >= found.correlation


def test_likelihood_ratio_keeps_its_level_at_the_boundary() -> None:
    # No slope varies: the mixture rejects at its level, and the naive p less often.
    rejected, naive = 0, 0
    for seed in range(150):
        y, group, time = _data(seed + 50, groups=10, each=5)
        time = np.tile(np.arange(5.0), 10)
        fits = [
            mixed_model(y, group, numeric={"t": time}, structure=s, slope="t", reml=False, df="asymptotic")
            for s in ("slope", "intercept")
        ]
        test = likelihood_ratio(*fits)
        rejected, naive = rejected + (test.p_value <= 0.1), naive + (test.p_naive <= 0.1)
        assert test.p_value <= test.p_naive
    assert naive <= rejected <= binom.ppf(1 - 1e-4, 150, 0.1)
    with pytest.raises(UsageError, match="random term"):
        likelihood_ratio(fits[1], fits[0])


def test_when_statsmodels_does_not_confirm_ours_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    y, group, time = _data(3)
    before = mixed_model(y, group, numeric={"t": time})

    def fails(self: Any, **_: Any) -> Any:
        warnings.warn("Retrying MixedLM optimization with lbfgs", stacklevel=1)
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(_library.MixedLM, "fit", fails)
    after = mixed_model(y, group, numeric={"t": time})
    assert (before.library, after.library) == ("statsmodels", "ophamin-measuring")
    assert after.beta == pytest.approx(before.beta, rel=1e-5)
    table = {"value": y.tolist(), "group": group, "time": time.tolist()}
    assert any("did not confirm" in w for w in LinearMixedModel().compute(table, seed=0).warnings)


def test_raw_units_that_stop_statsmodels_early_do_not_stop_it_here() -> None:
    # Slopes on an unscaled, far-off covariate: MixedLM alone does not converge to the maximum.
    y, group, time = _data(8, groups=18, each=10, spread=3.0)
    time = np.tile(np.arange(10.0), 18)
    y = y + np.repeat(np.random.default_rng(1).normal(0, 0.5, 18), 10) * time
    far = 1e6 + 1e4 * time
    found = mixed_model(y, group, numeric={"t": far}, structure="slope", slope="t")
    near = mixed_model(y, group, numeric={"t": time}, structure="slope", slope="t")
    assert found.residual_sd == pytest.approx(near.residual_sd, rel=1e-4)
    assert found.sd["group:t"] * 1e4 == pytest.approx(near.sd["group:t"], rel=1e-3)
    assert found.p_values[1] == pytest.approx(near.p_values[1], rel=1e-2)


@pytest.mark.parametrize("structure", ["intercept", "slope", "slope-uncorrelated", "nested", "crossed"])
def test_kenward_and_roger_by_whole_matrices(structure: str) -> None:
    """Their formulas with n × n matrices, as the paper prints them, against ours from cross-products of a block."""
    y, group, time = _data(6, groups=6, each=7)
    keep = np.random.default_rng(1).random(42) < 0.85  # unbalanced
    y, time, g, h = y[keep], time[keep], np.array(group)[keep], (np.arange(42) % 4)[keep]
    y = y + np.random.default_rng(2).normal(size=4)[h]
    found = mixed_model(
        y, g.tolist(), numeric={"t": time}, structure=structure, slope="t" if "slope" in structure else None,
        second=h.tolist() if structure in ("nested", "crossed") else None, df="kenward-roger",
    )  # fmt: skip
    n, x = len(y), np.column_stack([np.ones(len(y)), time])
    same, inner = (g[:, None] == g) * 1.0, (h[:, None] == h) * 1.0
    by_name = {"group:intercept": same, "group:t": same * np.outer(time, time), "group_2:intercept": inner,
               "group:group_2:intercept": same * inner}  # fmt: skip
    parts = [(by_name[name], sd**2) for name, sd in found.sd.items()] + [(np.eye(n), found.residual_sd**2)]
    if structure == "slope":
        both = found.correlation * float(np.prod(list(found.sd.values())))
        parts.append((same * (time[:, None] + time), both))
    inverse = np.linalg.inv(sum(size * part for part, size in parts))
    phi = np.linalg.inv(x.T @ inverse @ x)
    first = [-x.T @ inverse @ part @ inverse @ x for part, _ in parts]
    information = np.empty((len(parts), len(parts)))
    second = np.empty((len(parts), len(parts), 2, 2))
    for r, (one, _) in enumerate(parts):
        for s, (other, _) in enumerate(parts):
            second[r, s] = x.T @ inverse @ one @ inverse @ other @ inverse @ x
            trace = np.trace(inverse @ one @ inverse @ other)
            products = phi @ first[r] @ phi @ first[s]
            information[r, s] = trace - 2 * np.trace(phi @ second[r, s]) + np.trace(products)
            second[r, s] -= first[r] @ phi @ first[s]
    weights = 2 * np.linalg.inv(information)
    adjusted = phi + 2 * phi @ np.einsum("rs,rsij->ij", weights, second) @ phi
    slopes = np.array([np.diag(phi @ part @ phi) for part in first])
    assert found.se == pytest.approx(np.sqrt(np.diag(adjusted)), rel=1e-5)
    assert found.df == pytest.approx(
        2 * np.diag(phi) ** 2 / np.einsum("rp,rs,sp->p", slopes, weights, slopes), rel=1e-4
    )
    assert (found.se >= np.sqrt(np.diag(phi)) * (1 - 1e-9)).all()


def test_a_fixed_column_is_tested_with_its_products() -> None:
    y, group, time = _data(9)
    kind = ["ab"[int(i)] for i in np.random.default_rng(3).random(48) < 0.5]
    table = {"value": y.tolist(), "group": group, "time": time.tolist(), "factor": kind, "group_2": kind}
    found = LikelihoodRatioTest().compute(table, seed=0, random="intercept", without="factor", interactions=True)
    full, reduced = (
        mixed_model(y, group, numeric={"t": time}, factors=f, interactions=True, reml=False) for f in ({"f": kind}, {})
    )
    item = found.evidence[0]
    assert item.statistic_value == pytest.approx(reduced.neg2loglik - full.neg2loglik, abs=1e-6)
    assert (item.detail["df"], item.detail["tested"], item.detail["boundary"]) == (2, "factor", False)
    assert any("8 groups" in w for w in found.warnings)
    crossed = LikelihoodRatioTest().compute(table, seed=0, random="crossed", without="time").evidence[0]
    assert crossed.detail["df"] == 1
    for options in (
        {"without": "time"}, {"random": "intercept"}, {"random": "intercept", "without": "covariate"},
        {"random": "intercept", "without": "value"}, {"random": "nonsense", "without": "time"},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            LikelihoodRatioTest().compute(table, seed=0, **options)


def test_kenward_and_roger_where_all_is_balanced_and_where_it_cannot_be() -> None:
    y, group, time = _data(7)
    one, other = (mixed_model(y, group, numeric={"t": time}, df=df) for df in ("kenward-roger", "satterthwaite"))
    assert (one.se, one.df) == (pytest.approx(other.se, rel=1e-5), pytest.approx(other.df, rel=1e-3))
    assert one.df[1] == pytest.approx(48 - 8 - 1)
    table = {"value": y.tolist(), "group": group, "time": time.tolist()}
    evidence = LinearMixedModel().compute(table, seed=0, df="kenward-roger").evidence[0]
    assert (evidence.detail["df_method"], evidence.detail["df"]) == ("kenward-roger", one.df[0])
    for call in (
        lambda: mixed_model(y, group, reml=False, df="kenward-roger"),
        lambda: LinearMixedModel().compute(table, seed=0, df="kenward-roger", reml=False),
    ):
        with pytest.raises(UsageError, match="restricted"):
            call()
    with pytest.raises(UsageError, match="kenward-roger"):
        mixed_model(y, group, df="between-within")


def test_factors_of_a_balanced_design_have_the_f_of_their_analysis_of_variance() -> None:
    rng = np.random.default_rng(12)
    subject, dose = np.repeat(np.arange(7), 4), np.tile(np.arange(4), 7)
    y = 2.0 * rng.normal(size=7)[subject] + 0.5 * dose + rng.normal(size=28)
    effect = repeated_measures(y, subject.tolist(), {"factor": dose.tolist()})[0]
    table = {"value": y.tolist(), "group": subject.tolist(), "factor": dose.tolist()}
    found = {e.statistic_name: e for e in LinearMixedModel().compute(table, seed=0, df="kenward-roger").evidence}
    item = found["F:factor"]
    assert (item.statistic_value, item.p_value) == pytest.approx((effect.f, effect.p_value), rel=1e-5)
    assert (item.detail["df"], item.detail["df2"]) == (3, pytest.approx(18))
    for df, rest in (("satterthwaite", 18), ("asymptotic", None)):
        plain = {e.statistic_name: e for e in LinearMixedModel().compute(table, seed=0, df=df).evidence}["F:factor"]
        assert plain.statistic_value == pytest.approx(item.statistic_value, rel=1e-5)
        assert (plain.detail["df2"], plain.detail["df_method"]) == (rest and pytest.approx(rest, rel=1e-3), df)
    names = [t.term for t in term_tests(mixed_model(y, subject.tolist(), numeric={"a:b": rng.normal(size=28), "c": y**2},
                                                    factors={"f[": (dose % 2).tolist()}, interactions=True))]  # fmt: skip
    assert names == ["a:b:c", "a:b:f[", "c:f["]  # each lower term is in a product
    with pytest.raises(UsageError, match="REML"):
        term_tests(mixed_model(y, subject.tolist(), reml=False), "kenward-roger")
    with pytest.raises(UsageError, match="satterthwaite"):
        term_tests(mixed_model(y, subject.tolist()), "residual")


def test_too_few_rows_for_an_f_are_said_to_be() -> None:
    rng = np.random.default_rng(13)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        group, kind = [0, 0, 1, 1, 2, 2], rng.permutation([0, 1, 2, 0, 1, 2]).tolist()
        table = {"value": rng.normal(size=6).tolist(), "group": group, "factor": kind}
        for df in ("kenward-roger", "satterthwaite", "asymptotic"):
            result = LinearMixedModel().compute(table, seed=0, df=df, profile=False)
            for item in result.evidence:
                if item.statistic_name.startswith("F:"):
                    assert item.p_value is None or 0 <= item.p_value <= 1
                    assert item.statistic_value is None or item.statistic_value >= 0


@pytest.mark.parametrize(
    ("value", "group", "says"),
    [
        ([], [], "0 observations"),
        ([1.0], ["a"], "1 observations"),
        ([1.0, 2.0, 3.0, 4.0], ["a"] * 4, "one unit"),
        ([1.0, 2.0, 3.0, 4.0], list("abcd"), "a unit per row"),
        ([5.0] * 6, list("aabbcc"), "all equal"),
        ([1.0, 1.0, 2.0, 2.0, 3.0, 3.0], list("aabbcc"), ""),
    ],
)
def test_degenerate_tables_are_answered_in_words(value: list[float], group: list[str], says: str) -> None:
    result = LinearMixedModel().compute({"value": value, "group": group}, seed=0)
    assert any(says in w for w in result.warnings)
    if says:
        assert result.evidence[0].statistic_value is None


def test_predictors_that_determine_one_another_are_named() -> None:
    y, group, time = _data(4)
    found = mixed_model(y, group, numeric={"t": time, "twice": 2 * time})
    assert found.fixed.aliased == ["twice"]
    with pytest.raises(UsageError, match="slope is constant"):
        mixed_model(y, group, numeric={"t": np.ones(len(y))}, structure="slope", slope="t")
    with pytest.raises(UsageError, match="finite"):
        mixed_model([*y[:-1], np.nan], group)
