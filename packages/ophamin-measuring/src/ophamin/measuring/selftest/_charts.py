"""Checks of pillar O: how often points of a stable process lie outside, rules fire, sums cross, and drift is called.

A point of phase II is one run; phase I is so long that its limits are those of the process. What the rates should be
comes from the law of the point, not from the charts' own constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr
from scipy.stats import binom, chi2, norm, poisson, studentized_range

from ophamin.measuring.pillars.observability import capability, charts, drift, ratio, rules, weighted
from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Run, Stress, Tally
from ophamin.measuring.selftest._trials import interval_run

__all__ = ["charting"]

Rng = np.random.Generator
_ABOVE = ("above",)
_SIZE = 5
_PHASE1 = {1: 100_000, _SIZE: 3000}
"""Subgroups of phase I by their size: of single values, limits settle more slowly."""
_NEAR = 0.003
"""What limits from such a phase I may be off: five times what they are."""
_SIDE = 0.025


def charting() -> list[Check]:
    """Every check of this kind."""
    return [*_levels(), *_spreads(), *_counts(), *_rules(), *_weighted(), *_indices(), *_ratio(), *_drift()]


# --- charts of measured values, at two standard errors: there a wrong constant shows in a few thousand points


def _beyond(
    make: Callable[..., charts.Chart], n: int, draw: Callable[[Rng, int], np.ndarray], every: int = 1, **options: Any
) -> Run:
    """Points of phase II beyond their limits; of those that overlap, only ``every`` so many-th."""

    def run(rng: Rng, runs: int) -> Tally:
        m = _PHASE1[n] + every * runs
        rows = () if n == 1 else (np.repeat(np.arange(m), n).tolist(),)
        chart = make(draw(rng, m * n), *rows, phase1=np.arange(m) < _PHASE1[n], **options)
        new = slice(len(chart.points) - every * runs, None, every)
        points = chart.points[new]
        return Tally(int((points < chart.lower[new]).sum()), int((points > chart.upper[new]).sum()), runs)

    return run


def _normal(rng: Rng, n: int) -> np.ndarray:
    return rng.normal(size=n)


def _skewed(rng: Rng, n: int) -> np.ndarray:
    return rng.lognormal(size=n)


def _levels() -> list[Check]:
    tail = float(ndtr(-2))
    made = []
    for method in charts.SIGMA_METHODS:
        run, hard = (_beyond(charts.xbar, _SIZE, draw, sigmas=2.0, sigma_method=method) for draw in (_normal, _skewed))
        made.append(
            Check("O.xbar", f"X̄ by {method}, normal, beyond 2 standard errors", f"X̄, σ by {method}", "approximate",
                  kind="type I", most=tail + _NEAR, least=tail - _NEAR, run=run, quick=3000, full=40_000,
                  stress=(Stress("log-normal", hard),))
        )  # fmt: skip
    run, hard = (_beyond(charts.individuals, 1, draw, sigmas=2.0) for draw in (_normal, _skewed))
    made.append(
        Check("O.individuals", "normal, beyond 2 standard deviations", "individuals", "approximate", kind="type I",
              most=tail + _NEAR, least=tail - _NEAR, run=run, quick=20_000, full=200_000,
              stress=(Stress("log-normal", hard),))
    )  # fmt: skip
    return made


def _spreads() -> list[Check]:
    # R/σ is the range of 5 standard normals, whose law scipy integrates; S²·4/σ² is χ² with 4 degrees of freedom.
    d2 = _moment(lambda w: studentized_range.sf(w, _SIZE, np.inf))
    d3 = math.sqrt(2 * _moment(lambda w: w * studentized_range.sf(w, _SIZE, np.inf)) - d2**2)
    c4 = math.sqrt(2 / (_SIZE - 1)) * math.gamma(_SIZE / 2) / math.gamma((_SIZE - 1) / 2)
    top = c4 + 2 * math.sqrt(1 - c4**2)
    made = []
    for family, words, make, n, rate, quick in (
        ("O.xbar", "R", charts.r_chart, _SIZE, float(studentized_range.sf(d2 + 2 * d3, _SIZE, np.inf)), 3000),
        ("O.xbar", "S", charts.s_chart, _SIZE, float(chi2.sf((_SIZE - 1) * top**2, _SIZE - 1)), 3000),
        # |difference of two| is √2 times a half-normal: mean 2/√π, variance 2 − 4/π.
        (
            "O.individuals",
            "moving ranges",
            charts.moving_range,
            1,
            float(2 * norm.sf((2 / math.sqrt(math.pi) + 2 * math.sqrt(2 - 4 / math.pi)) / math.sqrt(2))),
            20_000,
        ),
    ):
        every = 2 if n == 1 else 1
        run, hard = (_beyond(make, n, draw, every, sigmas=2.0) for draw in (_normal, _skewed))
        made.append(
            Check(family, f"{words}, normal, beyond 2 standard errors", words, "approximate", kind="type I",
                  most=rate + _NEAR, least=rate - _NEAR, sides=_ABOVE, run=run, quick=quick, full=10 * quick,
                  stress=(Stress("log-normal", hard),))
        )  # fmt: skip
    return made


def _moment(density: Callable[[np.ndarray], np.ndarray]) -> float:
    w = np.linspace(0.0, 12.0, 1201)
    return float(np.trapezoid(density(w), w))


# --- charts of counts: every outcome of a process whose mean phase I states exactly


def _outcomes(make: Callable[..., charts.Chart], law: Any, mean: float, size: float | None, width: float) -> Tally:
    k = np.arange(int(law.ppf(1 - 1e-12)) + 1, dtype=float)
    first = np.full(10, mean)
    sizes = () if size is None else (np.full(10 + len(k), size),)
    chart = make(np.concatenate([first, k]), *sizes, phase1=np.arange(10 + len(k)) < 10, sigmas=width)
    points, weight = chart.points[10:], law.pmf(k)
    below, above = points < chart.lower[10:], points > chart.upper[10:]
    return Tally(float(weight[below].sum()), float(weight[above].sum()))


def _counts() -> list[Check]:
    # Means so large that a limit a tenth too wide leaves other counts out; and no count lies on a limit.
    kinds: tuple[tuple[str, Callable[..., charts.Chart], Any, float, float, float | None], ...] = (
        ("p", charts.p_chart, binom(2000, 0.1), 200.0, math.sqrt(180.0), 2000.0),
        ("np", charts.np_chart, binom(2000, 0.1), 200.0, math.sqrt(180.0), 2000.0),
        ("c", charts.c_chart, poisson(100.0), 100.0, 10.0, None),
        ("u", charts.u_chart, poisson(100.0), 100.0, 10.0, 50.0),
    )
    made = []
    for name, make, law, mean, sd, size in kinds:
        below, above = float(law.cdf(math.ceil(mean - 2.15 * sd) - 1)), float(law.sf(math.floor(mean + 2.15 * sd)))
        for side, rate in (("below", below), ("above", above)):
            made.append(
                Check(f"O.{name}", f"all outcomes {side} 2.15 standard errors", name, "guaranteed", kind="type I",
                      most=rate, least=rate, sides=(side,),
                      enumerate=lambda make=make, law=law, mean=mean, size=size: _outcomes(make, law, mean, size, 2.15))  # type: ignore[misc]
            )  # fmt: skip
    return made


# --- runs rules: the last point of each window of 15 looks at that window alone


def _fires(name: str, rule: str) -> Run:
    def run(rng: Rng, runs: int) -> Tally:
        found = rules.violations(rng.normal(size=15 * runs), rule)[name]
        return Tally(0, int((found % 15 == 14).sum()), runs)

    return run


def _rules() -> list[Check]:
    p1, p2 = float(ndtr(-1)), float(ndtr(-2))
    inner = 1 - 2 * p1
    up_down = 199_360_981  # alternating orders of 14 that begin upwards (Euler's zigzag number)

    def of(k: int, m: int, p: float) -> float:
        # The last of m lies beyond, and k − 1 or more of the others do on its side; the two sides exclude each other.
        return 2 * p * float(binom.sf(k - 2, m - 1, p))

    rates = {
        "nelson-1": 2 * float(ndtr(-3)), "nelson-2": 2 * 0.5**9, "nelson-3": 2 / math.factorial(6),
        "nelson-4": 2 * up_down / math.factorial(14), "nelson-5": of(2, 3, p2), "nelson-6": of(4, 5, p1),
        "nelson-7": inner**15, "nelson-8": (2 * p1) ** 8,
        "we-1": 2 * float(ndtr(-3)), "we-2": of(2, 3, p2), "we-3": of(4, 5, p1), "we-4": 2 * 0.5**8,
    }  # fmt: skip
    return [
        Check("runs rules", f"{name}, normal", name, "guaranteed", kind="type I", most=rates[name], least=rates[name],
              sides=_ABOVE, quick=60_000, full=600_000, run=_fires(name, chosen))
        for chosen, found in rules.SETS.items()
        for name in found
    ]  # fmt: skip


# --- weighted charts: the chance of a signal within so many points, by following the law of the statistic


def _ewma_signals(n: int, lam: float, width: float, limits: str) -> float:
    """P(EWMA leaves its limits within n points): its density on a fine grid, step by step."""
    sd = math.sqrt(lam / (2 - lam))
    edge = np.linspace(-width * sd, width * sd, 1202)
    z = (edge[1:] + edge[:-1]) / 2
    step = z[1] - z[0]
    kernel = norm.pdf((z[None, :] - (1 - lam) * z[:, None]) / lam) / lam * step
    alive = norm.pdf(z / lam) / lam * step
    for i in range(1, n + 1):
        if i > 1:
            alive = alive @ kernel
        half = width * sd * (math.sqrt(1 - (1 - lam) ** (2 * i)) if limits == "time-varying" else 1.0)
        # The cell that holds the limit is kept in part.
        alive = alive * np.clip((half - np.abs(z)) / step + 0.5, 0.0, 1.0)
    return 1 - float(alive.sum())


def _cusum_signals(n: int, k: float, h: float) -> float:
    """P(one sum exceeds h within n points): Brook and Evans's chain on a fine grid, with an atom at 0."""
    cells = 1200
    step = h / cells
    z = np.concatenate([[0.0], (np.arange(cells) + 0.5) * step])
    kernel = norm.pdf(z[None, 1:] - z[:, None] + k) * step
    kernel = np.column_stack([ndtr(k - z), kernel])  # at most 0: it starts again
    alive = np.zeros(cells + 1)
    alive[0] = 1.0
    for _ in range(n):
        alive = alive @ kernel
    return 1 - float(alive.sum())


