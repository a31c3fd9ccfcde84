"""Checks of the other estimators of pillar F: adjusted, weighted, matched, standardised, instrumented, learned.

The modules are asked for their functions when a check runs, so what is tried is what is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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
from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Run, Stress, Tally
from ophamin.measuring.selftest._trials import interval_run, rejection_run

__all__ = ["causal"]

Rng = np.random.Generator
_SIDE = 0.025
_ABOVE = ("above",)
_HEAVY = "errors of Student's t with 3 df"


def causal() -> list[Check]:
    """Every check of this kind."""
    return [*_adjusted(), *_instrumented(), *_learned(), *_refuted()]


def _noise(rng: Rng, n: int, heavy: bool) -> np.ndarray:
    return rng.standard_t(3, n) if heavy else rng.normal(size=n)


def _study(rng: Rng, n: int, heavy: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One confounder, and an effect of 1."""
    x = rng.normal(size=(n, 1))
    treated = (rng.random(n) < 1 / (1 + np.exp(-0.7 * x[:, 0]))).astype(float)
    return x[:, 0] + treated + _noise(rng, n, heavy), treated, x


def _strata(rng: Rng, n: int, heavy: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three strata that differ in outcome and in how many are treated; in each the effect is 1."""
    stratum = np.arange(n) % 3
    treated = (rng.random(n) < np.array([0.3, 0.5, 0.7])[stratum]).astype(float)
    return stratum + treated + _noise(rng, n, heavy), treated, stratum


def _ends(estimate: Callable[..., Any], n: int, heavy: bool = False, draw: Callable[..., Any] = _study) -> Run:
    def interval(rng: Rng) -> tuple[float, float]:
        found = estimate(*draw(rng, n, heavy))
        return found.lower, found.upper

    return interval_run(interval, 1.0)


def _adjusted() -> list[Check]:
    # Called by name, so that what is installed when the check runs is what is tried.
    cases: tuple[tuple[str, str, Callable[..., Any], int, int], ...] = (
        ("F.lin", "HC2", lambda *s: regression.lin(*s), 80, 400),
        ("F.ipw", "sandwich", lambda *s: weighting.ipw(*s), 300, 400),
        ("F.ipwra", "influence function", lambda *s: doubly_robust.ipwra(*s), 300, 300),
        ("F.g_formula", "delta", lambda *s: standardisation.g_formula(*s), 100, 400),
        ("F.matching", "Abadie–Imbens", lambda *s: matching.matching(*s), 200, 200),
        ("F.stratification", "stratified", lambda *s: stratification.stratify(*s).effect, 150, 500),
    )
    made = []
    for family, method, estimate, n, quick in cases:
        draw = _strata if family == "F.stratification" else _study
        made.append(
            Check(family, f"effect of 1, n = {n}", method, "approximate", most=_SIDE + MARGIN, least=_SIDE - MARGIN,
                  run=_ends(estimate, n, draw=draw), quick=quick, full=20 * quick,
                  stress=(Stress(_HEAVY, _ends(estimate, n, True, draw)),))
        )  # fmt: skip
    made += [
        Check("F.regression", f"effect of 1, n = 80, {errors}", errors, "approximate", most=_SIDE + 2 * MARGIN,
              least=_SIDE - MARGIN, run=_ends(lambda *s, e=errors: regression.regression(*s, errors=e), 80),
              quick=0, full=8000,
              stress=(Stress(_HEAVY, _ends(lambda *s, e=errors: regression.regression(*s, errors=e), 80, True)),))
        for errors in regression.ERRORS if errors != "classical"
    ]  # fmt: skip
    return made


# --- an instrument


def _moved(rng: Rng, n: int, strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Something unseen moves treatment and outcome; the instrument moves the outcome only through the treatment."""
    z, unseen = rng.normal(size=(2, n))
    w = strength * z + unseen + rng.normal(size=n)
    return w + unseen + rng.normal(size=n), w, z


def _instrumented() -> list[Check]:
    def two_stage(strength: float) -> Run:
        return _ends(lambda *s: instrument.instrumented(*s), 500, draw=lambda rng, n, heavy: _moved(rng, n, strength))

    def anderson_rubin(rng: Rng, runs: int) -> Tally:
        outside = 0
        for _ in range(runs):
            found = instrument.instrumented(*_moved(rng, 50, 0.3))
            low, high = found.anderson_rubin
            outside += not ((low >= 1.0 or high <= 1.0) if found.disjoint else (low <= 1.0 <= high))
        return Tally(0, outside, runs)

    return [
        Check("F.iv", "strong instrument, n = 500", "2SLS", "approximate", most=_SIDE + MARGIN, least=_SIDE - MARGIN,
              run=two_stage(1.0), quick=400, full=10_000, stress=(Stress("weak instrument", two_stage(0.1)),)),
        # It inverts an F test, exact for normal errors however weak the instrument.
        Check("F.iv", "weak instrument, both sides together, n = 50", "Anderson–Rubin", "guaranteed", most=ALPHA,
              least=ALPHA, sides=_ABOVE, run=anderson_rubin, quick=400, full=10_000),
    ]  # fmt: skip


# --- learners: too dear for --quick


def _learned() -> list[Check]:
    def linear(*study: Any) -> Any:
        from ophamin.measuring.pillars.feasibility import learning

        return learning.linear_dml(*study, folds=2)

    def forest(*study: Any) -> Any:
        from ophamin.measuring.pillars.feasibility import learning

        return learning.causal_forest(*study, trees=100, folds=2)

    cases = (
        ("F.linear_dml", "debiased ML", linear, 300, 2000),
        ("F.causal_forest", "bootstrap of little bags", forest, 500, 200),
    )
    return [
        Check(family, f"effect of 1, n = {n}", method, "approximate", most=_SIDE + 2 * MARGIN, run=_ends(estimate, n),
              quick=0, full=full, stress=(Stress(_HEAVY, _ends(estimate, n, True)),))
        for family, method, estimate, n, full in cases
    ]  # fmt: skip


# --- a refuter with a p-value


def _refuted() -> list[Check]:
    def placebo(effect: float) -> Callable[[Rng], float]:
        def p_value(rng: Rng) -> float:
            x, treated = rng.normal(size=(60, 1)), (rng.random(60) < 0.5).astype(float)
            y = x[:, 0] + effect * treated + rng.normal(size=60)
            return refutation.refute(
                y, treated, x, simulations=39, workers=1, seed=int(rng.integers(2**31))
            ).p_value  # fmt: skip

        return p_value

    return [
        Check("F.refute", "placebo, no effect at all", "placebo permutation", "approximate", kind="type I",
              most=ALPHA + 2 * MARGIN, least=ALPHA - 2 * MARGIN, sides=_ABOVE, run=rejection_run(placebo(0.0)),
              quick=200, full=6000, stress=(Stress("an effect of 1: it is found", rejection_run(placebo(1.0))),)),
    ]  # fmt: skip
