"""Refuters: what an estimator says of data in which the answer is known, or should not change.

dowhy's own refuters hand one random state to all simulations, so that a parallel run repeats itself, and run in one
process as often as not. These give every simulation a seed of its own: the numbers do not depend on the workers.
"""

from __future__ import annotations

import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.lapack import dgeqrf
from threadpoolctl import ThreadpoolController

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import Rows, checked, one_arm
from ophamin.measuring.pillars.feasibility.doubly_robust import aipw, ipwra
from ophamin.measuring.pillars.feasibility.matching import matching
from ophamin.measuring.pillars.feasibility.standardisation import g_formula
from ophamin.measuring.pillars.feasibility.weighting import ipw
from ophamin.proof.errors import UsageError

__all__ = ["ESTIMATORS", "KINDS", "Refutation", "refute", "spread_out", "summarised"]

Estimate = Callable[[Rows], float]

KINDS = ("placebo", "random-common-cause", "subset")


def _linear(rows: Rows) -> float:
    """Coefficient of the treatment in an additive regression, from the triangle of one QR decomposition.

    LAPACK's own routine in the one buffer that is filled here: ``numpy.linalg.qr`` copies its table twice and holds
    the interpreter's lock through half of its work, so that threads wait for each other.
    """
    p = rows.confounders.shape[1]
    table = np.empty((p + 3, rows.n))  # a column of the design in each row, as LAPACK reads it
    table[0] = 1.0
    table[1 : p + 1] = rows.confounders.T
    table[p + 1] = rows.treated
    table[p + 2] = rows.outcome
    if rows.n <= p + 1:
        return math.nan
    corner, _, _, _ = dgeqrf(table.T, lwork=_BLOCK * (p + 3), overwrite_a=1)
    pivot, size = corner[p + 1, p + 1], np.linalg.norm(corner[: p + 2, p + 1])
    # The treatment is told apart from the rest only where something of it is left; Q keeps the length of a column.
    return float(corner[p + 1, p + 2] / pivot) if abs(pivot) > 1e-10 * size else math.nan


_BLOCK = 32
"""Columns that LAPACK takes at once: as many as ILAENV says for this routine."""


ESTIMATORS: Mapping[str, Estimate] = {
    "linear": _linear,
    "ipw": lambda r: ipw(r.outcome, r.treated, r.confounders).estimate,
    "ipwra": lambda r: ipwra(r.outcome, r.treated, r.confounders).estimate,
    "aipw": lambda r: aipw(r.outcome, r.treated, r.confounders).estimate,
    "g-formula": lambda r: g_formula(r.outcome, r.treated, r.confounders).estimate,
    "matching": lambda r: matching(r.outcome, r.treated, r.confounders).estimate,
}
"""Estimators that can be refuted, by name."""


@dataclass(frozen=True)
class Refutation:
    """What one refuter found.

    Args:
        kind: One of :data:`KINDS`.
        base: The estimate on the data as they are.
        expected: What the simulations should average: 0 for a placebo, the base for the others.
        mean: Their average; NaN where an estimate could not be made.
        sd: Their standard deviation.
        low: Their 2.5 % quantile.
        high: Their 97.5 % quantile.
        p_value: For a placebo: share of simulations at least as far from 0 as the base, (b + 1)/(B + 1); else NaN.
        estimates: One per simulation, in order; shape (B,).
        failed: Simulations without an estimate.
        notes: What the reader must know, in sentences.
    """

    kind: str
    base: float
    expected: float
    mean: float
    sd: float
    low: float
    high: float
    p_value: float
    estimates: Floats
    failed: int
    notes: tuple[str, ...] = ()


