"""Pooling 2×2 tables directly: Mantel–Haenszel and Peto.

Sources: Mantel & Haenszel (1959), JNCI 22:719, with the variances of Robins, Breslow & Greenland (1986), Biometrics
42:311 (odds ratio, by statsmodels) and Greenland & Robins (1985), Biometrics 41:55 (risk ratio, risk difference);
Yusuf, Peto et al. (1985), Prog Cardiovasc Dis 27:335. Heterogeneity beside a Mantel–Haenszel estimate: Q over the
studies' own effects, as in Higgins et al. (2003), BMJ 327:557; Tarone (1985), Biometrika 72:91.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm
from statsmodels.stats.contingency_tables import StratifiedTable

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars._evidence import OWN
from ophamin.measuring.pillars.synthesis import effects
from ophamin.proof.errors import UsageError

__all__ = ["PooledTable", "TableTest", "cochran_mantel_haenszel", "mantel_haenszel", "peto", "tarone"]


_AT_ONCE = 16_384
"""Tables whose effects are worked out at a time: what lies between two steps stays in the cache."""


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
        q: Heterogeneity: of the tables' own effects about the pooled one (Mantel–Haenszel; ½ in tables with an empty
            cell), or of Peto's; NaN where there is no pooled effect or one table.
        q_df: Its degrees of freedom.
        q_p_value: Its p-value.
    """

    estimate: float
    se: float
    lower: float
    upper: float
    p_value: float
    library: str
    k: int
    q: float = math.nan
    q_df: int = 0
    q_p_value: float = math.nan


@dataclass(frozen=True)
class TableTest:
    """A χ² test over 2×2 tables.

    Args:
        statistic: χ²; NaN where no table carries information.
        df: Degrees of freedom.
        p_value: Its p-value.
    """

    statistic: float
    df: int
    p_value: float


def _cells(events_1: ArrayLike, n_1: ArrayLike, events_2: ArrayLike, n_2: ArrayLike) -> tuple[Floats, bool]:
    """Events and others of the first arm, events and others of the second, shape (4, k); whether none is 0."""
    # In one block, as the library wants them, and looked at while they are in the cache.
    given = [np.asarray(x) for x in (events_1, n_1, events_2, n_2)]
    k = len(given[0])
    a, n1, c, n2 = (np.broadcast_to(x, k) for x in given)
    cells, filled = np.empty((4, k)), k > 0
    for start in range(0, k, _AT_ONCE):
        at = slice(start, start + _AT_ONCE)
        cells[0, at], cells[2, at] = a[at], c[at]
        np.subtract(n1[at], cells[0, at], out=cells[1, at])
        np.subtract(n2[at], cells[2, at], out=cells[3, at])
        filled = filled and bool(cells[:, at].min() > 0)
    if not filled and (not k or (cells < 0).any() or (cells.sum(axis=0) <= 0).any()):
        raise UsageError("each table has between 0 and n events in each arm, and at least one observation")
    return cells, filled


def _informative(cells: Floats, filled: bool) -> StratifiedTable | None:
    """Tables whose margins leave something to chance, as statsmodels takes them; ``None`` without one."""
    if filled:
        return StratifiedTable(cells.reshape(2, 2, -1))
    a, b, c, d = cells
    keep = (a + c > 0) & (b + d > 0) & (a + b > 0) & (c + d > 0)
    return StratifiedTable(cells.reshape(2, 2, -1)[:, :, keep]) if keep.any() else None


def _result(
    estimate: float, se: float, level: float, library: str, k: int, q: tuple[float, int] = (math.nan, 0)
) -> PooledTable:
    if not (math.isfinite(estimate) and math.isfinite(se) and se > 0):
        return PooledTable(math.nan, math.nan, math.nan, math.nan, math.nan, library, k)
    half = float(norm.ppf((1 + level) / 2)) * se
    p_value = float(2 * norm.sf(abs(estimate) / se))
    apart = q if q[1] > 0 else (math.nan, 0)
    return PooledTable(
        estimate, se, estimate - half, estimate + half, p_value, library, k, *apart,
        float(chi2.sf(*apart)) if apart[1] else math.nan,
    )  # fmt: skip


def _apart(measure: str, cells: Floats, estimate: float) -> tuple[float, int]:
    """Q of the tables' own effects about a pooled one, and its degrees of freedom."""
    terms = []
    for start in range(0, cells.shape[1], _AT_ONCE):
        some = cells[:, start : start + _AT_ONCE]
        a, b, c, d = some
        n1, n2 = a + b, c + d
        if some.min() > 0:
            effect, variance = effects.of_cells(measure, a, n1 - a, c, n2 - c)
        else:
            both = (n1 > 0) & (n2 > 0)
            own = effects.counts(measure, a[both], n1[both], c[both], n2[both], drop00="always")
            effect, variance = own.effect, own.variance
        gap, kept = effect - estimate, np.isfinite(effect) & (variance > 0)
        terms.append(gap**2 / variance if kept.all() else gap[kept] ** 2 / variance[kept])
    apart = np.concatenate(terms)
    return float(apart.sum()), len(apart) - 1


