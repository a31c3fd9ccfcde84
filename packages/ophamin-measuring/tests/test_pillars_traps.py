"""Where a library differs from what its name says, and what the pillars O, F, A and the diagnostics do about it.

The numbers are those of the list of traps that came with the reference cases (``reference/TRAPS.md``).
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from river import drift
from river.drift import binary
from scipy.special import expit, lambertw

from ophamin.measuring.diagnostics.conformal import coverage_law, threshold
from ophamin.measuring.pillars.adaptive import sprt
from ophamin.measuring.pillars.adaptive.mixture import mixture_rho, mixture_test, normal_mixture_bound
from ophamin.measuring.pillars.adaptive.ratio_mismatch import sequential_ratio_mismatch
from ophamin.measuring.pillars.feasibility.balance import balance
from ophamin.measuring.pillars.feasibility.doubly_robust import aipw, ipwra
from ophamin.measuring.pillars.feasibility.matching import matching
from ophamin.measuring.pillars.feasibility.propensity import fit_propensity
from ophamin.measuring.pillars.feasibility.refutation import refute
from ophamin.measuring.pillars.feasibility.regression import regression
from ophamin.measuring.pillars.feasibility.standardisation import g_formula
from ophamin.measuring.pillars.feasibility.stratification import cells, score_strata, stratify
from ophamin.measuring.pillars.feasibility.weighting import ipw
from ophamin.measuring.pillars.observability.drift import detect
from ophamin.measuring.pillars.observability.plugins_series import DriftDetector
from ophamin.measuring.pillars.robustness.folds import splits
from ophamin.measuring.pillars.robustness.jackknife_plus import jackknife_plus
from ophamin.proof.errors import UsageError

# Charig et al. (1986), BMJ 292:879: kidney stones, (small, treated, success) and how many.
STONES = [
    (1, 1, 1, 81), (1, 1, 0, 6), (0, 1, 1, 192), (0, 1, 0, 71),
    (1, 0, 1, 234), (1, 0, 0, 36), (0, 0, 1, 55), (0, 0, 0, 25),
]  # fmt: skip


def _stones() -> tuple[Any, Any, Any]:
    small, treated, success = np.repeat([row[:3] for row in STONES], [row[3] for row in STONES], axis=0).T * 1.0
    return success, treated, small


def _study(n: int = 400, seed: int = 0) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), 30 + 10 * rng.normal(size=n), 1e4 * rng.exponential(size=n)])
    t = (rng.random(n) < expit(x[:, 0] + (x[:, 1] - 30) / 10 - x[:, 2] / 2e4)) * 1.0
    return 2 * t + x[:, 0] + x[:, 1] / 10 + x[:, 2] / 1e4 + rng.normal(size=n), t, x


# --- dowhy 1 to 9


def test_trap_1_a_second_model_on_the_same_data_is_fitted_anew() -> None:
    y, t, x = _study()
    before = [a.copy() for a in (y, t, x)]
    first, second = ipw(y, t, x[:, :1]), ipw(y, t, x)
    assert first.estimate != second.estimate
    assert second == ipw(y, t, x)
    assert all((a == b).all() for a, b in zip(before, (y, t, x), strict=True))  # nothing is written into it
    pytest.importorskip("dowhy")
    from ophamin.measuring.pillars.feasibility.dowhy_refuters import dowhy_refute

    small, whole = (dowhy_refute(y, t, c, simulations=2).base for c in (x[:, :1], x))
    assert small == pytest.approx(regression(y, t, x[:, :1]).estimate)
    assert whole == pytest.approx(regression(y, t, x).estimate)


@pytest.mark.slow
def test_trap_2_no_number_depends_on_the_hash_seed() -> None:
    code = (
        "import numpy as np\n"
        "from ophamin.registry import get_pillar\n"
        "r = np.random.default_rng(0); x = r.normal(size=(200, 5)); t = (r.random(200) < 0.5) * 1.0\n"
        "y = x.sum(1) + t\n"
        "table = {'outcome': y.tolist(), 'treatment': t.tolist(), 'confounder': x[:, 0].tolist()}\n"
        "table |= {f'confounder_{i}': x[:, i - 1].tolist() for i in range(2, 6)}\n"
        "for name in ('F.ipw', 'F.matching', 'F.aipw', 'F.balance'):\n"
        "    print([e.statistic_value for e in get_pillar(name)().compute(table, seed=0).evidence])\n"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "7")
    }  # fmt: skip
    assert len(outs) == 1


def test_trap_2_the_score_converges_on_raw_units() -> None:
    y, t, x = _study()
    raw, scaled = fit_propensity(t, x), fit_propensity(t, x / [1.0, 10.0, 1e4])
    assert raw.score == pytest.approx(scaled.score, abs=1e-10)
    # The likelihood's equations hold to rounding: the score balances the sums of the confounders.
    assert raw.score.sum() == pytest.approx(t.sum(), abs=1e-8)
    assert raw.score @ x == pytest.approx(t @ x, rel=1e-10)
    assert ipw(y, t, x).estimate == pytest.approx(ipw(y, t, x * [1e-6, 1.0, 1e6]).estimate, rel=1e-8)


def test_traps_3_and_8_one_binary_confounder_is_standardised_without_penalty() -> None:
    y, t, small = _stones()
    by_hand = stratify(y, t, cells(small)).effect.estimate
    assert by_hand == pytest.approx(0.0536712173856038, abs=1e-12)
    for estimator in (ipw, aipw, ipwra, g_formula):
        assert estimator(y, t, small).estimate == pytest.approx(by_hand, abs=1e-9)
    # Additive least squares is another quantity, and says so.
    assert regression(y, t, small).estimate == pytest.approx(0.053835570243477, abs=1e-12)


def test_trap_4_scores_are_not_clipped_unless_asked() -> None:
    y, t, x = _study()
    steep = x * [4.0, 1.0, 1.0]
    score = fit_propensity(t, steep).score
    assert score.min() < 0.05
    found = balance(t, steep)
    assert found.weights.max() == pytest.approx(np.where(t == 1, 1 / score, 1 / (1 - score)).max())
    trimmed = ipw(y, t, steep, trim=0.05)
    assert trimmed.n < len(y)
    assert any("left out" in note for note in trimmed.notes)


def test_trap_5_hajek_and_horvitz_thompson_are_told_apart() -> None:
    y, t, x = _study()
    e = fit_propensity(t, x).score
    one, zero = t / e, (1 - t) / (1 - e)
    hajek, plain = ipw(y, t, x), ipw(y, t, x, form="horvitz-thompson")
    assert hajek.estimate == pytest.approx(one @ y / one.sum() - zero @ y / zero.sum(), rel=1e-10)
    assert plain.estimate == pytest.approx((one - zero) @ y / len(y), rel=1e-10)
    assert hajek.estimate != pytest.approx(plain.estimate, rel=1e-6)


def test_trap_6_five_strata_are_five_of_equal_size_and_none_is_dropped_in_silence() -> None:
    y, t, x = _study()
    strata, _ = score_strata(t, x, strata=5)
    assert strata is not None
    assert np.bincount(strata).tolist() == [80] * 5
    lonely = np.where(np.arange(400) < 3, 9, strata)
    lonely[:3], t = 9, np.where(np.arange(400) < 3, 1.0, t)
    refused, dropped = (stratify(y, t, lonely, one_sided=how).effect for how in ("refuse", "drop"))
    assert math.isnan(refused.estimate)
    assert any("left out" in note for note in dropped.notes)


def test_trap_7_ties_are_averaged_whatever_the_order_of_rows() -> None:
    y, t, x = _study()
    coarse = np.round(x[:, :2] / [1.0, 10.0])
    order = np.random.default_rng(1).permutation(len(y))
    for options in ({}, {"neighbours": 3}, {"metric": "inverse-variance"}, {"bias_adjusted": True}):
        here, there = matching(y, t, coarse, **options), matching(y[order], t[order], coarse[order], **options)
        assert (there.estimate, there.se) == pytest.approx((here.estimate, here.se), rel=1e-10)


def test_trap_9_a_placebo_is_held_against_nothing_and_a_random_cause_against_the_estimate() -> None:
    y, t, x = _study()
    placebo, cause = (refute(y, t, x, kind=k, simulations=40, seed=1) for k in ("placebo", "random-common-cause"))
    assert abs(placebo.mean) < 0.1 < abs(placebo.base)
    assert abs(cause.mean - cause.base) < 0.05


# --- econml, scikit-learn 10 to 14


def test_traps_10_and_11_double_ml_is_the_cross_fitted_residual_regression_without_penalty() -> None:
    pytest.importorskip("econml")
    from ophamin.measuring.pillars.feasibility.learning import linear_dml

    y, t, x = _study()
    fold = np.arange(len(y)) % 4
    folds = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(4)]
    design = np.column_stack([np.ones(len(y)), x])
    r_y, r_t, r_logit = y.copy(), t.copy(), t.copy()
    for train, test in folds:
        r_y[test] -= design[test] @ np.linalg.lstsq(design[train], y[train], rcond=None)[0]
        r_t[test] -= design[test] @ np.linalg.lstsq(design[train], t[train], rcond=None)[0]
        r_logit[test] -= _logit(design[train], t[train], design[test])
    for residual, discrete in ((r_t, False), (r_logit, True)):
        found = linear_dml(y, t, x, folds=folds, discrete=discrete)
        theta = float(residual @ r_y / (residual @ residual))
        assert found.estimate == pytest.approx(theta, rel=2e-5)
        hc0 = math.sqrt(float((residual**2) @ (r_y - theta * residual) ** 2)) / float(residual @ residual)
        assert found.se == pytest.approx(hc0 * math.sqrt(len(y) / (len(y) - 1)), rel=1e-4)  # HC1


def _logit(design: Any, t: Any, new: Any) -> Any:
    """Newton's method without a penalty."""
    scale = np.abs(design).max(axis=0)
    a, beta = design / scale, np.zeros(design.shape[1])
    for _ in range(50):
        p = expit(a @ beta)
        beta += np.linalg.solve((a * (p * (1 - p))[:, None]).T @ a, a.T @ (t - p))
    return expit(new / scale @ beta)


