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
from threading import Event, Lock
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
    """Coefficient of the treatment in an additive regression."""
    return _coefficient(_table(rows))


def _table(rows: Rows) -> Floats:
    """Ones, confounders, treatment and outcome, a column of the regression in each row, as LAPACK reads it."""
    p = rows.confounders.shape[1]
    table = np.empty((p + 3, rows.n))
    table[0] = 1.0
    table[1 : p + 1] = rows.confounders.T
    table[p + 1] = rows.treated
    table[p + 2] = rows.outcome
    return table


def _coefficient(table: Floats) -> float:
    """Of the last column but one in the regression of the last, from the triangle of one QR decomposition.

    By LAPACK's own routine, which writes over the table: ``numpy.linalg.qr`` copies it twice and holds the
    interpreter's lock through half of its work, so that threads wait for each other.
    """
    k, n = table.shape
    if n < k - 1:
        return math.nan
    corner, _, _, _ = dgeqrf(table.T, lwork=_BLOCK * k, overwrite_a=1)
    pivot = float(corner[k - 2, k - 2])
    # The treatment is told apart from the rest only where something of it is left; Q keeps the length of a column.
    told_apart = abs(pivot) > 1e-10 * math.hypot(*corner[: k - 1, k - 2].tolist())
    return float(corner[k - 2, k - 1]) / pivot if told_apart else math.nan


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

    threads = workers or os.cpu_count() or 1
    # A simulation is many short steps, each of which takes the interpreter's lock again, and a decomposition is one
    # long step without it: where at most half of the threads simulate, they seldom wait for each other.
    steps: tuple[Any, Any] = (_table, _coefficient) if estimator == "linear" else (_as_they_are, call)
    prepare, finish = steps
    turns = [Lock() for _ in range(max(1, threads // 2))]

    def one(i: int) -> float:
        with turns[i % len(turns)]:
            spawned = np.random.SeedSequence(root.entropy, spawn_key=(i,))  # what root.spawn() gives
            prepared = prepare(_simulated(rows, kind, share, np.random.default_rng(spawned)))
        return float(finish(prepared))

    # One thread of BLAS for each of ours: sums keep their order, and workers do not fight over processors.
    with _libraries(len(sys.modules)).limit(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # outside the threads, within which filters cannot be set safely
        base = call(rows)
        if not math.isfinite(base):
            return summarised(kind, base, np.empty(0), simulations, ("the data as they are give no estimate",))
        estimates = spread_out(one, simulations, threads, budget)
    return summarised(kind, base, estimates, simulations)


def _as_they_are(rows: Rows) -> Rows:
    return rows


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """The libraries with threads of their own. Looking takes as long as ten simulations: again after imports."""
    return ThreadpoolController()


def _simulated(rows: Rows, kind: str, share: float, rng: np.random.Generator) -> Rows:
    if kind == "placebo":  # permuting zeros and ones is choosing which are ones
        return Rows(rows.outcome, _chosen(rows.n, int(np.count_nonzero(rows.treated)), rng), rows.confounders)
    if kind == "random-common-cause":
        wider = np.empty((rows.n, rows.confounders.shape[1] + 1), order="F")
        wider[:, :-1] = rows.confounders
        wider[:, -1] = rng.standard_normal(rows.n)
        return Rows(rows.outcome, rows.treated, wider)
    kept = np.flatnonzero(_chosen(rows.n, max(1, round(share * rows.n)), rng))
    return Rows(rows.outcome.take(kept), rows.treated.take(kept), rows.confounders.take(kept, axis=0))


def _chosen(n: int, size: int, rng: np.random.Generator) -> Any:
    """A random subset, without replacement, as a mask: those with the smallest keys.

    ``choice`` and ``permutation`` keep the interpreter's lock, so that threads would wait for each other.
    """
    keys = rng.random(n)
    mask = keys <= np.partition(keys, size - 1)[size - 1]
    if np.count_nonzero(mask) > size:  # equal keys at the edge: once in 10^8 sets of 10,000
        mask = np.zeros(n, dtype=bool)
        mask[np.argpartition(keys, size - 1)[:size]] = True
    return mask


def spread_out(one: Callable[[int], float], simulations: int, workers: int, budget: float) -> Floats:
    """Results of ``one(0)``, ``one(1)`` … in order; those up to the first that the budget left undone."""
    out, done = np.full(simulations, math.nan), np.zeros(simulations, dtype=bool)
    numbers, stop, end = count(), Event(), time.monotonic() + budget

    def work() -> None:
        try:
            while not stop.is_set() and time.monotonic() < end and (i := next(numbers)) < simulations:
                out[i] = one(i)
                done[i] = True
        except BaseException:
            stop.set()  # an error or Ctrl-C ends the others after the simulation they are at
            raise

    helpers = min(workers, simulations) - 1
    if not helpers:
        work()
    else:
        with ThreadPoolExecutor(helpers) as pool:
            running = [pool.submit(work) for _ in range(helpers)]
            try:
                work()  # this thread is one of the workers, and a warm one
                for future in running:
                    future.result()
            finally:
                stop.set()  # Ctrl-C while waiting
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
