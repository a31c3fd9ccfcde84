"""Pillar F: how often the intervals of each estimator miss, by simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from ophamin.measuring.pillars.feasibility import regression as least_squares
from ophamin.measuring.pillars.feasibility.doubly_robust import aipw, ipwra
from ophamin.measuring.pillars.feasibility.instrument import instrumented
from ophamin.measuring.pillars.feasibility.learning import causal_forest, linear_dml
from ophamin.measuring.pillars.feasibility.matching import matching
from ophamin.measuring.pillars.feasibility.standardisation import g_formula
from ophamin.measuring.pillars.feasibility.stratification import cells, stratify
from ophamin.measuring.pillars.feasibility.weighting import ipw

LEVEL, RUNS = 0.9, 400
pytestmark = pytest.mark.slow


def misses_in(missed: int, runs: int, *, slack: float = 0.02) -> bool:
    """Whether a rule that misses between 0.1 − slack and 0.1 + slack could give so many; wrong once in 10,000."""
    low, high = binom.ppf(5e-5, runs, 0.1 - slack), binom.ppf(1 - 5e-5, runs, 0.1 + slack)
    return bool(low <= missed <= high)


def draw(rng: np.random.Generator, n: int, *, varies: float, discrete: bool = False, random: bool = False) -> Any:
    """A study with unequal variances, whose average effect in the population is 1."""
    x = rng.normal(size=(n, 2))
    x = np.clip(np.round(x[:, :1]), -1, 1) if discrete else x
    t = (rng.random(n) < (0.4 if random else expit(0.5 * x[:, 0] - 0.5 * x[:, -1] * (not discrete)))).astype(float)
    noise = rng.normal(size=n) * (0.5 + t + 0.5 * np.abs(x[:, 0]))
    return 2 + x.sum(axis=1) + t * (1 + varies * x[:, 0]) + noise, t, x


CASES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "difference in means": (lambda y, t, x, **k: least_squares.difference_in_means(y, t, **k), {"random": True}),
    "lin": (least_squares.lin, {"random": True}),
    "regression": (least_squares.regression, {"varies": 0.0}),
    "g-formula": (g_formula, {}),
    "ipw": (ipw, {}),
    "horvitz-thompson": (lambda y, t, x, **k: ipw(y, t, x, form="horvitz-thompson", **k), {}),
    "ipwra": (ipwra, {}),
    "aipw": (aipw, {}),
    "aipw, efficient": (lambda y, t, x, **k: aipw(y, t, x, efficient=True, **k), {}),
    "stratification": (lambda y, t, x, **k: stratify(y, t, cells(x), **k).effect, {"discrete": True, "varies": 0.0}),
    "matching": (matching, {"discrete": True}),
    "matching, one continuous": (lambda y, t, x, **k: matching(y, t, x[:, 0] - x[:, 1], **k), {"varies": 0.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_intervals_cover(name: str) -> None:
    estimator, options = CASES[name]
    rng, missed = np.random.default_rng(sum(map(ord, name))), 0
    for _ in range(RUNS):
        y, t, x = draw(rng, 300, **{"varies": 0.5, **options})
        if name == "matching, one continuous":
            y = y - x.sum(axis=1) + (x[:, 0] - x[:, 1])
        found = estimator(y, t, x, level=LEVEL)
        missed += not found.lower <= 1 <= found.upper
    assert misses_in(missed, RUNS), missed


def test_weighting_as_if_the_weights_were_known_covers_too_often() -> None:
    rng, missed = np.random.default_rng(2), {True: 0, False: 0}
    for _ in range(RUNS):
        y, t, x = draw(rng, 300, varies=0.5)
        for known in missed:
            found = ipw(y, t, 1.0 * x, weights_known=known, level=LEVEL)
            missed[known] += not found.lower <= 1 <= found.upper
    assert missed[True] < missed[False]


def test_one_right_model_is_enough() -> None:
    rng, missed = np.random.default_rng(3), {"outcome": 0, "treatment": 0, "neither": 0}
    for _ in range(RUNS):
        x = rng.normal(size=(600, 1))
        t = (rng.random(600) < expit(x[:, 0])).astype(float)
        y = np.exp(x[:, 0] / 2) * 3 + t + rng.normal(size=600)
        right, wrong = np.exp(x / 2), x**2
        tries = {"outcome": (right, wrong), "treatment": (wrong, x), "neither": (wrong, wrong)}
        for name, (outcome, treatment) in tries.items():
            found = aipw(y, t, outcome, treatment_confounders=treatment, level=LEVEL)
            missed[name] += not found.lower <= 1 <= found.upper
    assert misses_in(missed["outcome"], RUNS)
    assert misses_in(missed["treatment"], RUNS, slack=0.04)
    assert missed["neither"] > 0.5 * RUNS


def test_instruments_cover() -> None:
    rng, missed, weak = np.random.default_rng(4), 0, {"wald": 0, "anderson-rubin": 0}
    for strength in (1.0, 0.1):
        for _ in range(RUNS):
            z, hidden = rng.integers(0, 2, 200).astype(float), rng.normal(size=200)
            w = strength * z + hidden + 0.2 * rng.normal(size=200)
            y = w + 3 * hidden + rng.normal(size=200)
            found = instrumented(y, w, z, level=LEVEL)
            low, high = found.anderson_rubin
            if strength == 1.0:
                missed += not found.lower <= 1 <= found.upper
            else:
                weak["wald"] += not found.lower <= 1 <= found.upper
                weak["anderson-rubin"] += (low < 1 < high) if found.disjoint else not low <= 1 <= high
    assert misses_in(missed, RUNS)
    assert misses_in(weak["anderson-rubin"], RUNS)
    assert weak["wald"] > 1.5 * weak["anderson-rubin"]  # why the weak one is warned of


def test_double_machine_learning_covers() -> None:
    rng, missed = np.random.default_rng(5), 0
    for seed in range(100):
        y, t, x = draw(rng, 300, varies=0.0)
        found = linear_dml(y, t, x, folds=2, seed=seed, level=LEVEL)
        missed += not found.lower <= 1 <= found.upper
    assert misses_in(missed, 100)


def test_causal_forests_cover() -> None:
    rng, missed = np.random.default_rng(6), 0
    for seed in range(24):
        y, t, x = draw(rng, 400, varies=0.5)
        found = causal_forest(y, t, x, trees=40, folds=2, nuisance="linear", seed=seed, level=LEVEL)
        missed += not found.lower <= 1 <= found.upper
    assert missed <= binom.ppf(1 - 1e-4, 24, 0.13)
