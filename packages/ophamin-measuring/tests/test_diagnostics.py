"""Diagnostics where the truth is known: coverage, calls of failure, updates, collapse against miscalibration."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.regression import SplitConformalRegressor
from scipy.special import expit, logit
from scipy.stats import beta as beta_law
from scipy.stats import binom, kstest
from sklearn.linear_model import LinearRegression

from ophamin.measuring.diagnostics.anticipation import anticipate
from ophamin.measuring.diagnostics.conformal import coverage_law, prediction_intervals, threshold
from ophamin.measuring.diagnostics.coupling import kernel_coupling
from ophamin.measuring.diagnostics.inertia import cognitive_inertia
from ophamin.measuring.diagnostics.plugins_beliefs import CognitiveInertia, KernelCoupling
from ophamin.measuring.diagnostics.plugins_conformal import AnticipatoryFailure
from ophamin.proof.errors import UsageError


@settings(max_examples=200)
@given(n=st.integers(1, 400), alpha=st.floats(0.005, 0.9))
def test_the_threshold_is_a_score_or_has_no_end(n: int, alpha: float) -> None:
    scores = np.arange(n, dtype=float)[::-1]
    q, law = threshold(scores, alpha), coverage_law(n, alpha)
    assert q == (law.k - 1 if law.k <= n else math.inf)
    assert law.marginal >= 1 - alpha - 1e-9
    assert law.marginal <= 1 - alpha + 1 / (n + 1) + 1e-9 or law.k > n


def test_whole_numbers_are_not_raised_by_rounding() -> None:
    # (9 + 1)·(1 − 0.1) is 9.000000000000002 or 9 by order of operations; the rank is 9.
    assert [coverage_law(n, a).k for n, a in ((9, 0.1), (19, 0.05), (99, 0.01), (999, 0.07))] == [9, 19, 99, 930]


def test_agrees_with_mapie_and_answers_where_it_refuses() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1))
    y = x[:, 0] + rng.normal(size=300)
    model = LinearRegression().fit(x[:100], y[:100])
    mapie = SplitConformalRegressor(model, confidence_level=0.9, prefit=True).conformalize(x[100:200], y[100:200])
    _, theirs = mapie.predict_interval(x[200:])
    low, high, _ = prediction_intervals(y[100:200], model.predict(x[100:200]), model.predict(x[200:]), alpha=0.1)
    assert low == pytest.approx(theirs[:, 0, 0])
    assert high == pytest.approx(theirs[:, 1, 0])
    few = SplitConformalRegressor(model, confidence_level=0.9, prefit=True).conformalize(x[100:109], y[100:109])
    with pytest.raises(ValueError, match="too low"):
        few.predict_interval(x[200:])
    _, _, width = prediction_intervals(y[100:109], model.predict(x[100:109]), model.predict(x[200:]), alpha=0.1)
    assert width == pytest.approx(np.abs(y[100:109] - model.predict(x[100:109])).max())


def test_coverage_given_the_calibration_set_follows_its_law() -> None:
    rng = np.random.default_rng(1)
    covered = [threshold(rng.random(60), 0.2) for _ in range(2000)]  # a uniform score covers its own value
    law = coverage_law(60, 0.2)
    assert kstest(covered, beta_law(law.a, law.b).cdf).pvalue > 1e-4


def test_normalised_scores_are_wide_where_the_spread_is() -> None:
    rng = np.random.default_rng(2)
    s = rng.uniform(0.2, 3, 4000)
    y = s * rng.normal(size=4000)
    zero = np.zeros(2000)
    low, high, _ = prediction_intervals(y[:2000], zero, zero, alpha=0.1, scale=s[:2000], new_scale=s[2000:])
    inside = (low <= y[2000:]) & (y[2000:] <= high)
    calm = s[2000:] < 1
    assert inside[calm].mean() == pytest.approx(0.9, abs=0.04)
    assert inside[~calm].mean() == pytest.approx(0.9, abs=0.04)
    flat_low, flat_high, _ = prediction_intervals(y[:2000], zero, zero, alpha=0.1)
    flat = (flat_low <= y[2000:]) & (y[2000:] <= flat_high)
    assert flat[calm].mean() > 0.98


def test_forecasts_err_both_ways_and_abstain() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=3000)
    y = truth + 0.5 * rng.normal(size=3000)
    low, high, _ = prediction_intervals(y[:1500], truth[:1500], truth[1500:], alpha=0.4)
    found = anticipate(low, high, y[1500:], limit=0.5)
    assert 0 < found.false_alarms.value < 0.4
    assert 0 < found.misses.value < 0.4
    assert 0 < found.abstentions.value < 1
    assert found.foreseen.count + found.misses.count <= found.misses.n
    mirrored = anticipate(-high, -low, -y[1500:], limit=-0.5, fails="below")
    assert (mirrored.false_alarms, mirrored.misses) == (found.false_alarms, found.misses)
    # Called at level 1 − α, a call is wrong for at most α of the cases.
    wrong = found.false_alarms.count + found.misses.count
    assert wrong <= binom.ppf(1 - 1e-5, 1500, 0.42)


def test_too_few_calibration_rows_abstain_always() -> None:
    table = {"target": [1.0] * 8, "prediction": [1.1] * 8, "part": ["calibration"] * 4 + ["test"] * 4}
    result = AnticipatoryFailure().compute(table, seed=0, limit=2.0)
    by_name = {e.statistic_name: e for e in result.evidence}
    assert by_name["abstention_rate"].statistic_value == 1
    assert by_name["miss_rate"].statistic_value is None
    assert by_name["threshold"].statistic_value is None
    assert any("no end" in w for w in result.warnings)
    with pytest.raises(UsageError, match="calibration or test"):
        AnticipatoryFailure().compute({**table, "part": ["train"] * 8}, seed=0)


@pytest.mark.parametrize("share", [0.0, 0.35, 1.0, 1.4])
def test_inertia_finds_the_share_that_was_built_in(share: float) -> None:
    missed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        unit = np.repeat(np.arange(25), 4)
        own = rng.normal(share, 0.2, 25)[unit]  # units differ, so rows of one are not independent
        prior, due = rng.uniform(0.2, 0.8, 100), rng.normal(0, 1.5, 100)
        after = expit(logit(prior) + own * due + rng.normal(0, 0.3, 100))
        found = cognitive_inertia(prior, after, due, unit.tolist())
        missed += not found.update.lower <= share <= found.update.upper
        assert abs(found.drift.value) < 0.2
    assert missed <= binom.ppf(1 - 1e-4, 100, 0.07)


def test_asymmetric_updating_shows() -> None:
    rng = np.random.default_rng(0)
    prior, due = rng.uniform(0.1, 0.9, 400), rng.normal(0, 1.5, 400)
    confirms = logit(prior) * due > 0
    after = expit(logit(prior) + np.where(confirms, 1.0, 0.3) * due)
    found = cognitive_inertia(prior, after, due)
    assert found.confirming.value == pytest.approx(1, abs=0.05)
    assert found.disconfirming.value == pytest.approx(0.3, abs=0.05)


def test_beliefs_without_log_odds_and_evidence_that_does_not_vary() -> None:
    found = cognitive_inertia([0.0, 0.5, 1.0], [0.5, 1.0, 0.5], [1.0, 2.0, -1.0])
    assert found.clipped == 3
    assert math.isfinite(found.update.value)
    same = CognitiveInertia().compute(
        {"prior": [0.5] * 4, "posterior": [0.6] * 4, "log_likelihood_ratio": [1.0] * 4}, seed=0
    )
    assert same.evidence[0].statistic_value is None
    assert any("does not vary" in w for w in same.warnings)
    for bad in ([1.2], [-0.1], [math.nan]):
        with pytest.raises(UsageError, match="probability"):
            cognitive_inertia(bad, [0.5], [1.0])
    with pytest.raises(UsageError, match="finite"):
        cognitive_inertia([0.5], [0.5], [math.inf])


def _sweep(seed: int, kind: str, replicates: int = 20) -> tuple[list[float], list[int], list[str]]:
    rng = np.random.default_rng(seed)
    value, coupling, setting = [], [], []
    for k in range(3):
        for s in ("low", "mid", "high"):
            lost = {"intrinsic": 3.0 * k, "holds": 0.0, "miscalibration": 3.0 * k * (s != "high")}[kind]
            value += (10 - lost + rng.normal(0, 0.5, replicates)).tolist()
            coupling += [k] * replicates
            setting += [s] * replicates
    return value, coupling, setting


@pytest.mark.parametrize("kind", ["intrinsic", "miscalibration", "holds"])
def test_a_sweep_tells_collapse_from_miscalibration(kind: str) -> None:
    for seed in range(20):
        found = kernel_coupling(*_sweep(seed, kind), default="low", margin=1.0)
        assert [at.verdict for at in found.levels] == [kind, kind]
    if kind == "miscalibration":
        assert {at.best_setting for at in found.levels} == {"high"}


def test_wrong_words_are_rare_at_the_edge() -> None:
    # The default loses exactly the margin: neither "holds" nor a loss beyond it may be said more than α of the time.
    wrong = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        value = np.concatenate([rng.normal(10, 1, 8), rng.normal(9, 1, 8), rng.normal(9, 1, 8)])
        coupling = np.repeat([0, 1, 1], 8)
        setting = np.repeat(["a", "a", "b"], 8).tolist()
        found = kernel_coupling(value, coupling, setting, margin=1.0, alpha=0.1)
        wrong += found.levels[0].verdict != "inconclusive"
    assert wrong <= binom.ppf(1 - 1e-5, 400, 0.1)


def test_one_run_counted_often_proves_nothing() -> None:
    rows = [(10.0, 0), (10.1, 0), (10.2, 0), (2.0, 1), (2.0, 1), (2.0, 1)]
    table = {"value": [v for v, _ in rows], "coupling": [k for _, k in rows]}
    flat = KernelCoupling().compute(table, seed=0)
    assert flat.tables["couplings"]["verdict"] == ["inconclusive"]
    assert any("do not vary" in w for w in flat.warnings)
    counted_once = KernelCoupling().compute({**table, "group": [0, 1, 2, 0, 0, 0]}, seed=0)
    assert any("fewer than three" in w for w in counted_once.warnings)
    with pytest.raises(UsageError, match="two couplings"):
        kernel_coupling([1.0, 2.0], [1, 1])
    with pytest.raises(UsageError, match="was not swept"):
        kernel_coupling([1.0, 2.0, 3.0], [0, 0, 1], ["a", "a", "a"], default="b")


def test_the_spread_of_an_update_is_the_jackknifes_and_so_hc3() -> None:
    # Deleting rows one by one from least squares gives HC3 but for the factor (n − 1)/n: MacKinnon & White (1985).
    i = np.arange(1, 41)
    due, before = np.sin(i) * 2, 0.2 + 0.6 * ((i * np.sqrt(2)) % 1.0)
    after = 1 / (1 + np.exp(-(np.log(before / (1 - before)) + 0.5 * due + 0.1 + 0.4 * np.cos(3 * i))))
    found = cognitive_inertia(before, after, due)
    x = np.column_stack([np.ones(40), due])
    made = np.log(after / (1 - after)) - np.log(before / (1 - before))
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ made
    scaled = (made - x @ beta) / (1 - np.einsum("ij,jk,ik->i", x, bread, x))
    hc3 = bread @ (x * scaled[:, None] ** 2).T @ x @ bread
    assert (found.drift.value, found.update.value) == pytest.approx(beta)
    assert (found.drift.se, found.update.se) == pytest.approx(np.sqrt(39 / 40 * np.diag(hc3)))
