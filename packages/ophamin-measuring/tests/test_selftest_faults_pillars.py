"""Planted faults in the pillars and diagnostics: a wrong one takes the place of a right one, and the table must say so.

The limits are those of the whole quick table. What its runs see of a dear method is coarse; how coarse, the multiple of
the error rate says that is planted here, and the column ``sees`` of the table. That the right ones pass the same lines
is what ``test_the_whole_quick_table_passes`` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ophamin.measuring.diagnostics import anticipation, conformal, coupling, inertia
from ophamin.measuring.pillars.feasibility import (
    doubly_robust,
    instrument,
    matching,
    refutation,
    regression,
    standardisation,
    stratification,
    weighting,
)
from ophamin.measuring.pillars.general import (
    adjust,
    correlations,
    effects,
    means,
    paired_counts,
    permutation,
    power,
    proportions,
    ranks,
)
from ophamin.measuring.pillars.mixed_effects import factorial, oneway, repeated, sweep, tukey
from ophamin.measuring.pillars.observability import _subgroups, capability, charts, drift, ratio, rules, weighted
from ophamin.measuring.pillars.synthesis import bias, pooling, sequence, tables
from ophamin.measuring.pillars.synthesis import effects as sizes
from ophamin.measuring.selftest._planned import planned
from ophamin.measuring.selftest.running import results

Wrong = Callable[..., Any]


def _fails(*only: str, mode: str = "quick") -> bool:
    return bool(results(mode, only=set(only))["summary"]["failed"])


def _times(name: str, right: Wrong, rate: float) -> Wrong:
    """The same with another level, or α: its misses are a multiple of those asked for."""

    def wrong(*given: Any, **more: Any) -> Any:
        if name == "alpha":
            return right(*given, **{**more, "alpha": rate * more.get("alpha", 0.05)})
        return right(*given, **{**more, "level": 1 - rate * (1 - more.get("level", 0.95))})

    return wrong


LEVELS: dict[str, tuple[Any, str, float]] = {
    "X.proportion": (proportions, "interval", 2),
    "X.proportion_difference": (proportions, "difference_interval", 2),
    "X.mcnemar: odds ratio, worst over all odds, 30 discordant pairs": (paired_counts, "mcnemar", 2),
    "X.t_test: one sample, n = 5": (means, "t_test", 2),
    "X.t_test: pairs, n = 5": (means, "paired", 2),
    "X.smd": (effects, "standardized_difference", 2),
    "X.mann_whitney: AUC 0.76, 60 and 60": (ranks, "mann_whitney", 3),
    "X.correlation: pearson, normal with ρ = 0.5, n = 50": (correlations, "correlate", 3),
    "X.correlation: kendall, normal with ρ = 0.5, n = 50": (correlations, "correlate", 3),
    "O.capability": (capability, "capability", 2),
    "F.lin": (regression, "lin", 5),
    "F.ipw": (weighting, "ipw", 5),
    "F.ipwra": (doubly_robust, "ipwra", 5),
    "F.g_formula": (standardisation, "g_formula", 5),
    "F.matching": (matching, "matching", 6),
    "F.stratification": (stratification, "stratify", 4),
    "F.iv: strong instrument, n = 500": (instrument, "instrumented", 5),
    "F.iv: weak instrument, both sides together, n = 50": (instrument, "instrumented", 3),
    "I.mantel_haenszel: OR of 5 tables": (tables, "mantel_haenszel", 4),
    "I.peto": (tables, "peto", 4),
    "I.meta: the next of 20 studies, τ² = 1": (pooling, "pool", 4),
    "I.meta_regression: slope, 10 studies about one line": (pooling, "meta_regression", 2),
    "M.effects": (sweep, "sweep_effects", 3),
    "D.cognitive_inertia": (inertia, "cognitive_inertia", 5),
    "D.kernel_coupling": (coupling, "kernel_coupling", 3),
}
"""Where the table errs so many times as often as it should, the fault is seen; by line or family."""


@pytest.mark.parametrize("line", LEVELS)
def test_a_lower_confidence_sold_as_the_higher_is_seen(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, rate = LEVELS[line]
    kind = "alpha" if module is coupling else "level"
    monkeypatch.setattr(module, name, _times(kind, getattr(module, name), rate))
    assert _fails(line)


@pytest.mark.parametrize(
    ("line", "module", "name"),
    [("X.t_test: one sample, n = 5", means, "t_test"), ("X.proportion", proportions, "interval")],
)  # fmt: skip
@pytest.mark.parametrize("sides", [(0.1, 1.9), (1.9, 0.1), (0.5, 0.5)])
def test_lopsided_and_one_sided_ones_are_seen(
    line: str, module: Any, name: str, sides: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(module, name)
    low, high = (_times("level", right, side) for side in sides)

    def wrong(*given: Any, **more: Any) -> Any:
        return replace(low(*given, **more), upper=high(*given, **more).upper)

    monkeypatch.setattr(module, name, wrong)
    assert _fails(line)


def _p(right: Wrong, factor: float, *names: str) -> Wrong:
    """The same with its p-values multiplied: one-sided told for two-sided, when the factor is a half."""

    def wrong(*given: Any, **more: Any) -> Any:
        found = right(*given, **more)
        if isinstance(found, np.ndarray | float):
            return factor * found
        if isinstance(found, list):
            return [replace(f, p_value=factor * f.p_value) for f in found]
        return replace(found, **{name: factor * getattr(found, name) for name in names})

    return wrong


TESTS: dict[str, tuple[Any, str, float, tuple[str, ...]]] = {
    "X.mcnemar: exact, 34 discordant pairs": (paired_counts, "mcnemar", 0.4, ("p_exact",)),
    "X.mcnemar: mid-p, 34 discordant pairs": (paired_counts, "mcnemar", 0.5, ("p_mid",)),
    "X.tost": (means, "tost", 0.5, ("p_value",)),
    "X.non_inferiority": (means, "non_inferiority", 0.5, ("p_value",)),
    "X.mann_whitney: exact, all 252 orders of 5 and 5": (ranks, "mann_whitney", 0.5, ("p_exact",)),
    "X.permutation": (permutation, "permutation_test", 0.5, ("p_value",)),
    "X.correlation: spearman, no relation, n = 20": (correlations, "correlate", 0.5, ("p_value",)),
    "X.correlation: spearman exact, all 120 orders of 5": (correlations, "exact_spearman", 0.4, ()),
    "O.srm": (ratio, "sample_ratio_mismatch", 0.5, ("p_value",)),
    "I.small_study: Egger, 12 studies, no bias": (bias, "egger", 0.5, ("p_value",)),
    "I.small_study: Begg, 12 studies, no bias": (bias, "begg", 0.4, ("p_value",)),
    "F.refute": (refutation, "refute", 0.2, ("p_value",)),
    "M.anova_rm": (repeated, "repeated_measures", 0.1, ()),
}
"""A p-value times the factor is seen: a half where there are runs enough, a tenth where each is dear."""


@pytest.mark.parametrize("line", TESTS)
def test_a_p_value_that_is_too_small_is_seen(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, factor, names = TESTS[line]
    monkeypatch.setattr(module, name, _p(getattr(module, name), factor, *names))
    assert _fails(line)


@pytest.mark.parametrize("method", adjust.METHODS)
def test_no_correction_is_seen(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adjust, "adjust", lambda p, method: np.asarray(p))
    assert _fails(f"X.adjust: {method}, 5 true: any rejected")


def test_a_power_that_promises_too_much_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = power.power
    honest = planned()
    monkeypatch.setattr(power, "power", lambda *a, **k: min(1.0, right(*a, **k) + 0.1))
    for check, boast in zip(honest, planned(), strict=True):
        assert check.run is not None
        assert check.least is not None
        assert boast.least is not None
        seen = check.run(np.random.default_rng(1), 4000).above / 4000
        assert check.least - 0.03 < seen < boast.least - 0.03, check.label


# --- charts


def test_a_wrong_constant_of_a_chart_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = charts.constants
    for user in (charts, _subgroups):
        monkeypatch.setattr(user, "constants", lambda n: replace(c := right(n), d2=1.15 * c.d2, c4=1.15 * c.c4))
    for line in ("X̄ by range, normal", "X̄ by sd, normal"):
        assert _fails(f"O.xbar: {line}, beyond 2 standard errors")
    assert _fails("O.individuals: normal, beyond 2 standard deviations")


def test_wrong_limits_of_counts_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = charts._count_chart

    def wrong(name: str, points: Any, center: Any, spread: Any, *more: Any) -> Any:
        return right(name, points, center, 1.1 * spread, *more)

    monkeypatch.setattr(charts, "_count_chart", wrong)
    for name in ("p", "np", "c", "u"):
        assert _fails(f"O.{name}"), name


@pytest.mark.parametrize("name", [*rules.NELSON, *rules.WESTERN_ELECTRIC])
def test_a_rule_that_fires_twice_as_often_or_never_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = rules.violations

    def never(z: Any, chosen: str) -> Any:
        return {**right(z, chosen), name: np.array([], dtype=int)}

    def twice(z: Any, chosen: str) -> Any:
        z = np.asarray(z)
        return {**right(z, chosen), name: np.union1d(right(z, chosen)[name], right(np.roll(z, 15 * 7), chosen)[name])}

    # 6 of 60,000 points fire the rarest: of a doubling, --quick sees nothing there.
    for wrong in (never, twice) if name != "nelson-8" else ():
        monkeypatch.setattr(rules, "violations", wrong)
        assert _fails(f"runs rules: {name}, normal")


def test_other_weighted_charts_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    ewma, cusum = weighted.ewma, weighted.cusum
    monkeypatch.setattr(weighted, "ewma", lambda x, *, lam, **k: ewma(x, lam=lam / 2, **k))
    monkeypatch.setattr(weighted, "cusum", lambda x, *, h, **k: replace(cusum(x, h=h, **k), h=1.1 * h))
    for line in ("O.ewma: time-varying limits of 2.5, a signal within 100 points", "O.cusum"):
        assert _fails(line), line


@pytest.mark.parametrize("name", [d for d in drift.DETECTORS if d != "kswin"])
def test_a_deaf_detector_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "detect", lambda values, *a, **k: drift.Drift([], [], len(values)))
    assert _fails(f"O.drift: {name}, a clear change is found")


# --- the rest, each with the mistake that is made there


def test_one_place_too_few_in_conformal_prediction_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformal, "_rank", lambda n, alpha: math.ceil(n * (1 - alpha)))
    assert _fails("D.anticipatory_failure: a new score, 20 for calibration")
    assert _fails("D.anticipatory_failure: a new value, normalised by its spread")


def test_wald_rates_of_alarms_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def wald(count: int, n: int, level: float) -> Any:
        p = count / n
        half = 1.96 * math.sqrt(p * (1 - p) / n)
        return anticipation.Rate(count, n, p, p - half, p + half)

    monkeypatch.setattr(anticipation.Rate, "of", wald)
    assert _fails("D.anticipatory_failure: rates of alarms, worst over all shares, n = 30")


def test_looking_without_spending_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = sequence.spending_boundaries
    monkeypatch.setattr(
        sequence, "spending_boundaries", lambda *a, **k: replace(b := right(*a, **k), z=np.full_like(b.z, 1.96))
    )
    assert _fails("I.cumulative")


def test_pairs_without_tukey_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = tukey.tukey_hsd

    def wrong(value: Any, group: Any) -> Any:
        found = right(value, group)
        return replace(
            found,
            lower=found.differences - 0.82 * (found.differences - found.lower),
            upper=found.differences + 0.82 * (found.upper - found.differences),
        )

    monkeypatch.setattr(tukey, "tukey_hsd", wrong)
    assert _fails("M.tukey")


@pytest.mark.parametrize(
    ("name", "line"),
    [("counts", "log odds ratio"), ("counts", "risk difference"), ("standardized_mean_difference", "Hedges' g"),
     ("mean_difference", "mean difference"), ("fisher_z", "Fisher's z")],
)  # fmt: skip
def test_a_variance_of_three_quarters_is_seen(name: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(sizes, name)
    monkeypatch.setattr(sizes, name, lambda *a: replace(found := right(*a), variance=0.75 * found.variance))
    assert _fails(f"I.effect_sizes: {line} ± z·√v")


def test_an_effect_without_its_confounder_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = regression.difference_in_means
    for module, name, family in (
        (weighting, "ipw", "F.ipw"), (doubly_robust, "ipwra", "F.ipwra"),
        (standardisation, "g_formula", "F.g_formula"), (matching, "matching", "F.matching"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, lambda y, treated, x: plain(y, treated))
        assert _fails(family), family


def test_a_factor_that_takes_the_other_s_part_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = factorial.factorial

    def wrong(y: Any, factors: Any, **more: Any) -> Any:
        found = right(y, factors, **more)
        return replace(found, terms=[replace(t, p_value=found.terms[0].p_value) for t in found.terms])

    monkeypatch.setattr(factorial, "factorial", wrong)
    assert _fails("M.anova_factorial: second factor, type 2, 2 by 3 cells of 4")


@pytest.mark.slow
def test_what_only_the_full_run_tries_is_seen_there(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "M.anova: welch, 3 normal groups of 12, none differs"
    right = oneway.one_way

    def wrong(*given: Any) -> Any:
        found = right(*given)
        return replace(found, welch=replace(found.welch, p_value=0.5 * found.welch.p_value))

    monkeypatch.setattr(oneway, "one_way", wrong)
    assert _fails(line, mode="full")