def refute(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    kind: str = "placebo",
    estimator: str | Estimate = "linear",
    simulations: int = 100,
    share: float = 0.8,
    workers: int = 0,
    budget: float = 60.0,
    seed: int = 0,
) -> Refutation:
    """Re-estimate on simulated data whose answer is known.

    ``placebo`` permutes the treatment, ``random-common-cause`` adds an independent normal confounder, ``subset``
    takes a random share of the rows. None of them can show that confounding is absent.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        kind: One of :data:`KINDS`.
        estimator: One of :data:`ESTIMATORS`, or a function of checked rows.
        simulations: B.
        share: Of the rows, for ``subset``.
        workers: Threads; 0: one for each processor. The numbers are the same for any.
        budget: Seconds after which no simulation is begun; those done in order count, and a note says so.
        seed: Each simulation has its own, spawned from this one.

    Returns:
        The refutation.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Sharma & Kiciman (2020), arXiv:2011.04216 (dowhy).
    """
    if kind not in KINDS:
        raise UsageError(f"a refuter is one of {', '.join(KINDS)}, not {kind!r}")
    if isinstance(estimator, str) and estimator not in ESTIMATORS:
        raise UsageError(f"an estimator to refute is one of {', '.join(ESTIMATORS)}, not {estimator!r}")
    if simulations < 2 or workers < 0 or not budget > 0 or not 0 < share < 1:
        raise UsageError("a refuter needs 2 simulations, workers from 0, a budget above 0, a share between 0 and 1")
    rows = checked(outcome, treatment, confounders)
    call = ESTIMATORS[estimator] if isinstance(estimator, str) else estimator
    reason = one_arm(rows) or ("the outcome is constant" if np.ptp(rows.outcome) == 0 else "")
    if reason:
        return summarised(kind, math.nan, np.empty(0), simulations, (reason,))
    root = np.random.SeedSequence([seed, KINDS.index(kind)])

    def one(i: int) -> float:
        spawned = np.random.SeedSequence(root.entropy, spawn_key=(i,))  # what root.spawn() gives, made in the thread
        return call(_simulated(rows, kind, share, np.random.default_rng(spawned)))

    # One thread of BLAS for each of ours: sums keep their order, and workers do not fight over processors.
    with _libraries(len(sys.modules)).limit(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # outside the threads, within which filters cannot be set safely
        base = call(rows)
        if not math.isfinite(base):
            return summarised(kind, base, np.empty(0), simulations, ("the data as they are give no estimate",))
        estimates = spread_out(one, simulations, workers or os.cpu_count() or 1, budget)
    return summarised(kind, base, estimates, simulations)


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """The libraries with threads of their own. Looking takes as long as ten simulations: again after imports."""
    return ThreadpoolController()


def _simulated(rows: Rows, kind: str, share: float, rng: np.random.Generator) -> Rows:
    if kind == "placebo":  # permuting zeros and ones is choosing which are ones
        treated = np.zeros(rows.n, dtype=bool)
        treated[_chosen(rows.n, int(rows.treated.sum()), rng)] = True
        return Rows(rows.outcome, treated, rows.confounders)
    if kind == "random-common-cause":
        return Rows(rows.outcome, rows.treated, np.column_stack([rows.confounders, rng.standard_normal(rows.n)]))
    kept = np.sort(_chosen(rows.n, max(1, round(share * rows.n)), rng))
    return Rows(rows.outcome[kept], rows.treated[kept], rows.confounders[kept])


def _chosen(n: int, size: int, rng: np.random.Generator) -> Any:
    """A random subset, without replacement: those with the smallest keys.

    ``choice`` and ``permutation`` keep the interpreter's lock, so that threads would wait for each other.
    """
    return np.argpartition(rng.random(n), size - 1)[:size] if size < n else np.arange(n)


def spread_out(one: Callable[[int], float], simulations: int, workers: int, budget: float) -> Floats:
    """Results of ``one(0)``, ``one(1)`` … in order; those up to the first that the budget left undone."""
    out, done = np.full(simulations, math.nan), np.zeros(simulations, dtype=bool)
    numbers, stop, end = count(), Event(), time.monotonic() + budget

    def work() -> None:
        while not stop.is_set() and time.monotonic() < end and (i := next(numbers)) < simulations:
            out[i] = one(i)
            done[i] = True

    if workers == 1:
        work()
    else:
        with ThreadPoolExecutor(min(workers, simulations)) as pool:
            running = [pool.submit(work) for _ in range(min(workers, simulations))]
            try:
                for future in running:
                    future.result()
            finally:
                stop.set()  # an error or Ctrl-C ends the others after the simulation they are at
    return out[: simulations if done.all() else int(np.argmin(done))]


def summarised(
    kind: str, base: float, estimates: Floats, planned: int, notes: tuple[str, ...] = ()
) -> Refutation:  # fmt: skip
    """A refutation of simulated estimates."""
    told, good = list(notes), estimates[np.isfinite(estimates)]
    failed = len(estimates) - len(good)
    expected = 0.0 if kind == "placebo" else base
    numbers: dict[str, Any] = dict.fromkeys(("mean", "sd", "low", "high", "p_value"), math.nan)
    if failed:
        told.append(f"{failed} of {len(estimates)} simulations gave no estimate, so the rest is no fair sample")
    if len(estimates) < planned and not notes:
        told.append(f"the budget of time ended after {len(estimates)} of {planned} simulations")
    if len(good) >= 2 and not failed:
        mean, sd = float(good.mean()), float(good.std(ddof=1))
        low, high = (float(q) for q in np.quantile(good, (0.025, 0.975)))
        p = (float((np.abs(good) >= abs(base)).sum()) + 1) / (len(good) + 1) if kind == "placebo" else math.nan
        numbers = {"mean": mean, "sd": sd, "low": low, "high": high, "p_value": p}
        if kind == "placebo" and abs(mean) > 4 * sd / math.sqrt(len(good)):
            told.append("a placebo treatment has an effect: the estimator is biased on these data")
        if kind != "placebo" and not low <= base <= high and abs(mean - base) > 0.05 * abs(base):
            told.append("the estimate moves where it should not: it is not stable")
    return Refutation(kind, base, expected, estimates=estimates, failed=failed, notes=tuple(told), **numbers)
