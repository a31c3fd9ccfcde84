"""Power of two one-sided tests; special functions alone, so that a plan of a claim loads no statistics library."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv, ndtr, stdtrit

__all__ = ["equivalence_power", "estimated_errors"]


def estimated_errors(error: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """400 equally likely values of an estimated standard error, along a last axis: χ² quantiles at midpoints.

    Args:
        error: True standard error.
        df: Degrees of freedom of its estimate.
    """
    error, df = (np.asarray(v, dtype=np.float64)[..., None] for v in (error, df))
    level = (np.arange(400) + 0.5) / 400
    return np.asarray(np.sqrt(2 * gammaincinv(df / 2, level) / df) * error)


def equivalence_power(
    margin: ArrayLike, truth: ArrayLike, error: ArrayLike, df: ArrayLike, alpha: float
) -> NDArray[np.float64]:
    """Power of two one-sided t tests, by integration over the estimated spread; no normal approximation.

    Source: Phillips (1990), J. Pharmacokinet. Biopharm. 18:137.

    Args:
        margin: Ends of equivalence, ± this, greater than 0.
        truth: True difference.
        error: True standard error of the difference.
        df: Degrees of freedom of its estimate.
        alpha: Of each of the two tests.
    """
    spread = estimated_errors(error, df)
    margin, truth, error, df = (np.asarray(v, dtype=np.float64)[..., None] for v in (margin, truth, error, df))
    reach = margin - stdtrit(df, 1 - alpha) * spread
    chance = ndtr((reach - truth) / error) - ndtr((-reach - truth) / error)
    return np.asarray(np.maximum(chance, 0.0).mean(axis=-1))
