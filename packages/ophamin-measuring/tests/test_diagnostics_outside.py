"""Kernel coupling and cognitive inertia, each number against the one scipy or statsmodels gives for the same question."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logit
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from ophamin.measuring.diagnostics.coupling import kernel_coupling
from ophamin.measuring.diagnostics.inertia import cognitive_inertia

SETTINGS = ("low", "mid", "high")


def _sweep(seed: int, couplings: int, kinds: int) -> tuple[Any, Any, list[str]]:
    """Cells of 2 to 7 replicates, of any loss about the margin, some missing."""
    rng = np.random.default_rng(seed)
    value: list[float] = []
    coupling: list[float] = []
    setting: list[str] = []
    for k in range(couplings):
        for s in SETTINGS[:kinds]:
            n = int(rng.integers(2, 8)) if (k == 0 and s == "low") or rng.random() > 0.15 else int(rng.integers(0, 2))
            lost = k * rng.choice([0.0, 1.0, 4.0])
            value += rng.normal(10 - lost, rng.uniform(0.1, 1.5), n).tolist()
            coupling += [k * 0.5] * n
            setting += [s] * n
    if not any(k for k in coupling):
        value, coupling, setting = [*value, 9.0], [*coupling, 0.5], [*setting, "low"]
    order = rng.permutation(len(value))
    return np.array(value)[order], np.array(coupling)[order], [setting[i] for i in order]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), couplings=st.integers(2, 4), kinds=st.integers(1, 3),
       margin=st.sampled_from([0.0, 0.5, 2.0]), alpha=st.sampled_from([0.05, 0.2, 0.4]))  # fmt: skip
def test_words_and_bounds_are_those_of_welch_tests(
    seed: int, couplings: int, kinds: int, margin: float, alpha: float
) -> None:
    value, coupling, setting = _sweep(seed, couplings, kinds)
    found = kernel_coupling(value, coupling, setting, default="low", margin=margin, alpha=alpha)
    names = np.array(setting)
    known = sorted(set(setting))
    reference = value[(coupling == 0) & (names == "low")]
    levels = np.unique(coupling)[1:]
    each = alpha / (2 * len(levels))
    assert [at.coupling for at in found.levels] == levels.tolist()
    assert found.reference == pytest.approx(reference.mean())
    for at in found.levels:
        # One-sided Welch tests of "the loss is at most the margin" and "at least", by scipy; no test without spread.
        above, below, losses = {}, {}, {}
        for s in known:
            part = value[(coupling == at.coupling) & (names == s)]
            if len(part):
                losses[s] = reference.mean() - part.mean()
            testable = len(part) > 1
            tails = [
                stats.ttest_ind(reference - margin, part, equal_var=False, alternative=tail).pvalue if testable else 1.0
                for tail in ("greater", "less")
            ]
            above[s], below[s] = tails
            if s == "low" and testable:
                both = CompareMeans(DescrStatsW(reference), DescrStatsW(part))
                bounds = both.tconfint_diff(alpha=2 * each, usevar="unequal")
                assert (at.lower, at.upper) == pytest.approx(bounds, rel=1e-9)
                interval = stats.ttest_ind(reference, part, equal_var=False).confidence_interval(1 - 2 * each)
                assert (at.lower, at.upper) == pytest.approx((interval.low, interval.high), rel=1e-9)
        if max(above.values()) < each:  # intersection–union: the greatest p of all settings
            word = "intrinsic"
        elif above["low"] < each and min(below.values()) < each / len(known):  # some setting: Bonferroni
            word = "miscalibration"
        else:
            word = "holds" if below["low"] < each else "inconclusive"
        assert at.verdict == word
        if losses:
            assert at.best_setting == min(losses, key=lambda s: losses[s])
            assert at.least_loss == pytest.approx(min(losses.values()))
        assert at.loss == pytest.approx(losses.get("low", math.nan), nan_ok=True)


def test_replicates_of_a_unit_are_averaged_before_welch() -> None:
    rng = np.random.default_rng(3)
    unit, coupling = np.repeat(np.arange(8), 5), np.repeat([0, 0, 0, 0, 1, 1, 1, 1], 5)
    value = 10 - 2 * coupling + rng.normal(size=8)[unit] + 0.1 * rng.normal(size=40)
    at = kernel_coupling(value, coupling, unit=unit.tolist(), alpha=0.1).levels[0]
    means = value.reshape(8, 5).mean(axis=1)
    interval = stats.ttest_ind(means[:4], means[4:], equal_var=False).confidence_interval(0.9)
    assert (at.lower, at.upper) == pytest.approx((interval.low, interval.high))


def test_any_wrong_word_of_a_sweep_is_as_rare_as_promised() -> None:
    """Where every word would be wrong: the default, or the best setting, loses exactly the margin."""
    rng, runs, alpha = np.random.default_rng(8), 1500, 0.1
    coupling, setting = np.repeat([0, 1, 2], 18), (["a"] * 6 + ["b"] * 6 + ["c"] * 6) * 3
    wrong = 0
    for _ in range(runs):
        loss = np.repeat([0, 0, 0, 1, 1, 1, 3, 1, 3], 6)
        sd = np.repeat([1, 1, 1, 0.5, 1, 2, 1, 1, 1], 6)
        found = kernel_coupling(10 - loss + sd * rng.normal(size=54), coupling, setting, margin=1.0, alpha=alpha)
        first, second = (at.verdict for at in found.levels)
        wrong += first != "inconclusive" or second in ("intrinsic", "miscalibration", "holds")
    assert wrong <= stats.binom.ppf(1 - 1e-5, runs, alpha)
    assert wrong > 0  # the limit is not idle


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(4, 40))
def test_the_slope_of_belief_is_least_squares_with_hc3_errors(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    prior, due = rng.uniform(0.05, 0.95, n), rng.normal(0, 1.5, n)
    after = 1 / (1 + np.exp(-(logit(prior) + 0.1 + 0.6 * due + rng.normal(0, 0.4, n))))
    found = cognitive_inertia(prior, after, due, level=0.9)
    made = logit(np.clip(after, 1e-4, 1 - 1e-4)) - logit(prior)
    fit = OLS(made, np.column_stack([np.ones(n), due])).fit(cov_type="HC3")
    # Deleting one row at a time is HC3 times (n − 1)/n (MacKinnon & White, 1985, J Econometrics 29:305).
    shrink = math.sqrt((n - 1) / n)
    for slope, i in ((found.drift, 0), (found.update, 1)):
        assert slope.value == pytest.approx(fit.params[i], rel=1e-8, abs=1e-10)
        assert slope.se == pytest.approx(fit.bse[i] * shrink, rel=1e-6)
        half = stats.t.ppf(0.95, n - 1) * slope.se
        assert (slope.lower, slope.upper) == pytest.approx((slope.value - half, slope.value + half))
    sign = logit(prior) * due
    for slope, keep in ((found.confirming, sign > 0), (found.disconfirming, sign < 0)):
        if keep.sum() > 3:
            through_zero = OLS(made[keep], due[keep]).fit(cov_type="HC3")
            assert slope.value == pytest.approx(through_zero.params[0], rel=1e-8)
            assert slope.se == pytest.approx(through_zero.bse[0] * math.sqrt(1 - 1 / keep.sum()), rel=1e-6)


def test_units_are_left_out_one_at_a_time() -> None:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(9), [3, 5, 2, 7, 4, 4, 6, 3, 5])
    prior, due = rng.uniform(0.2, 0.8, len(unit)), rng.normal(size=len(unit))
    after = 1 / (1 + np.exp(-(logit(prior) + rng.normal(0.7, 0.3, 9)[unit] * due)))
    found = cognitive_inertia(prior, after, due, unit.tolist())
    made, x = logit(after) - logit(prior), np.column_stack([np.ones(len(unit)), due])
    whole = OLS(made, x).fit().params
    without = np.array([OLS(made[unit != u], x[unit != u]).fit().params for u in range(9)])
    se = np.sqrt(8 / 9 * ((without - whole) ** 2).sum(axis=0))
    assert (found.drift.se, found.update.se) == pytest.approx(tuple(se))
    assert found.update.units == 9
