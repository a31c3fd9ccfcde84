"""Checks of the estimators that compare or relate two columns, and of the one that counts false hypotheses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.special import ndtr

from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Law, Tally
from ophamin.measuring.selftest._laws import blocked_series, grouped
from ophamin.measuring.selftest._trials import binomial_rates, estimator_run, stressed
from ophamin.protocols import Columns
from ophamin.registry import estimators

__all__ = ["CONTRASTS"]

Rng = np.random.Generator
_ABOUT = ALPHA + MARGIN
_NEAR = ALPHA - MARGIN


# --- shares of two arms


def _enumerated_difference(name: str, n: tuple[int, int], shares: Sequence[tuple[float, float]]) -> Tally:
    """The largest miss rate of each side over pairs of true shares, from every pair of counts."""
    estimate, why = estimators.get(name), ""
    lower, upper = np.full((2, n[0] + 1, n[1] + 1), np.nan)
    arm = ["base"] * n[0] + ["head"] * n[1]
    for i in range(n[0] + 1):
        for j in range(n[1] + 1):
            value = [1] * i + [0] * (n[0] - i) + [1] * j + [0] * (n[1] - j)
            found = estimate({"value": value, "arm": arm}, confidence=1 - ALPHA, seed=0)
            why = why or found.problem
            lower[i, j] = -math.inf if found.lower is None else found.lower
            upper[i, j] = math.inf if found.upper is None else found.upper
    below = above = 0.0
    for p, q in shares:
        weights = np.outer(binomial_rates(n[0], np.array([p]))[0], binomial_rates(n[1], np.array([q]))[0])
        below = max(below, float(weights[lower > q - p + 1e-12].sum()))
        above = max(above, float(weights[upper < q - p - 1e-12].sum()))
    return Tally(below, above, 0, int(bool(why)), why)


def _two_shares(p: float, q: float) -> Law:
    arm = ["base"] * 40 + ["head"] * 30

    def draw(rng: Rng) -> Columns:
        return {"value": [*(rng.random(40) < p).astype(int), *(rng.random(30) < q).astype(int)], "arm": arm}

    return Law(f"shares {p:g} and {q:g}, n = 40 and 30", q - p, draw)


def _both_ways(*shares: tuple[float, float]) -> list[tuple[float, float]]:
    return [pair for p, q in shares for pair in ((p, q), (1 - p, 1 - q))]


_MIDDLE = _both_ways((0.5, 0.5), (0.4, 0.6), (0.3, 0.5), (0.6, 0.45))
_EVERYWHERE = [*_MIDDLE, *_both_ways((0.02, 0.02), (0.05, 0.2), (0.9, 0.99), (0.97, 0.6), (0.1, 0.9), (0.01, 0.99))]


def _newcombe() -> list[Check]:
    return [
        Check(
            "difference.newcombe", "all outcomes, shares in the middle, n = 40 and 30", "newcombe", "approximate",
            most=_ABOUT, least=_NEAR,
            enumerate=lambda: _enumerated_difference("difference.newcombe", (40, 30), _MIDDLE),
            stress=stressed("difference.newcombe", _two_shares(0.02, 0.02), _two_shares(0.05, 0.2)),
        )
    ]  # fmt: skip


def _clopper_pearson() -> list[Check]:
    # α/2 in each arm leaves room to spare, which no shares use up; the reference numbers hold its level.
    return [
        Check(
            "difference.clopper-pearson", "all outcomes, shares anywhere, n = 40 and 30", "clopper-pearson",
            "guaranteed", least=0.01,
            enumerate=lambda: _enumerated_difference("difference.clopper-pearson", (40, 30), _EVERYWHERE),
        )
    ]  # fmt: skip


# --- means of two arms

_Draw = Callable[[Rng, int], np.ndarray]


def _two_means(words: str, draw: _Draw, sizes: tuple[int, int], *, wide: float = 1.0, shift: float = 0.0) -> Law:
    """Two arms of one law, the second ``wide`` times as wide, its mean ``shift`` higher."""
    arm = ["base"] * sizes[0] + ["head"] * sizes[1]

    def make(rng: Rng) -> Columns:
        first, second = draw(rng, sizes[0]), wide * draw(rng, sizes[1]) + shift
        return {"value": [*first.tolist(), *second.tolist()], "arm": arm}

    return Law(f"{words}, n = {sizes[0]} and {sizes[1]}", shift, make)


def _normal(rng: Rng, n: int) -> np.ndarray:
    return rng.normal(size=n)


def _lognormal(rng: Rng, n: int) -> np.ndarray:
    return rng.lognormal(size=n) - math.exp(0.5)


def _spiked(rng: Rng, n: int) -> np.ndarray:
    return rng.normal(size=n) + 100 * (rng.random(n) < 0.01) - 1


def _armed(law: Law) -> Law:
    """A grouped law in which every other row belongs to the second arm."""

    def make(rng: Rng) -> Columns:
        table = law.draw(rng)
        return {**table, "arm": ["base", "head"] * (len(table["value"]) // 2)}

    return Law(law.name, 0.0, make)


def _pairs(shift: float, draw: _Draw = _normal, words: str = "normal") -> Law:
    arm, pair = ["base"] * 8 + ["head"] * 8, [*range(8), *range(8)]

    def make(rng: Rng) -> Columns:
        first = 3 * rng.normal(size=8)
        return {"value": [*first.tolist(), *(first + shift + draw(rng, 8)).tolist()], "arm": arm, "pair": pair}

    return Law(f"8 pairs, {words}", shift, make)


def _difference_mean() -> list[Check]:
    name = "difference.mean"
    hard = (
        _two_means("log-normal", _lognormal, (100, 20)), _two_means("1 % spikes", _spiked, (100, 20)),
        _armed(grouped()), _armed(blocked_series()),
    )  # fmt: skip
    unequal = _two_means("normal, spread 1 and 2", _normal, (12, 9), wide=2.0, shift=0.5)
    return [
        Check(name, unequal.name, "welch", "approximate", most=_ABOUT, least=_NEAR, run=estimator_run(name, unequal),
              stress=stressed(name, *hard)),
        # One difference per pair: Student's interval, exact for normal differences.
        Check(name, _pairs(0.5).name, "paired-t", "approximate", most=ALPHA, least=ALPHA,
              run=estimator_run(name, _pairs(0.5)),
              stress=stressed(name, _pairs(0.5, _lognormal, "log-normal"), _pairs(0.5, _spiked, "1 % spikes"))),
        Check(name, "20 groups, ICC 0.1, half of each in each arm", "welch-cluster", "approximate", most=_ABOUT,
              least=_NEAR, run=estimator_run(name, _armed(grouped())), stress=stressed(name, *hard[2:])),
    ]  # fmt: skip


def _tost() -> list[Check]:
    def size(words: str, draw: _Draw, n: int = 10) -> Law:
        return Law(f"{words}, n = {n}", 2.0, lambda rng: {"value": (draw(rng, n) - 2).tolist()})

    law, hard = (
        size("normal differences 2 apart", _normal),
        (size("log-normal", _lognormal, 100), size("1 % spikes", _spiked, 100)),
    )
    run = estimator_run("tost", law)
    # Far from 0 the bound of the size is that of the difference: exact from above, at α/2 from below.
    return [
        Check("tost", f"{law.name}, upper", "tost-t", "approximate", most=ALPHA, least=ALPHA, sides=("above",), run=run,
              stress=stressed("tost", *hard)),
        Check("tost", f"{law.name}, lower", "tost-t", "approximate", most=ALPHA / 2, least=ALPHA / 2, sides=("below",),
              run=run, stress=stressed("tost", *hard)),
    ]  # fmt: skip


def _effect_size() -> list[Check]:
    name = "effect-size"
    law = _two_means("normal, δ = 0.8", _normal, (12, 9), shift=0.8)
    spread = math.sqrt((math.e - 1) * math.e)
    # In units of their own spread, so that δ is the shift.
    skewed = _two_means("log-normal", lambda rng, n: _lognormal(rng, n) / spread, (40, 40), shift=0.8)
    spikes = _two_means("1 % spikes", lambda rng, n: _spiked(rng, n) / 10, (40, 40), shift=0.8 * math.sqrt(1 + 99) / 10)
    return [
        Check(name, law.name, "noncentral-t", "approximate", most=ALPHA, least=ALPHA, run=estimator_run(name, law),
              quick=1500, full=35_000, stress=stressed(name, skewed, spikes)),
    ]  # fmt: skip


# --- slope and correlation


def _line(words: str, noise: Callable[[Rng], np.ndarray]) -> Law:
    time = list(range(50))
    return Law(words, 0.3, lambda rng: {"time": time, "value": (0.3 * np.arange(50) + noise(rng)).tolist()})


def _autoregressive(rng: Rng) -> np.ndarray:
    x = rng.normal(size=50)
    for i in range(1, 50):
        x[i] = 0.5 * x[i - 1] + math.sqrt(0.75) * x[i]
    return x


def _grouped_line(law: Law) -> Law:
    def make(rng: Rng) -> Columns:
        table = law.draw(rng)
        time = [i % 10 for i in range(len(table["value"]))]
        return {**table, "time": time, "value": [v + 0.3 * t for v, t in zip(table["value"], time, strict=True)]}

    return Law(law.name, 0.3, make)


def _slope() -> list[Check]:
    name = "slope.hac"
    law = _line("independent normal errors, n = 50", lambda rng: rng.normal(size=50))
    hard = (
        _line("AR 0.5", _autoregressive), _line("log-normal", lambda rng: rng.lognormal(size=50)),
        _line("1 % spikes", lambda rng: rng.normal(size=50) + 100 * (rng.random(50) < 0.01)),
    )  # fmt: skip
    by_group, series = _grouped_line(grouped()), _grouped_line(blocked_series())
    return [
        Check(name, law.name, "equal-weighted-cosine", "approximate", most=ALPHA, least=ALPHA,
              run=estimator_run(name, law), stress=stressed(name, *hard)),
        Check(name, by_group.name, "cluster", "approximate", most=_ABOUT, least=_NEAR,
              run=estimator_run(name, by_group), stress=stressed(name, series)),
    ]  # fmt: skip


def _related(rho: float, warp: Callable[[np.ndarray], np.ndarray], truth: float, words: str) -> Law:
    def make(rng: Rng) -> Columns:
        x = rng.normal(size=50)
        y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=50)
        return {"value": warp(x).tolist(), "other": warp(y).tolist()}

    return Law(f"{words}, n = 50", truth, make)


def _correlation() -> list[Check]:
    name = "correlation"
    law = _related(0.5, lambda x: x, 0.5, "normal, ρ = 0.5")
    skewed = _related(0.5, np.exp, math.expm1(0.5) / math.expm1(1.0), "log-normal")
    ranks = 6 / math.pi * math.asin(0.25)  # Spearman's ρ of normal columns (Pearson 1907)
    return [
        Check(name, law.name, "fisher-z", "approximate", most=_ABOUT, least=_NEAR, run=estimator_run(name, law),
              stress=stressed(name, skewed)),
        Check(name, f"{law.name}, of ranks", "fisher-z", "approximate", most=_ABOUT,
              run=estimator_run(name, Law(law.name, ranks, law.draw), kind="spearman")),
    ]  # fmt: skip


# --- how many hypotheses are false


def _hypotheses(false: int) -> Law:
    """Five p-values, of which ``false`` are as small as they get."""

    def make(rng: Rng) -> Columns:
        return {"value": ndtr(-(rng.normal(size=5) + 8.0 * (np.arange(5) < false))).tolist()}

    return Law(f"{false} of 5 false", float(false), make)


def _holm() -> list[Check]:
    made = []
    for false in (0, 2):
        law, true = _hypotheses(false), 5 - false
        chance = 1 - (1 - ALPHA / true) ** true  # any of the true ones below α over their number
        made.append(
            Check("holm", law.name, "holm", "guaranteed", most=chance, least=chance, sides=("below",),
                  run=estimator_run("holm", law), quick=10_000, full=100_000)
        )  # fmt: skip
    return made


CONTRASTS: Mapping[str, Callable[[], Sequence[Check]]] = {
    "difference.newcombe": _newcombe,
    "difference.clopper-pearson": _clopper_pearson,
    "difference.mean": _difference_mean,
    "tost": _tost,
    "effect-size": _effect_size,
    "slope.hac": _slope,
    "correlation": _correlation,
    "holm": _holm,
}
"""Makes the checks of each estimator."""
