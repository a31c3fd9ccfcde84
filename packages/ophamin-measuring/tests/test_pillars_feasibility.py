"""Pillar F: other libraries, brute force, laws, degenerate data, weak instruments, refuters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from statsmodels.api import OLS, Logit, add_constant
from statsmodels.treatment.treatment_effects import TreatmentEffect

from ophamin.measuring.pillars.feasibility import regression as least_squares
from ophamin.measuring.pillars.feasibility._effect import Effect, independent
from ophamin.measuring.pillars.feasibility.balance import balance, effective_size, standardised_differences
from ophamin.measuring.pillars.feasibility.doubly_robust import aipw, ipwra
from ophamin.measuring.pillars.feasibility.instrument import instrumented
from ophamin.measuring.pillars.feasibility.matching import matching
from ophamin.measuring.pillars.feasibility.propensity import fit_propensity
from ophamin.measuring.pillars.feasibility.sensitivity import e_value
from ophamin.measuring.pillars.feasibility.standardisation import effect_at, g_formula
from ophamin.measuring.pillars.feasibility.stratification import cells, score_strata, stratify
from ophamin.measuring.pillars.feasibility.weighting import inverse_weights, ipw
from ophamin.proof.errors import UsageError
from ophamin.registry import get_pillar, pillars

Study = tuple[Any, Any, Any]
ADJUSTED: dict[str, Callable[..., Effect]] = {
    "regression": least_squares.regression,
    "lin": least_squares.lin,
    "g-formula": g_formula,
    "ipw": ipw,
    "horvitz-thompson": lambda y, t, x: ipw(y, t, x, form="horvitz-thompson"),
    "ipwra": ipwra,
    "aipw": aipw,
    "matching": matching,
    "strata": lambda y, t, x: stratify(y, t, score_strata(t, x, strata=3)[0]).effect,
}
F_PLUGINS = [name for name in pillars.names() if name.startswith("F.")]


def study(seed: int, n: int = 200, *, p: int = 2, effect: float = 1.0, varies: float = 0.5) -> Study:
    """An observational study whose average effect is ``effect``."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    t = (rng.random(n) < expit(0.6 * x[:, 0] - 0.4 * x[:, -1])).astype(float)
    y = 2 + x.sum(axis=1) + t * (effect + varies * x[:, 0]) + rng.normal(size=n)
    return y, t, x


def columns(y: Any, t: Any, x: Any) -> dict[str, list[Any]]:
    """A study as a table."""
    names = ["confounder", *(f"confounder_{j}" for j in range(2, x.shape[1] + 1))]
    return {"outcome": y.tolist(), "treatment": t.tolist()} | {n: x[:, j].tolist() for j, n in enumerate(names)}


def test_is_found_by_name() -> None:
    assert get_pillar("F.aipw").library == "ophamin-measuring"
    assert len(F_PLUGINS) == 15


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("target", ["ate", "att", "atc"])
def test_agrees_with_statsmodels(seed: int, target: str) -> None:
    # Five confounders: statsmodels' IPWRA counts on six coefficients of the propensity score.
    y, t, x = study(seed, 300, p=5)
    score = Logit(t, add_constant(x)).fit(disp=0, tol=1e-12)
    other = TreatmentEffect(OLS(y, add_constant(x)), t.astype(int), results_select=score)
    group: Any = {"ate": "all", "att": 1, "atc": 0}[target]
    pairs = [
        (ipw(y, t, x, target=target), other.ipw(effect_group=group)),
        (g_formula(y, t, x, target=target), other.ra(effect_group=group)),
        (ipwra(y, t, x, target=target), other.ipw_ra(effect_group=group)),
    ]
    if target == "ate":
        pairs.append((aipw(y, t, x), other.aipw()))
    for ours, theirs in pairs:
        assert ours.estimate == pytest.approx(theirs.start_params[0], rel=1e-8)
        # statsmodels differentiates numerically where its simplex search stopped.
        assert ours.se == pytest.approx(float(theirs.results_gmm.bse[0]), rel=5e-3)