def _weighted() -> list[Check]:
    n, lam, width, k, h = 100, 0.2, 2.5, 0.5, 4.0

    def averages(limits: str, draw: Callable[[Rng, int], np.ndarray] = _normal) -> Run:
        def run(rng: Rng, runs: int) -> Tally:
            hits = sum(
                bool(weighted.ewma(draw(rng, n), target=0.0, sigma=1.0, lam=lam, width=width, limits=limits).signals)
                for _ in range(runs)
            )
            return Tally(0, hits, runs)

        return run

    def sums(draw: Callable[[Rng, int], np.ndarray] = _normal) -> Run:
        def run(rng: Rng, runs: int) -> Tally:
            found = [weighted.cusum(draw(rng, n), target=0.0, sigma=1.0, k=k, h=h) for _ in range(runs)]
            below = sum(bool((f.lower > f.h).any()) for f in found)
            return Tally(below, sum(bool((f.upper > f.h).any()) for f in found), runs)

        return run

    def heavy(rng: Rng, size: int) -> np.ndarray:
        return rng.standard_t(4, size) / math.sqrt(2)

    made = []
    for limits in ("time-varying", "asymptotic"):
        rate = _ewma_signals(n, lam, width, limits)
        made.append(
            Check("O.ewma", f"{limits} limits of 2.5, a signal within {n} points", f"EWMA, {limits}", "approximate",
                  kind="type I", most=rate + 0.001, least=rate - 0.001, sides=_ABOVE, run=averages(limits), quick=4000,
                  full=40_000, stress=(Stress("Student's t with 4 df", averages(limits, heavy)),))
        )  # fmt: skip
    rate = _cusum_signals(n, k, h)
    made.append(
        Check("O.cusum", f"h = 4, a signal of each sum within {n} points", "CUSUM", "approximate", kind="type I",
              most=rate + 0.001, least=rate - 0.001, run=sums(), quick=4000, full=40_000,
              stress=(Stress("Student's t with 4 df", sums(heavy)),))
    )  # fmt: skip
    return made


