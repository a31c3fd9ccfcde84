"""dowhy's refuters (extra ``causal``), one simulation at a time with a seed of its own."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

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

__all__ = ["dowhy_refute"]


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


def dowhy_refute(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    kind: str = "placebo",
    simulations: int = 100,
    share: float = 0.8,
    budget: float = 60.0,
    seed: int = 0,
) -> Refutation:
    """Refute dowhy's linear regression by dowhy's refuters.

    dowhy writes into the frame it is given and takes its adjustment set from a Python set, whose order follows the
    hash seed: each simulation gets a copy, and the set is sorted.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        kind: One of :data:`refutation.KINDS`.
        simulations: B.
        share: Of the rows, for ``subset``.
        budget: Seconds after which no simulation is begun.
        seed: Each simulation has its own, spawned from this one.

    Raises:
        UsageError: Malformed arrays or options.
    """
    if kind not in KINDS:
        raise UsageError(f"a refuter is one of {', '.join(KINDS)}, not {kind!r}")
    if simulations < 2 or not budget > 0 or not 0 < share < 1:
        raise UsageError("a refuter needs two simulations, a budget above 0 and a share between 0 and 1")
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
    seeds = np.random.SeedSequence([seed, KINDS.index(kind)]).spawn(simulations)
    with _quiet():
        model = CausalModel(frame.copy(), "treatment", "outcome", common_causes=names)
        estimand = model.identify_effect(proceed_when_unidentifiable=True)
        estimand.backdoor_variables = {key: sorted(found) for key, found in estimand.backdoor_variables.items()}
        estimate = model.estimate_effect(estimand, method_name="backdoor.linear_regression")
        base = float(estimate.value)

        def one(i: int) -> float:
            options: dict[str, Any] = {"num_simulations": 1, "random_state": int(seeds[i].generate_state(1)[0])}
            data = frame.copy()
            if kind == "placebo":
                found = refute_placebo_treatment(
                    data, estimand, estimate, ["treatment"], placebo_type=PlaceboType.PERMUTE, **options
                )
            elif kind == "subset":
                found = refute_data_subset(data, estimand, estimate, share, **options)
            else:
                found = refute_random_common_cause(data, estimand, estimate, **options)
            return float(found.new_effect)

        estimates = spread_out(one, simulations, 1, budget)
    return summarised(kind, base, estimates, simulations, notes)
