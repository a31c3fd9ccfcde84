"""Checks of the estimators of one quantity, one list per name in group ``ophamin.estimators``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Law, Tally
from ophamin.measuring.selftest._laws import (
    blocked_series,
    coupled,
    grouped,
    lognormal,
    normal,
    shares,
    spikes,
    unit_spikes,
)
from ophamin.measuring.selftest._trials import binomial_rates, estimator_run, missing, stressed
from ophamin.protocols import Columns
from ophamin.registry import estimators

__all__ = ["INTERVALS", "growing", "skilled", "stated"]

Rng = np.random.Generator
_ABOUT = ALPHA + MARGIN
_Q90 = 1.2815515655446004  # of a standard normal


# --- proportion


def _enumerated_proportion(n: int, alpha: float) -> Callable[[], Tally]:
    """The largest miss rate of each side over a grid of truths, from every outcome."""

    def enumerate_() -> Tally:
        estimate = estimators.get("proportion")
        bounds, why = {}, ""
        for k in range(n + 1):
            found = estimate({"value": [1] * k + [0] * (n - k)}, confidence=1 - alpha, seed=0)
            why = why or found.problem
            lower, upper = found.lower, found.upper
            bounds[k] = (-np.inf if lower is None else lower, np.inf if upper is None else upper)
        below, above = missing(bounds, n, 1999)
        return Tally(float(below.max()), float(above.max()), 0, int(bool(why)), why)

    return enumerate_


def _proportion() -> list[Check]:
    made = [
        # The largest rate of a right exact interval comes near α; one that asks α/2 of each side stays far below.
        Check(
            "proportion", f"all outcomes, n = {n}, α = {alpha:g}", "clopper-pearson", "guaranteed",
            most=alpha, least=0.8 * alpha, enumerate=_enumerated_proportion(n, alpha),
        )
        for n, alpha in ((10, 0.05), (30, 0.05), (100, 0.05), (60, 0.025))
    ]  # fmt: skip
    grid = (shares(0.9), shares(0.98), shares(0.9, "series"), shares(0.98, "series"))
    first = shares(0.5)
    made.append(
        Check(
            "proportion",
            first.name,
            "korn-graubard-adverse",
            "approximate",
            most=_ABOUT,
            run=estimator_run("proportion", first),
            stress=stressed("proportion", *grid),
        )
    )
    # As published it comes near α where shares lie in the middle, so it also shows an interval too wide.
    made.append(
        Check(
            "proportion",
            f"{first.name}, as published",
            "korn-graubard",
            "approximate",
            most=_ABOUT,
            least=0.035,
            run=estimator_run("proportion", first, method="korn-graubard"),
            quick=6000,
            stress=stressed("proportion", *grid, method="korn-graubard"),
        )
    )
    return made


# --- mean


def _mean() -> list[Check]:
    made = [
        # Student's interval is exact for normal values: from above and from below.
        Check(
            "mean", f"normal, n = {n}, α = {alpha:g}", "t", "approximate", most=alpha, least=alpha,
            run=estimator_run("mean", normal(n), alpha=alpha),
            stress=stressed("mean", lognormal(100), spikes(100), grouped(), blocked_series()) if n == 5 else (),
        )
        for n, alpha in ((3, 0.05), (5, 0.05), (10, 0.025))
    ]  # fmt: skip
    made.append(
        Check(
            "mean",
            "20 groups, ICC 0.1",
            "t",
            "approximate",
            most=_ABOUT,
            least=ALPHA - MARGIN,
            run=estimator_run("mean", grouped()),
        )
    )
    rare = Law("0/1, share 0.05, n = 60", 0.05, lambda rng: {"value": (rng.random(60) < 0.05).tolist()})
    uniform = Law("uniform, n = 60", 0.5, lambda rng: {"value": rng.random(60).tolist()})
    laws = (rare, uniform, unit_spikes(60), _skewed(), shares(0.9), shares(0.9, "series"))
    for method, runs in (("betting", 1000), ("empirical-bernstein", 2000)):
        for law in laws:
            made.append(
                Check(
                    "mean", f"{method}, {law.name}", method, "guaranteed",
                    run=estimator_run("mean", law, method=method, support=[0, 1]), quick=runs, full=10 * runs,
                )
            )  # fmt: skip
    # Blocks of a series are nearly independent, not quite: there nothing is guaranteed, but it has room to spare.
    made = [replace(c, guarantee="approximate", most=_ABOUT) if "AR 0.5" in c.name else c for c in made]
    # A guaranteed interval far wider than needed would never err; it must tell 0.95 from 0.5.
    far = Law("0/1, share 0.95, n = 60", 0.5, lambda rng: {"value": (rng.random(60) < 0.95).tolist()})
    made += [
        Check(
            "mean", f"{method}, 0.95 is told from 0.5", method, "guaranteed", kind="power", most=None,
            least=0.95, sides=("below",), run=estimator_run("mean", far, method=method, support=[0, 1]),
            quick=400, full=4000,
        )
        for method in ("betting", "empirical-bernstein")
    ]  # fmt: skip
    return made


def _skewed() -> Law:
    # min(1, X/10) of a log-normal X; its mean by quadrature over the quantiles of the law.
    from scipy.stats import lognorm

    u = (np.arange(1_000_000) + 0.5) / 1_000_000
    truth = float(np.minimum(1.0, lognorm.ppf(u, 1.0) / 10).mean())
    return Law(
        "log-normal cut to [0, 1], n = 60",
        truth,
        lambda rng: {"value": np.minimum(1, rng.lognormal(size=60) / 10).tolist()},
    )


# --- quantile


def _enumerated_quantile(q: float, n: int) -> Callable[[], Tally]:
    """Each bound is an order statistic, so its chance to miss is a binomial sum, whatever the law."""

    def enumerate_() -> Tally:
        found = estimators.get("quantile")({"value": list(range(1, n + 1))}, confidence=1 - ALPHA, seed=0, q=q)
        pmf = binomial_rates(n, np.array([q]))[0]
        below = 0.0 if found.lower is None else float(pmf[: round(found.lower)].sum())
        above = 0.0 if found.upper is None else float(pmf[round(found.upper) :].sum())
        return Tally(below, above, 0, int(bool(found.problem)), found.problem)

    return enumerate_


def _quantile() -> list[Check]:
    made = [
        Check(
            "quantile", f"order statistics, q = {q:g}, n = {n}", "order-statistics", "guaranteed",
            least=0.5 * ALPHA, sides=sides, enumerate=_enumerated_quantile(q, n),
        )
        for q, n, sides in ((0.5, 40, ("below", "above")), (0.95, 59, ("above",)), (0.9, 500, ("below", "above")))
    ]  # fmt: skip
    tied = Law("rounded log-normal, n = 60", 1.0, lambda rng: {"value": np.round(rng.lognormal(size=60)).tolist()})
    made += [
        Check(
            "quantile", f"median, {law.name}", "order-statistics", "guaranteed",
            run=estimator_run("quantile", replace(law, truth=truth), q=0.5),
        )
        for law, truth in ((lognormal(60), 1.0), (tied, 1.0), (spikes(60), _spiked_median()))
    ]  # fmt: skip
    made.append(
        Check(
            "quantile",
            "median, 20 groups, ICC 0.1",
            "exceedance",
            "approximate",
            most=_ABOUT,
            run=estimator_run("quantile", grouped(), q=0.5),
            quick=2000,
            full=20_000,
            stress=(
                *stressed("quantile", replace(grouped(), name="q = 0.9, 20 groups, ICC 0.1", truth=_Q90), q=0.9),
                *stressed("quantile", blocked_series(), q=0.5),
                *stressed(
                    "quantile", replace(blocked_series(), name="q = 0.9, AR 0.5 in 20 blocks", truth=_Q90), q=0.9
                ),
            ),
        )
    )
    return made


def _spiked_median() -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 / 0.99))  # the spikes lie above all else


# --- calibration


def stated(low: float, high: float, gap: float, slope: float = 1.0, coupling: str = "", n: int = 300) -> Law:
    """Stated confidence uniform in [low, high], right with chance 0.5 + slope·(c − 0.5) − gap."""
    words, uniforms = coupled(coupling) if coupling else ("independent", None)

    def draw(rng: Rng) -> Columns:
        u, codes = (rng.random(n), None) if uniforms is None else uniforms(rng)
        c = rng.uniform(low, high, len(u))
        columns = {"confidence": c.tolist(), "correct": (u < 0.5 + slope * (c - 0.5) - gap).tolist()}
        return columns if codes is None else {**columns, "group": codes}

    return Law(f"gap {gap:g}, {words}", gap, draw)


def _calibration() -> list[Check]:
    law = stated(0.5, 1.0, 0.1)
    sure = replace(stated(0.99, 1.0, 0.02), name="sure and nearly always right")
    return [
        Check(
            "calibration-error", law.name, "sign-vectors", "approximate", most=_ABOUT,
            run=estimator_run("calibration-error", law), quick=2000, full=20_000,
            stress=stressed(
                "calibration-error", stated(0.5, 1, 0.1, 1, "grouped"), stated(0.5, 1, 0.1, 1, "series"), sure
            ),
        ),
        # With one bin the error is a mean, and its bounds are as sharp as a mean's.
        Check(
            "calibration-error", f"{law.name}, one bin", "sign-vectors", "approximate", most=_ABOUT,
            least=ALPHA - MARGIN / 2, sides=("above",), run=estimator_run("calibration-error", law, bins=1),
            quick=2000, full=40_000,
        ),
        Check(
            "calibration-error", "gap 0.1, one bin, from below", "sign-vectors", "approximate", most=_ABOUT,
            least=ALPHA - MARGIN, sides=("below",), run=estimator_run("calibration-error", law, bins=1),
            quick=2000, full=40_000,
        ),
    ]  # fmt: skip


def skilled(slope: float, coupling: str = "") -> Law:
    """Confidence uniform in [0, 1], right with chance 0.5 + slope·(c − 0.5).

    y has variance 1/4, and E(y−c)² = 1/4 + 1/12 − slope/6, so the skill is slope/6 − 1/12.
    """
    made = stated(0, 1, 0.0, slope, coupling)
    return replace(made, name=made.name.replace("gap 0", f"slope {slope:g}"), truth=slope / 6 - 1 / 12)


def _brier() -> list[Check]:
    law = skilled
    return [
        Check(
            "brier-skill", law(slope).name, "paired-t", "approximate", most=_ABOUT,
            least=ALPHA - MARGIN / 2 if slope == 0.5 else None,
            sides=("below",) if slope == 0.5 else ("below", "above"),
            run=estimator_run("brier-skill", law(slope)), quick=2500 if slope == 0.5 else 2000,
            full=20_000,
            stress=stressed("brier-skill", law(0.5, "grouped"), law(0.5, "series")) if slope == 0.5 else (),
        )
        for slope in (0.5, 1.0)
    ]  # fmt: skip


# --- exponent


def _quiet(rng: Rng) -> np.ndarray:
    return 0.1 * rng.normal(size=12)


def growing(noise: Callable[[Rng], np.ndarray] = _quiet, name: str = "normal noise", n: int = 12) -> Law:
    """Cost in proportion to size^1.5, times the exponential of noise."""
    sizes = np.geomspace(10, 10_000, n)

    def draw(rng: Rng) -> Columns:
        cost = sizes**1.5 * np.exp(noise(rng))
        return {"size": [0, *sizes.tolist()], "value": [0.0, *cost.tolist()]}

    return Law(f"{n} sizes, {name}", 1.5, draw)


def _exponent() -> list[Check]:
    def series(rng: Rng) -> np.ndarray:
        found = np.empty(12)
        found[0] = rng.normal() / np.sqrt(0.75)
        for i in range(1, 12):
            found[i] = 0.5 * found[i - 1] + rng.normal()
        return 0.1 * found

    law = growing()
    stress = (
        growing(lambda rng: 0.1 * rng.lognormal(size=12), "log-normal noise"),
        growing(lambda rng: 0.1 * rng.normal(size=12) + 2 * (rng.random(12) < 0.01), "1 % spikes"),
        growing(series, "AR 0.5"),
    )
    # The greater of two variances makes it a little wide: 3.5 % by simulation, so 2.5 % is the least.
    return [
        Check(
            "exponent", law.name, "ols-t", "approximate", least=0.028, quick=10_000, full=100_000,
            run=estimator_run("exponent", law),
            stress=stressed("exponent", *stress),
        )
    ]  # fmt: skip


# --- value


def _whole() -> Tally:
    """A value measured whole is its own bounds: no distance at all is a miss of both sides."""
    below = above = 0.0
    for values in ([3.0, 3.0], [0.1] * 7, [-2.5]):
        found = estimators.get("value")({"value": values}, confidence=0.95, seed=0)
        if found.lower is None or found.lower != found.upper or found.problem:
            return Tally(1.0, 1.0, 0, 1, found.problem or "its bounds differ")
        below = max(below, float(found.lower > values[0]))
        above = max(above, float(found.lower < values[0]))
    return Tally(below, above)


INTERVALS: Mapping[str, Callable[[], Sequence[Check]]] = {
    "proportion": _proportion,
    "mean": _mean,
    "quantile": _quantile,
    "calibration-error": _calibration,
    "brier-skill": _brier,
    "exponent": _exponent,
    "value": lambda: [Check("value", "the whole target", "exact", "guaranteed", most=0.0, enumerate=_whole)],
}
"""Makes the checks of each estimator."""
