"""Checks of the diagnostics: conformal prediction, rates of alarms, updating of beliefs, loss of a coupling.

The modules are asked for their functions when a check runs, so what is tried is what is installed.
"""

from __future__ import annotations

import math

import numpy as np

from ophamin.measuring.diagnostics import anticipation, conformal, coupling, inertia
from ophamin.measuring.selftest._check import MARGIN, Check, Run, Stress, Tally
from ophamin.measuring.selftest._trials import interval_run, missing

__all__ = ["forecasts"]

Rng = np.random.Generator
_SIDE = 0.025
_ABOVE = ("above",)
_CALIBRATION, _ASKED = 20, 0.1
_MISSED = 2 / 21
"""⌈21 · 0.9⌉ = 19 of 21 places are covered; ⌈20 · 0.9⌉ = 18, a common mistake, would miss 3 of 21."""


def forecasts() -> list[Check]:
    """Every check of this kind."""
    return [*_conformal(), *_alarms(), *_beliefs(), *_coupled()]


def _conformal() -> list[Check]:
    def thresholds(rng: Rng, runs: int) -> Tally:
        scores = rng.lognormal(size=(runs, _CALIBRATION + 1))
        high = np.array([conformal.threshold(row[:-1], _ASKED) for row in scores])
        return Tally(0, int((scores[:, -1] > high).sum()), runs)

    def normalised(rng: Rng, runs: int) -> Tally:
        missed = 0
        for _ in range(runs):
            scale = rng.uniform(0.5, 2.0, _CALIBRATION + 1)
            y = scale * rng.normal(size=_CALIBRATION + 1)
            zero = np.zeros(_CALIBRATION)
            low, high, _ = conformal.prediction_intervals(
                y[:-1], zero, [0.0], alpha=_ASKED, scale=scale[:-1], new_scale=scale[-1:]
            )
            missed += not low[0] <= y[-1] <= high[0]
        return Tally(0, missed, runs)

    def short(rng: Rng, runs: int) -> Tally:
        # Of uniform scores the threshold is the coverage that this calibration set gives.
        sets = rng.random((runs, _CALIBRATION))
        return Tally(0, sum(conformal.threshold(row, _ASKED) < 1 - _ASKED for row in sets), runs)

    # Two sets in five cover less than asked for: Beta(19, 2) below 0.9.
    below = conformal.coverage_law(_CALIBRATION, _ASKED).below
    family = "D.anticipatory_failure"
    return [
        Check(family, "a new score, 20 for calibration", "split conformal", "guaranteed", most=_MISSED, least=_MISSED,
              sides=_ABOVE, run=thresholds, quick=10_000, full=100_000),
        Check(family, "a new value, normalised by its spread", "normalised conformal", "guaranteed", most=_MISSED,
              least=_MISSED, sides=_ABOVE, run=normalised, quick=3000, full=40_000),
        Check(family, "calibration sets that cover less than asked for", "Beta law of coverage", "guaranteed",
              most=below, least=below, sides=_ABOVE, run=short, quick=10_000, full=100_000),
    ]  # fmt: skip


def _alarms() -> list[Check]:
    def rates() -> Tally:
        found = [anticipation.Rate.of(k, 30, 0.95) for k in range(31)]
        below, above = missing({k: (r.lower, r.upper) for k, r in enumerate(found)}, 30, 999)
        return Tally(float(below.max()), float(above.max()))

    return [
        Check("D.anticipatory_failure", "rates of alarms, worst over all shares, n = 30", "clopper-pearson",
              "guaranteed", most=_SIDE, least=0.8 * _SIDE, enumerate=rates),
    ]  # fmt: skip


def _beliefs() -> list[Check]:
    def slope(units: int, heavy: bool = False) -> Run:
        def interval(rng: Rng) -> tuple[float, float]:
            due, start = rng.normal(size=(2, units))
            noise = 0.3 * (rng.lognormal(size=units) - math.exp(0.5) if heavy else rng.normal(size=units))
            before, after = start, start + 0.6 * due + noise
            found = inertia.cognitive_inertia(1 / (1 + np.exp(-before)), 1 / (1 + np.exp(-after)), due).update
            return found.lower, found.upper

        return interval_run(interval, 0.6)

    return [
        Check("D.cognitive_inertia", "0.6 of each update, 50 units", "jackknife", "approximate", most=_SIDE + MARGIN,
              least=_SIDE - MARGIN, run=slope(50), quick=400, full=10_000,
              stress=(Stress("log-normal noise, 12 units", slope(12, heavy=True)),)),
    ]  # fmt: skip


def _coupled() -> list[Check]:
    strength = [0] * 10 + [1] * 7

    def loss(heavy: bool = False) -> Run:
        def interval(rng: Rng) -> tuple[float, float]:
            value = rng.lognormal(size=17) if heavy else rng.normal(size=17)
            value[10:] = 2 * value[10:] - (math.exp(0.5) if heavy else 0.0) - 3
            found = coupling.kernel_coupling(value, strength).levels[0]
            return found.lower, found.upper

        return interval_run(interval, 3.0)

    return [
        Check("D.kernel_coupling", "a loss of 3, 10 and 7 replicates, spread 1 and 2", "welch, one-sided",
              "approximate", most=_SIDE + MARGIN, least=_SIDE - MARGIN, run=loss(), quick=1500, full=20_000,
              stress=(Stress("log-normal", loss(heavy=True)),)),
    ]  # fmt: skip
