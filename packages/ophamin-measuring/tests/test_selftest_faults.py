"""Planted faults: a wrong interval takes the place of a right one, and the table must say so.

The limits are those of the whole quick table; only the lines that see the fault are run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit
from scipy.stats import binom, norm

from ophamin import registry
from ophamin.measuring import decision as deciding
from ophamin.measuring import planning
from ophamin.measuring.pillars.adaptive import evalues, group_sequential, mixture, ratio_mismatch, sequences, sprt
from ophamin.measuring.pillars.robustness import bootstrap, comparison, jackknife_plus
from ophamin.measuring.pillars.synthesis import pooling
from ophamin.measuring.scenarios._wrong_intervals import FAULTS, wrong_interval
from ophamin.measuring.selftest.running import results
from ophamin.protocols import Columns, Estimate

Estimator = Callable[..., Estimate]
SEEING = {
    "proportion": {"proportion: all outcomes, n = 30, α = 0.05", "proportion: share 0.5, 20 groups, ICC 0.1, as published"},
    "mean": {"mean: normal, n = 5, α = 0.05", "mean: normal, n = 10, α = 0.025"},
    "quantile": {"quantile: order statistics, q = 0.5, n = 40", "quantile: median, log-normal, n = 60"},
    "calibration-error": {
        "calibration-error: gap 0.1, independent, one bin", "calibration-error: gap 0.1, one bin, from below",
    },
    "brier-skill": {"brier-skill: slope 0.5, independent"},
    "exponent": {"exponent: 12 sizes, normal noise"},
    "difference.newcombe": {"difference.newcombe"},
    "difference.clopper-pearson": {"difference.clopper-pearson"},
    "difference.mean": {"difference.mean: 8 pairs, normal"},
    "tost": {"tost"},
    "effect-size": {"effect-size"},
    "slope.hac": {"slope.hac: independent normal errors, n = 50"},
    "correlation": {"correlation: normal, ρ = 0.5, n = 50"},
}  # fmt: skip
"""Lines that are enough to see the faults of each family."""


def _sided(right: Estimator, below: float, above: float) -> Estimator:
    """The same interval with its sides at other levels: multiples of the α that was asked for."""

    def wrong(columns: Columns, *, confidence: float, **more: Any) -> Estimate:
        alpha = 1 - confidence
        low = right(columns, confidence=1 - below * alpha, **more)
        high = right(columns, confidence=1 - above * alpha, **more)
        return replace(low, upper=high.upper)

    return wrong


def _fails(*only: str) -> bool:
    found = results(only=set(only))
    return bool(found["summary"]["failed"])


LEVELS = {
    "a lower confidence sold as the higher": (2.0, 2.0),
    "lopsided": (0.1, 1.9),
    "lopsided the other way": (1.9, 0.1),
    "two-sided taken for one-sided": (0.5, 0.5),
}


# Those of a fraction of a second each, and those of a few.
QUICK = ("mean", "quantile", "exponent", "slope.hac", "correlation", "difference.mean")
FAMILIES = [family if family in QUICK else pytest.param(family, marks=pytest.mark.slow) for family in SEEING]


@pytest.mark.parametrize("fault", LEVELS)
@pytest.mark.parametrize("family", FAMILIES)
def test_wrong_levels_are_seen_in_every_family(family: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = registry.estimators.get(family)
    monkeypatch.setitem(registry.estimators._registered, family, _sided(right, *LEVELS[fault]))
    assert _fails(*SEEING[family])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_right_ones_pass_the_same_lines(family: str) -> None:
    assert not _fails(*SEEING[family])


def test_a_count_of_false_hypotheses_without_correction_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(columns: Columns, *, confidence: float, **more: Any) -> Estimate:
        rejected = sum(p <= 1 - confidence for p in columns["value"])
        return Estimate(rejected, rejected, 5, 5, method="none", library="none", version="0")

    monkeypatch.setitem(registry.estimators._registered, "holm", wrong)
    assert _fails("holm: 0 of 5 false")


@pytest.mark.parametrize("family", ["proportion", "mean"])
@pytest.mark.parametrize("fault", FAULTS)
def test_known_wrong_intervals_are_seen(family: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = registry.estimators.get(family)

    def wrong(columns: Columns, *, confidence: float, seed: int = 0, **more: Any) -> Estimate:
        lower, upper = wrong_interval(fault, [float(v) for v in columns["value"]], 1 - confidence)
        return replace(right(columns, confidence=confidence, seed=seed, **more), lower=lower, upper=upper)

    monkeypatch.setitem(registry.estimators._registered, family, wrong)
    lines = {"proportion: all outcomes, n = 30, α = 0.05"} if family == "proportion" else SEEING["mean"]
    assert _fails(*lines)


def test_z_for_t_is_seen_in_the_decision_too(monkeypatch: pytest.MonkeyPatch) -> None:
    right = registry.estimators.get("mean")

    def wrong(columns: Columns, **more: Any) -> Estimate:
        found = right(columns, **more)
        if found.lower is None or found.upper is None or found.n < 2:
            return found
        ratio = float(ndtri(more["confidence"]) / stdtrit(found.n - 1, more["confidence"]))
        half = (found.upper - found.lower) / 2 * ratio
        return replace(found, lower=found.value - half, upper=found.value + half)

    monkeypatch.setitem(registry.estimators._registered, "mean", wrong)
    assert _fails("decision at θ: mean <= 0, normal, n = 10")


# --- the rule that decides, and the plan


def test_a_rule_that_looks_at_the_point_alone_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = deciding.decide

    def wrong(threshold, decision, call, **more):
        found = right(threshold, decision, call, **more)
        value = found.estimate.value
        holds = value <= threshold.value if "<" in threshold.comparator else value >= threshold.value
        return replace(found, outcome="VALIDATED" if holds else "REFUTED", reason="")

    monkeypatch.setattr(deciding, "decide", wrong)
    assert _fails("decision at θ: share >= 0.9, n = 100")


def test_twice_the_alpha_is_seen_in_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    right = deciding.decide
    monkeypatch.setattr(
        deciding, "decide",
        lambda *a, alpha_validate, alpha_refute, seed: right(
            *a, alpha_validate=2 * alpha_validate, alpha_refute=2 * alpha_refute, seed=seed
        ),
    )  # fmt: skip
    for line in ("decision at θ: p95 <= θ, n = 200", "decision at δ: share >= 0.9, δ = 0.05, n = 299: refute"):
        assert _fails(line)


def test_a_plan_that_promises_too_much_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from ophamin.measuring.selftest._decisions import decisions

    right = planning.plan
    monkeypatch.setattr(
        planning, "plan", lambda *a, **k: replace(p := right(*a, **k), power_validate=min(1.0, p.power_validate + 0.03))
    )
    checks = {c.label: c for c in decisions()}
    check = next(c for label, c in checks.items() if label.startswith("decision at δ: share") and "validate" in label)
    seen = check.enumerate()
    assert check.least is not None
    assert seen.above < check.least - check.slack


@pytest.mark.parametrize("name", ["holm", "benjamini_hochberg"])
def test_no_correction_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, name, list)
    assert _fails("family")


# --- what may be looked at while it runs


def _naive_share(x=None, *, successes=None, n=None, alpha=0.05, sides=2, **more):
    """Clopper and Pearson's bounds at every look: right at one look only."""
    k, m = np.asarray(successes, float), np.asarray(n, float)
    from scipy.special import betaincinv

    with np.errstate(all="ignore"):
        low = np.where(k > 0, betaincinv(k, m - k + 1, alpha / sides), 0.0)
        high = np.where(k < m, betaincinv(k + 1, m - k, 1 - alpha / sides), 1.0)
    return sequences.ConfidenceSequence(m, k / m, low, high)


