"""Checks of pillar X: shares, paired counts, t tests and their margins, ranks, permutations, correlations, families.

The modules are asked for their functions when a check runs, so what is tried is what is installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, permutations, product
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr

from ophamin.measuring.pillars.general import (
    adjust,
    correlations,
    effects,
    means,
    paired_counts,
    permutation,
    proportions,
    ranks,
)
from ophamin.measuring.pillars.general.plugins_shares import BoundedMean
from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Run, Stress, Tally
from ophamin.measuring.selftest._trials import binomial_rates, interval_run, missing, rejection_run

__all__ = ["general"]

Rng = np.random.Generator
Interval = Callable[[Rng], tuple[float | None, float | None]]
_SIDE = 0.025
_ABOVE = ("above",)


def general() -> list[Check]:
    """Every check of this kind."""
    return [*_shares(), *_differences(), *_discordant(), *_students(), *_ranks(), *_exchanged(), *_related(), *_many()]


# --- shares


def _share_bounds(method: str, n: int) -> dict[int, tuple[float, float]]:
    found = proportions.interval(np.arange(n + 1), n, method=method, level=0.95)
    return dict(enumerate(zip(found.lower.tolist(), found.upper.tolist(), strict=True)))


def _over_shares(method: str, *, worst: bool) -> Tally:
    """Each side's miss rate over evenly spaced shares: the largest, or the mean of a method right on average."""
    below, above = missing(_share_bounds(method, 30), 30, 999)
    return Tally(float(below.max()), float(above.max())) if worst else Tally(float(below.mean()), float(above.mean()))


def _rare(method: str) -> Run:
    def run(rng: Rng, runs: int) -> Tally:
        found = proportions.interval(rng.binomial(30, 0.02, size=runs), 30, method=method, level=0.95)
        return Tally(int((found.lower > 0.02).sum()), int((found.upper < 0.02).sum()), runs)

    return run


def _shares() -> list[Check]:
    made = []
    for method in proportions.METHODS:
        guaranteed = method == "clopper-pearson"
        made.append(
            Check(
                "X.proportion", f"{method}, {'worst' if guaranteed else 'mean'} over all shares, n = 30", method,
                "guaranteed" if guaranteed else "approximate", most=_SIDE if guaranteed else _SIDE + MARGIN / 2,
                least=0.8 * _SIDE if guaranteed else 0.5 * _SIDE,
                enumerate=lambda method=method, worst=guaranteed: _over_shares(method, worst=worst),  # type: ignore[misc]
                stress=() if guaranteed else (Stress("share 0.02, n = 30", _rare(method)),),
            )
        )  # fmt: skip
    bounded = BoundedMean()

    def interval(rng: Rng) -> tuple[float | None, float | None]:
        item = bounded.compute({"value": (rng.random(60) < 0.05).astype(float).tolist()}, seed=0, level=0.9).evidence[0]
        return item.ci_low, item.ci_high

    made.append(
        Check("X.bounded_mean", "0/1, share 0.05, n = 60, betting", "betting", "guaranteed",
              run=interval_run(interval, 0.05), quick=300, full=10_000)
    )  # fmt: skip
    return made


def _all_pairs(n: tuple[int, int]) -> Tally:
    """Newcombe's miss rates, the mean over pairs of shares in the middle."""
    k1, k2 = np.arange(n[0] + 1)[:, None], np.arange(n[1] + 1)
    found = proportions.difference_interval(k1, n[0], k2, n[1], level=0.95)
    below, above = [], []
    for p, q in product(np.linspace(0.2, 0.8, 13), repeat=2):
        weights = np.outer(binomial_rates(n[0], np.array([p]))[0], binomial_rates(n[1], np.array([q]))[0])
        below.append(float(weights[found.lower > p - q + 1e-12].sum()))
        above.append(float(weights[found.upper < p - q - 1e-12].sum()))
    return Tally(float(np.mean(below)), float(np.mean(above)))


def _differences() -> list[Check]:
    def rare(rng: Rng, runs: int) -> Tally:
        first, second = rng.binomial(30, 0.02, size=runs), rng.binomial(25, 0.1, size=runs)
        found = proportions.difference_interval(first, 30, second, 25, level=0.95)
        return Tally(int((found.lower > -0.08).sum()), int((found.upper < -0.08).sum()), runs)

    return [
        Check("X.proportion_difference", "mean over shares in the middle, n = 30 and 25", "newcombe", "approximate",
              most=_SIDE + MARGIN / 2, least=_SIDE - MARGIN / 2, enumerate=lambda: _all_pairs((30, 25)),
              stress=(Stress("shares 0.02 and 0.1", rare),)),
    ]  # fmt: skip


