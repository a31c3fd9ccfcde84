"""Posteriors: samplers against the closed form, and chains that must be refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.stats import binom

from ophamin.measuring.diagnostics import posterior as module
from ophamin.measuring.diagnostics.plugins_posterior import BayesianPosterior
from ophamin.measuring.diagnostics.posterior import diagnosed, posterior_mean, posterior_proportion
from ophamin.proof.errors import MissingDependency, UsageError

Y = [1.0, 2.0, 3.5, 4.0, 2.2, 2.9, 1.8, 3.1]


@pytest.mark.parametrize("backend", ["pymc", pytest.param("numpyro", marks=pytest.mark.slow)])
def test_samplers_agree_with_the_closed_form(backend: str) -> None:
    exact, drawn = (posterior_proportion(7, 10, prior=(1, 1), backend=b, seed=1) for b in ("conjugate", backend))
    assert drawn.chains is not None
    assert not drawn.refused
    assert drawn.chains.rhat < 1.01
    error = 5 * exact.sd / drawn.chains.ess_bulk**0.5
    assert drawn.mean == pytest.approx(exact.mean, abs=error)
    assert drawn.upper == pytest.approx(exact.upper, abs=3 * error)
    exact, drawn = (posterior_mean(Y, backend=b, seed=1) for b in ("conjugate", backend))
    assert drawn.mean == pytest.approx(exact.mean, abs=5 * exact.sd / 400**0.5)
    assert drawn.lower == pytest.approx(exact.lower, abs=0.25 * exact.sd)


def test_numpyro_agrees_with_the_closed_form() -> None:
    exact, drawn = (posterior_mean(Y, backend=b, draws=600, seed=2) for b in ("conjugate", "numpyro"))
    assert drawn.library == "numpyro"
    assert drawn.mean == pytest.approx(exact.mean, abs=5 * exact.sd / 400**0.5)


def test_a_seed_repeats_the_draws() -> None:
    one, again, other = (posterior_mean(Y, backend="pymc", draws=500, seed=s) for s in (3, 3, 4))
    assert one == again
    assert one.mean != other.mean


def test_bad_chains_are_refused() -> None:
    rng = np.random.default_rng(0)
    good = rng.normal(size=(4, 500))
    assert diagnosed(good, 0).problem == ""
    assert "diverged" in diagnosed(good, 3).problem
    assert "R-hat" in diagnosed(good + np.array([[0], [0], [0], [2]]), 0).problem
    assert "effective draws" in diagnosed(good[:, :60], 0).problem
    assert "did not move" in diagnosed(np.ones((4, 100)), 0).problem


def test_a_refusal_reaches_the_evidence() -> None:
    result = BayesianPosterior().compute({"value": Y}, seed=0, backend="pymc", draws=60, chains=2)
    assert result.evidence[0].statistic_value is None
    assert result.evidence[0].ci_low is None
    assert result.evidence[0].detail["ess_bulk"] > 0
    assert any("refused" in w for w in result.warnings)


def test_the_closed_form_covers() -> None:
    # The central interval of the reference posterior of a mean is Student's t interval.
    missed = 0
    for seed in range(2000):
        found = posterior_mean(np.random.default_rng(seed).normal(1, 2, 6), level=0.9)
        missed += not found.lower <= 1 <= found.upper
    assert binom.ppf(1e-5, 2000, 0.1) <= missed <= binom.ppf(1 - 1e-5, 2000, 0.1)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and the trials"):
        posterior_proportion(3, 2)
    with pytest.raises(UsageError, match="that differ"):
        posterior_mean([1.0, 1.0])
    with pytest.raises(UsageError, match="computed by"):
        posterior_mean(Y, backend="stan")
    assert posterior_proportion(0, 0).mean == 0.5
    assert BayesianPosterior().compute({"value": [1.0]}, seed=0).evidence[0].statistic_value is None
    with pytest.raises(UsageError, match="0 and 1"):
        BayesianPosterior().compute({"value": [0.5]}, seed=0, of="proportion")


def test_a_missing_sampler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpyro", None)
    monkeypatch.delitem(sys.modules, "ophamin.measuring.diagnostics._numpyro", raising=False)
    monkeypatch.delattr("ophamin.measuring.diagnostics._numpyro", raising=False)
    with pytest.raises(MissingDependency, match=r"ophamin-measuring\[bayes\]"):
        module.posterior_mean(Y, backend="numpyro")