def test_standard_errors_are_those_of_the_bootstrap() -> None:
    y, t, x = study(5, 800)
    rng, draws = np.random.default_rng(1), []
    estimators = [ipw, ADJUSTED["horvitz-thompson"], g_formula, ipwra, aipw]
    for _ in range(300):
        rows = rng.integers(0, 800, 800)
        draws.append([f(y[rows], t[rows], x[rows]).estimate for f in estimators])
    for f, spread in zip(estimators, np.std(draws, axis=0, ddof=1), strict=True):
        # The standard deviation of 300 draws is itself within 15 % with probability 0.9998.
        assert f(y, t, x).se == pytest.approx(spread, rel=0.15)


def brute_force(y: Any, t: Any, x: Any, m: int, target: str) -> tuple[float, float]:
    """Matching and Abadie and Imbens' standard error, row by row."""
    z = np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), x.T).T
    distance = np.round(np.sqrt(((z[:, None] - z[None]) ** 2).sum(-1)), 9)
    n = len(y)
    uses, squares, other, spread = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    counted = {"ate": t >= 0, "att": t == 1, "atc": t == 0}[target]
    for i in range(n):
        across, beside = np.flatnonzero(t != t[i]), np.flatnonzero(t == t[i])
        near = across[distance[i, across] <= np.sort(distance[i, across])[m - 1]]
        other[i] = y[near].mean()
        if counted[i]:
            uses[near] += 1 / len(near)
            squares[near] += 1 / len(near) ** 2
        own = beside[distance[i, beside] <= np.sort(distance[i, beside])[2]]
        spread[i] = y[own].var(ddof=1)
    gain = (np.where(t == 1, 1, -1) * (y - other))[counted]
    factor = uses**2 + 2 * uses - squares if target == "ate" else np.where(counted, 0, uses**2 - squares)
    return gain.mean(), math.sqrt(((gain - gain.mean()) ** 2).sum() + (factor * spread).sum()) / counted.sum()


@pytest.mark.parametrize("target", ["ate", "att", "atc"])
@pytest.mark.parametrize(("m", "tied"), [(1, True), (3, True), (1, False), (4, False)])
def test_matching_agrees_with_brute_force(target: str, m: int, tied: bool) -> None:
    y, t, x = study(7, 90)
    x = np.round(x) if tied else x
    found = matching(y, t, x, target=target, neighbours=m)
    assert (found.estimate, found.se) == pytest.approx(brute_force(y, t, x, m, target), rel=1e-9)


def test_order_of_rows_does_not_matter() -> None:
    y, t, x = study(8, 150)
    x, order = np.round(x), np.random.default_rng(0).permutation(150)
    for name, f in ADJUSTED.items():
        assert f(y[order], t[order], x[order]).estimate == pytest.approx(f(y, t, x).estimate, rel=1e-9), name


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.floats(-1e3, 1e3), st.floats(0.01, 100))
def test_laws(seed: int, shift: float, scale: float) -> None:
    y, t, x = study(seed, 80)
    for name, f in ADJUSTED.items():
        plain = f(y, t, x)
        if name == "strata" and not math.isfinite(plain.se):  # a stratum with a single row in one arm: it says so
            assert plain.notes
            continue
        if name != "horvitz-thompson":  # its weights do not sum to 1
            assert f(y + shift, t, x).estimate == pytest.approx(plain.estimate, abs=1e-7), name
        assert f(scale * y, t, x).se == pytest.approx(scale * plain.se, rel=1e-6), name
        if name != "strata":  # quantiles of the score are not symmetric
            assert f(y, 1 - t, x).estimate == pytest.approx(-plain.estimate, abs=1e-7), name
        assert plain.mean_treated - plain.mean_control == pytest.approx(plain.estimate, abs=1e-9), name
        units = f(y, t, x * np.array([1e6, 1e-4]) + np.array([0.0, 3.0]))
        assert units.estimate == pytest.approx(plain.estimate, abs=1e-6), name


def test_saturated_models_are_stratification() -> None:
    y, t, x = study(9, 400, p=1)
    x = np.clip(np.round(x), -1, 1)
    dummies = np.column_stack([x[:, 0] == 0, x[:, 0] == 1]).astype(float)
    found = stratify(y, t, cells(x)).effect.estimate
    for f in (g_formula, ipw, ipwra, aipw, matching):
        assert f(y, t, dummies).estimate == pytest.approx(found, rel=1e-8)