# --- paired counts


def _split(pairs: int, share: float, p_value: Callable[[Any], float]) -> Tally:
    """Chance that the p-value is at most α where each of so many discordant pairs falls to either with this share."""
    weights = binomial_rates(pairs, np.array([share]))[0]
    p = np.array([p_value(paired_counts.mcnemar(k, pairs - k, 2 * pairs)) for k in range(pairs + 1)])
    return Tally(0.0, float(weights[p <= ALPHA].sum()), 0, int(np.isnan(p).sum()))


def _odds(pairs: int) -> Tally:
    found = [paired_counts.mcnemar(k, pairs - k, 2 * pairs, level=0.95) for k in range(pairs + 1)]
    # The odds p/(1 − p) of the share of one kind among the discordant pairs; no upper end is one at infinity.
    ends = {
        k: (f.lower / (1 + f.lower), 1.0 if math.isnan(f.upper) else f.upper / (1 + f.upper))
        for k, f in enumerate(found)
    }
    below, above = missing(ends, pairs, 999)
    return Tally(float(below.max()), float(above.max()))


def _paired_gap(pairs: int, chances: tuple[float, float, float, float]) -> Run:
    """Newcombe's interval of a paired difference; chances of both, only the first, only the second, neither."""

    def interval(rng: Rng) -> tuple[float, float]:
        both, first, second, _ = (int(k) for k in rng.multinomial(pairs, chances))
        return paired_counts.paired_difference(both, first, second, pairs)

    return interval_run(interval, chances[1] - chances[2])


def _discordant() -> list[Check]:
    kinds: tuple[tuple[str, str, Callable[[Any], float], float, float, Literal["guaranteed", "approximate"]], ...] = (
        ("exact", "mcnemar-exact", lambda f: f.p_exact, ALPHA, 0.4 * ALPHA, "guaranteed"),
        ("mid-p", "mcnemar-mid-p", lambda f: f.p_mid, ALPHA + MARGIN, 0.6 * ALPHA, "approximate"),
        ("corrected", "mcnemar-corrected", lambda f: f.p_asymptotic, ALPHA + MARGIN, 0.4 * ALPHA, "approximate"),
        ("uncorrected", "mcnemar-uncorrected", lambda f: f.p_uncorrected, ALPHA + MARGIN, 0.6 * ALPHA, "approximate"),
    )

    def few(p_value: Callable[[Any], float]) -> Run:
        def run(rng: Rng, runs: int) -> Tally:
            p = np.array([p_value(paired_counts.mcnemar(k, 6 - k, 12)) for k in range(7)])
            return Tally(0, int((p[rng.binomial(6, 0.5, size=runs)] <= ALPHA).sum()), runs)

        return run

    made = [
        Check("X.mcnemar", f"{words}, 34 discordant pairs", method, guarantee, kind="type I", most=most, least=least,
              sides=_ABOVE, enumerate=lambda p_value=p_value: _split(34, 0.5, p_value),  # type: ignore[misc]
              stress=(Stress("6 discordant pairs", few(p_value)),) if guarantee == "approximate" else ())
        for words, method, p_value, most, least, guarantee in kinds
    ]  # fmt: skip
    made.append(
        Check("X.mcnemar", "odds ratio, worst over all odds, 30 discordant pairs", "clopper-pearson", "guaranteed",
              most=_SIDE, least=0.8 * _SIDE, enumerate=lambda: _odds(30))
    )  # fmt: skip
    made.append(
        Check("X.mcnemar", "difference of 0.1, 60 pairs", "newcombe-paired", "approximate", most=_SIDE + MARGIN,
              least=_SIDE - MARGIN, run=_paired_gap(60, (0.3, 0.2, 0.1, 0.4)), quick=1000, full=20_000,
              stress=(Stress("few discordant", _paired_gap(20, (0.85, 0.1, 0.0, 0.05))),))
    )  # fmt: skip
    return made


# --- t tests and margins


def _t(make: Callable[[Rng], Any]) -> Interval:
    def interval(rng: Rng) -> tuple[float, float]:
        found = make(rng)
        return found.lower, found.upper

    return interval


