"""Bounds for a quantile."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import betainc, betaincc

from ophamin.measuring.estimators._table import (
    Floats,
    Table,
    check_confidence,
    failed,
    installed,
    read,
    sides,
    too_few_groups,
)
from ophamin.measuring.estimators.proportion import effective_sizes, share_bounds, share_p
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["quantile"]


def _binomial_at_most(k: int, n: int, p: float) -> float:
    if k < 0:
        return 0.0
    return 1.0 if k >= n else float(betaincc(k + 1, n - k, p))


def _binomial_at_least(k: int, n: int, p: float) -> float:
    if k <= 0:
        return 1.0
    return 0.0 if k > n else float(betainc(k, n - k + 1, p))


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Least i in [low, high) with ``holds(i)``, which is false, then true; ``high`` when none."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def quantile(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    q: float = 0.5,
    method: str = "auto",
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """The q-quantile of ``value``, its bounds read off the observations.

    ``p_q <= θ`` is the claim P(X > θ) ≤ 1−q, and both methods decide just that: the order statistics exactly
    as Clopper–Pearson on the exceedances of θ would, the grouped bound as Korn–Graubard on them.

    Args:
        columns: ``value`` (numbers, ±∞ allowed; ``None`` rows are left out) and optionally ``group``.
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Not used; the method draws nothing.
        q: Which quantile, in (0, 1).
        method: ``order-statistics``: binomial bounds for independent rows, guaranteed for every distribution
            (David & Nagaraja 2003, *Order Statistics*, section 7.1). ``exceedance``: the same claim through
            Korn–Graubard bounds on the share of exceedances (Woodruff 1952, JASA 47:635), for grouped rows or
            contiguous blocks of a series, at least 20. ``auto``: by whether there are groups.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate. A bound is ``None`` when n is too small for it (an upper bound of p95 at 0.95 needs
        59) or when it is infinite.

    Raises:
        UsageError: Unknown method, q outside (0, 1), or a confidence outside (0.5, 1).

    Example:
        >>> e = quantile({"value": list(range(100))}, confidence=0.95, q=0.5)
        >>> e.lower, e.value, e.upper
        (41.0, 49.0, 58.0)
    """
    alpha = check_confidence(confidence)
    if not 0 < q < 1:
        raise UsageError(f"a quantile lies between 0 and 1, such as 0.95, not {q!r}")
    if method not in ("auto", "order-statistics", "exceedance"):
        raise UsageError(f"no bound for a quantile is called {method!r}; use auto, order-statistics or exceedance")
    table = read(columns, "value", infinite=True)
    if table.problem:
        return failed(table.problem, table, method=method)
    if method == "auto":
        method = "order-statistics" if table.codes is None else "exceedance"
    x = np.sort(table.value)
    n = len(x)
    # The inverse of the empirical distribution; rounding first, as 0.95·n must not become 1 more by 1 ulp.
    value = float(x[min(n, max(1, math.ceil(round(q * n, 9)))) - 1])
    shown = value if math.isfinite(value) else None
    if table.codes is not None:
        if method == "order-statistics":
            return failed("order statistics need independent rows, and these are grouped", table, value=shown)
        if problem := too_few_groups(table):
            return failed(problem, table, value=shown, method=method)
    detail: dict[str, float] = {"q": q}
    strict = comparator in ("<", ">=")
    p_upper = p_lower = math.nan
    if threshold is not None:
        detail["exceedances"] = int(np.count_nonzero(x >= threshold if strict else x > threshold))
    if table.codes is None:
        lower, upper = _order_statistics(x, q, alpha)
        if threshold is not None:
            below = n - int(detail["exceedances"])
            p_upper, p_lower = _binomial_at_least(below, n, q), _binomial_at_most(below, n, q)
    else:
        share = _Exceedance(table, q, alpha)
        lower, upper = share.bounds(x, threshold, strict)
        if threshold is not None:
            p_upper, p_lower = share.p_values(threshold, strict)
    p_validated, p_refuted = sides(comparator if threshold is not None else None, p_upper, p_lower)
    return Estimate(
        shown, lower, upper, n, p_validated=p_validated, p_refuted=p_refuted, method=method, library="scipy",
        version=installed("scipy"), guarantee="guaranteed" if table.codes is None else "approximate",
        n_groups=table.n_groups, computed=False, detail=detail,
    )  # fmt: skip


def _finite(bound: float) -> float | None:
    return float(bound) if math.isfinite(bound) else None


def _order_statistics(x: Floats, q: float, alpha: float) -> tuple[float | None, float | None]:
    n = len(x)
    # X_(u) is below the quantile only when at least u values are: P(Bin(n, q) >= u) <= alpha.
    u = _least(1, n + 1, lambda i: _binomial_at_least(i, n, q) <= alpha)
    upper = _finite(x[u - 1]) if u <= n else None
    # X_(l) is above it only when at most l-1 values are at or below: P(Bin(n, q) <= l-1) <= alpha.
    above = _least(1, n + 1, lambda i: _binomial_at_most(i - 1, n, q) > alpha)
    lower = _finite(x[above - 2]) if above > 1 else None
    return lower, upper


class _Exceedance:
    """Bounds of a quantile through Korn–Graubard bounds on the share of values beyond x."""

    def __init__(self, table: Table, q: float, alpha: float) -> None:
        self._table, self._tail, self._alpha = table, 1 - q, alpha

    def _share(self, x: float, strict: bool) -> tuple[float, tuple[float, float]]:
        hits = (self._table.value >= x if strict else self._table.value > x).astype(np.float64)
        return float(hits.mean()), effective_sizes(self._table, hits, self._alpha)

    def _low_enough(self, x: float, strict: bool = False) -> bool:
        return share_bounds(*self._share(x, strict), self._alpha)[1] <= self._tail

    def _too_high(self, x: float, strict: bool = False) -> bool:
        return share_bounds(*self._share(x, strict), self._alpha)[0] >= self._tail

    def p_values(self, theta: float, strict: bool) -> tuple[float, float]:
        return share_p(*self._share(theta, strict), self._tail)

    def bounds(self, x: Floats, theta: float | None, strict: bool) -> tuple[float | None, float | None]:
        """Least x that is surely not exceeded too often, and greatest x that surely is.

        The share's upper bound need not fall steadily in x (its variance changes too), so the search
        starts from θ: the bound lies on the side of θ that the decision at θ itself says.
        """
        points, n = np.unique(x), len(np.unique(x))
        upper_from, upper_to, lower_from, lower_to = 0, n, 0, n
        if theta is not None:
            at = int(np.searchsorted(points, theta, side="left" if strict else "right"))
            if self._low_enough(theta, strict):
                upper_to = at - 1
            else:
                upper_from = at
            if self._too_high(theta, strict):
                lower_from = at + 1
            else:
                lower_to = at
        i = _least(upper_from, max(upper_to, upper_from), lambda j: self._low_enough(points[j]))
        upper = _finite(points[i]) if 0 <= i < n else None
        j = _least(lower_from, max(lower_to, lower_from), lambda j: not self._too_high(points[j], True))
        lower = _finite(points[j - 1]) if j > 0 else None
        return lower, upper
