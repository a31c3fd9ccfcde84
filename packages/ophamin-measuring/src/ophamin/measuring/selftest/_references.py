"""Numbers that have to come out: closed forms, small enumerations by whole numbers, identities.

All of our own choosing and worked out here, so nothing depends on a table of somebody else's.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.special import owens_t

from ophamin.measuring import decision as deciding
from ophamin.measuring.pillars.adaptive import evalues, group_sequential, mixture, peeking, sequences, sprt
from ophamin.measuring.pillars.feasibility import sensitivity
from ophamin.measuring.pillars.observability import constants, ratio, run_length
from ophamin.measuring.pillars.robustness import comparison, jackknife, statistics
from ophamin.measuring.pillars.synthesis import effects, pooling, tables
from ophamin.measuring.selftest._check import Reference
from ophamin.proof.types import Decision, Threshold
from ophamin.registry import estimators

__all__ = ["REFERENCES"]


def _ask(name: str, columns: dict[str, Any], confidence: float = 0.95, **options: Any) -> Any:
    return estimators.get(name)(columns, confidence=confidence, seed=0, **options)


def _tail(k: int, n: int, p: float) -> float:
    """P(X ≥ k) by whole numbers."""
    exact = Fraction(p)
    return float(sum(math.comb(n, i) * exact**i * (1 - exact) ** (n - i) for i in range(k, n + 1)))


def _clopper_pearson_lower() -> float:
    return _tail(7, 20, _ask("proportion", {"value": [1] * 7 + [0] * 13}).lower)


def _clopper_pearson_upper() -> float:
    return 1 - _tail(8, 20, _ask("proportion", {"value": [1] * 7 + [0] * 13}).upper)


def _student(values: list[float], p: float) -> float:
    """The quantile of t that the upper bound of these values has used."""
    found = _ask("mean", {"value": values}, p)
    spread = math.sqrt(sum((v - sum(values) / len(values)) ** 2 for v in values) / (len(values) - 1))
    return float((found.upper - found.value) / (spread / math.sqrt(len(values))))


def _ece_upper() -> float:
    # c = 0.75 in 400 rows, 3 of 4 right: the plug-in is 0 and the mean square of y − c is 3/16.
    return float(_ask("calibration-error", {"confidence": [0.75] * 400, "correct": [1, 1, 1, 0] * 100}).upper)


def _shares(method: str, back: bool = False) -> Any:
    arm = ["base"] * 40 + ["head"] * 20
    if back:
        arm = ["head"] * 40 + ["base"] * 20
    return _ask(f"difference.{method}", {"value": [1] * 30 + [0] * 10 + [1] * 10 + [0] * 10, "arm": arm})


def _exponent() -> float:
    sizes = [10.0 * 3**i for i in range(8)]
    return float(_ask("exponent", {"size": [0, *sizes], "value": [0.0, *(2 * s**1.5 for s in sizes)]}).value)


def _wald_walk() -> float:
    # p0 = 1/3 against p1 = 2/3 moves by ±log 2, and α = β = 1/5 stops at ±log 4: ruin of a gambler at ±2.
    return float(sprt.bernoulli_characteristic([1 / 3], 1 / 3, 2 / 3, 0.2, 0.2).reject[0])


def _two_looks() -> float:
    # Two looks correlate by √½; by Owen's T both |Z| stay within h with chance 1 − 4T(h, a) − 4T(h, 1/a).
    a = math.sqrt((1 - math.sqrt(0.5)) / (1 + math.sqrt(0.5)))
    return float(4 * owens_t(_Z, a) + 4 * owens_t(_Z, 1 / a))


def _between(method: str) -> float:
    return pooling.pool([0.0, 2.0], [0.5, 0.5], method=method).tau2


_Z = 1.959963984540054
_EVEN = ([0.0, 1.0, 2.0, 5.0], "mean")

REFERENCES: tuple[Reference, ...] = (
    Reference("proportion", "Clopper–Pearson, 0 of 30, upper", lambda: _ask("proportion", {"value": [0] * 30}).upper,
              1 - 0.05 ** (1 / 30), "1 − α^(1/n)"),
    Reference("proportion", "Clopper–Pearson, 30 of 30, lower", lambda: _ask("proportion", {"value": [1] * 30}).lower,
              0.05 ** (1 / 30), "α^(1/n)"),
    Reference("proportion", "P(X ≥ 7) at the lower bound of 7 in 20", _clopper_pearson_lower, 0.05,
              "definition, binomial sum in whole numbers"),
    Reference("proportion", "P(X ≤ 7) at the upper bound of 7 in 20", _clopper_pearson_upper, 0.05,
              "definition, binomial sum in whole numbers"),
    Reference("mean", "t with 1 degree of freedom, 0.95", lambda: _student([0.0, 1.0], 0.95),
              math.tan(math.pi * 0.45), "Cauchy quantile tan(π(p − 1/2))"),
    Reference("mean", "t with 2 degrees of freedom, 0.975", lambda: _student([0.0, 1.0, 5.0], 0.975),
              0.95 * math.sqrt(2 / (1 - 0.95**2)), "(2p−1)·√(2/(1−(2p−1)²))"),
    Reference("mean", "Bernstein and betting hold the mean", lambda: float(all(
        (e := _ask("mean", {"value": [0.2, 0.9, 0.4] * 20}, method=m, support=[0, 1])).lower < 0.5 < e.upper
        for m in ("betting", "empirical-bernstein"))), 1.0, "the sample mean lies between the bounds"),
    Reference("quantile", "median of 1 … 5 at 31/32, lower", lambda: _ask(
        "quantile", {"value": [1, 2, 3, 4, 5]}, 31 / 32 - 1e-9, q=0.5).lower, 1.0, "P(all above the median) = 2^−5"),
    Reference("quantile", "largest of 59, p95, upper", lambda: _ask(
        "quantile", {"value": list(range(1, 60))}, q=0.95).upper, 59.0, "0.95^59 < 0.05 < 0.95^58"),
    Reference("calibration-error", "no gap, upper", _ece_upper, 1.6448536269514722 * math.sqrt(3 / 16 / 400),
              "z·√(mean (y−c)² / n)", 1e-8),
    Reference("brier-skill", "p(1−p) − Brier score", lambda: _ask(
        "brier-skill", {"confidence": [0.9, 0.1] * 50, "correct": [1, 0] * 50}).value, 0.25 - 0.01, "by hand"),
    Reference("exponent", "2·s^1.5", _exponent, 1.5, "an exact power law"),
    Reference("value", "sum of a whole target", lambda: _ask("value", {"value": [1, 2, 3]}, statistic="sum").value,
              6.0, "by hand"),
    Reference("difference.newcombe", "antisymmetry of 30/40 and 10/20", lambda: _shares("newcombe").lower
              + _shares("newcombe", back=True).upper, 0.0, "L(p, q) = −U(q, p)"),
    Reference("difference.clopper-pearson", "0 of 40 and 30 of 30, lower", lambda: _ask("difference.clopper-pearson", {
        "value": [0] * 40 + [1] * 30, "arm": ["base"] * 40 + ["head"] * 30}).lower,
        0.025 ** (1 / 30) - (1 - 0.025 ** (1 / 40)), "(α/2)^(1/n₂) − (1 − (α/2)^(1/n₁))"),
    Reference("difference.clopper-pearson", "30 of 30 and 0 of 40, upper", lambda: _ask("difference.clopper-pearson", {
        "value": [1] * 30 + [0] * 40, "arm": ["base"] * 30 + ["head"] * 40}).upper,
        1 - 0.025 ** (1 / 40) - 0.025 ** (1 / 30), "(1 − (α/2)^(1/n₂)) − (α/2)^(1/n₁)"),
    Reference("difference.mean", "paired differences 0 and 1, upper", lambda: _ask("difference.mean", {
        "value": [0.0, 0.0, 0.0, 1.0], "arm": ["base", "base", "head", "head"], "pair": [1, 2, 1, 2]}).upper,
        0.5 + 0.5 * math.tan(math.pi * 0.45), "Cauchy quantile"),
    Reference("tost", "differences 0 and −1, upper", lambda: _ask("tost", {"value": [0.0, -1.0]}).upper,
              0.5 + 0.5 * math.tan(math.pi * 0.45), "|d| + t·se, Cauchy quantile"),
    Reference("effect-size", "no difference, upper plus lower", lambda: (e := _ask("effect-size", {
        "value": [0.0, 1.0, 0.0, 1.0], "arm": ["base", "base", "head", "head"]})).upper + e.lower, 0.0,
        "symmetry of the noncentral t"),
    Reference("slope.hac", "a line and an even ripple", lambda: _ask("slope.hac", {
        "time": [0, 1, 2, 3], "value": [1.0, 1.0, 3.0, 7.0]}).value, 2.0, "Σ(t−t̄)y / Σ(t−t̄)²"),
    Reference("correlation", "r = 0.6 in 4 rows, tanh⁻¹ of upper", lambda: math.atanh(_ask("correlation", {
        "value": [1.0, -1.0, 1.0, -1.0], "other": [1.4, -1.4 + 1.6, 1.4 - 1.6, -1.4]}).upper),
        math.atanh(0.6) + 1.6448536269514722, "artanh r + z/√(n − 3)", 1e-8),
    Reference("holm", "0.001, 0.3 and 0.01: how many", lambda: _ask("holm", {"value": [0.001, 0.3, 0.01]}).lower, 2.0,
              "0.003, 0.02 and 0.3 adjusted"),
    Reference("decision", "least n of accuracy >= 0.9", lambda: deciding.least_n(
        Threshold("a", ">=", 0.9), Decision(estimator="proportion"), alpha=0.05), 29.0, "⌈log α / log θ⌉"),
    Reference("decision", "least n of p95", lambda: deciding.least_n(
        Threshold("p95", "<=", 1.0), Decision(estimator="quantile"), alpha=0.05, q=0.95), 59.0, "⌈log α / log q⌉"),
    Reference("decision", "α spent by 40 attempts", lambda: sum(deciding.alpha_for(0.05, k) for k in range(1, 41)),
              0.1 - 0.05 * 2.0**-39, "a geometric series, below 2α"),
    Reference("family", "Holm of 0.01, 0.04, 0.03", lambda: sum(deciding.holm([0.01, 0.04, 0.03])), 0.15, "by hand"),
    Reference("family", "Benjamini–Hochberg of 0.01, 0.04, 0.03",
              lambda: sum(deciding.benjamini_hochberg([0.01, 0.04, 0.03])), 0.11, "by hand"),
    Reference("Wald SPRT", "rejection of a fair gambler", _wald_walk, 0.2, "gambler's ruin: 1/(1 + (q/p)²)", 1e-7),
    Reference("Wald SPRT", "limit A at α = 0.05, β = 0.1", lambda: sprt.wald_bounds(0.05, 0.1).upper, 18.0, "(1−β)/α"),
    Reference("mixture test", "log Λ of one value 2, σ = τ = 1", lambda: mixture.mixture_test(
        [2.0], variance=1.0, tau=1.0).log_lambda[0], 1 - math.log(2) / 2, "τ²x²/(2σ²(σ²+τ²)) + ½ log(σ²/(σ²+τ²))"),
    Reference("confidence sequence", "symmetry of 7 and 3 in 10", lambda: float(
        sequences.bernoulli_sequence(successes=[7], n=[10]).lower[0]
        + sequences.bernoulli_sequence(successes=[3], n=[10]).upper[0]), 1.0, "L(k) + U(n−k) = 1"),
    Reference("group-sequential", "5 looks at z = 0", lambda: group_sequential.crossing(
        [0.0] * 5, [0.2, 0.4, 0.6, 0.8, 1.0], sides=1).power, 1 - math.comb(10, 5) / 4**5,
        "Sparre Andersen: P(all sums below 0) = C(2n, n)/4^n"),
    Reference("group-sequential", "one look", lambda: group_sequential.design_boundaries(1).z[0], 1.959963984540054,
              "Φ⁻¹(0.975)"),
    Reference("A.peeking", "two looks at 5 %", lambda: peeking.inflation(2), _two_looks(), "Owen's T", 1e-7),
    Reference("F.e_value", "risk ratio 2", lambda: sensitivity.e_value(2.0).point, 2 + math.sqrt(2), "r + √(r(r − 1))"),
    Reference("e-values", "KT e-process after 1, 1 against 1/2", lambda: evalues.bernoulli_e_process(
        [1, 1], 0.5, comparator="<=")[-1], 1.5, "(1/2 · 3/4)/(1/2)²"),
    Reference("bootstrap", "jackknife error of a mean", lambda: jackknife.jackknife(
        [np.array(_EVEN[0])], statistics.statistic_of(_EVEN[1])).standard_error, math.sqrt(14 / 3 / 4), "s/√n"),
    Reference("comparing learners", "differences 0 and 1, share 1/2", lambda: comparison.corrected_resampled_t(
        [0.0, 0.0], [0.0, 1.0], test_share=0.5).p_value, 1 - 2 / math.pi * math.atan(math.sqrt(0.5)),
        "t = 1/√2 with 1 degree of freedom"),
    Reference("pooled effect", "τ² of two studies, DL", lambda: _between("DL"), 1.5, "d²/2 − v"),
    Reference("pooled effect", "τ² of two studies, Paule–Mandel", lambda: _between("PM"), 1.5, "d²/2 − v", 1e-6),
    Reference("pooled effect", "τ² of two studies, REML", lambda: _between("REML"), 1.5, "d²/2 − v", 1e-6),
    Reference("pooled effect", "one common effect of 1 and 4, weights 2 to 1", lambda: pooling.pool(
        [1.0, 4.0], [0.5, 1.0], method="FE").estimate, 2.0, "weighted mean"),
    Reference("pooled effect", "Mantel–Haenszel of one table", lambda: math.exp(
        tables.mantel_haenszel("OR", [6], [10], [3], [12]).estimate), 6 * 9 / (4 * 3), "ad/bc"),
    Reference("effect size", "Hedges' factor, 2 degrees of freedom", lambda: effects.hedges_factor(2.0),
              1 / math.sqrt(math.pi), "Γ(1)/(√1·Γ(1/2))"),
    Reference("control chart", "d2 of 3", lambda: constants.constants(3).d2, 3 / math.sqrt(math.pi), "3/√π", 1e-7),
    Reference("control chart", "c4 of 3", lambda: constants.constants(3).c4, math.sqrt(math.pi) / 2, "√π/2"),
    Reference("control chart", "ARL of 3-sigma limits", run_length.shewhart_arl, 1 / math.erfc(3 / math.sqrt(2)),
              "1/P(|Z| > 3)"),
    Reference("control chart", "ARL of an EWMA with λ = 1", lambda: run_length.ewma_arl(lam=1.0, width=2.0),
              1 / math.erfc(2 / math.sqrt(2)), "it is a Shewhart chart", 1e-6),
    Reference("sample-ratio mismatch", "510 and 490, half and half", lambda: ratio.sample_ratio_mismatch(
        [510, 490], [1, 1]).p_value, math.erfc(math.sqrt(0.4 / 2)), "χ² = 0.4 with 1 degree of freedom"),
)  # fmt: skip
"""Every number, compared in every mode."""
