"""Checks of the rest of pillar M: analysis of variance in its forms, contrasts of a sweep, pairs, a variance at 0.

The modules are asked for their functions when a check runs, so what is tried is what is installed. The tests of equal
spread and the like are too dear for ``--quick`` beside what it would see of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ophamin.measuring.pillars.mixed_effects import factorial, inference, linear, oneway, repeated, sweep, tukey
from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Run, Stress, Tally
from ophamin.measuring.selftest._trials import interval_run, rejection_run

__all__ = ["models"]

Rng = np.random.Generator
_SIDE = 0.025
_ABOVE = ("above",)


def models() -> list[Check]:
    """Every check of this kind."""
    return [*_one_way(), *_terms(), *_contrasts(), *_variance()]


def _one_way() -> list[Check]:
    group = np.repeat(np.arange(3), 12).tolist()

    def p_value(name: str, heavy: bool = False) -> Run:
        def call(rng: Rng) -> float:
            found = oneway.one_way(rng.lognormal(size=36) if heavy else rng.normal(size=36), group)
            return float(getattr(found, name).p_value)

        return rejection_run(call)

    return [
        Check("M.anova", f"{name}, 3 normal groups of 12, none differs", method, "approximate", kind="type I",
              most=ALPHA + MARGIN, least=ALPHA - 2 * MARGIN, sides=_ABOVE, run=p_value(name), quick=0, full=8000,
              stress=(Stress("log-normal", p_value(name, heavy=True)),))
        for name, method in (
            ("welch", "Welch's F"), ("kruskal_wallis", "Kruskal–Wallis"), ("levene", "Levene"),
            ("brown_forsythe", "Brown–Forsythe"), ("bartlett", "Bartlett"),
        )
    ]  # fmt: skip


def _terms() -> list[Check]:
    a, b = np.repeat([0, 1], 12), np.tile(np.repeat([0, 1, 2], 4), 2)
    subject, dose = np.repeat(np.arange(8), 3).tolist(), np.tile([0, 1, 2], 8)

    def crossed(term: int, kind: int) -> Callable[[Rng], float]:
        def p_value(rng: Rng) -> float:
            # The other factor has an effect, which must not leak into this term.
            y = rng.normal(size=24) + (a if term == 1 else 0 * a)
            return float(
                factorial.factorial(y, {"a": a.tolist(), "b": b.tolist()}, type=kind).terms[term].p_value
            )  # fmt: skip

        return p_value

    def within(rng: Rng) -> float:
        y = rng.normal(size=24) + np.repeat(3 * rng.normal(size=8), 3)
        return float(repeated.repeated_measures(y, subject, {"dose": dose.tolist()})[0].p_value)

    exact: Literal["guaranteed"] = "guaranteed"
    made = [
        Check("M.anova_factorial", f"{words}, type {kind}, 2 by 3 cells of 4", f"F, type {kind}", exact, kind="type I",
              most=ALPHA, least=ALPHA, sides=_ABOVE, run=rejection_run(crossed(term, kind)), quick=quick, full=6000)
        for term, words, kind, quick in (
            (1, "second factor", 2, 100), (2, "interaction", 3, 0), (1, "second factor", 1, 0),
        )
    ]  # fmt: skip
    made.append(
        Check("M.anova_rm", "8 subjects, 3 doses, none differs", "F, within subjects", exact, kind="type I",
              most=ALPHA, least=ALPHA, sides=_ABOVE, run=rejection_run(within), quick=100, full=4000)
    )  # fmt: skip
    return made


def _contrasts() -> list[Check]:
    a, b = np.repeat(["l", "h"], 6).tolist(), (["x", "y"] * 6)
    group = np.repeat(np.arange(3), 6).tolist()

    def effect(heavy: bool = False) -> Run:
        def interval(rng: Rng) -> tuple[float, float]:
            y = (rng.lognormal(size=12) if heavy else rng.normal(size=12)) + np.array([2.0 * (k == "h") for k in a])
            found = sweep.sweep_effects(y, {"a": a, "b": b}).effects[0]
            sign = 1 if found.name == "a[h-l]" else -1
            low, high = sorted((sign * found.lower, sign * found.upper))
            return low, high

        return interval_run(interval, 2.0)

    def any_pair(rng: Rng, runs: int) -> Tally:
        # Its critical value depends on the sizes alone and is dear to work out: taken from one call, tried on many.
        first = rng.normal(size=(3, 6))
        found = tukey.tukey_hsd(first.ravel(), group)
        critical = (found.upper[0] - found.lower[0]) / 2 / np.sqrt(first.var(axis=1, ddof=1).mean())
        y = rng.normal(size=(runs, 3, 6))
        spread = np.sqrt(y.var(axis=2, ddof=1).mean(axis=1))
        return Tally(0, int((np.ptp(y.mean(axis=2), axis=1) > critical * spread).sum()), runs)

    return [
        Check("M.effects", "one factor of 2 by 2, effect 2", "sum contrasts, t", "approximate", most=_SIDE, least=_SIDE,
              run=effect(), quick=500, full=10_000, stress=(Stress("log-normal", effect(heavy=True)),)),
        Check("M.tukey", "3 normal groups of 6: any pair", "studentised range", "guaranteed", kind="type I", most=ALPHA,
              least=ALPHA, sides=_ABOVE, run=any_pair, quick=20_000, full=200_000),
    ]  # fmt: skip


def _variance() -> list[Check]:
    group = np.repeat(np.arange(10), 4)

    def p_value(rng: Rng, between: float = 0.0) -> float:
        x = np.tile([0.0, 1.0, 2.0, 3.0], 10)
        y: Any = rng.normal(size=40) + rng.normal(size=10)[group] + between * rng.normal(size=10)[group] * x
        options: dict[str, Any] = {"numeric": {"x": x}, "slope": "x"}
        full = linear.mixed_model(y, group.tolist(), structure="slope", **options)
        reduced = linear.mixed_model(y, group.tolist(), numeric={"x": x})
        return inference.likelihood_ratio(full, reduced).p_value

    return [
        # The mixture is right in the limit of many groups; 10 keep it a little below.
        Check("M.lrt", "no random slope, 10 groups of 4", "χ² mixture", "approximate", kind="type I",
              most=ALPHA + MARGIN, least=0.2 * ALPHA, sides=_ABOVE, run=rejection_run(p_value), quick=0, full=2000,
              stress=(Stress("slopes of sd 1: they are found", rejection_run(lambda rng: p_value(rng, 1.0))),)),
    ]  # fmt: skip
