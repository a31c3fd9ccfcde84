"""Pearson, Spearman and Kendall correlations with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr

from ophamin.measuring.estimators.correlation import fisher_error
from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.general.proportions import check_level
from ophamin.proof.errors import UsageError

__all__ = ["KINDS", "Correlation", "correlate", "edgeworth_spearman", "exact_spearman"]

_TESTS: dict[str, Any] = {"pearson": pearsonr, "spearman": spearmanr, "kendall": kendalltau}
KINDS = tuple(_TESTS)


@dataclass(frozen=True)
class Correlation:
    """A correlation.

    Args:
        estimate: r, ρ or τ_b; NaN where a column is constant.
        p_value: Two-sided p-value of no association: t for Pearson and Spearman; for Kendall exact below 50 rows
            without ties, else normal with the variance of ties (as R decides).
        lower: Lower end of the interval; NaN where there is none.
        upper: Upper end.
        level: Two-sided confidence.
        n: Rows.
        kind: ``pearson``, ``spearman`` or ``kendall``.
        method: Interval method.
        problem: Why there is no estimate or no interval, or "".
    """

    estimate: float
    p_value: float
    lower: float
    upper: float
    level: float
    n: int
    kind: str
    method: str
    problem: str = ""


def _pair(x: Any, y: Any) -> tuple[Floats, Floats, bool]:
    """Both columns, and whether one of them is constant."""
    x, y = (np.asarray(v, dtype=np.float64).ravel() for v in (x, y))
    if len(x) != len(y):
        raise UsageError("the columns of a correlation have equal lengths")
    # What is not finite is the least or the greatest, and NaN is both.
    ends = [(float(v.min()), float(v.max())) for v in (x, y)] if len(x) else []
    if not np.isfinite(ends).all():
        raise UsageError("the values must be finite numbers; leave out what is missing")
    return x, y, any(high - low <= 1e-13 * max(abs(low), abs(high)) for low, high in ends)


def correlate(x: Any, y: Any, *, kind: str = "pearson", level: float = 0.95) -> Correlation:
    """Correlation of two columns by ``scipy.stats``.

    Intervals on Fisher's z scale with the standard errors √(1/(n−3)) (Pearson), √((1+ρ²/2)/(n−3)) (Spearman,
    Bonett & Wright 2000, Psychometrika 65:23) and √(0.437/(n−4)) (Kendall, Fieller, Hartley & Pearson 1957,
    Biometrika 44:470).

    Raises:
        UsageError: Unknown kind, lengths that differ, values that are not finite, or a level outside (0, 1).

    Example:
        >>> round(correlate([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], kind="kendall").estimate, 3)
        0.6
    """
    if kind not in KINDS:
        raise UsageError(f"a correlation is {', '.join(KINDS)}, not {kind!r}")
    alpha = check_level(level)
    x, y, constant = _pair(x, y)
    n, method, nan = len(x), "fisher-z", math.nan
    if n < 3:
        return Correlation(nan, nan, nan, nan, level, n, kind, method, "a correlation needs at least 3 rows")
    if constant:
        return Correlation(nan, nan, nan, nan, level, n, kind, method, "a column is constant")
    test: Callable[[Floats, Floats], Any] = _TESTS[kind]
    if kind == "kendall":
        exact = n < 50 and min(len(np.unique(x)), len(np.unique(y))) == n
        found = kendalltau(x, y, method="exact" if exact else "asymptotic")
    else:
        found = test(x, y)
    r, p = float(found.statistic), float(found.pvalue)
    if n <= (4 if kind == "kendall" else 3) or abs(r) > 1 - 1e-12:
        why = "there are too few rows for an interval" if abs(r) <= 1 - 1e-12 else "the rows lie on a line"
        return Correlation(r, p, nan, nan, level, n, kind, method, why)
    error = math.sqrt(0.437 / (n - 4)) if kind == "kendall" else fisher_error(kind, r, n)
    z, half = math.atanh(r), -float(ndtri(alpha)) * error
    return Correlation(r, p, math.tanh(z - half), math.tanh(z + half), level, n, kind, method)


def exact_spearman(x: Any, y: Any) -> float:
    """Exact two-sided p-value of Spearman's ρ over all n! orders, n ≤ 9; right with ties.

    Source: Hollander & Wolfe (1973), *Nonparametric Statistical Methods*, chapter 8.

    Raises:
        UsageError: More than 9 rows, or as :func:`correlate`.

    Example:
        >>> round(exact_spearman([1, 2, 3, 4], [1, 2, 3, 4]), 4)
        0.0833
    """
    x, y, _ = _pair(x, y)
    n = len(x)
    if not 2 <= n <= 9:
        raise UsageError(f"the exact distribution is worked out for 2 to 9 rows, not {n}")
    a, b = rankdata(x) - (n + 1) / 2, rankdata(y) - (n + 1) / 2
    orders = np.array(list(permutations(range(n))), dtype=np.intp)
    sums = b[orders] @ a
    return float(np.mean(np.abs(sums) >= abs(float(a @ b)) - 1e-9))


def edgeworth_spearman(x: Any, y: Any) -> float:
    """Two-sided p-value of Spearman's ρ by an Edgeworth series, for 10 rows or more without ties.

    Nearer to the exact one than t is; what R's ``cor.test`` gives from 10 to 1290 rows without ties.

    Source: Best & Roberts (1975), Applied Statistics 24:377, algorithm AS 89.

    Raises:
        UsageError: Fewer than 10 rows, ties, or as :func:`correlate`.

    Example:
        >>> round(edgeworth_spearman(range(12), [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]), 6)
        0.0
    """
    x, y, _ = _pair(x, y)
    n = len(x)
    if n < 10 or min(len(np.unique(x)), len(np.unique(y))) < n:
        raise UsageError("the Edgeworth series is for 10 rows or more without ties")
    a, b = rankdata(x), rankdata(y)
    squares, most = float(((a - b) ** 2).sum()), n * (n * n - 1) / 3
    # The distribution is symmetric about most/2: take the smaller tail, P(S >= s), s even.
    s = max(squares, most - squares)
    c = 1 / n
    deviate = (6 * (s - 1) * c / (n * n - 1) - 1) * math.sqrt(1 / c - 1)
    square = deviate * deviate
    series = (
        c
        * deviate
        * (
            0.2274
            + c * (0.2531 + 0.1745 * c)
            + square
            * (
                -0.0758
                + c * (0.1033 + 0.3932 * c)
                - square
                * c
                * (0.0879 + 0.0151 * c - square * (0.0072 - 0.0831 * c + square * c * (0.0131 - 4.6e-4 * square)))
            )
        )
    )
    tail = series * math.exp(-square / 2) + float(ndtr(-deviate))
    return min(1.0, max(0.0, 2 * tail))
