"""Checks of X.power: each test rejects as often as its power says, on data drawn with that very effect."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import binomtest, mannwhitneyu

from ophamin.measuring.pillars.general import power
from ophamin.measuring.selftest._check import ALPHA, Check, Run, Stress, Tally

__all__ = ["planned"]

Rng = np.random.Generator
Rejects = Callable[[Rng, int], np.ndarray]
_Z = float(ndtri(1 - ALPHA / 2))


def _t(effect: float, n: int) -> Rejects:
    def rejects(rng: Rng, runs: int) -> np.ndarray:
        x, y = rng.normal(size=(runs, n)) + effect, rng.normal(size=(runs, n))
        spread = np.sqrt((x.var(axis=1, ddof=1) + y.var(axis=1, ddof=1)) / n)
        critical = float(stdtrit(2 * n - 2, 1 - ALPHA / 2))
        return np.asarray(np.abs(x.mean(axis=1) - y.mean(axis=1)) > critical * spread)

    return rejects


def _paired_t(effect: float, n: int) -> Rejects:
    def rejects(rng: Rng, runs: int) -> np.ndarray:
        d = rng.normal(size=(runs, n)) + effect
        spread = d.std(axis=1, ddof=1) / math.sqrt(n)
        return np.asarray(np.abs(d.mean(axis=1)) > float(stdtrit(n - 1, 1 - ALPHA / 2)) * spread)

    return rejects


def _share(effect: float, n: int) -> Rejects:
    def rejects(rng: Rng, runs: int) -> np.ndarray:
        # Each tail by itself at α/2, as the plan has it.
        decided = np.array([
            min(binomtest(k, n, 0.5, "greater").pvalue, binomtest(k, n, 0.5, "less").pvalue) <= ALPHA / 2
            for k in range(n + 1)
        ])  # fmt: skip
        return decided[rng.binomial(n, 0.5 + effect, size=runs)]

    return rejects


def _two_shares(effect: float, n: int) -> Rejects:
    def rejects(rng: Rng, runs: int) -> np.ndarray:
        p, q = rng.binomial(n, 0.5 + effect, size=runs) / n, rng.binomial(n, 0.5, size=runs) / n
        h = 2 * np.arcsin(np.sqrt(p)) - 2 * np.arcsin(np.sqrt(q))
        return np.asarray(np.abs(h) * math.sqrt(n / 2) > _Z)

    return rejects


def _two_shares_pooled(effect: float, n: int) -> Rejects:
    def rejects(rng: Rng, runs: int) -> np.ndarray:
        p, q = rng.binomial(n, 0.5 + effect, size=runs) / n, rng.binomial(n, 0.5, size=runs) / n
        middle = (p + q) / 2
        return np.asarray(np.abs(p - q) > _Z * np.sqrt(2 * middle * (1 - middle) / n))

    return rejects


def _correlation(effect: float, n: int) -> Rejects:
    def rejects(rng: Rng, runs: int) -> np.ndarray:
        x, e = rng.normal(size=(2, runs, n))
        y = effect * x + math.sqrt(1 - effect**2) * e
        x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
        r = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        return np.asarray(np.abs(np.arctanh(r)) * math.sqrt(n - 3) > _Z)

    return rejects


def _mann_whitney(effect: float, n: int) -> Rejects:
    def rejects(rng: Rng, runs: int) -> np.ndarray:
        shift = math.sqrt(2) * float(ndtri(0.5 + effect))
        x, y = rng.normal(size=(runs, n)) + shift, rng.normal(size=(runs, n))
        return np.asarray(mannwhitneyu(x, y, axis=1, method="asymptotic", use_continuity=False).pvalue <= ALPHA)

    return rejects


def _mcnemar(effect: float, n: int) -> Rejects:
    def rejects(rng: Rng, runs: int) -> np.ndarray:
        base = 0.3
        b, c, _ = rng.multinomial(n, [(base + effect) / 2, (base - effect) / 2, 1 - base], size=runs).T
        return np.asarray(np.abs(b - c) > _Z * np.sqrt(np.maximum(b + c, 1)))

    return rejects


def _within(effect: float, n: int, *, one_sided: bool) -> Rejects:
    """Two arms of one mean, shown to lie within the margin: at both ends, or above the lower one."""

    def rejects(rng: Rng, runs: int) -> np.ndarray:
        x, y = rng.normal(size=(2, runs, n))
        half = float(stdtrit(2 * n - 2, 1 - ALPHA)) * np.sqrt((x.var(axis=1, ddof=1) + y.var(axis=1, ddof=1)) / n)
        gap = x.mean(axis=1) - y.mean(axis=1)
        return np.asarray((gap - half > -effect) & (one_sided | (gap + half < effect)))

    return rejects


def planned() -> list[Check]:
    """Every check of this kind."""

    def run(rejects: Rejects) -> Run:
        return lambda rng, runs: Tally(0, int(rejects(rng, runs).sum()), runs)

    # Exact where the law is; elsewhere as far off as the formula is at this n.
    cases: dict[str, tuple[Callable[[float, int], Rejects], float, int, float, float]] = {
        "t": (_t, 0.8, 20, 0.5, 0.0), "paired-t": (_paired_t, 0.8, 14, 0.5, 0.0),
        "proportion": (_share, 0.15, 80, 0.5, 0.0),
        "proportions": (_two_shares, 0.2, 100, 0.5, 0.03),
        "proportions-pooled": (_two_shares_pooled, 0.2, 100, 0.5, 0.03),
        "correlation": (_correlation, 0.4, 50, 0.0, 0.02),
        "mann-whitney": (_mann_whitney, 0.15, 60, 0.5, 0.05), "mcnemar": (_mcnemar, 0.15, 120, 0.3, 0.03),
        "tost": (partial(_within, one_sided=False), 1.0, 18, 0.0, 0.0),
        "non-inferiority": (partial(_within, one_sided=True), 0.8, 18, 0.0, 0.0),
    }  # fmt: skip
    made = []
    for test, (make, effect, n, base, about) in cases.items():
        said = power.power(test, effect, n, base=base)
        small = run(make(effect, n // 4))
        stress = Stress(f"n = {n // 4}, power {power.power(test, effect, n // 4, base=base):.2f}", small)
        made.append(
            Check("X.power", f"{test}, effect {effect:g}, n = {n}", test, "approximate" if about else "guaranteed",
                  kind="power", most=said + about, least=said - about, sides=("above",), run=run(make(effect, n)),
                  quick=4000, full=40_000, stress=(stress,) if about else ())
        )  # fmt: skip
    return made
