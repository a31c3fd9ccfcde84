"""E-values: evidence against a hypothesis that multiplies; an expected value of at most 1 where it is true.

Sources: Vovk & Wang (2021), Ann Stat 49:1736; Grünwald, de Heide & Koolen (2024), JRSS B 86:1091; Ramdas, Grünwald,
Vovk & Shafer (2023), Stat Sci 38:576.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["average", "bernoulli_e_process", "calibrate", "product", "to_p_value"]


def _checked(e: ArrayLike) -> Floats:
    values = np.asarray(e, dtype=np.float64)
    if values.ndim != 1 or np.isnan(values).any() or (values < 0).any():
        raise UsageError("e-values are numbers from 0 up")
    return values


def product(e: ArrayLike) -> Floats:
    """Running product of independent (or conditional) e-values, shape (n,); itself an e-process.

    Example:
        >>> product([2.0, 0.5, 8.0]).tolist()
        [2.0, 1.0, 8.0]
    """
    return np.cumprod(_checked(e), dtype=np.float64)


def average(e: ArrayLike) -> float:
    """Mean of e-values of any dependence: again an e-value (Vovk & Wang 2021, prop. 3.1)."""
    values = _checked(e)
    if not len(values):
        raise UsageError("there are no e-values to average")
    return float(values.mean())


def to_p_value(e: ArrayLike) -> Floats:
    """The p-value min(1, 1/e), by Markov's inequality; of an e-process take its running maximum first."""
    with np.errstate(divide="ignore"):
        return np.minimum(1.0, 1 / _checked(e))


def calibrate(p: ArrayLike, kappa: float = 0.5) -> Floats:
    """The e-value κ p^(κ−1) of a p-value; κ in (0, 1), chosen beforehand.

    Raises:
        UsageError: A p-value or κ out of range.
    """
    values = np.asarray(p, dtype=np.float64)
    if ((values < 0) | (values > 1) | np.isnan(values)).any() or not 0 < kappa < 1:
        raise UsageError("p-values lie between 0 and 1, and kappa between them")
    with np.errstate(divide="ignore"):
        return np.asarray(kappa * values ** (kappa - 1), dtype=np.float64)


def bernoulli_e_process(x: ArrayLike, p0: float, *, comparator: str = ">=") -> Floats:
    """E-process against ``p >= p0`` (or ``<= p0``) from outcomes in order, with a plugged-in alternative.

    The alternative at step n is the Krichevsky–Trofimov estimate of the past, moved to its side of p₀; no look ahead,
    so the product of likelihood ratios is a supermartingale under every p of the hypothesis.

    Args:
        x: 0 or 1, shape (n,).
        p0: Boundary of the hypothesis, in (0, 1).
        comparator: ``>=``: the hypothesis is p ≥ p₀ (evidence is for less); ``<=`` the mirror image.

    Raises:
        UsageError: Outcomes or p₀ out of range, or another comparator.

    Source: Waudby-Smith & Ramdas (2024), JRSS B 86:1, section 4; Krichevsky & Trofimov (1981), IEEE Trans IT 27:199.
    """
    outcomes = np.asarray(x, dtype=np.float64)
    if not np.isin(outcomes, (0.0, 1.0)).all() or not 0 < p0 < 1 or comparator not in (">=", "<="):
        raise UsageError("outcomes are 0 and 1, p0 lies between 0 and 1, and the comparator is >= or <=")
    n = np.arange(len(outcomes))
    past = np.concatenate([[0.0], np.cumsum(outcomes)[:-1]]) if len(outcomes) else outcomes
    guess = (past + 0.5) / (n + 1)
    q = np.minimum(guess, p0) if comparator == ">=" else np.maximum(guess, p0)
    ratio = np.where(outcomes == 1, q / p0, (1 - q) / (1 - p0))
    return np.cumprod(ratio, dtype=np.float64)
