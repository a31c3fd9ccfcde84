"""Pooling 2×2 tables directly: Mantel–Haenszel and Peto.

Sources: Mantel & Haenszel (1959), JNCI 22:719, with the variances of Robins, Breslow & Greenland (1986), Biometrics
42:311 (odds ratio, by statsmodels) and Greenland & Robins (1985), Biometrics 41:55 (risk ratio, risk difference);
Yusuf, Peto et al. (1985), Prog Cardiovasc Dis 27:335.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm
from statsmodels.stats.contingency_tables import StratifiedTable

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars._evidence import OWN
from ophamin.proof.errors import UsageError

__all__ = ["PooledTable", "mantel_haenszel", "peto"]


@dataclass(frozen=True)
class PooledTable:
    """A pooled measure of 2×2 tables; ratios on the log scale.

    Args:
        estimate: Pooled effect; NaN where it does not exist (no event at all).
        se: Standard error.
        lower: Lower end of the two-sided interval.
        upper: Upper end.
        p_value: Two-sided, of no effect.
        library: Who computed it.
        k: Tables that carry information.
    """

    estimate: float
    se: float
    lower: float
    upper: float
    p_value: float
    library: str
    k: int


def _cells(events_1: ArrayLike, n_1: ArrayLike, events_2: ArrayLike, n_2: ArrayLike) -> tuple[Floats, ...]:
    a, n1, c, n2 = (np.asarray(x, dtype=np.float64) for x in (events_1, n_1, events_2, n_2))
    b, d = n1 - a, n2 - c
    if not len(a) or any((cell < 0).any() for cell in (a, b, c, d)) or (n1 + n2 <= 0).any():
        raise UsageError("each table has between 0 and n events in each arm, and at least one observation")
    return a, b, c, d


def _result(estimate: float, se: float, level: float, library: str, k: int) -> PooledTable:
    if not (math.isfinite(estimate) and math.isfinite(se) and se > 0):
        return PooledTable(math.nan, math.nan, math.nan, math.nan, math.nan, library, k)
    half = float(norm.ppf((1 + level) / 2)) * se
    p_value = float(2 * norm.sf(abs(estimate) / se))
    return PooledTable(estimate, se, estimate - half, estimate + half, p_value, library, k)


def mantel_haenszel(
    measure: str, events_1: ArrayLike, n_1: ArrayLike, events_2: ArrayLike, n_2: ArrayLike, *, level: float = 0.95
) -> PooledTable:
    """Mantel–Haenszel pooled odds ratio, risk ratio or risk difference; empty cells need no correction.

    Args:
        measure: ``OR``, ``RR`` (both on the log scale) or ``RD``.
        events_1: Events in the first arm, shape (k,).
        n_1: Size of the first arm.
        events_2: Events in the second arm.
        n_2: Size of the second arm.
        level: Two-sided confidence.

    Raises:
        UsageError: An unknown measure or malformed counts.
    """
    a, b, c, d = _cells(events_1, n_1, events_2, n_2)
    n1, n2 = a + b, c + d
    n = n1 + n2
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "OR":
            informative = (a + c > 0) & (b + d > 0) & (n1 > 0) & (n2 > 0)
            r, s = (a * d / n)[informative].sum(), (b * c / n)[informative].sum()
            if not (r > 0 and s > 0):
                return _result(math.nan, math.nan, level, "statsmodels", int(informative.sum()))
            stacked = np.stack([[a, b], [c, d]])[:, :, informative]
            table = StratifiedTable(stacked)
            return _result(
                float(table.logodds_pooled), float(table.logodds_pooled_se), level, "statsmodels", stacked.shape[2]
            )
        if measure == "RR":
            r, s = (a * n2 / n).sum(), (c * n1 / n).sum()
            p = (n1 * n2 * (a + c) / n**2 - a * c / n).sum()
            estimate, se = np.log(r / s), np.sqrt(p / (r * s))
        elif measure == "RD":
            w = n1 * n2 / n
            estimate = (a * n2 / n - c * n1 / n).sum() / w.sum()
            p = (n1**2 * c - n2**2 * a + n1 * n2 * (n2 - n1) / 2) / n**2
            q = (a * (n2 - c) + c * (n1 - a)) / (2 * n)
            se = np.sqrt((estimate * p.sum() + q.sum()) / w.sum() ** 2)
        else:
            raise UsageError(f"Mantel–Haenszel pools OR, RR or RD, not {measure!r}")
    return _result(float(estimate), float(se), level, OWN, int((a + c > 0).sum()))


def peto(
    events_1: ArrayLike, n_1: ArrayLike, events_2: ArrayLike, n_2: ArrayLike, *, level: float = 0.95
) -> PooledTable:
    """Peto's one-step pooled log odds ratio; for rare events and arms of about one size.

    Raises:
        UsageError: Malformed counts.
    """
    a, b, c, d = _cells(events_1, n_1, events_2, n_2)
    n1, n2 = a + b, c + d
    n, events = n1 + n2, a + c
    keep = (events > 0) & (b + d > 0) & (n > 1)
    a, n1, n2, n, events = (x[keep] for x in (a, n1, n2, n, events))
    variance = n1 * n2 * events * (n - events) / (n**2 * (n - 1))
    total = float(variance.sum())
    if total <= 0:
        return _result(math.nan, math.nan, level, OWN, int(keep.sum()))
    return _result(float((a - n1 * events / n).sum() / total), 1 / math.sqrt(total), level, OWN, int(keep.sum()))
