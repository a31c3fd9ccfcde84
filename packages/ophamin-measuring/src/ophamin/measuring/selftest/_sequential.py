"""Checks of what may be looked at while it runs: the chance that a bound, test or stopping rule *ever* errs.

The modules are asked for their functions when a check runs, so what is tried is what is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ophamin.measuring.pillars.adaptive import (
    evalues,
    group_sequential,
    mixture,
    ratio_mismatch,
    sequences,
    sprt,
)
from ophamin.measuring.selftest._check import ALPHA, Check, Run, Tally

__all__ = ["sequential"]

Rng = np.random.Generator
Draw = Callable[[Rng], np.ndarray]
_N = 200
_COUNTED = 40
_SEQUENCE = "confidence sequence"


def sequential() -> list[Check]:
    """Every check of this kind."""
    return [*_bernoulli(), *_means(), *_quantiles(), *_tests(), *_wald(), *_looks()]


# --- confidence sequences


def _ever(p: float, outside: np.ndarray) -> float:
    """Chance that the path of a count enters ``outside``[n, k] at any n, by following its law from n to n + 1."""
    alive, gone = np.ones(1), 0.0
    for n in range(1, len(outside)):
        grown = np.zeros(n + 1)
        grown[:-1] += alive * (1 - p)
        grown[1:] += alive * p
        out = outside[n, : n + 1]
        gone += float(grown[out].sum())
        alive = np.where(out, 0.0, grown)
    return gone


def _count_table(n_max: int, sides: int) -> tuple[np.ndarray, np.ndarray]:
    n, k = np.nonzero(np.tri(n_max + 1, dtype=bool))
    n, k = n[1:], k[1:]
    found = sequences.bernoulli_sequence(successes=k, n=n, alpha=ALPHA, sides=sides, t_opt=50)
    lower, upper = np.full((2, n_max + 1, n_max + 1), np.nan)
    lower[n, k], upper[n, k] = found.lower, found.upper
    return lower, upper


def _enumerated_sequence(sides: int) -> Tally:
    lower, upper = _count_table(_COUNTED, sides)
    truths = (0.02, 0.1, 0.3, 0.5, 0.77, 0.95)
    below = [_ever(p, lower > p) for p in truths]
    above = [_ever(p, upper < p) for p in truths]
    if sides == 2:
        both = [_ever(p, (lower > p) | (upper < p)) for p in truths]
        return Tally(0.0, max(both))
    return Tally(max(below), max(above))


def _bernoulli() -> list[Check]:
    return [
        Check(
            _SEQUENCE, f"proportion, every look up to {_COUNTED}, {words}", "beta-binomial mixture", "guaranteed",
            least=0.3 * ALPHA, sides=on, enumerate=lambda sides=sides: _enumerated_sequence(sides),  # type: ignore[misc]
        )
        for sides, words, on in ((1, "each side", ("below", "above")), (2, "both sides together", ("above",)))
    ]  # fmt: skip


def _sequence_run(make: Callable[[np.ndarray], Any], draw: Draw, truth: float, *, together: bool = False) -> Run:
    def run(rng: Rng, runs: int) -> Tally:
        below = above = unanswered = 0
        for _ in range(runs):
            found = make(draw(rng))
            low, high = bool((found.lower > truth).any()), bool((found.upper < truth).any())
            unanswered += not (np.isfinite(found.lower[-1]) or np.isfinite(found.upper[-1]))
            below, above = below + (low and not together), above + ((low or high) if together else high)
        return Tally(below, above, runs, unanswered, "no bound at the last look" if unanswered else "")

    return run


def _unit_spikes(rng: Rng) -> np.ndarray:
    return np.where(rng.random(_N) < 0.01, 1.0, rng.uniform(0, 0.1, _N))


def _means() -> list[Check]:
    made = [
        Check(
            _SEQUENCE, f"normal mean, every look up to 200, {words}", "normal mixture", "guaranteed",
            least=0.2 * ALPHA, sides=on, quick=500, full=10_000,
            run=_sequence_run(
                lambda x, sides=sides: sequences.subgaussian_sequence(x, sigma=1, alpha=ALPHA, sides=sides),  # type: ignore[misc]
                lambda rng: rng.normal(size=_N), 0.0, together=sides == 2,
            ),
        )
        for sides, words, on in ((1, "each side", ("below", "above")), (2, "both sides together", ("above",)))
    ]  # fmt: skip
    laws: tuple[tuple[str, Draw, float], ...] = (
        ("0/1, share 0.1", lambda rng: (rng.random(_N) < 0.1).astype(float), 0.1),
        ("1 % spikes in [0, 1]", _unit_spikes, 0.0595),
        ("uniform", lambda rng: rng.random(_N), 0.5),
    )
    for name, quick in (("hoeffding", 1000), ("empirical_bernstein", 1000), ("betting", 500)):
        for words, draw, truth in laws:
            options = {"grid": 200} if name == "betting" else {}
            made.append(
                Check(
                    _SEQUENCE, f"{name.replace('_', ' ')}, {words}, every look up to {_N}", name.replace("_", "-"),
                    "guaranteed", quick=quick, full=10 * quick, run=_sequence_run(_bounded(name, options), draw, truth),
                )
            )  # fmt: skip
    return made


def _bounded(name: str, options: dict[str, int]) -> Callable[[np.ndarray], Any]:
    return lambda x: getattr(sequences, f"{name}_sequence")(x, support=(0, 1), alpha=ALPHA, sides=1, **options)


def _quantiles() -> list[Check]:
    looks = list(range(10, _N + 1, 10))
    laws: tuple[tuple[str, Draw, float], ...] = (
        ("median of log-normal values", lambda rng: rng.lognormal(size=_N), 1.0),
        ("median of rounded log-normal values", lambda rng: np.round(rng.lognormal(size=_N)), 1.0),
    )

    def make(x: np.ndarray) -> Any:
        return sequences.quantile_sequence(x, q=0.5, alpha=ALPHA, sides=1, t_opt=50, looks=looks)

    return [
        Check(
            _SEQUENCE, f"{words}, {len(looks)} looks", "beta-binomial mixture", "guaranteed", quick=400, full=4000,
            run=_sequence_run(make, draw, truth),
        )
        for words, draw, truth in laws
    ]  # fmt: skip


# --- tests that may be looked at


def _counting(rejects: Callable[[Rng], bool]) -> Run:
    def run(rng: Rng, runs: int) -> Tally:
        return Tally(0, sum(bool(rejects(rng)) for _ in range(runs)), runs)

    return run


def _tests() -> list[Check]:
    one_hot, plan = np.eye(2), (1.0, 1.0)

    def msprt(mean: float) -> Callable[[Rng], bool]:
        return lambda rng: (
            mixture.mixture_test(mean + rng.normal(size=500), variance=1.0, tau=0.3, alpha=ALPHA).stop_n is not None
        )

    def process(p: float) -> Callable[[Rng], bool]:
        return lambda rng: bool(
            (evalues.bernoulli_e_process((rng.random(_N) < p).astype(float), 0.3, comparator="<=") >= 1 / ALPHA).any()
        )

    def product(shift: float) -> Callable[[Rng], bool]:
        # Calibrated p-values of independent z tests multiply.
        def rejects(rng: Rng) -> bool:
            from scipy.special import ndtr

            e = evalues.calibrate(ndtr(-(rng.normal(size=30) + shift)))
            return bool((evalues.to_p_value(np.maximum.accumulate(evalues.product(e))) <= ALPHA).any())

        return rejects

    def mismatch(first: float) -> Callable[[Rng], bool]:
        def rejects(rng: Rng) -> bool:
            arms = one_hot[(rng.random(400) >= first).astype(int)]
            return bool(ratio_mismatch.sequential_ratio_mismatch(arms, plan).p_value[-1] <= ALPHA)

        return rejects

    cases = (
        ("mixture test", "normal mean", "mixture SPRT", msprt(0.0), msprt(0.3), 0.2),
        ("e-process", "share 0.3", "plug-in likelihood ratio", process(0.3), process(0.5), 0.05),
        ("e-values", "product of calibrated p-values", "power calibrator", product(0.0), product(1.0), 0.02),
        ("sequential allocation", "half and half", "Dirichlet–multinomial mixture", mismatch(0.5), mismatch(0.65), 0.1),
    )
    made = []
    for family, words, method, null, other, reached in cases:
        made.append(
            Check(
                family, f"{words}, looked at throughout", method, "guaranteed", kind="type I", sides=("above",),
                least=reached * ALPHA, run=_counting(null), quick=2000, full=20_000,
            )
        )  # fmt: skip
        made.append(
            Check(
                family, f"{words}, a clear difference is found", method, "guaranteed", kind="power", sides=("above",),
                most=None, least=0.95, run=_counting(other), quick=500, full=5000,
            )
        )  # fmt: skip
    return made


# --- Wald's test


def _bernoulli_decision(p: float, decision: str) -> Callable[[Rng], bool]:
    return lambda rng: (
        sprt.run_bernoulli((rng.random(2000) < p).astype(float), 0.1, 0.2, ALPHA, 0.1).decision == decision
    )


def _normal_decision(mean: float, decision: str) -> Callable[[Rng], bool]:
    return lambda rng: sprt.run_normal(mean + rng.normal(size=500), 0.0, 0.5, 1.0, ALPHA, 0.1).decision == decision


def _wald() -> list[Check]:
    # Wald: α' ≤ α/(1−β) and β' ≤ β/(1−α); overshoot keeps both below the nominal ones here, so α and β are asked for.
    exact = sprt.bernoulli_characteristic([0.1, 0.2], 0.1, 0.2, ALPHA, 0.1)
    made = []
    for family, maker, null, other in (
        ("Wald SPRT, 0/1", _bernoulli_decision, 0.1, 0.2),
        ("Wald SPRT, normal", _normal_decision, 0.0, 0.5),
    ):
        discrete = maker is _bernoulli_decision
        made.append(
            Check(
                family, "H0 is rejected though true", "SPRT", "guaranteed", kind="type I", sides=("above",),
                least=float(exact.reject[0]) if discrete else 0.5 * ALPHA,
                most=float(exact.reject[0]) if discrete else ALPHA,
                run=_counting(maker(null, "reject_H0")), quick=2000, full=20_000,
            )
        )  # fmt: skip
        made.append(
            Check(
                family, "H0 is rejected where H1 holds", "SPRT", "guaranteed", kind="power", sides=("above",),
                least=float(exact.reject[1]) if discrete else 0.9, most=float(exact.reject[1]) if discrete else None,
                run=_counting(maker(other, "reject_H0")), quick=2000, full=20_000,
            )
        )  # fmt: skip
    return made


# --- group-sequential boundaries


def _crossings(make: Callable[[], Any], drift: Callable[[Any], float]) -> Run:
    def run(rng: Rng, runs: int) -> Tally:
        found = make()
        t = found.information
        steps = np.diff(t, prepend=0.0)
        s = np.cumsum(rng.normal(size=(runs, len(t))) * np.sqrt(steps) + drift(found) * steps, axis=1)
        z = s / np.sqrt(t)
        up = z >= found.z
        down = (z <= -found.z) if found.sides == 2 else np.zeros_like(up)
        first_up = np.where(up.any(axis=1), up.argmax(axis=1), len(t))
        first_down = np.where(down.any(axis=1), down.argmax(axis=1), len(t))
        return Tally(int((first_down < first_up).sum()), int((first_up < first_down).sum()), runs)

    return run


def _looks() -> list[Check]:
    uneven = [0.2, 0.35, 0.7, 1.0]
    designs: list[tuple[str, str, Callable[[], Any], int]] = [
        (f"{name}, 5 looks", name, lambda name=name: group_sequential.design_boundaries(5, design=name), 2)  # type: ignore[misc]
        for name in group_sequential.DESIGNS
    ]
    designs += [
        (
            f"spending {name}, uneven looks", f"Lan–DeMets {name}",
            lambda name=name: group_sequential.spending_boundaries(uneven, alpha=0.025, sides=1, spending=name), 1,  # type: ignore[misc]
        )
        for name in group_sequential.SPENDING
    ]  # fmt: skip
    made = []
    for words, method, make, sides in designs:
        on = ("below", "above") if sides == 2 else ("above",)
        # The boundaries are exact for normal increments, and so is the power planned with them.
        made.append(
            Check(
                "group-sequential", words, method, "guaranteed", kind="type I", most=0.025, least=0.025, sides=on,
                run=_crossings(make, lambda found: 0.0), quick=40_000, full=400_000,
            )
        )  # fmt: skip
        made.append(
            Check(
                "group-sequential", f"{words}, power 0.8", method, "guaranteed", kind="power", most=0.8, least=0.8,
                sides=("above",), quick=40_000, full=400_000,
                run=_crossings(make, lambda found: group_sequential.drift_for_power(found, 0.8)),
            )
        )  # fmt: skip
    return made