def test_collinear_and_constant_confounders_change_nothing() -> None:
    y, t, x = study(10)
    more = np.column_stack([x, x @ [2.0, -1.0], np.full(len(y), 5.0), 1e9 + x[:, 0]])
    for name, f in ADJUSTED.items():
        if name == "strata":
            continue
        found = f(y, t, more)
        assert found.estimate == pytest.approx(f(y, t, x).estimate, rel=1e-7), name
        assert any("left out of the adjustment" in note for note in found.notes), name
    assert independent(more)[0].tolist() == [0, 1]


def test_separated_arms_do_not_overlap() -> None:
    y, _, x = study(11)
    for t in ((x[:, 0] > 0).astype(float), (x @ [1.0, 2.0] > 0.3).astype(float)):
        for f in (ipw, ipwra, aipw):
            found = f(y, t, x)
            assert math.isnan(found.estimate)
            assert "no overlap" in found.notes[0]
        assert balance(t, x).overlap == 0
        assert "no overlap" in (fit_propensity(t, x, link="probit").problem or "")
    # Quasi-separation: everybody of one category is treated.
    t = np.where(x[:, 1] > 1, 1.0, study(12)[1])
    found = ipw(y, t, (x[:, 1] > 1).astype(float))
    assert math.isnan(found.estimate)
    for name in ("F.regression", "F.g_formula", "F.lin", "F.matching"):
        result = get_pillar(name)().compute(columns(y, (x[:, 0] > 0).astype(float), x), seed=0)
        assert any("no overlap" in note for note in result.warnings), name
    for name in ("F.ipw", "F.aipw", "F.ipwra", "F.stratification", "F.linear_dml"):
        result = get_pillar(name)().compute(columns(y, (x[:, 0] > 0).astype(float), x), seed=0)
        assert result.evidence[0].statistic_value is None, name
        assert any("no overlap" in note for note in result.warnings), name


def test_extreme_scores_without_separation_are_answered() -> None:
    rng = np.random.default_rng(13)
    x = np.concatenate([rng.normal(size=300), [40.0, 45.0, -40.0]])
    t = np.concatenate([(rng.random(300) < expit(x[:300])).astype(float), [1, 1, 0]])
    assert fit_propensity(t, x).problem is None


@pytest.mark.parametrize("name", F_PLUGINS)
def test_what_cannot_be_told_is_said(name: str) -> None:
    y, t, x = study(14, 60)
    plugin, extra = get_pillar(name)(), {"instrument": t.tolist()} if name == "F.iv" else {}
    if name == "F.e_value":
        return
    spoilt = {
        "one arm": columns(y, np.ones(60), x),
        "constant outcome": columns(np.full(60, 3.0), t, x),
        "determined": columns(y, t, np.column_stack([t, x])),
        "two rows": columns(y[:2], np.array([0.0, 1.0]), x[:2]),
        "more confounders than rows": columns(y[:6], np.array([0, 1, 0, 1, 0, 1.0]), np.random.default_rng(0).normal(size=(6, 9))),
    }  # fmt: skip
    options = {"F.causal_forest": {"trees": 8, "nuisance": "linear"}, "F.refute": {"simulations": 5}}.get(name, {})
    sound = plugin.compute(columns(y, t, x) | extra, seed=0, **options)
    for what, table in spoilt.items():
        more = dict.fromkeys(extra, table["treatment"])
        result = plugin.compute({**table, **more}, seed=0, **options)
        first = result.evidence[0]
        blind = name == "F.iv" or (name in ("F.difference_in_means", "F.matching") and len(table) > 8)
        if blind or (name, what) in (("F.difference_in_means", "determined"), ("F.balance", "constant outcome")):
            continue  # it does not look at what is spoilt, matches on few, or its instrument is the treatment
        assert set(result.warnings) - set(sound.warnings), what
        if first.statistic_name == "treatment_effect":
            assert first.ci_low is None or what == "determined", (what, first)


def test_text_confounders_are_categories() -> None:
    y, t, x = study(15, 120)
    words = np.where(x[:, 0] > 0.5, "c", np.where(x[:, 0] < -0.5, "b", "a"))
    table = {"outcome": y.tolist(), "treatment": t.tolist(), "confounder": words.tolist()}
    found = get_pillar("F.regression")().compute(table, seed=0).evidence[0].statistic_value
    dummies = np.column_stack([words == "b", words == "c"]).astype(float)
    assert found == pytest.approx(least_squares.regression(y, t, dummies).estimate)


