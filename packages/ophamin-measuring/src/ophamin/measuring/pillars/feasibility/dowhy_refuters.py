"""dowhy's refuters (extra ``causal``), each simulation with a seed of its own."""

from __future__ import annotations

import logging
import math
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from ophamin.measuring.pillars.feasibility._dowhy_processes import spread_over_processes
from ophamin.measuring.pillars.feasibility._effect import checked, independent, one_arm
from ophamin.measuring.pillars.feasibility.refutation import KINDS, Refutation, spread_out, summarised
from ophamin.proof.errors import MissingDependency, UsageError

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dowhy import CausalModel
        from dowhy.causal_refuters import refute_data_subset, refute_placebo_treatment, refute_random_common_cause
        from dowhy.causal_refuters.placebo_treatment_refuter import PlaceboType
except ImportError as error:
    raise MissingDependency("dowhy's refuters", "dowhy", "ophamin-measuring[causal]") from error

__all__ = ["Simulated", "dowhy_refute"]

_PAYS = 10.0
"""Seconds of work from which on processes are started: each imports dowhy first, which takes seconds."""

_PATIENCE = 1.0
"""Seconds that one simulation may take here, where the budget cannot interrupt it, while processes are starting."""


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("dowhy")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class Simulated:
    """dowhy's estimate of a study, and its simulations by number; the same in every process.

    dowhy writes into the frame it is given and takes its adjustment set from a Python set, whose order follows the
    hash seed: each simulation gets a copy, and the set is sorted.

    Args:
        frame: Columns ``treatment``, ``outcome`` and the confounders.
        kind: One of :data:`refutation.KINDS`.
        share: Of the rows, for ``subset``.
        seed: Each simulation has its own, spawned from this one.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> frame = pd.DataFrame({"x": rng.normal(size=50), "treatment": [0, 1] * 25, "outcome": rng.normal(size=50)})
        >>> with Simulated(frame, "subset", 0.8, 0) as one:
        ...     one(3) == one(3)
        True
    """

    def __init__(self, frame: pd.DataFrame, kind: str, share: float, seed: int) -> None:
        self.frame, self.kind, self.share = frame, kind, share
        self.root = np.random.SeedSequence([seed, KINDS.index(kind)])
        self.base = math.nan
        self._open = ExitStack()

    def __enter__(self) -> Simulated:
        self._open.enter_context(_quiet())
        # One thread of BLAS in every process, so that sums keep their order.
        self._open.enter_context(threadpool_limits(limits=1))
        names = [name for name in self.frame.columns if name not in ("treatment", "outcome")]
        model = CausalModel(self.frame.copy(), "treatment", "outcome", common_causes=names)
        self.estimand = model.identify_effect(proceed_when_unidentifiable=True)
        found = {key: sorted(some) for key, some in self.estimand.backdoor_variables.items()}
        self.estimand.backdoor_variables = found
        self.estimate = model.estimate_effect(self.estimand, method_name="backdoor.linear_regression")
        self.base = float(self.estimate.value)
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def __call__(self, i: int) -> float:
        """The estimate of simulation ``i``."""
        spawned = np.random.SeedSequence(self.root.entropy, spawn_key=(i,))  # what root.spawn() gives
        options: dict[str, Any] = {"num_simulations": 1, "random_state": int(spawned.generate_state(1)[0])}
        data = self.frame.copy()
        if self.kind == "placebo":
            found = refute_placebo_treatment(
                data, self.estimand, self.estimate, ["treatment"], placebo_type=PlaceboType.PERMUTE, **options
            )
        elif self.kind == "subset":
            found = refute_data_subset(data, self.estimand, self.estimate, self.share, **options)
        else:
            found = refute_random_common_cause(data, self.estimand, self.estimate, **options)
        return float(found.new_effect)


def dowhy_refute(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    kind: str = "placebo",
    simulations: int = 100,
    share: float = 0.8,
    workers: int = 0,
    budget: float = 60.0,
    seed: int = 0,
) -> Refutation:
    """Refute dowhy's linear regression by dowhy's refuters.

    dowhy holds the interpreter's lock, so that workers are processes; they are started where the work, judged by the
    first estimate, takes longer than their start.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        kind: One of :data:`refutation.KINDS`.
        simulations: B.
        share: Of the rows, for ``subset``.
        workers: Processes; 0: one for each processor. The numbers are the same for any.
        budget: Seconds after which no simulation is begun, and one that a process has begun is interrupted; those done
            in order count, and a note says so.
        seed: Each simulation has its own, spawned from this one.

    Raises:
        UsageError: Malformed arrays or options.
    """
    if kind not in KINDS:
        raise UsageError(f"a refuter is one of {', '.join(KINDS)}, not {kind!r}")
    if simulations < 2 or workers < 0 or not budget > 0 or not 0 < share < 1:
        raise UsageError("a refuter needs 2 simulations, workers from 0, a budget above 0, a share between 0 and 1")
    rows = checked(outcome, treatment, confounders)
    kept, notes = independent(rows.confounders)
    reason = one_arm(rows) or ("the outcome is constant" if np.ptp(rows.outcome) == 0 else "")
    if reason or not len(kept) or rows.n < len(kept) + 4:
        say = reason or "dowhy needs a confounder that varies, and more rows than coefficients"
        return summarised(kind, math.nan, np.empty(0), simulations, (say,))
    names = [f"x{j:03d}" for j in range(len(kept))]
    frame = pd.DataFrame(rows.confounders[:, kept], columns=names).assign(
        treatment=rows.treated.astype(np.int64), outcome=rows.outcome
    )
    study, began = (frame, kind, share, seed), time.monotonic()
    with Simulated(*study) as one:
        each = time.monotonic() - began
        left = budget - each
        if each * simulations < _PAYS:
            estimates = spread_out(one, simulations, 1, left)
        else:
            processes = min(workers or os.cpu_count() or 1, simulations)
            estimates = spread_over_processes(study, one, simulations, processes, budget=left, patient=each < _PATIENCE)
    return summarised(kind, one.base, estimates, simulations, notes)