def test_trap_12_a_causal_forest_finds_effects_that_differ() -> None:
    pytest.importorskip("econml")
    from ophamin.measuring.pillars.feasibility.learning import causal_forest

    rng = np.random.default_rng(4)
    x = rng.normal(size=(800, 4))
    t, truth = (rng.random(800) < 0.5) * 1.0, np.maximum(x[:, 0], 0)
    found = causal_forest(x[:, 1] + truth * t + rng.normal(size=800) / 2, t, x, trees=100, seed=1)
    assert np.corrcoef(found.effects, truth)[0, 1] > 0.8


def test_trap_13_columns_of_any_unit_are_kept() -> None:
    pytest.importorskip("econml")
    from ophamin.measuring.pillars.feasibility.learning import causal_forest, linear_dml

    y, t, x = _study()
    far = x * [1e-6, 1.0, 1e6]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for estimator in (regression, g_formula, aipw):
            assert estimator(y, t, far).estimate == pytest.approx(estimator(y, t, x).estimate, rel=1e-7)
        assert linear_dml(y, t, far).estimate == pytest.approx(linear_dml(y, t, x).estimate, rel=1e-6)
        # Modifiers predict outcome and treatment as well.
        for estimator in (
            lambda m: linear_dml(y, t, x[:, :1], modifiers=m),
            lambda m: causal_forest(y, t, m, trees=8, nuisance="linear", seed=1),
        ):
            here, there = (estimator(m) for m in (x[:, 1:], far[:, 1:]))
            assert there.estimate == pytest.approx(here.estimate, rel=1e-4)
            assert there.effects == pytest.approx(here.effects, rel=1e-3, abs=1e-3)


