"""The two models in pymc."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import Floats

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # arviz, which pymc imports, announces its next version once a day
    import pymc as pm

__all__ = ["mean", "proportion"]


def _draw(model: Any, name: str, draws: int, chains: int, seed: int) -> tuple[Floats, int]:
    quiet = logging.getLogger("pymc")
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with model, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # chains are judged by the caller
            found = pm.sample(
                draws=draws, tune=draws, chains=chains, cores=1, random_seed=seed, progressbar=False,
                compute_convergence_checks=False, target_accept=0.9, nuts_sampler="pymc",
            )  # fmt: skip
    finally:
        quiet.setLevel(before)
    return np.asarray(found.posterior[name].values, dtype=float), int(found.sample_stats["diverging"].values.sum())


def proportion(
    successes: int, n: int, prior: tuple[float, float], draws: int, chains: int, seed: int
) -> tuple[Floats, int]:
    """Draws of a proportion, shape (chains, draws), and divergences."""
    with pm.Model() as model:
        p = pm.Beta("p", *prior)
        pm.Binomial("k", n=n, p=p, observed=successes)
    return _draw(model, "p", draws, chains, seed)


def mean(y: Floats, draws: int, chains: int, seed: int) -> tuple[Floats, int]:
    """Draws of the mean of standardised observations, shape (chains, draws), and divergences."""
    with pm.Model() as model:
        mu = pm.Flat("mu")
        log_sigma = pm.Flat("log_sigma")
        pm.Normal("y", mu, pm.math.exp(log_sigma), observed=y)
    return _draw(model, "mu", draws, chains, seed)