def _students() -> list[Check]:
    def two(rng: Rng, wide: float = 1.0, n: tuple[int, int] = (5, 4)) -> tuple[Any, Any]:
        return rng.normal(size=n[0]), wide * rng.normal(size=n[1])

    def heavy(rng: Rng) -> Any:
        return means.t_test(rng.lognormal(size=30), rng.lognormal(size=10))

    tests: tuple[tuple[str, str, Callable[[Rng], Any], float], ...] = (
        ("one sample, n = 5", "student", lambda rng: means.t_test(rng.normal(size=5)), 0.0),
        ("two samples of one spread, n = 5 and 4", "student",
         lambda rng: means.t_test(*two(rng), equal_variance=True), 0.0),
        ("pairs, n = 5", "paired", lambda rng: means.paired(*two(rng, n=(5, 5))), 0.0),
        ("two samples, spread 1 and 2, n = 12 and 9", "welch", lambda rng: means.t_test(*two(rng, 2.0, (12, 9))),
         MARGIN / 2),
    )  # fmt: skip
    made = [
        Check("X.t_test", words, method, "approximate", most=_SIDE + about, least=_SIDE - about, quick=3000,
              full=40_000, run=interval_run(_t(make), 0.0),
              stress=(Stress("log-normal, n = 30 and 10", interval_run(_t(heavy), 0.0)),))
        for words, method, make, about in tests
    ]  # fmt: skip
    # At one margin, with the other far off, the test of equivalence is a one-sided t test.
    for family, decide in (
        ("X.tost", lambda test: means.tost(test, -50.0, 1.0, alpha=ALPHA).p_value),
        ("X.non_inferiority", lambda test: means.non_inferiority(test, 1.0, alpha=ALPHA).p_value),
    ):
        shift = 1.0 if family == "X.tost" else -1.0
        made.append(
            Check(family, "at the margin, n = 5", "tost-t", "guaranteed", kind="type I", most=ALPHA, least=ALPHA,
                  sides=_ABOVE, quick=3000, full=40_000,
                  run=rejection_run(lambda rng, d=decide, s=shift: d(means.t_test(rng.normal(size=5) + s))))  # type: ignore[misc]
        )  # fmt: skip
    d = 0.8

    def sizes(pairs: bool, draw: Callable[[Rng, int], Any] = lambda rng, n: rng.normal(size=n)) -> Interval:
        def interval(rng: Rng) -> tuple[float, float]:
            n = (12, 12) if pairs else (12, 9)
            found = effects.standardized_difference(draw(rng, n[0]) + d, draw(rng, n[1]), level=0.95, paired=pairs)
            return found.lower, found.upper

        return interval

    def skewed(rng: Rng, n: int) -> Any:
        return rng.lognormal(size=n) / math.sqrt((math.e - 1) * math.e)

    made.append(
        Check("X.smd", "normal, δ = 0.8, n = 12 and 9", "noncentral-t", "approximate", most=_SIDE, least=_SIDE,
              quick=1000, full=20_000, run=interval_run(sizes(False), d),
              stress=(Stress("log-normal", interval_run(sizes(False, skewed), d)),))
    )  # fmt: skip
    return made


# --- ranks and arrangements


def _every_order(p_value: Callable[[Any, Any], float], n: int) -> Tally:
    """Chance under exchangeability that p is at most α: every way to deal 2n distinct values into two samples."""
    values = 2.0 ** np.arange(2 * n)
    p = []
    for chosen in combinations(range(2 * n), n):
        first = np.isin(np.arange(2 * n), chosen)
        p.append(p_value(values[first], values[~first]))
    return Tally(0.0, float(np.mean(np.array(p) <= ALPHA)), 0, int(np.isnan(p).sum()))


def _ranks() -> list[Check]:
    def auc(n: int) -> Interval:
        def interval(rng: Rng) -> tuple[float, float]:
            found = ranks.mann_whitney(rng.normal(size=n) + 1, rng.normal(size=n), level=0.95)
            return found.lower, found.upper

        return interval

    truth = float(ndtr(1 / math.sqrt(2)))
    few = Stress("10 and 10", interval_run(auc(10), truth))
    return [
        Check("X.mann_whitney", "exact, all 252 orders of 5 and 5", "mann-whitney-exact", "guaranteed", kind="type I",
              least=8 / 252, sides=_ABOVE,
              enumerate=lambda: _every_order(lambda x, y: ranks.mann_whitney(x, y).p_exact, 5)),
        Check("X.mann_whitney", "AUC 0.76, 60 and 60", "delong-logit", "approximate", most=_SIDE + MARGIN,
              least=_SIDE - MARGIN, run=interval_run(auc(60), truth), quick=2000, full=20_000, stress=(few,)),
    ]  # fmt: skip


