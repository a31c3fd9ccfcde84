"""Correlation of two columns."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from ophamin.measuring.estimators._table import OWN, Floats, check_confidence, failed, installed, read, sides
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["correlation", "fisher_error", "pearson"]


def pearson(x: Floats, y: Floats) -> float:
    """Product-moment correlation, clipped to [−1, 1]; NaN when a column is constant."""
    a, b = x - x.mean(), y - y.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    flat = min(
        float(np.ptp(x)) / max(1e-300, float(np.abs(x).max())), float(np.ptp(y)) / max(1e-300, float(np.abs(y).max()))
    )
    return math.nan if scale == 0 or flat < 1e-13 else min(1.0, max(-1.0, float(a @ b) / scale))


def fisher_error(kind: str, r: float, n: int) -> float:
    """Standard error of artanh(r).

    Source: Fisher (1921), Metron 1:3, for Pearson; Bonett & Wright (2000), Psychometrika 65:23, for Spearman.
    """
    return math.sqrt((1.0 if kind == "pearson" else 1 + r * r / 2) / (n - 3))


def correlation(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    kind: str = "pearson",
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Correlation of ``value`` and ``other`` by Fisher's z; approximate: rows independent and near normal together.

    Source: Fisher (1921), Metron 1:3; for ranks Bonett & Wright (2000), Psychometrika 65:23.

    Args:
        columns: ``value`` and ``other``; rows where either is ``None`` are left out. Grouped rows are refused.
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Not used; the method draws nothing.
        method: ``auto`` or ``fisher-z``.
        kind: ``pearson`` or ``spearman``, which heavy tails and outliers do not mislead.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate; ``problem`` says why it cannot decide.

    Raises:
        UsageError: Unknown method or kind, a missing column, or a confidence outside (0.5, 1).

    Example:
        >>> table = {"value": [44.4, 45.9, 41.9, 53.3, 44.7, 44.1, 50.7, 45.2, 60.1],
        ...          "other": [2.6, 3.1, 2.5, 5.0, 3.6, 4.0, 5.2, 2.8, 3.8]}
        >>> e = correlation(table, confidence=0.975)
        >>> round(e.value, 3), round(e.lower, 3), round(e.upper, 3)
        (0.571, -0.15, 0.896)
    """
    alpha = check_confidence(confidence)
    if method not in ("auto", "fisher-z"):
        raise UsageError(f"a correlation has the method 'fisher-z', not {method!r}")
    if kind not in ("pearson", "spearman"):
        raise UsageError(f"a correlation is pearson or spearman, not {kind!r}")
    table = read(columns, "value", "other")
    if table.problem:
        return failed(table.problem, table, method="fisher-z")
    x, y = table.value, table.columns["other"]
    if kind == "spearman":
        x, y = rankdata(x), rankdata(y)
    r = pearson(x, y)
    problem = ""
    if math.isnan(r):
        return failed("a column is constant, so there is no correlation", table, method="fisher-z")
    if table.codes is not None:
        problem = "fisher-z needs independent rows, and these are grouped"
    elif table.n < 4:
        problem = "fisher-z needs at least 4 rows"
    elif abs(r) > 1 - 1e-12:
        problem = "the rows lie on a line, so the spread about it is unknown"
    if problem:
        return failed(problem, table, value=r, method="fisher-z")
    z, error = math.atanh(r), fisher_error(kind, r, table.n)
    half = -float(ndtri(alpha)) * error
    p_validated = p_refuted = None
    if threshold is not None:
        with np.errstate(divide="ignore"):
            gap = (z - float(np.arctanh(min(1.0, max(-1.0, threshold))))) / error
        p_validated, p_refuted = sides(comparator, float(ndtr(gap)), float(ndtr(-gap)))
    return Estimate(
        r, math.tanh(z - half), math.tanh(z + half), table.n, p_validated=p_validated, p_refuted=p_refuted,
        method="fisher-z", library=OWN, version=installed(OWN), n_groups=table.n,
        detail={"kind": kind, "range": [-1.0, 1.0]},
    )  # fmt: skip