def mantel_haenszel(
    measure: str,
    events_1: ArrayLike,
    n_1: ArrayLike,
    events_2: ArrayLike,
    n_2: ArrayLike,
    *,
    correction: float = 0.0,
    to: str = "only0",
    level: float = 0.95,
) -> PooledTable:
    """Mantel–Haenszel pooled odds ratio, risk ratio or risk difference; empty cells need no correction.

    Args:
        measure: ``OR``, ``RR`` (both on the log scale) or ``RD``.
        events_1: Events in the first arm, shape (k,).
        n_1: Size of the first arm.
        events_2: Events in the second arm.
        n_2: Size of the second arm.
        correction: Added to the cells before pooling; 0 by default, for it biases (Bradburn et al. 2007, Stat Med
            26:53). Some programs add ½.
        to: To which tables, one of ``effects.CELLS``.
        level: Two-sided confidence.

    Raises:
        UsageError: An unknown measure or correction, or malformed counts.
    """
    seen, filled = _cells(events_1, n_1, events_2, n_2)
    corrected, touched = effects.corrected(tuple(seen), correction, to)
    cells = np.array(corrected) if touched.any() else seen
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "OR":
            table = _informative(cells, filled)
            estimate, k = (float(table.logodds_pooled), table.table.shape[2]) if table is not None else (math.nan, 0)
            if table is None or not math.isfinite(estimate):
                return _result(math.nan, math.nan, level, "statsmodels", k)
            return _result(
                estimate, float(table.logodds_pooled_se), level, "statsmodels", k, _apart(measure, seen, estimate)
            )
        a, b, c, d = cells
        n1, n2 = a + b, c + d
        n = n1 + n2
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
    return _result(float(estimate), float(se), level, OWN, int((a + c > 0).sum()), _apart(measure, seen, estimate))


def cochran_mantel_haenszel(
    events_1: ArrayLike, n_1: ArrayLike, events_2: ArrayLike, n_2: ArrayLike, *, correct: bool = True
) -> TableTest:
    """Cochran–Mantel–Haenszel test that the common odds ratio is 1, by statsmodels.

    Args:
        events_1: Events in the first arm, shape (k,).
        n_1: Size of the first arm.
        events_2: Events in the second arm.
        n_2: Size of the second arm.
        correct: Whether ½ is taken off the difference (R's default).

    Raises:
        UsageError: Malformed counts.

    Source: Mantel & Haenszel (1959), JNCI 22:719.
    """
    table = _informative(*_cells(events_1, n_1, events_2, n_2))
    if table is None:
        return TableTest(math.nan, 1, math.nan)
    found = table.test_null_odds(correction=correct)
    return TableTest(float(found.statistic), 1, float(found.pvalue))


def tarone(events_1: ArrayLike, n_1: ArrayLike, events_2: ArrayLike, n_2: ArrayLike) -> TableTest:
    """Tarone's test that all tables share one odds ratio: Breslow–Day with his correction, by statsmodels.

    Args:
        events_1: Events in the first arm, shape (k,).
        n_1: Size of the first arm.
        events_2: Events in the second arm.
        n_2: Size of the second arm.

    Returns:
        The test; NaN with fewer than two informative tables, or a pooled odds ratio of 0 or ∞.

    Raises:
        UsageError: Malformed counts.
    """
    table = _informative(*_cells(events_1, n_1, events_2, n_2))
    k = 0 if table is None else int(table.table.shape[2])
    with np.errstate(divide="ignore", invalid="ignore"):
        if table is None or k < 2 or not (0 < float(table.oddsratio_pooled) < math.inf):
            return TableTest(math.nan, max(k - 1, 0), math.nan)
        found = table.test_equal_odds(adjust=True)
    return TableTest(float(found.statistic), k - 1, float(found.pvalue))


def peto(
    events_1: ArrayLike, n_1: ArrayLike, events_2: ArrayLike, n_2: ArrayLike, *, level: float = 0.95
) -> PooledTable:
    """Peto's one-step pooled log odds ratio; for rare events and arms of about one size.

    Raises:
        UsageError: Malformed counts.
    """
    (a, b, c, d), _ = _cells(events_1, n_1, events_2, n_2)
    n1, n2 = a + b, c + d
    n, events = n1 + n2, a + c
    keep = (events > 0) & (b + d > 0) & (n > 1)
    a, n1, n2, n, events = (x[keep] for x in (a, n1, n2, n, events))
    variance = n1 * n2 * events * (n - events) / (n**2 * (n - 1))
    total = float(variance.sum())
    if total <= 0:
        return _result(math.nan, math.nan, level, OWN, int(keep.sum()))
    gap = a - n1 * events / n
    q = float((gap**2 / variance).sum() - gap.sum() ** 2 / total)
    return _result(
        float(gap.sum() / total), 1 / math.sqrt(total), level, OWN, int(keep.sum()), (max(q, 0.0), int(keep.sum()) - 1)
    )