def test_trap_14_folds_of_rows_in_order_are_shuffled_by_the_seed() -> None:
    folds = splits("k-fold", 40, folds=5, seed=3)
    assert all(np.ptp(test) > 8 for _, test in folds)  # a fold of neighbouring rows would span 8
    assert [t.tolist() for _, t in folds] == [t.tolist() for _, t in splits("k-fold", 40, folds=5, seed=3)]


# --- river 30 to 32


def test_trap_30_adwin_signals_both_ways_and_the_result_says_what_an_alarm_is_worth() -> None:
    rng = np.random.default_rng(2)
    up, down = (np.concatenate([rng.normal(0, 1, 600), rng.normal(m, 1, 600)]).tolist() for m in (2, -2))
    for stream in (up, down):
        first = detect(stream, "adwin").changes[0]
        assert 600 <= first < 700
        bare = drift.ADWIN()
        signals = []
        for i, value in enumerate(stream[: first + 1]):
            bare.update(value)
            if bare.drift_detected:
                signals.append(i)
        assert signals == [first]
    result = DriftDetector().compute({"value": up}, seed=0)
    assert any("calibrate" in note for note in result.warnings)


def test_trap_31_page_hinkley_alarms_on_noise_unless_its_threshold_is_high_and_says_so() -> None:
    noise = np.random.default_rng(11).normal(0, 1, 5000).tolist()
    at_five, at_fifty = (len(detect(noise, "page-hinkley", threshold=h).changes) for h in (5.0, 50.0))
    assert at_five > 20 > at_fifty > 0  # 50 is the default: noise of standard deviation 1 crosses even that
    assert not detect(noise, "page-hinkley", threshold=500.0).changes
    result = DriftDetector().compute({"value": noise}, seed=0, detector="page-hinkley")
    assert any("threshold" in note for note in result.warnings)
    rise = np.random.default_rng(12).normal(0, 1, 4000)
    rise[2000:] += 3
    up, down, both = (detect(rise.tolist(), "page-hinkley", mode=m).changes for m in ("up", "down", "both"))
    assert up
    assert not [i for i in down if i < 2100]
    assert detect(rise.tolist(), "page-hinkley").changes == both  # river's default mode