def _naive_mean(x, *, alpha=0.05, sides=2, sigma=None, support=(0, 1), **more):
    """Normal bounds at every look."""
    values = np.asarray(x, float)
    n = np.arange(1.0, len(values) + 1)
    centre = np.cumsum(values) / n
    spread = sigma or np.sqrt(np.maximum(np.cumsum(values**2) / n - centre**2, 1e-9))
    half = ndtri(1 - alpha / sides) * spread / np.sqrt(n)
    return sequences.ConfidenceSequence(n, centre, centre - half, centre + half)


def _naive_quantile(x, *, q, alpha=0.05, sides=2, looks=(), **more):
    low, high = [], []
    for n in looks:
        ordered = np.sort(np.asarray(x)[:n])
        low.append(ordered[max(0, int(binom.ppf(alpha / sides, n, q)) - 1)])
        high.append(ordered[min(n - 1, int(binom.ppf(1 - alpha / sides, n, q)))])
    return sequences.ConfidenceSequence(np.array(looks, float), np.array(low), np.array(low), np.array(high))


@pytest.mark.parametrize(
    ("name", "wrong", "line"),
    [
        ("bernoulli_sequence", _naive_share, "proportion, every look up to 40, each side"),
        ("subgaussian_sequence", _naive_mean, "normal mean, every look up to 200, each side"),
        ("hoeffding_sequence", _naive_mean, "hoeffding, uniform, every look up to 200"),
        ("empirical_bernstein_sequence", _naive_mean, "empirical bernstein, uniform, every look up to 200"),
        ("betting_sequence", _naive_mean, "betting, uniform, every look up to 200"),
        ("quantile_sequence", _naive_quantile, "median of log-normal values, 20 looks"),
    ],
)
def test_a_fixed_n_interval_looked_at_again_and_again_is_seen(name, wrong, line, monkeypatch) -> None:
    monkeypatch.setattr(sequences, name, wrong)
    assert _fails(f"confidence sequence: {line}")