def test_malformed_input_is_refused() -> None:
    y, t, x = study(16, 30)
    with pytest.raises(UsageError, match="1 for the treated"):
        ipw(y, t + 1, x)
    with pytest.raises(UsageError, match="finite"):
        aipw(np.where(t, np.nan, y), t, x)
    with pytest.raises(UsageError, match="target"):
        ipw(y, t, x, target="late")
    with pytest.raises(UsageError, match="level"):
        matching(y, t, x, level=95)
    with pytest.raises(UsageError, match="form"):
        ipw(y, t, x, form="ratio")
    with pytest.raises(UsageError, match="errors"):
        least_squares.lin(y, t, x, errors="HC9")
    with pytest.raises(UsageError, match="trim"):
        ipw(y, t, x, trim=0.7)
    with pytest.raises(UsageError, match="interactions"):
        get_pillar("F.g_formula")().compute(columns(y, t, x), seed=0, interactions=["age"])


def test_trimming_says_whose_effect_is_left() -> None:
    y, t, x = study(17, 400)
    found = ipw(y, t, 3 * x, trim=0.3)
    assert found.n < 400
    assert any("the effect is that of the rest" in note for note in found.notes)


def test_a_few_heavy_weights_are_named() -> None:
    y, _, x = study(18, 200)
    t = (np.random.default_rng(1).random(200) < expit(3 * x[:, 0])).astype(float)
    assert any("of the weight of its arm" in note for note in ipw(y, t, x).notes)
    assert not ipw(*study(18, 200)).notes


def test_welch_agrees_with_scipy() -> None:
    from scipy.stats import ttest_ind

    y, t, _ = study(19, 50)
    other = ttest_ind(y[t == 1], y[t == 0], equal_var=False)
    found, interval = least_squares.difference_in_means(y, t), other.confidence_interval(0.95)
    assert (found.p_value, found.lower, found.upper) == pytest.approx((other.pvalue, interval.low, interval.high))


def test_effects_at_values_of_a_modifier() -> None:
    y, t, x = study(20, 500)
    found, slope = effect_at(y, t, x, modifier=0, values=[0.0, 2.0])
    fit = OLS(y, np.column_stack([np.ones(500), t, t * x[:, 0], x])).fit()
    assert slope == pytest.approx(fit.params[2])
    assert [f.estimate for f in found] == pytest.approx([fit.params[1], fit.params[1] + 2 * fit.params[2]])
    spread = fit.cov_params()
    assert found[1].se == pytest.approx(math.sqrt(spread[1, 1] + 4 * spread[2, 2] + 4 * spread[1, 2]))


def test_logistic_outcomes_are_standardised() -> None:
    _, t, x = study(21, 4000)
    rng = np.random.default_rng(2)
    y = (rng.random(4000) < expit(x[:, 0] + 0.8 * t - 0.5)).astype(float)
    truth = float((expit(x[:, 0] + 0.3) - expit(x[:, 0] - 0.5)).mean())
    found = g_formula(y, t, x, outcome_model="logistic", interactions=[])
    assert abs(found.estimate - truth) < 4 * found.se < 0.08
    with pytest.raises(UsageError, match="0 and 1"):
        g_formula(y + 1, t, x, outcome_model="logistic")
    said = g_formula(t, t, x, outcome_model="logistic", interactions=[])
    assert math.isnan(said.estimate)
    assert "perfectly" in said.notes[0]


def test_one_sided_strata() -> None:
    y, t, place = np.arange(8.0), np.array([0, 1, 0, 1, 0, 0, 1, 0]), np.array([0, 0, 0, 0, 1, 1, 2, 0])
    refused, dropped = stratify(y, t, place), stratify(y, t, place, one_sided="drop")
    assert math.isnan(refused.effect.estimate)
    assert "2 of 3 strata" in refused.effect.notes[0]
    assert dropped.effect.estimate == pytest.approx(2 - 3)
    assert refused.untreated.tolist() == [3, 2, 0]


