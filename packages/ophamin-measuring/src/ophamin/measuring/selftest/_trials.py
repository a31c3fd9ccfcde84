"""Counting the misses of an estimator: found through the registry, at the moment it is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ophamin.measuring.selftest._check import ALPHA, Law, Run, Stress, Tally
from ophamin.registry import estimators

__all__ = ["binomial_rates", "estimator_run", "interval_run", "missing", "rejection_run", "stressed"]

Rng = np.random.Generator


def estimator_run(estimator: str, law: Law, *, alpha: float = ALPHA, **options: Any) -> Run:
    """Misses of each bound of ``estimator`` on samples of ``law``.

    A bound that is absent misses nothing; an estimator that gives neither bound, or raises, has not answered.
    """

    def run(rng: Rng, runs: int) -> Tally:
        estimate = estimators.get(estimator)
        below = above = unanswered = 0
        why = ""
        for _ in range(runs):
            columns = law.draw(rng)
            try:
                found = estimate(columns, confidence=1 - alpha, seed=int(rng.integers(2**31)), **options)
            except Exception as error:  # noqa: BLE001 - whatever an estimator under test raises is its failure
                unanswered, why = unanswered + 1, why or f"{type(error).__name__}: {error}"
                continue
            if found.lower is None and found.upper is None:
                unanswered, why = unanswered + 1, why or found.problem or "it gives no bound"
                continue
            below += found.lower is not None and found.lower > law.truth
            above += found.upper is not None and found.upper < law.truth
        return Tally(below, above, runs, unanswered, why)

    return run


def stressed(estimator: str, *laws: Law, alpha: float = ALPHA, **options: Any) -> tuple[Stress, ...]:
    """The same on laws beyond the promise."""
    return tuple(Stress(law.name, estimator_run(estimator, law, alpha=alpha, **options)) for law in laws)


def interval_run(interval: Callable[[Rng], tuple[float | None, float | None]], truth: float) -> Run:
    """Misses of each end of a two-sided interval; one without two finite ends has not answered."""

    def run(rng: Rng, runs: int) -> Tally:
        below = above = unanswered = 0
        for _ in range(runs):
            low, high = interval(rng)
            if low is None or high is None or not (np.isfinite(low) and np.isfinite(high)):
                unanswered += 1
                continue
            below, above = below + (low > truth), above + (high < truth)
        return Tally(below, above, runs, unanswered, "there is no interval" if unanswered else "")

    return run


def rejection_run(p_value: Callable[[Rng], float], alpha: float = ALPHA) -> Run:
    """How often a p-value is at most α; one that is no number has not answered."""

    def run(rng: Rng, runs: int) -> Tally:
        p = np.array([p_value(rng) for _ in range(runs)])
        unanswered = int(np.isnan(p).sum())
        return Tally(0, int((p <= alpha).sum()), runs, unanswered, "there is no p-value" if unanswered else "")

    return run


def binomial_rates(n: int, p: np.ndarray) -> np.ndarray:
    """Binomial probabilities of every outcome, shape (len(p), n + 1)."""
    from scipy.stats import binom

    return np.asarray(binom.pmf(np.arange(n + 1), n, p[:, None]), dtype=np.float64)


def missing(bounds: Mapping[int, tuple[float, float]], n: int, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Chance that each bound misses p, for p evenly spaced inside (0, 1); bounds by number of successes."""
    p = np.arange(1, grid + 1) / (grid + 1)
    weights = binomial_rates(n, p)
    lower, upper = (np.array([bounds[k][i] for k in range(n + 1)]) for i in (0, 1))
    below = (weights * (lower > p[:, None] + 1e-12)).sum(axis=1)
    above = (weights * (upper < p[:, None] - 1e-12)).sum(axis=1)
    return below, above
