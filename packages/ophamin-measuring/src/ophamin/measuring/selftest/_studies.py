"""Checks of the rest of pillar I: effect sizes, pooled tables, meta-regression, small studies, looking as they come.

The modules are asked for their functions when a check runs, so what is tried is what is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ophamin.measuring.pillars.synthesis import bias, effects, heterogeneity, pooling, sequence, tables
from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Run, Stress, Tally
from ophamin.measuring.selftest._trials import interval_run, rejection_run

__all__ = ["studies"]

Rng = np.random.Generator
_SIDE = 0.025
_ABOVE = ("above",)
_Z = 1.959963984540054


def studies() -> list[Check]:
    """Every check of this kind."""
    return [*_sizes(), *_tables(), *_between(), *_lines(), *_small(), *_looks()]


# --- effect sizes, each with the interval ± z·√v that pooling takes it for


def _sizes() -> list[Check]:
    def shares(measure: str, truth: float, p: float, q: float) -> Callable[[Rng, int], tuple[Any, float]]:
        return lambda rng, runs: (
            effects.counts(measure, rng.binomial(80, p, size=runs), 80, rng.binomial(60, q, size=runs), 60),
            truth,
        )

    def means(name: str, n: int) -> Callable[[Rng, int], tuple[Any, float]]:
        def draw(rng: Rng, runs: int) -> tuple[Any, float]:
            x, y = rng.normal(size=(runs, n)) + 0.5, rng.normal(size=(runs, n))
            found = getattr(effects, name)(x.mean(axis=1), x.std(axis=1, ddof=1), n, y.mean(axis=1),
                                           y.std(axis=1, ddof=1), n)  # fmt: skip
            return found, 0.5

        return draw

    def related(n: int) -> Callable[[Rng, int], tuple[Any, float]]:
        def draw(rng: Rng, runs: int) -> tuple[Any, float]:
            x, e = rng.normal(size=(2, runs, n))
            y = 0.5 * x + math.sqrt(0.75) * e
            x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
            r = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
            return effects.fisher_z(r, n), math.atanh(0.5)

        return draw

    def covered(draw: Callable[[Rng, int], tuple[Any, float]]) -> Run:
        def run(rng: Rng, runs: int) -> Tally:
            found, truth = draw(rng, runs)
            known = np.isfinite(found.effect)
            half = _Z * np.sqrt(found.variance)
            return Tally(int((found.effect - half > truth).sum()), int((found.effect + half < truth).sum()), runs,
                         0 if known.mean() > 0.5 else int((~known).sum()))  # fmt: skip

        return run

    odds = math.log(0.4 / 0.6 / (0.5 / 0.5))
    cases = (
        ("log odds ratio", shares("OR", odds, 0.4, 0.5), shares("OR", math.log(0.02 / 0.98 / (0.1 / 0.9)), 0.02, 0.1)),
        ("log risk ratio", shares("RR", math.log(0.8), 0.4, 0.5), shares("RR", math.log(0.2), 0.02, 0.1)),
        ("risk difference", shares("RD", -0.1, 0.4, 0.5), shares("RD", -0.08, 0.02, 0.1)),
        ("Hedges' g", means("standardized_mean_difference", 30), means("standardized_mean_difference", 5)),
        ("mean difference", means("mean_difference", 60), means("mean_difference", 5)),
        ("Fisher's z", related(50), related(8)),
    )
    return [
        Check("I.effect_sizes", f"{words} ± z·√v", words, "approximate", most=_SIDE + MARGIN, least=_SIDE - MARGIN,
              run=covered(draw), quick=20_000, full=200_000, stress=(Stress("few or rare", covered(hard)),))
        for words, draw, hard in cases
    ]  # fmt: skip


# --- pooled tables


def _tables() -> list[Check]:
    def drawn(rng: Rng, base: np.ndarray, ratio: float, measure: str) -> tuple[Any, ...]:
        odds = base / (1 - base)
        p = {"OR": odds * ratio / (1 + odds * ratio), "RR": base * ratio, "RD": base + ratio}[measure]
        return rng.binomial(50, p), np.full(len(base), 50), rng.binomial(40, base), np.full(len(base), 40)

    def pooled(measure: str, ratio: float, base: np.ndarray, call: Callable[..., Any]) -> Run:
        def interval(rng: Rng) -> tuple[float, float]:
            found = call(*drawn(rng, base, ratio, measure))
            return found.lower, found.upper

        return interval_run(interval, ratio if measure == "RD" else math.log(ratio))

    usual, rare = np.array([0.2, 0.3, 0.4, 0.5, 0.3]), np.full(5, 0.03)
    cases: tuple[tuple[str, str, str, float, Callable[..., Any]], ...] = (
        ("I.mantel_haenszel", "OR", "Robins–Breslow–Greenland", 1.5, lambda *c: tables.mantel_haenszel("OR", *c)),
        ("I.mantel_haenszel", "RR", "Greenland–Robins, RR", 1.3, lambda *c: tables.mantel_haenszel("RR", *c)),
        ("I.mantel_haenszel", "RD", "Greenland–Robins, RD", 0.1, lambda *c: tables.mantel_haenszel("RD", *c)),
        ("I.peto", "OR", "Peto", 1.0, lambda *c: tables.peto(*c)),
    )
    return [
        Check(family, f"{measure} of 5 tables", method, "approximate", most=_SIDE + MARGIN, least=_SIDE - MARGIN,
              run=pooled(measure, ratio, usual, call), quick=800, full=20_000,
              stress=(Stress("events of 3 %", pooled(measure, ratio, rare, call)),))
        for family, measure, method, ratio, call in cases
    ] + [
        Check("I.mantel_haenszel", "no effect in 5 tables", "Cochran–Mantel–Haenszel", "approximate", kind="type I",
              most=ALPHA + MARGIN, least=ALPHA - MARGIN, sides=_ABOVE, quick=800, full=20_000,
              run=rejection_run(lambda rng: tables.cochran_mantel_haenszel(
                  *drawn(rng, usual, 1.0, "OR"), correct=False).p_value),
              stress=(Stress("events of 3 %, corrected", rejection_run(lambda rng: tables.cochran_mantel_haenszel(
                  *drawn(rng, rare, 1.0, "OR")).p_value)),)),
    ]  # fmt: skip


# --- pooling beyond one common effect


def _drawn(rng: Rng, k: int, tau2: float) -> tuple[np.ndarray, np.ndarray]:
    v = rng.uniform(0.05, 0.5, k)
    return math.sqrt(tau2) * rng.normal(size=k) + np.sqrt(v) * rng.normal(size=k), v


def _between() -> list[Check]:
    def pooled(k: int, method: str) -> Run:
        def interval(rng: Rng) -> tuple[float, float]:
            found = pooling.pool(*_drawn(rng, k, 0.2), method=method, test="z")
            return found.lower, found.upper

        return interval_run(interval, 0.0)

    def predicted(k: int, tau2: float) -> Run:
        def interval(rng: Rng) -> tuple[float, float]:
            found, new = pooling.pool(*_drawn(rng, k, tau2), method="DL"), math.sqrt(tau2) * rng.normal()
            return found.prediction[0] - new, found.prediction[1] - new

        return interval_run(interval, 0.0)

    few = "3 studies"
    made = [
        Check("I.meta", f"40 studies, τ² = 0.2, {method}", f"{method}, z", "approximate", most=_SIDE + MARGIN,
              least=_SIDE - MARGIN, run=pooled(40, method), quick=300 * (method in ("REML", "PM")), full=6000,
              stress=(Stress(few, pooled(3, method)),))
        for method in heterogeneity.METHODS if method not in ("FE", "DL")  # those two are tried elsewhere
    ]  # fmt: skip
    made.append(
        Check("I.meta", "the next of 20 studies, τ² = 1", "prediction, DL", "approximate", most=_SIDE + MARGIN,
              least=_SIDE - MARGIN, run=predicted(20, 1.0), quick=1000, full=20_000,
              stress=(Stress("20 studies, τ² = 0.2", predicted(20, 0.2)),))
    )  # fmt: skip
    return made


def _lines() -> list[Check]:
    def slope(k: int, tau2: float, **options: Any) -> Run:
        at = np.linspace(0.0, 1.0, k)

        def interval(rng: Rng) -> tuple[float, float]:
            y, v = _drawn(rng, k, tau2)
            found = pooling.meta_regression(y + 0.7 * at, v, {"at": at}, **options)
            return float(found.lower[1]), float(found.upper[1])

        return interval_run(interval, 0.7)

    return [
        Check("I.meta_regression", "slope, 10 studies about one line", "FE, z", "approximate", most=_SIDE, least=_SIDE,
              run=slope(10, 0.0, method="FE"), quick=2000, full=20_000,
              stress=(Stress("10 studies, τ² = 0.2", slope(10, 0.2, method="FE")),)),
        *(
            Check("I.meta_regression", f"slope, 15 studies, τ² = 0.2, {method}", f"{method}, Knapp–Hartung",
                  "approximate", most=_SIDE + MARGIN, least=_SIDE - MARGIN, quick=quick, full=10_000,
                  run=slope(15, 0.2, method=method, test="knapp-hartung"),
                  stress=(Stress("5 studies, τ² = 0.2", slope(5, 0.2, method=method, test="knapp-hartung")),))
            for method, quick in (("DL", 500), ("REML", 0))
        ),
    ]  # fmt: skip


def _small() -> list[Check]:
    def p_value(call: Callable[..., Any], tau2: float = 0.0) -> Run:
        return rejection_run(lambda rng: float(call(*_drawn(rng, 12, tau2)).p_value))

    return [
        # One common effect: a weighted line through it is least squares on its own model, and its t exact.
        Check("I.small_study", "Egger, 12 studies, no bias", "Egger", "guaranteed", kind="type I", most=ALPHA,
              least=ALPHA, sides=_ABOVE, run=p_value(lambda *s: bias.egger(*s)), quick=1500, full=20_000),
        Check("I.small_study", "Egger as a mixed model, no bias", "Egger, FE, z", "guaranteed", kind="type I",
              most=ALPHA, least=ALPHA, sides=_ABOVE, quick=500, full=20_000,
              run=p_value(lambda *s: bias.egger(*s, model="mixed", method="FE"))),
        Check("I.small_study", "Begg, 12 studies, no bias", "Begg", "approximate", kind="type I",
              most=ALPHA + MARGIN, least=ALPHA - 2 * MARGIN, sides=_ABOVE, run=p_value(lambda *s: bias.begg(*s)),
              quick=1000, full=20_000, stress=(Stress("τ² = 0.2", p_value(lambda *s: bias.begg(*s), 0.2)),)),
    ]  # fmt: skip


def _looks() -> list[Check]:
    def run(rng: Rng, runs: int) -> Tally:
        v = np.full(5, 0.2)
        found = [
            sequence.cumulative(math.sqrt(0.2) * rng.normal(size=5), v, method="FE", max_information=25.0)
            for _ in range(runs)
        ]
        return Tally(0, sum(f.crossed is not None for f in found), runs)

    return [
        Check("I.cumulative", "5 studies as they come, both sides together", "Lan–DeMets, O'Brien–Fleming",
              "guaranteed", kind="type I", most=ALPHA, least=ALPHA, sides=_ABOVE, run=run, quick=400, full=10_000),
    ]  # fmt: skip