def test_trap_32_kswin_takes_the_seed_and_eddm_is_rivers() -> None:
    rng = np.random.default_rng(6)
    stream = np.concatenate([rng.normal(0, 1, 800), rng.normal(1, 1, 800)]).tolist()
    assert detect(stream, "kswin", seed=1) == detect(stream, "kswin", seed=1)
    assert len({tuple(detect(stream, "kswin", seed=s, alpha=0.02).changes) for s in range(6)}) > 1
    errors = [float(v) for p in (0.05, 0.4) for v in rng.random(800) < p]
    bare, signals = binary.EDDM(), []
    for i, error in enumerate(errors):
        bare.update(bool(error))
        if bare.drift_detected:
            signals.append(i)
    assert detect(errors, "eddm").changes == signals


# --- conformal 33 to 35


def test_traps_33_to_35_the_threshold_is_an_order_statistic_at_every_size() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))
    assert threshold(scores, 0.1) == 90  # k = 0.9 · 100 exactly: floating point would make it 91
    assert threshold(scores, 0.01) == 99  # n = 1/α − 1: mapie refuses, the greatest score is right
    assert threshold(scores, 0.005) == math.inf  # never the greatest score
    for n in range(1, 400):
        for tenths in range(1, 10):
            assert coverage_law(n, tenths / 10).k == -(-(n + 1) * (10 - tenths) // 10)


def test_trap_34_jackknife_plus_by_hand() -> None:
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(3)
    x, new = rng.normal(size=(19, 2)), rng.normal(size=(4, 2))
    y = x @ [1.0, -1.0] + rng.normal(size=19)
    low, high = jackknife_plus(LinearRegression(), x, y, new, splits("leave-one-out", 19), alpha=0.1)
    below, above = [], []
    for i in range(19):
        keep = np.arange(19) != i
        design = np.column_stack([np.ones(18), x[keep]])
        beta = np.linalg.lstsq(design, y[keep], rcond=None)[0]
        residual = abs(y[i] - beta[0] - x[i] @ beta[1:])
        below.append(beta[0] + new @ beta[1:] - residual)
        above.append(beta[0] + new @ beta[1:] + residual)
    # ⌊α(n+1)⌋ = 2nd smallest and ⌈(1−α)(n+1)⌉ = 18th smallest.
    assert low == pytest.approx(np.sort(below, axis=0)[1])
    assert high == pytest.approx(np.sort(above, axis=0)[17])


# --- sequential 36 to 39


def test_trap_36_rho_is_the_approximation_and_costs_next_to_nothing_against_the_optimum() -> None:
    rho = mixture_rho(100.0, 0.05)
    best = 100 / (-float(np.real(lambertw(-(0.05**2) / math.e, -1))) - 1)
    assert (rho, best) == pytest.approx((12.6006, 12.1773), abs=1e-4)
    optimum = math.sqrt((100 + best) * math.log((100 + best) / (best * 0.05**2)))
    ours = float(normal_mixture_bound(100.0, v_opt=100.0))
    assert optimum <= ours <= optimum * 1.0001
    one = float(normal_mixture_bound(100.0, v_opt=100.0, sides=1))
    assert one < ours  # two sides are the default, unlike confseq's


def test_trap_37_the_prior_of_a_sequential_ratio_is_an_option() -> None:
    counts = [[530, 470]] * 5
    weak, strong = (sequential_ratio_mismatch(counts, [1, 1], concentration=c).p_value for c in (100.0, 10_000.0))
    assert (weak != strong).any()
    assert (np.diff(weak) <= 0).all()


def test_trap_38_walds_limits_keep_their_errors_and_the_exact_figures_are_there() -> None:
    exact = sprt.bernoulli_characteristic([0.01, 0.1], 0.01, 0.1, 0.05, 0.1)
    wald = sprt.bernoulli_characteristic([0.01, 0.1], 0.01, 0.1, 0.05, 0.1, method="wald")
    assert exact.reject[0] < wald.reject[0] == pytest.approx(0.05)
    assert (exact.average_n > wald.average_n).all()


def test_trap_39_an_always_valid_p_never_rises_and_never_exceeds_one() -> None:
    x = np.random.default_rng(1).normal(0.2, 1, 500)
    found = mixture_test(x, variance=1.0, tau=0.5)
    assert (np.diff(found.p_value) <= 0).all()
    assert found.p_value.max() <= 1
    assert found.p_value == pytest.approx(np.minimum(1, 1 / np.maximum.accumulate(np.exp(found.log_lambda))))
    with pytest.raises(UsageError):
        mixture_test(x, variance=0.0, tau=0.5)
