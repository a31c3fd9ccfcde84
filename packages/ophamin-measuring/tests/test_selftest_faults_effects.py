"""Planted faults in pillars F and M, in paired differences and in the rule that stops early; the table must say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.special import betainc, stdtr, stdtrit

from ophamin.measuring.decision import _sequential as stopping
from ophamin.measuring.estimators import paired
from ophamin.measuring.pillars.feasibility import doubly_robust, regression
from ophamin.measuring.pillars.mixed_effects import linear, oneway
from ophamin.measuring.selftest.running import results

stopping_rule = stopping.decide_sequential

LINES = {
    "early type I": "sequential rule: share >= 0.9 at θ, decided at any of 400 cycles",
    "early mean": "sequential rule: mean <= 0.5 at θ, uniform, decided at any of 200 cycles",
    "validates": "sequential rule: share >= 0.9 where it is 0.98: validated",
    "refutes": "sequential rule: share >= 0.9 where it is 0.8: refuted",
    "pairs": "paired: mean shift of 100 normal differences",
    "rounds": "paired: mean shift, 20 rounds of 5 with ICC 0.1",
    "regression": "treatment effect: regression, normal errors, n = 30",
    "welch": "treatment effect: difference in means, unequal arms, n = 60",
    "aipw": "treatment effect: AIPW, n = 400",
    "mixed": "mixed model: mean of 8 groups of 5",
    "anova": "analysis of variance: one-way, 3 normal groups of 8, none differs",
}


def _fails(line: str) -> bool:
    return bool(results(only={LINES[line]})["summary"]["failed"])


DEAR = ("early type I", "early mean", "aipw", "mixed")


@pytest.mark.parametrize("line", [pytest.param(k, marks=pytest.mark.slow) if k in DEAR else k for k in LINES])
def test_the_right_ones_pass_the_same_lines(line: str) -> None:
    assert not _fails(line)


# --- the rule that stops early


def _peeking(threshold: Any, decision: Any, call: Any, *, alpha_validate: float, **more: Any) -> Any:
    """A fixed-n test at every cycle from the tenth, and the first crossing is the verdict."""
    right = stopping_rule(threshold, decision, call, alpha_validate=alpha_validate, **more)
    x = np.asarray(call.columns["value"], float)
    n = np.arange(1, len(x) + 1)
    total = np.cumsum(x)
    if decision.estimator == "proportion":
        high = betainc(np.maximum(total, 1), n - total + 1, threshold.value)  # P(at least as many)
        low = 1 - betainc(total + 1, np.maximum(n - total, 1e-9), threshold.value)
    else:
        spread = np.sqrt(np.maximum(np.cumsum(x**2) / n - (total / n) ** 2, 1e-9) / n)
        high = stdtr(np.maximum(n - 1, 1), -(total / n - threshold.value) / spread)
        low = 1 - high
    up = threshold.comparator in (">=", ">")
    first = next((i for i in range(10, len(x)) if min(high[i], low[i]) <= alpha_validate), None)
    if first is None:
        return replace(right, outcome="INCONCLUSIVE")
    return replace(right, outcome="VALIDATED" if (high[first] < low[first]) == up else "REFUTED")


@pytest.mark.slow
@pytest.mark.parametrize("line", ["early type I", "early mean"])
def test_a_rule_that_peeks_is_seen(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "decide_sequential", _peeking)
    assert _fails(line)


@pytest.mark.parametrize("line", ["validates", "refutes"])
def test_a_rule_that_never_dares_is_seen(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def timid(*given: Any, alpha_validate: float, alpha_refute: float, seed: int) -> Any:
        return stopping_rule(*given, alpha_validate=1e-12, alpha_refute=1e-12, seed=seed)

    monkeypatch.setattr(stopping, "decide_sequential", timid)
    assert _fails(line)


# --- paired differences


@pytest.mark.parametrize("sides", [(2.0, 2.0), (0.1, 1.9), (1.9, 0.1), (0.5, 0.5)])
def test_wrong_levels_of_a_mean_shift_are_seen(sides: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    right = paired.mean_shift

    def wrong(columns: Any, *, confidence: float, **more: Any) -> Any:
        low, high = (right(columns, confidence=1 - side * (1 - confidence), **more) for side in sides)
        return replace(low, upper=high.upper)

    monkeypatch.setattr(paired, "mean_shift", wrong)
    assert _fails("pairs")


def test_rounds_taken_for_independent_rows_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = paired.mean_shift
    monkeypatch.setattr(paired, "mean_shift", lambda columns, **more: right({"value": columns["value"]}, **more))
    assert _fails("rounds")


# --- effects of a treatment, and groups: no level of AIPW up to 0.85 sold as 0.95 is seen at the runs of --quick


def _levels(right: Callable[..., Any], below: float, above: float) -> Callable[..., Any]:
    """Two-sided intervals whose sides miss at other rates: multiples of the rate asked for."""

    def wrong(*given: Any, level: float = 0.95, **more: Any) -> Any:
        low, high = (right(*given, level=1 - side * (1 - level), **more) for side in (below, above))
        return replace(low, upper=high.upper)

    return wrong


@pytest.mark.parametrize("sides", [(3.0, 3.0), (0.01, 1.99), (1.99, 0.01)])
@pytest.mark.parametrize(
    ("line", "module", "name"),
    [("regression", regression, "regression"), ("welch", regression, "difference_in_means")],
)
def test_wrong_levels_of_an_effect_are_seen(
    line: str, module: Any, name: str, sides: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, _levels(getattr(module, name), *sides))
    assert _fails(line)


@pytest.mark.slow
def test_an_effect_without_its_confounders_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubly_robust, "aipw", lambda y, treated, x: regression.difference_in_means(y, treated))
    assert _fails("aipw")


@pytest.mark.slow
def test_groups_taken_for_independent_rows_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = linear.mixed_model

    def wrong(y: Any, group: Any, **more: Any) -> Any:
        half = stdtrit(len(y) - 1, 0.975) * np.std(y, ddof=1) / np.sqrt(len(y))
        return replace(right(y, group, **more), lower=[np.mean(y) - half], upper=[np.mean(y) + half])

    monkeypatch.setattr(linear, "mixed_model", wrong)
    assert _fails("mixed")


@pytest.mark.parametrize("factor", [0.4, 10.0])
def test_a_wrong_tail_of_f_is_seen(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    right = oneway.one_way

    def wrong(*given: Any, p_times: float) -> Any:
        found = right(*given)
        return replace(found, classic=replace(found.classic, p_value=p_times * found.classic.p_value))

    monkeypatch.setattr(oneway, "one_way", partial(wrong, p_times=factor))
    assert _fails("anova")
