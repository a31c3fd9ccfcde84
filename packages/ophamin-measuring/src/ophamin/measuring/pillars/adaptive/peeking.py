"""What looking without correction does, and what a look says of the end: inflation, conditional power."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from ophamin.measuring.pillars.adaptive.group_sequential import crossing
from ophamin.proof.errors import UsageError

__all__ = ["conditional_power", "inflation"]


def inflation(looks: int, alpha: float = 0.05) -> float:
    """Chance that a two-sided fixed-n test at α, repeated at equally spaced looks, ever rejects where nothing is there.

    Args:
        looks: Number of looks, 1 to 1,000.
        alpha: Nominal α of each look.

    Raises:
        UsageError: Looks or α out of range.

    Example:
        >>> round(inflation(5), 3)
        0.142

    Source: Armitage, McPherson & Rowe (1969), JRSS A 132:235, table 2.
    """
    if not 1 <= looks <= 1000 or not 0 < alpha < 1:
        raise UsageError("looks are 1 to 1,000, and alpha lies between 0 and 1")
    z = np.full(looks, norm.isf(alpha / 2))
    found = crossing(z, np.arange(1, looks + 1) / looks, sides=2)
    return float((found.upper + found.lower).sum())


def conditional_power(z: float, fraction: float, critical: float, *, drift: float | None = None) -> float:
    """Chance to end above the final critical value, given the look at hand; low values suggest futility.

    Args:
        z: Z at the look.
        fraction: Its share of the final information, in (0, 1).
        critical: Critical Z at the end.
        drift: Mean of Z at the end under the assumed truth; default: the current trend.

    Raises:
        UsageError: A fraction out of (0, 1).

    Source: Lan, Simon & Halperin (1982), Commun Stat C 1:207; Lan & Wittes (1988), Biometrics 44:579 (B-values).
    """
    if not 0 < fraction < 1:
        raise UsageError(f"the share of information lies between 0 and 1, not {fraction!r}")
    b = z * math.sqrt(fraction)
    trend = b / fraction if drift is None else drift
    return float(norm.sf((critical - b - trend * (1 - fraction)) / math.sqrt(1 - fraction)))
