"""Double machine learning on published designs whose effects are known.

The partially linear design of Chernozhukov et al. (2018, Econometrics Journal 21:C1, as DoubleML's
``make_plr_CCDDHNR2018``); Hill's (2011, JCGS 20:217) response surfaces on the children of the IHDP, which econml ships;
and the designs of Wager & Athey (2018, JASA 113:1228) for causal forests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

pytest.importorskip("econml")

from econml.data.dgps import ihdp_surface_A

from ophamin.measuring.pillars.feasibility.learning import causal_forest, linear_dml

pytestmark = pytest.mark.slow
LEVEL = 0.9


def _misses_in(missed: int, runs: int, slack: float = 0.03) -> bool:
    """Whether a rule that misses between 0.1 − slack and 0.1 + slack could give so many; wrong once in 10,000."""
    return bool(binom.ppf(5e-5, runs, 0.1 - slack) <= missed <= binom.ppf(1 - 5e-5, runs, 0.1 + slack))


def _partially_linear(n: int, rng: np.random.Generator) -> tuple[Any, Any, Any, float]:
    """θ = 0.5, and the estimate of whoever knows both nuisances: residuals on residuals, in closed form."""
    x = rng.multivariate_normal(np.zeros(20), 0.7 ** np.abs(np.subtract.outer(range(20), range(20))), n)
    m, g = x[:, 0] + 0.25 * expit(x[:, 2]), expit(x[:, 0]) + 0.25 * x[:, 2]
    v, u = rng.normal(size=n), rng.normal(size=n)
    y = 0.5 * (m + v) + g + u
    return y, m + v, x, float(v @ (y - 0.5 * m - g) / (v @ v))


def test_the_partially_linear_effect_is_that_of_known_nuisances() -> None:
    rng, runs, missed = np.random.default_rng(18), 120, 0
    gaps, errors, oracle = [], [], []
    for seed in range(runs):
        y, d, x, known = _partially_linear(400, rng)
        found = linear_dml(y, d, x, seed=seed, level=LEVEL)
        missed += not found.lower <= 0.5 <= found.upper
        gaps.append(found.estimate - known)
        errors.append(found.se)
        oracle.append(known - 0.5)
    assert _misses_in(missed, runs), missed
    # Estimating the nuisances costs less than half of what chance costs anyhow, and shifts nothing by as much.
    assert np.std(gaps) < 0.5 * np.std(oracle)
    assert abs(np.mean(gaps)) < 0.3 * np.mean(errors)
    assert np.mean(errors) == pytest.approx(1 / np.sqrt(400), rel=0.1)  # σ/(√n·sd(v)), both 1


def test_a_constant_effect_among_the_children_of_the_ihdp() -> None:
    missed = {"dml": 0, "forest": 0}
    for seed in range(24):
        y, t, x, effects = ihdp_surface_A(seed)
        assert (effects == 4).all()
        found = linear_dml(y, t, x[:, 1:], seed=seed, level=LEVEL)
        missed["dml"] += not found.lower <= 4 <= found.upper
        if seed < 6:
            forest = causal_forest(y, t, x[:, 1:], trees=40, folds=2, nuisance="linear", seed=seed, level=LEVEL)
            missed["forest"] += not forest.lower <= 4 <= forest.upper
    assert _misses_in(missed["dml"], 24), missed
    assert missed["forest"] <= binom.ppf(1 - 1e-4, 6, 0.13), missed


def _step(x: Any) -> Any:
    return 1 + expit(20 * (x - 1 / 3))


def test_a_causal_forest_finds_the_effects_of_the_published_design() -> None:
    """Equation 28 of the paper: no confounding, effects of two features that jump from 1 to 4."""
    missed, inside, errors, spread = 0, [], [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.uniform(size=(800, 4))
        effects = _step(x[:, 0]) * _step(x[:, 1])
        t = (rng.random(800) < 0.5) * 1.0
        y = (t - 0.5) * effects + rng.normal(size=800)
        found = causal_forest(y, t, x, trees=200, folds=2, nuisance="linear", seed=seed, level=LEVEL)
        missed += not found.lower <= effects.mean() <= found.upper
        inside.append(((found.effects_lower <= effects) & (effects <= found.effects_upper)).mean())
        errors.append(((found.effects - effects) ** 2).mean())
        spread.append(effects.var())
    assert missed <= binom.ppf(1 - 1e-4, 10, 0.13)
    assert np.mean(errors) < 0.35 * np.mean(spread)
    assert np.mean(inside) > 0.6  # pointwise intervals hold for large forests only: the pillar says so


def test_no_effect_is_found_where_only_confounding_is() -> None:
    """Equation 27: the treated are those who fare better anyhow, and the effect is 0."""
    missed, naive = 0, []
    for seed in range(15):
        rng = np.random.default_rng(100 + seed)
        x = rng.uniform(size=(500, 3))
        t = (rng.random(500) < (1 + 20 * x[:, 0] * (1 - x[:, 0]) ** 3) / 4) * 1.0  # 1 + the density of Beta(2, 4)
        y = 2 * x[:, 0] - 1 + rng.normal(size=500)
        found = causal_forest(y, t, x, trees=100, folds=2, nuisance="linear", seed=seed, level=LEVEL)
        missed += not found.lower <= 0 <= found.upper
        naive.append(y[t == 1].mean() - y[t == 0].mean())
    assert missed <= binom.ppf(1 - 1e-4, 15, 0.13)
    assert np.mean(naive) < -0.05