def _exchanged() -> list[Check]:
    def flipped() -> Tally:
        size = 2.0 ** np.arange(6)
        p = [permutation.permutation_test(size * s, np.zeros(6), paired=True).p_value
             for s in np.array(list(product((-1.0, 1.0), repeat=6)))]  # fmt: skip
        return Tally(0.0, float(np.mean(np.array(p) <= ALPHA)))

    def drawn(rng: Rng) -> float:
        x, y = rng.normal(size=(2, 10))
        return permutation.permutation_test(x, y, resamples=99, seed=int(rng.integers(2**31))).p_value

    name = "X.permutation"
    return [
        Check(name, "means, all 70 arrangements of 4 and 4", "permutation", "guaranteed", kind="type I", least=2 / 70,
              sides=_ABOVE, enumerate=lambda: _every_order(lambda x, y: permutation.permutation_test(x, y).p_value, 4)),
        Check(name, "pairs, all 64 signs of 6", "permutation", "guaranteed", kind="type I", least=2 / 64,
              sides=_ABOVE, enumerate=flipped),
        # Of 99 drawn ones each tail takes the outermost 2 of 100.
        Check(name, "means, 99 arrangements drawn", "permutation", "guaranteed", kind="type I", most=0.04, least=0.04,
              sides=_ABOVE, run=rejection_run(drawn), quick=1000, full=10_000),
    ]  # fmt: skip


# --- correlations


def _columns(rng: Rng, n: int, rho: float) -> tuple[Any, Any]:
    x = rng.normal(size=n)
    return x, rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n)


def _related() -> list[Check]:
    truth = {"pearson": 0.5, "spearman": 6 / math.pi * math.asin(0.25), "kendall": 2 / math.pi * math.asin(0.5)}
    made = []
    for kind, value in truth.items():

        def p_value(rng: Rng, kind: str = kind) -> float:
            return correlations.correlate(*_columns(rng, 20, 0.0), kind=kind).p_value

        def interval(rng: Rng, kind: str = kind, warp: Callable[[Any], Any] = lambda v: v) -> tuple[float, float]:
            x, y = _columns(rng, 50, 0.5)
            found = correlations.correlate(warp(x), warp(y), kind=kind, level=0.95)
            return found.lower, found.upper

        exact = kind == "pearson"
        skewed = math.expm1(0.5) / math.expm1(1.0) if exact else value
        stress = (Stress("log-normal", interval_run(lambda rng, i=interval: i(rng, warp=np.exp), skewed)),)  # type: ignore[misc]
        about = 0.0 if exact else MARGIN

        def few(rng: Rng, kind: str = kind) -> float:
            return correlations.correlate(*_columns(rng, 6, 0.0), kind=kind).p_value

        made += [
            Check("X.correlation", f"{kind}, no relation, n = 20", f"{kind}-p",
                  "guaranteed" if exact else "approximate", kind="type I",
                  most=ALPHA + about, least=ALPHA - about, sides=_ABOVE, run=rejection_run(p_value), quick=1000,
                  full=20_000, stress=() if exact else (Stress("n = 6", rejection_run(few)),)),
            Check("X.correlation", f"{kind}, normal with ρ = 0.5, n = 50", f"fisher-z, {kind}", "approximate",
                  most=_SIDE + MARGIN, least=_SIDE - MARGIN, run=interval_run(interval, value), quick=1000,
                  full=20_000, stress=stress),
        ]  # fmt: skip

    def orders() -> Tally:
        p = [correlations.exact_spearman(range(5), order) for order in permutations(range(5))]
        return Tally(0.0, float(np.mean(np.array(p) <= ALPHA)))

    made.append(
        Check("X.correlation", "spearman exact, all 120 orders of 5", "spearman-exact", "guaranteed", kind="type I",
              least=2 / 120, sides=_ABOVE, enumerate=orders)
    )  # fmt: skip
    return made


# --- families


def _many() -> list[Check]:
    five = 1 - (1 - ALPHA / 5) ** 5
    harmonic = sum(1 / k for k in range(1, 6))
    # Five true hypotheses, independent: the chance that any is rejected, exactly (Hochberg's is between two of them).
    exact = {
        "bonferroni": (five, five), "holm": (five, five), "hochberg": (ALPHA, five), "bh": (ALPHA, ALPHA),
        "by": (ALPHA / harmonic, ALPHA / harmonic),
    }  # fmt: skip
    return [
        Check("X.adjust", f"{method}, 5 true: any rejected", method, "guaranteed", kind="type I", most=exact[method][0],
              least=exact[method][1], sides=_ABOVE, quick=3000, full=40_000,
              run=rejection_run(lambda rng, m=method: float(adjust.adjust(rng.random(5), m).min())))  # type: ignore[misc]
        for method in adjust.METHODS
    ]  # fmt: skip
