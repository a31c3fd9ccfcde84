"""Checks of pillars F and M, of the differences a reproduction asks for, and of the rule that stops early.

The modules are asked for their functions when a check runs, so what is tried is what is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ophamin.measuring.decision import _sequential as stopping
from ophamin.measuring.estimators import paired
from ophamin.measuring.pillars.feasibility import doubly_robust, regression
from ophamin.measuring.pillars.mixed_effects import linear, oneway
from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Run, Stress, Tally
from ophamin.measuring.selftest._trials import interval_run
from ophamin.proof.types import Decision, Threshold
from ophamin.protocols import EstimatorCall

__all__ = ["effects"]

Rng = np.random.Generator
_SIDE = 0.025


def effects() -> list[Check]:
    """Every check of this kind."""
    return [*_early(), *_pairs(), *_treatments(), *_groups()]


# --- a rule that stops early: a crossing at any cycle latches, so the verdict at the end says whether there was one


def _verdicts(threshold: Threshold, decision: Decision, draw: Callable[[Rng], np.ndarray]) -> Run:
    def run(rng: Rng, runs: int) -> Tally:
        found = []
        for _ in range(runs):
            call = EstimatorCall(threshold.metric, decision.estimator, {"value": draw(rng).tolist()})
            part = stopping.decide_sequential(
                threshold, decision, call, alpha_validate=ALPHA, alpha_refute=ALPHA, seed=0
            )
            found.append(part.outcome)
        return Tally(found.count("REFUTED"), found.count("VALIDATED"), runs)

    return run


def _early() -> list[Check]:
    share = Threshold("share", ">=", 0.9)
    ones = Decision("sequential", estimator="proportion", smallest_difference=0.05)
    level = Threshold("level", "<=", 0.5)
    betting = Decision("sequential", estimator="mean", support=[0, 1], smallest_difference=0.1)

    def cycles(p: float) -> Callable[[Rng], np.ndarray]:
        return lambda rng: (rng.random(400) < p).astype(int)

    family = "sequential rule"
    return [
        Check(
            family, "share >= 0.9 at θ, decided at any of 400 cycles", "mixture-sprt", "guaranteed", kind="type I",
            least=0.1 * ALPHA, run=_verdicts(share, ones, cycles(0.9)), quick=400, full=10_000,
        ),
        Check(
            family, "share >= 0.9 where it is 0.98: validated", "mixture-sprt", "guaranteed", kind="power",
            most=None, least=0.9, sides=("above",), run=_verdicts(share, ones, cycles(0.98)), quick=100, full=3000,
        ),
        Check(
            family, "share >= 0.9 where it is 0.8: refuted", "mixture-sprt", "guaranteed", kind="power",
            most=None, least=0.9, sides=("below",), run=_verdicts(share, ones, cycles(0.8)), quick=100, full=3000,
        ),
        Check(
            family, "mean <= 0.5 at θ, uniform, decided at any of 200 cycles", "betting", "guaranteed", kind="type I",
            least=0.1 * ALPHA, run=_verdicts(level, betting, lambda rng: rng.random(200)), quick=400, full=10_000,
        ),
    ]  # fmt: skip


# --- two runs over the same records


def _shift(draw: Callable[[Rng], np.ndarray], groups: list[int] | None = None) -> Callable[[Rng], Any]:
    def interval(rng: Rng) -> tuple[float | None, float | None]:
        table: dict[str, Any] = {"value": draw(rng).tolist()} | ({} if groups is None else {"group": groups})
        found = paired.mean_shift(table, confidence=1 - ALPHA, method="t")
        return found.lower, found.upper

    return interval


def _rounds(rng: Rng) -> np.ndarray:
    between = np.repeat(rng.normal(size=20), 5)
    return np.asarray(np.sqrt(0.1) * between + np.sqrt(0.9) * rng.normal(size=100))


def _pairs() -> list[Check]:
    stress = (
        Stress("log-normal, n = 40", interval_run(_shift(lambda rng: rng.lognormal(size=40)), float(np.exp(0.5)))),
    )
    return [
        # Above 30 effective units the Poisson bound is idle and Student's t exact; 20 rounds are below, and held wider.
        Check(
            "paired", "mean shift of 100 normal differences", "t", "approximate", most=ALPHA, least=ALPHA,
            stress=stress, run=interval_run(_shift(lambda rng: rng.normal(size=100)), 0.0), quick=2000, full=20_000,
        ),
        Check(
            "paired", "mean shift, 20 rounds of 5 with ICC 0.1", "t", "approximate", most=ALPHA, least=0.2 * ALPHA,
            run=interval_run(_shift(_rounds, np.repeat(np.arange(20), 5).tolist()), 0.0), quick=2000, full=20_000,
        ),
    ]  # fmt: skip


# --- effects of a treatment


def _study(rng: Rng, n: int, noise: Callable[[int], np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 2))
    treated = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(float)
    return x.sum(axis=1) + treated + noise(n), treated, x


def _effect(estimate: Callable[..., Any], n: int, heavy: bool = False) -> Callable[[Rng], Any]:
    def interval(rng: Rng) -> tuple[float, float]:
        found = estimate(*_study(rng, n, lambda size: rng.standard_t(3, size) if heavy else rng.normal(size=size)))
        return found.lower, found.upper

    return interval


def _treatments() -> list[Check]:
    def classical(*study: Any) -> Any:
        return regression.regression(*study, errors="classical")

    def welch(y: Any, treated: Any, x: Any) -> Any:
        return regression.difference_in_means(y - x.sum(axis=1), treated)

    def robust(*study: Any) -> Any:
        return doubly_robust.aipw(*study)

    cases: tuple[tuple[str, str, Callable[..., Any], int, float, float, int], ...] = (
        # Least squares on its own model is exact; Welch's and the sandwich are near it at this n.
        ("regression, normal errors, n = 30", "classical", classical, 30, _SIDE, _SIDE, 1000),
        ("difference in means, unequal arms, n = 60", "welch", welch, 60, _SIDE + MARGIN / 2, _SIDE - MARGIN / 2, 1000),
        ("AIPW, n = 400", "influence function", robust, 400, _SIDE + MARGIN, _SIDE - MARGIN, 500),
    )
    return [
        Check(
            "treatment effect", words, method, "approximate", most=most, least=least, quick=quick, full=10 * quick,
            run=interval_run(_effect(estimate, n), 1.0),
            stress=(Stress("errors of Student's t with 3 df", interval_run(_effect(estimate, n, heavy=True), 1.0)),),
        )
        for words, method, estimate, n, most, least, quick in cases
    ]  # fmt: skip


# --- groups


def _mean_of_groups(heavy: bool) -> Callable[[Rng], Any]:
    group = np.repeat(np.arange(8), 5)

    def interval(rng: Rng) -> tuple[float, float]:
        between = rng.lognormal(size=8) - np.exp(0.5) if heavy else rng.normal(size=8)
        model = linear.mixed_model(between[group] + rng.normal(size=40), group.tolist())
        return float(model.lower[0]), float(model.upper[0])

    return interval


def _alike(rejects_at: float, shift: float = 0.0) -> Run:
    group = np.repeat(np.arange(3), 8)

    def run(rng: Rng, runs: int) -> Tally:
        p = [
            oneway.one_way(rng.normal(size=24) + shift * (group == 0), group.tolist()).classic.p_value
            for _ in range(runs)
        ]
        return Tally(0, sum(v <= rejects_at for v in p), runs)

    return run


def _groups() -> list[Check]:
    return [
        # A mean of balanced groups has G − 1 degrees of freedom exactly, but where the variance is estimated as 0.
        Check(
            "mixed model", "mean of 8 groups of 5", "satterthwaite", "approximate", most=_SIDE + MARGIN / 2,
            least=_SIDE - MARGIN, run=interval_run(_mean_of_groups(False), 0.0), quick=160, full=4000,
            stress=(Stress("log-normal groups", interval_run(_mean_of_groups(True), 0.0)),),
        ),
        Check(
            "analysis of variance", "one-way, 3 normal groups of 8, none differs", "F", "guaranteed", kind="type I",
            most=ALPHA, least=ALPHA, sides=("above",), run=_alike(ALPHA), quick=500, full=5000,
        ),
    ]  # fmt: skip
