"""Checks of the intervals of pillars N and I: bootstrap, jackknife+, comparing learners, pooled effects."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ophamin.measuring.pillars.robustness import bootstrap, comparison, jackknife_plus, statistics
from ophamin.measuring.pillars.synthesis import pooling
from ophamin.measuring.selftest._check import MARGIN, Check, Run, Stress, Tally
from ophamin.measuring.selftest._trials import interval_run

__all__ = ["resampling"]

Rng = np.random.Generator
Draw = Callable[[Rng], np.ndarray]
_SIDE = 0.025
_RESAMPLES = 399


def resampling() -> list[Check]:
    """Every check of this kind."""
    return [*_bootstrap(), *_jackknife_plus(), *_learners(), *_pooled()]


# --- bootstrap


def _interval(method: str, draw: Draw, clusters: list[int] | None = None) -> Callable[[Rng], tuple[float, float]]:
    def interval(rng: Rng) -> tuple[float, float]:
        found = bootstrap.bootstrap(
            [draw(rng)], statistics.statistic_of("mean"), method=method, resamples=_RESAMPLES,
            seed=int(rng.integers(2**31)), clusters=clusters,
        )  # fmt: skip
        return found.low, found.high

    return interval


def _bootstrap() -> list[Check]:
    codes = np.repeat(np.arange(20), 5).tolist()

    def groups(rng: Rng) -> np.ndarray:
        between = np.repeat(rng.normal(size=20), 5)
        return np.asarray(np.sqrt(0.1) * between + np.sqrt(0.9) * rng.normal(size=100))

    def series(rng: Rng) -> np.ndarray:
        x = rng.normal(size=100)
        for i in range(1, 100):
            x[i] = 0.5 * x[i - 1] + np.sqrt(0.75) * x[i]
        return x

    grid: tuple[tuple[str, Draw, float, list[int] | None], ...] = (
        ("log-normal, n = 50", lambda rng: rng.lognormal(size=50), float(np.exp(0.5)), None),
        ("1 % spikes, n = 100", lambda rng: rng.normal(size=100) + 100 * (rng.random(100) < 0.01), 1.0, None),
        ("20 groups of 5, ICC 0.1", groups, 0.0, codes),
        ("AR 0.5 in 20 blocks", series, 0.0, codes),
    )
    made = []
    for method in bootstrap.METHODS:
        stress = tuple(
            Stress(words, interval_run(_interval(method, draw, clusters), truth))
            for words, draw, truth, clusters in grid
            if clusters is None or method != "studentised"
        )
        made.append(
            Check(
                "bootstrap", f"mean of 100 normal values, {method}", method, "approximate", most=_SIDE + MARGIN,
                least=_SIDE - MARGIN / 2, run=interval_run(_interval(method, lambda rng: rng.normal(size=100)), 0.0),
                quick=5000, full=20_000, stress=stress,
            )
        )  # fmt: skip
    return made


# --- jackknife+ and comparing learners


class _Line(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Least squares of one feature: what LinearRegression fits, at a twentieth of its cost."""

    def fit(self, x: Any, y: Any) -> _Line:
        at = x[:, 0] - x[:, 0].mean()
        self.slope_ = float(at @ y) / float(at @ at)
        self.start_ = float(y.mean()) - self.slope_ * float(x[:, 0].mean())
        return self

    def predict(self, x: Any) -> Any:
        return self.start_ + self.slope_ * x[:, 0]


def _jackknife_plus() -> list[Check]:
    def interval(rng: Rng) -> tuple[float, float]:
        x, slope = rng.normal(size=21), rng.normal()
        y = slope * x + rng.normal(size=21)
        n = 20
        splits = [(np.delete(np.arange(n), i), np.array([i])) for i in range(n)]
        low, high = jackknife_plus.jackknife_plus(_Line(), x[:n], y[:n], x[n:], splits, alpha=0.1)
        # The truth is moved to 0: what counts is the new value, which differs from run to run.
        return float(low[0] - y[n]), float(high[0] - y[n])

    return [
        # 1 − 2α is guaranteed for both sides together; what a line gives here is near 1 − α.
        Check(
            "jackknife+", "a new value, both sides, α = 0.1: 2α", "jackknife+", "guaranteed", most=0.2, least=0.03,
            sides=("above",), quick=400, full=8000, run=_together(interval_run(interval, 0.0)),
        )
    ]  # fmt: skip


def _together(run: Run) -> Run:
    def both(rng: Rng, runs: int) -> Tally:
        found = run(rng, runs)
        return Tally(0, found.below + found.above, runs, found.unanswered, found.why)

    return both