def instrument_study(seed: int, strength: float, n: int = 400, effect: float = 1.0) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    z, hidden, x = rng.integers(0, 2, n).astype(float), rng.normal(size=n), rng.normal(size=n)
    w = strength * z + hidden + 0.5 * x + rng.normal(size=n)
    return effect * w - hidden + x + rng.normal(size=n), w, z, x


def test_wald_ratio_and_robust_errors() -> None:
    y, w, z, x = instrument_study(1, 2.0)
    found = instrumented(y, w, z)
    ratio = (y[z == 1].mean() - y[z == 0].mean()) / (w[z == 1].mean() - w[z == 0].mean())
    assert found.estimate == pytest.approx(ratio)
    assert found.first_stage_f > 50
    robust = instrumented(y, w, z, x, errors="HC1")
    exog, tools = np.column_stack([w, np.ones(400), x]), np.column_stack([z, np.ones(400), x])
    inverse = np.linalg.inv(tools.T @ exog)
    residual = y - exog @ (inverse @ tools.T @ y)
    cov = inverse @ ((tools * residual[:, None] ** 2).T @ tools) @ inverse.T * 400 / 397
    assert robust.se == pytest.approx(math.sqrt(cov[0, 0]))


def test_weak_instruments_are_said() -> None:
    y, w, z, x = instrument_study(2, 0.02)
    found = instrumented(y, w, z, x)
    assert found.first_stage_f < 10
    assert "weak" in found.notes[-1]
    assert found.disjoint or math.isinf(found.anderson_rubin[0])
    result = get_pillar("F.iv")().compute(
        {"outcome": y.tolist(), "treatment": w.tolist(), "instrument": z.tolist()}, seed=0
    )
    assert any("weak" in note for note in result.warnings)
    for spoilt, word in ((np.ones(400), "constant"), (2 * x + 1, "determined by the controls")):
        nothing = instrumented(y, w, spoilt, x)
        assert math.isnan(nothing.estimate)
        assert word in nothing.notes[0]


def test_the_bounds_of_anderson_and_rubin_are_those_of_their_test() -> None:
    y, w, z, x = instrument_study(3, 0.5)
    low, high = instrumented(y, w, z, x).anderson_rubin
    design = np.column_stack([np.ones(400), x, z])
    for edge in (low, high):
        assert OLS(y - edge * w, design).fit().pvalues[-1] == pytest.approx(0.05)


def test_e_values() -> None:
    # VanderWeele & Ding (2017), table 2 and text.
    assert e_value(0.8, 0.71, 0.91).point == pytest.approx(1.81, abs=0.005)
    assert e_value(0.8, 0.71, 0.91).bound == pytest.approx(1.43, abs=0.005)
    assert e_value(1.2, 0.9, 1.6).bound == 1
    assert e_value(1.0).point == 1
    assert e_value(4.0, measure="OR-common").risk_ratio == 2
    assert e_value(0.5, measure="SMD").risk_ratio == pytest.approx(math.exp(0.455))
    assert e_value(2.5).point == pytest.approx(e_value(1 / 2.5).point)
    assert math.isnan(e_value(2.0).bound)
    for spoilt in ((0.0, None), (2.0, 3.0), (math.nan, None)):
        with pytest.raises(UsageError):
            e_value(*spoilt)


def test_balance() -> None:
    _, t, x = study(22, 1000)
    found = balance(t, x)
    assert np.abs(found.before).max() > 0.3
    assert np.abs(found.after).max() < 0.1
    assert found.stabilised.mean() == pytest.approx(1, abs=0.05)
    weights = inverse_weights(t, found.score, "att")
    assert effective_size(weights[t == 1]) == pytest.approx(t.sum())
    assert effective_size(weights[t == 0]) < (1 - t).sum()
    assert math.isnan(effective_size(np.zeros(3)))
    alone = standardised_differences(t, x, None)[0][0]
    pooled = math.sqrt((x[t == 1, 0].var(ddof=1) + x[t == 0, 0].var(ddof=1)) / 2)
    assert alone == pytest.approx((x[t == 1, 0].mean() - x[t == 0, 0].mean()) / pooled)
    assert np.isnan(standardised_differences(np.ones(4), np.ones((4, 1)))[0]).all()