# --- capability, allocation, drift


def _indices() -> list[Check]:
    def ends(name: str, draw: Callable[[Rng, int], np.ndarray] = _normal) -> Callable[[Rng], tuple[float, float]]:
        def interval(rng: Rng) -> tuple[float, float]:
            found = capability.capability(draw(rng, 40), lower=-3.0, upper=5.0)
            low, high = getattr(found, f"{name}_interval")
            return float(low), float(high)

        return interval

    return [
        Check("O.capability", f"{name}, normal, n = 40", method, "approximate", most=_SIDE + about, least=_SIDE - about,
              run=interval_run(ends(name), truth), quick=2000, full=40_000,
              stress=(Stress("uniform of the same spread", interval_run(
                  ends(name, lambda rng, n: rng.uniform(-math.sqrt(3), math.sqrt(3), n)), truth)),))
        for name, method, truth, about in (("cp", "χ²", 8 / 6, 0.0), ("cpk", "normal, Bissell", 1.0, MARGIN))
    ]  # fmt: skip


def _ratio() -> list[Check]:
    def outcomes() -> Tally:
        n = 500
        p = np.array([ratio.sample_ratio_mismatch([k, n - k], [0.3, 0.7]).p_value for k in range(n + 1)])
        return Tally(0.0, float(binom.pmf(np.arange(n + 1), n, 0.3)[p <= ALPHA].sum()), 0, int(np.isnan(p).sum()))

    def few(rng: Rng, runs: int) -> Tally:
        k = rng.binomial(12, 0.3, size=runs)
        p = np.array([ratio.sample_ratio_mismatch([i, 12 - i], [0.3, 0.7]).p_value for i in range(13)])
        return Tally(0, int((p[k] <= ALPHA).sum()), runs)

    return [
        Check("O.srm", "all outcomes of 500 at 3 to 7", "χ²", "approximate", kind="type I", most=ALPHA + MARGIN,
              least=ALPHA - MARGIN, sides=_ABOVE, enumerate=outcomes, stress=(Stress("12 units", few),)),
    ]  # fmt: skip


