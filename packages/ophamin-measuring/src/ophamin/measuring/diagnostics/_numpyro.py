"""The two models in numpyro."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

from ophamin.measuring.pillars._columns import Floats

__all__ = ["mean", "proportion"]


def _draw(model: Callable[[], None], name: str, draws: int, chains: int, seed: int) -> tuple[Floats, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fewer devices than chains; they run as one batch
        sampler = MCMC(
            NUTS(model, target_accept_prob=0.9), num_warmup=draws, num_samples=draws, num_chains=chains,
            chain_method="vectorized", progress_bar=False,
        )  # fmt: skip
        sampler.run(jax.random.PRNGKey(seed), extra_fields=("diverging",))
    found = np.asarray(sampler.get_samples(group_by_chain=True)[name], dtype=float)
    return found, int(np.asarray(sampler.get_extra_fields()["diverging"]).sum())


def proportion(
    successes: int, n: int, prior: tuple[float, float], draws: int, chains: int, seed: int
) -> tuple[Floats, int]:
    """Draws of a proportion, shape (chains, draws), and divergences."""

    def model() -> None:
        p = numpyro.sample("p", dist.Beta(*prior))
        numpyro.sample("k", dist.Binomial(n, p), obs=successes)

    return _draw(model, "p", draws, chains, seed)


def mean(y: Floats, draws: int, chains: int, seed: int) -> tuple[Floats, int]:
    """Draws of the mean of standardised observations, shape (chains, draws), and divergences."""
    data: Any = jnp.asarray(y)

    def model() -> None:
        flat = dist.ImproperUniform(dist.constraints.real, (), ())
        mu, log_sigma = numpyro.sample("mu", flat), numpyro.sample("log_sigma", flat)
        numpyro.sample("y", dist.Normal(mu, jnp.exp(log_sigma)), obs=data)

    return _draw(model, "mu", draws, chains, seed)