def _rivals(draw: Callable[[Rng, int], np.ndarray]) -> Callable[[Rng], tuple[float, float]]:
    """Two learners, a line through one of two features each, alike in expectation, on 10 random splits."""

    def interval(rng: Rng) -> tuple[float, float]:
        n, k, m = 60, 10, 20
        y = draw(rng, n)
        x = rng.normal(size=(2, n))
        first, second = [], []
        for _ in range(k):
            order = rng.permutation(n)
            test, train = order[:m], order[m:]
            scores = []
            for a in x:
                slope = float(a[train] @ y[train] / (a[train] @ a[train]))
                scores.append(-float(((y[test] - slope * a[test]) ** 2).mean()))
            first.append(scores[0])
            second.append(scores[1])
        found = comparison.corrected_resampled_t(first, second, test_share=m / (n - m), level=0.95)
        return found.lower, found.upper

    return interval


def _learners() -> list[Check]:
    skewed = _rivals(lambda rng, n: rng.lognormal(size=n) - np.exp(0.5))
    return [
        Check(
            "comparing learners", "two that are alike, 10 random splits", "corrected resampled t", "approximate",
            most=_SIDE + MARGIN, run=interval_run(_rivals(lambda rng, n: rng.normal(size=n)), 0.0),
            quick=1000, full=10_000,
            stress=(Stress("log-normal target", interval_run(skewed, 0.0)),),
        )
    ]  # fmt: skip


# --- pooled effects


def _studies(k: int, tau2: float, heavy: bool = False) -> Callable[[Rng], tuple[np.ndarray, np.ndarray]]:
    def draw(rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        v = rng.uniform(0.05, 0.5, k)
        theta = np.sqrt(tau2) * (rng.lognormal(size=k) - np.exp(0.5) if heavy else rng.normal(size=k))
        return theta + np.sqrt(v) * rng.normal(size=k), v

    return draw


def _pool(draw: Callable[[Rng], tuple[Any, Any]], method: str, test: str) -> Callable[[Rng], tuple[float, float]]:
    def interval(rng: Rng) -> tuple[float, float]:
        found = pooling.pool(*draw(rng), method=method, test=test)
        return found.lower, found.upper

    return interval


def _tau2(draw: Callable[[Rng], tuple[Any, Any]], truth: float) -> Callable[[Rng], tuple[float, float]]:
    def interval(rng: Rng) -> tuple[float, float]:
        y, v = draw(rng)
        low, high = pooling.pool(y, v, method="DL").tau2_interval(y, v, 0.95)
        return low - truth, high - truth

    return interval


def _hard(method: str, test: str) -> tuple[Stress, ...]:
    """Few studies, and effects that are log-normal around their mean."""
    return tuple(
        Stress(f"{k} studies, τ² = 0.2{', log-normal' if heavy else ''}",
               interval_run(_pool(_studies(k, 0.2, heavy), method, test), 0.0))
        for k, heavy in ((3, False), (5, False), (10, True))
    )  # fmt: skip


def _pooled() -> list[Check]:
    z, hartung, floor = "z", "knapp-hartung", "knapp-hartung-adhoc"
    skewed = 0.2 * (math.e**2 - math.e)  # variance of √0.2 times a log-normal number
    return [
        Check(
            "pooled effect", "one common effect, 5 studies", "inverse variance, z", "approximate",
            most=_SIDE, least=_SIDE, run=interval_run(_pool(_studies(5, 0.0), "FE", z), 0.0), stress=_hard("FE", z),
        ),
        Check(
            "pooled effect", "40 studies, τ² = 0.2", "DL, z", "approximate",
            most=_SIDE + MARGIN, least=_SIDE - MARGIN / 2,
            quick=2000, full=20_000,
            run=interval_run(_pool(_studies(40, 0.2), "DL", z), 0.0), stress=_hard("DL", z),
        ),
        Check(
            "pooled effect", "10 studies, τ² = 0.2", "DL, Hartung–Knapp, factor ≥ 1", "approximate",
            most=_SIDE + MARGIN, run=interval_run(_pool(_studies(10, 0.2), "DL", floor), 0.0),
            stress=_hard("DL", floor), quick=2000, full=20_000,
        ),
        Check(
            "pooled effect", "10 studies, τ² = 0.2, as published", "DL, Hartung–Knapp", "approximate",
            most=_SIDE + MARGIN, least=_SIDE - MARGIN / 2,
            run=interval_run(_pool(_studies(10, 0.2), "DL", hartung), 0.0), stress=_hard("DL", hartung),
            quick=2000, full=20_000,
        ),
        Check(
            "pooled effect", "τ² of 12 studies", "Q-profile", "approximate", most=_SIDE, least=_SIDE,
            run=interval_run(_tau2(_studies(12, 0.2), 0.2), 0.0), quick=2000, full=20_000,
            stress=(Stress("log-normal effects", interval_run(_tau2(_studies(12, 0.2, heavy=True), skewed), 0.0)),),
        ),
    ]  # fmt: skip
