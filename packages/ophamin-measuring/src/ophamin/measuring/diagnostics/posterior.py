"""Posterior of a proportion or a mean: in closed form, by pymc's NUTS, or by numpyro's; bad chains are refused.

A proportion has a Beta(a, b) prior. A mean has a normal likelihood of unknown variance and the reference prior
p(μ, σ²) ∝ 1/σ² (closed form: Student's t); the samplers take flat priors over μ and log σ on standardised data, so all
three roads lead to the same posterior.

Source: Gelman et al. (2013), *Bayesian Data Analysis*, §2.4 and §3.2; Vehtari, Gelman, Simpson, Carpenter & Bürkner
(2021), Bayesian Anal 16:667 (rank-normalised R-hat, bulk and tail ESS, and their bars).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta as beta_law
from scipy.stats import t as student

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars._evidence import OWN
from ophamin.proof.errors import MissingDependency, UsageError

__all__ = ["BACKENDS", "Chains", "Posterior", "diagnosed", "posterior_mean", "posterior_proportion"]

BACKENDS = ("conjugate", "pymc", "numpyro")
MOST_RHAT, LEAST_ESS = 1.01, 400.0
"""Vehtari et al. (2021), §4: beyond these, chains are not relied on."""


@dataclass(frozen=True)
class Chains:
    """What the chains say of themselves.

    Args:
        rhat: Rank-normalised split R-hat.
        ess_bulk: Effective draws for the centre.
        ess_tail: Effective draws for the 5 % and 95 % quantiles.
        divergences: Divergent transitions after warm-up.
        problem: Why the draws are refused, or "".
    """

    rhat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    problem: str


@dataclass(frozen=True)
class Posterior:
    """A posterior, or its refusal.

    Args:
        mean: Posterior mean; NaN when the draws were refused.
        sd: Posterior standard deviation; NaN likewise, or where it does not exist.
        lower: Lower end of the central credible interval.
        upper: Upper end.
        backend: One of :data:`BACKENDS`.
        library: Distribution that computed it.
        chains: Diagnostics; ``None`` for the closed form.
    """

    mean: float
    sd: float
    lower: float
    upper: float
    backend: str
    library: str
    chains: Chains | None

    @property
    def refused(self) -> bool:
        """Whether the chains are not to be relied on."""
        return self.chains is not None and bool(self.chains.problem)


def posterior_proportion(
    successes: int, n: int, *, prior: tuple[float, float] = (0.5, 0.5), backend: str = "conjugate",
    level: float = 0.95, draws: int = 1000, chains: int = 4, seed: int = 0,
) -> Posterior:  # fmt: skip
    """Posterior of a proportion under a Beta prior.

    Args:
        successes: Successes.
        n: Trials.
        prior: Parameters of the Beta prior, above 0; (½, ½) is Jeffreys'.
        backend: One of :data:`BACKENDS`.
        level: Content of the central credible interval.
        draws: Draws of each chain, after as many of warm-up.
        chains: Chains.
        seed: Seed of the sampler.

    Raises:
        UsageError: Malformed arguments.
        MissingDependency: A sampler that is not installed.

    Example:
        >>> found = posterior_proportion(7, 10, prior=(1, 1))
        >>> round(found.mean, 4), round(found.lower, 3)
        (0.6667, 0.39)
    """
    _check(backend, level, draws, chains)
    a, b = prior
    if not 0 <= successes <= n or not (a > 0 and b > 0):
        raise UsageError("successes lie between 0 and the trials, and a Beta prior has parameters above 0")
    if backend == "conjugate":
        law = beta_law(a + successes, b + n - successes)
        low, high = law.interval(level)
        return Posterior(float(law.mean()), float(law.std()), float(low), float(high), backend, OWN, None)
    sampler = _sampler(backend)
    found, divergences = sampler.proportion(successes, n, (a, b), draws, chains, seed)
    return _summary(found, divergences, backend, level)


def posterior_mean(
    value: ArrayLike, *, backend: str = "conjugate", level: float = 0.95, draws: int = 1000, chains: int = 4,
    seed: int = 0,
) -> Posterior:  # fmt: skip
    """Posterior of the mean of normal observations, under the reference prior.

    Args:
        value: Observations, shape (n,), n at least 2, not all equal.
        backend: One of :data:`BACKENDS`.
        level: Content of the central credible interval.
        draws: Draws of each chain, after as many of warm-up.
        chains: Chains.
        seed: Seed of the sampler.

    Raises:
        UsageError: Malformed arguments, fewer than two observations, or no variance.
        MissingDependency: A sampler that is not installed.

    Example:
        >>> round(posterior_mean([1.0, 2.0, 3.0, 4.0]).upper, 3)
        4.554
    """
    _check(backend, level, draws, chains)
    y = np.asarray(value, dtype=float)
    if len(y) < 2 or not np.isfinite(y).all() or not np.ptp(y):
        raise UsageError("the posterior of a mean needs two finite observations that differ")
    centre, sd = float(y.mean()), float(y.std(ddof=1))
    if backend == "conjugate":
        law = student(len(y) - 1, centre, sd / math.sqrt(len(y)))
        low, high = law.interval(level)
        spread = float(law.std()) if len(y) > 3 else math.nan
        return Posterior(centre, spread, float(low), float(high), backend, OWN, None)
    sampler = _sampler(backend)
    found, divergences = sampler.mean((y - centre) / sd, draws, chains, seed)
    return _summary(centre + sd * found, divergences, backend, level)


def _check(backend: str, level: float, draws: int, chains: int) -> None:
    if backend not in BACKENDS:
        raise UsageError(f"a posterior is computed by {', '.join(BACKENDS)}, not {backend!r}")
    if not 0 < level < 1 or draws < 50 or chains < 2:
        raise UsageError("a level lies between 0 and 1; at least two chains of 50 draws are needed")


def _sampler(backend: str) -> Any:
    try:
        if backend == "pymc":
            from ophamin.measuring.diagnostics import _pymc

            return _pymc
        from ophamin.measuring.diagnostics import _numpyro
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ophamin"):
            raise
        raise MissingDependency(
            f"a posterior by {backend}", error.name or backend, "ophamin-measuring[bayes]"
        ) from error
    return _numpyro


def diagnosed(draws: Floats, divergences: int) -> Chains:
    """Judge chains by R-hat, effective sample size and divergences.

    Args:
        draws: Shape (chains, draws).
        divergences: Divergent transitions.

    Raises:
        MissingDependency: arviz is not installed.
    """
    try:
        from ophamin.measuring.diagnostics._arviz import ess, rhat
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("ophamin"):
            raise
        raise MissingDependency("judging chains", error.name or "arviz", "ophamin-measuring[bayes]") from error
    if not np.isfinite(draws).all() or not np.ptp(draws, axis=1).all():
        return Chains(math.nan, math.nan, math.nan, divergences, "a chain did not move, or left the numbers")
    spread, bulk, tail = rhat(draws), ess(draws, "bulk"), ess(draws, "tail")
    problems = [
        f"R-hat is {spread:.3f}, above {MOST_RHAT}" if not spread <= MOST_RHAT else "",
        f"{min(bulk, tail):.0f} effective draws are fewer than {LEAST_ESS:.0f}" if min(bulk, tail) < LEAST_ESS else "",
        f"{divergences} transitions diverged" if divergences else "",
    ]
    return Chains(spread, bulk, tail, divergences, "; ".join(p for p in problems if p))


def _summary(draws: Floats, divergences: int, backend: str, level: float) -> Posterior:
    found = diagnosed(draws, divergences)
    if found.problem:
        return Posterior(math.nan, math.nan, math.nan, math.nan, backend, backend, found)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Posterior(float(draws.mean()), float(draws.std(ddof=1)), float(low), float(high), backend, backend, found)
