"""Sequential sample-ratio mismatch: does an allocation keep to its plan, asked after every batch?

The multinomial counts are compared with the plan by a Bayes factor whose Dirichlet prior has the plan as its mean; it
is a martingale under the plan, so its p-value may be looked at at any time.

Source: Lindon & Malek (2022), *Anytime-valid inference for multinomial count data*, NeurIPS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["SequentialRatio", "sequential_ratio_mismatch"]


@dataclass(frozen=True)
class SequentialRatio:
    """The test after every batch.

    Args:
        log_bayes_factor: Against the plan, shape (m,).
        p_value: Running minimum of 1/BF, at most 1, shape (m,).
        counts: Counts so far, shape (m, arms).
    """

    log_bayes_factor: Floats
    p_value: Floats
    counts: Floats


def sequential_ratio_mismatch(
    counts: ArrayLike, plan: Sequence[float], *, concentration: float = 100.0
) -> SequentialRatio:
    """Follow the allocation batch by batch.

    Args:
        counts: New assignments of each batch, shape (m, arms); one row with a single 1 for each unit works too.
        plan: Planned shares, shape (arms,); scaled to sum to 1.
        concentration: Weight of the prior in units; the test is best near deviations of 1/√concentration.

    Raises:
        UsageError: Counts that are negative or not whole, a share that is not above 0, or shapes that do not fit.

    Example:
        >>> found = sequential_ratio_mismatch([[506, 494], [506, 494], [518, 482], [1050, 950]], [1, 1])
        >>> found.p_value.round(4).tolist()
        [1.0, 1.0, 1.0, 0.5814]
    """
    table, shares = np.atleast_2d(np.asarray(counts, dtype=np.float64)), np.asarray(plan, dtype=np.float64)
    whole = np.isfinite(table).all() and (table >= 0).all() and (table == np.round(table)).all()
    if not whole or table.shape[1] != len(shares) or len(shares) < 2 or not (shares > 0).all() or not concentration > 0:
        raise UsageError(
            "counts are whole numbers from 0 up, one column for each of two or more planned shares above 0"
        )
    shares = shares / shares.sum()
    prior = concentration * shares
    total = table.cumsum(axis=0)
    log_factor = (
        gammaln(prior + total).sum(axis=1) - gammaln(prior).sum() - gammaln(concentration + total.sum(axis=1))
        + math.lgamma(concentration) - total @ np.log(shares)
    )  # fmt: skip
    p_value = np.minimum.accumulate(np.exp(-np.maximum(log_factor, 0.0)))
    return SequentialRatio(log_factor, p_value, total)