def test_sequential_tests_that_are_not_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def peeking(x, *, variance, tau, alpha):
        z = np.cumsum(x) / np.sqrt(variance * np.arange(1, len(x) + 1))
        stops = np.flatnonzero(2 * norm.sf(np.abs(z)) <= alpha)
        return mixture.MixtureTest(z, z, int(stops[0]) + 1 if len(stops) else None)

    def looks_ahead(x, p0, *, comparator):
        # The alternative is chosen after the outcome is seen: no factor is ever below 1.
        return np.cumprod(np.where(np.asarray(x) == 1, 1.1, 1.0))

    right = ratio_mismatch.sequential_ratio_mismatch

    def chi_square(counts, plan, **more):
        found = right(counts, plan)
        total = found.counts.sum(axis=1)
        z = (found.counts[:, 0] - total / 2) / np.sqrt(total / 4)
        return replace(found, p_value=np.minimum.accumulate(2 * norm.sf(np.abs(z))))

    monkeypatch.setattr(mixture, "mixture_test", peeking)
    monkeypatch.setattr(evalues, "bernoulli_e_process", looks_ahead)
    monkeypatch.setattr(evalues, "calibrate", lambda p: 1 / np.asarray(p))  # no e-value: its mean is infinite
    monkeypatch.setattr(ratio_mismatch, "sequential_ratio_mismatch", chi_square)
    for family in ("mixture test", "e-process", "e-values", "sequential allocation"):
        assert _fails(family), family


def test_wrong_boundaries_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right, bounds = group_sequential.design_boundaries, sprt.wald_bounds
    monkeypatch.setattr(
        group_sequential,
        "design_boundaries",
        lambda looks, **k: replace(b := right(looks, **k), z=np.full_like(b.z, 1.96)),
    )
    assert _fails("group-sequential: pocock, 5 looks")
    # α and β in each other's place.
    monkeypatch.setattr(sprt, "wald_bounds", lambda alpha, beta: bounds(beta, alpha))
    assert _fails("Wald SPRT, normal")


# --- resampling and synthesis


@pytest.mark.slow
@pytest.mark.parametrize("method", bootstrap.METHODS)
def test_88_sold_as_95_is_seen_in_every_bootstrap(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = bootstrap.bootstrap
    monkeypatch.setattr(bootstrap, "bootstrap", lambda *a, **k: right(*a, **{**k, "level": 0.88}))
    assert _fails(f"bootstrap: mean of 100 normal values, {method}")


@pytest.mark.slow
def test_intervals_of_pillars_that_are_too_narrow_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, plus, compare = pooling.pool, jackknife_plus.jackknife_plus, comparison.corrected_resampled_t
    monkeypatch.setattr(pooling, "pool", lambda *a, **k: pool(*a, **{**k, "level": 0.90}))
    monkeypatch.setattr(jackknife_plus, "jackknife_plus", lambda *a, alpha: plus(*a, alpha=0.5))
    # The ordinary t of overlapping splits.
    monkeypatch.setattr(
        comparison, "corrected_resampled_t", lambda *a, test_share, level: compare(*a, test_share=1e-9, level=level)
    )
    for line in ("pooled effect: one common effect, 5 studies", "pooled effect: 10 studies, τ² = 0.2, as published",
                 "jackknife+", "comparing learners"):  # fmt: skip
        assert _fails(line), line
