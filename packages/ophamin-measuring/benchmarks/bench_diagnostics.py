"""Diagnostics: posteriors against bare pymc and numpyro, conformal intervals against mapie's.

A sampler compiles its model anew in each call, on either side; both sides judge their chains.
"""

from __future__ import annotations

import logging
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pymc as pm
from jax import numpy as jnp
from mapie.regression import SplitConformalRegressor
from numpyro.diagnostics import summary
from numpyro.infer import MCMC, NUTS
from sklearn.linear_model import LinearRegression

from ophamin.measuring.diagnostics.conformal import prediction_intervals
from ophamin.measuring.diagnostics.posterior import posterior_mean

DRAWS, CHAINS = 1000, 2


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _row(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], times: int) -> dict[str, Any]:
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(times)]
    ratio = statistics.median(o / t for o, t in pairs)
    mine, other = (1000 * statistics.median(p[i] for p in pairs) for i in (0, 1))
    return {
        "name": name, "ratio": ratio, "bar": "<= 1.1", "ok": ratio <= 1.1 and other >= 10,
        "detail": f"{mine:.0f} ms against {other:.0f} ms",
    }  # fmt: skip


def _posteriors() -> list[dict[str, Any]]:
    value = np.random.default_rng(1).normal(3, 2, 200)
    y = (value - value.mean()) / value.std(ddof=1)

    def by_pymc() -> Any:
        with pm.Model():
            mu, log_sigma = pm.Flat("mu"), pm.Flat("log_sigma")
            pm.Normal("y", mu, pm.math.exp(log_sigma), observed=y)
            found = pm.sample(
                draws=DRAWS, tune=DRAWS, chains=CHAINS, cores=1, random_seed=0, progressbar=False, target_accept=0.9,
                nuts_sampler="pymc",
            )  # fmt: skip
        return found.posterior["mu"].values

    def model() -> None:
        flat = dist.ImproperUniform(dist.constraints.real, (), ())
        mu, log_sigma = numpyro.sample("mu", flat), numpyro.sample("log_sigma", flat)
        numpyro.sample("y", dist.Normal(mu, jnp.exp(log_sigma)), obs=jnp.asarray(y))

    def by_numpyro() -> Any:
        sampler = MCMC(
            NUTS(model, target_accept_prob=0.9), num_warmup=DRAWS, num_samples=DRAWS, num_chains=CHAINS,
            chain_method="vectorized", progress_bar=False,
        )  # fmt: skip
        sampler.run(jax.random.PRNGKey(0), extra_fields=("diverging",))
        found = sampler.get_samples(group_by_chain=True)
        summary(found)
        return np.asarray(found["mu"])

    rows = []
    for backend, theirs in (("pymc", by_pymc), ("numpyro", by_numpyro)):

        def ours(backend: str = backend) -> Any:
            return posterior_mean(value, backend=backend, draws=DRAWS, chains=CHAINS)

        found = ours()
        assert not found.refused
        assert np.isclose(value.mean() + value.std(ddof=1) * theirs().mean(), found.mean)
        rows.append(_row(f"posterior of a mean, {CHAINS} chains of {DRAWS:,} draws / bare {backend}", ours, theirs, 3))
    return rows


def _conformal() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600_000, 5))
    y = x[:, 0] + rng.normal(size=len(x))
    known, new = slice(1_000, 300_000), slice(300_000, None)
    model = LinearRegression().fit(x[:1_000], y[:1_000])

    def ours() -> Any:
        return prediction_intervals(y[known], model.predict(x[known]), model.predict(x[new]), alpha=0.1)[:2]

    def theirs() -> Any:
        found = SplitConformalRegressor(model, confidence_level=0.9, prefit=True).conformalize(x[known], y[known])
        return found.predict_interval(x[new])[1][:, :, 0].T

    assert np.allclose(ours(), theirs())
    # That was one call of each to warm up, as above.
    return _row("split conformal intervals, 299,000 cases to calibrate on, 300,000 new ones / mapie", ours, theirs, 9)


def run() -> list[dict[str, Any]]:
    """The rows."""
    logging.getLogger("pymc").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [*_posteriors(), _conformal()]


if __name__ == "__main__":
    for row in run():
        print(row)