def _drifts(name: str, before: float, after: float) -> Run:
    """Whether a change is called in 500 binary or normal values, of which the second half may lie elsewhere."""
    binary = name in drift.BINARY

    def run(rng: Rng, runs: int) -> Tally:
        found = 0
        for _ in range(runs):
            shares = np.repeat([before, after], 250)
            values = (rng.random(500) < shares).astype(int) if binary else rng.normal(size=500) + 5 * shares
            changes = drift.detect(values.tolist(), name, seed=int(rng.integers(2**31))).changes
            found += any(c >= 250 for c in changes) if before != after else bool(changes)
        return Tally(0, found, runs)

    return run


def _drift() -> list[Check]:
    made = [
        Check("O.drift", f"{name}, a clear change is found", name, "approximate", kind="power", most=None, least=0.9,
              sides=_ABOVE, run=_drifts(name, 0.1, 0.7), quick=0 if name == "kswin" else 100,
              full=300 if name == "kswin" else 2000,
              stress=(Stress("no change at all", _drifts(name, 0.1, 0.1)),))
        for name in drift.DETECTORS
    ]  # fmt: skip
    # ADWIN alone states how often it errs: δ = 0.002 for each look, of which 500 values have few.
    made.append(
        Check("O.drift", "adwin, no change in 500 values", "adwin", "approximate", kind="type I", most=ALPHA,
              sides=_ABOVE, run=_drifts("adwin", 0.1, 0.1), quick=200, full=2000)
    )  # fmt: skip
    return made
