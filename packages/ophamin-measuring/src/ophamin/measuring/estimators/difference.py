"""Difference of two independent shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ophamin.measuring.estimators._arms import ARMS, read_arms
from ophamin.measuring.estimators._shares import clopper_pearson, newcombe
from ophamin.measuring.estimators._table import OWN, check_confidence, failed, installed, sides
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["difference_clopper_pearson", "difference_newcombe", "exact_difference"]


def exact_difference(k1: Any, n1: Any, k2: Any, n2: Any, alpha: Any) -> tuple[Any, Any]:
    """Bounds for p1 − p2, each from Clopper–Pearson bounds of both arms at α/2 (Bonferroni); arrays or numbers."""
    (l1, u1), (l2, u2) = clopper_pearson(k1, n1, alpha / 2), clopper_pearson(k2, n2, alpha / 2)
    return l1 - u2, u1 - l2


def difference_newcombe(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    arms: Sequence[str] = ARMS,
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Difference of two shares, second arm minus first, with Newcombe's hybrid score bounds; approximate.

    Source: Newcombe (1998), Statist. Med. 17:873, method 10.

    Args:
        columns: ``value`` (0, 1 or bool; ``None`` rows are left out) and ``arm``. Grouped or paired rows are
            refused: the estimator ``difference.mean`` takes them.
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Not used; the method draws nothing.
        method: ``auto`` or ``newcombe``.
        arms: Names of the two arms.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate; ``problem`` says why it cannot decide.

    Raises:
        UsageError: Unknown method, malformed arms, or a confidence outside (0.5, 1).

    Example:
        >>> table = {"value": [1] * 48 + [0] * 32 + [1] * 56 + [0] * 14, "arm": ["base"] * 80 + ["head"] * 70}
        >>> e = difference_newcombe(table, confidence=0.975)
        >>> round(e.lower, 4), round(e.upper, 4)
        (0.0524, 0.3339)
    """
    return _difference("newcombe", columns, confidence, method, arms, threshold, comparator)


def difference_clopper_pearson(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    arms: Sequence[str] = ARMS,
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Difference of two shares, second arm minus first, guaranteed: Clopper–Pearson at α/2 in each arm.

    Args:
        columns: As of :func:`difference_newcombe`.
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Not used; the method draws nothing.
        method: ``auto`` or ``clopper-pearson``.
        arms: Names of the two arms.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate; ``problem`` says why it cannot decide.

    Raises:
        UsageError: Unknown method, malformed arms, or a confidence outside (0.5, 1).

    Example:
        >>> table = {"value": [1] * 48 + [0] * 32 + [1] * 56 + [0] * 14, "arm": ["base"] * 80 + ["head"] * 70}
        >>> e = difference_clopper_pearson(table, confidence=0.95)
        >>> e.guarantee, round(e.lower, 4), round(e.upper, 4)
        ('guaranteed', -0.0207, 0.4017)
    """
    return _difference("clopper-pearson", columns, confidence, method, arms, threshold, comparator)


def _difference(
    name: str,
    columns: Columns,
    confidence: float,
    method: str,
    arms: Sequence[str],
    threshold: float | None,
    comparator: str | None,
) -> Estimate:
    alpha = check_confidence(confidence)
    if method not in ("auto", name):
        raise UsageError(f"this difference of shares has the method {name!r}, not {method!r}")
    found = read_arms(columns, arms)
    table = found.table
    if found.problem:
        return failed(found.problem, table, method=name)
    if not np.isin(table.value, (0.0, 1.0)).all():
        return failed("a share needs values 0 and 1", table, method=name)
    n1, n2 = found.counts()
    k2 = int(table.value[found.second].sum())
    k1 = int(table.value.sum()) - k2
    value = k2 / n2 - k1 / n1
    if table.codes is not None or found.pairs is not None:
        what = "grouped" if found.pairs is None else "paired"
        problem = f"{name} needs independent rows, and these are {what}; difference.mean takes them"
        return failed(problem, table, value=value, method=name)

    def bounds(level: float) -> tuple[float, float]:
        if name == "newcombe":
            low, high = newcombe(k2, n2, k1, n1, level)
        else:
            low, high = exact_difference(k2, n2, k1, n1, level)
        return float(low), float(high)

    lower, upper = bounds(alpha)
    p_validated = p_refuted = None
    if threshold is not None:
        p_upper, p_lower = _dual(lambda a: bounds(a)[1] <= threshold), _dual(lambda a: bounds(a)[0] >= threshold)
        p_validated, p_refuted = sides(comparator, p_upper, p_lower)
    return Estimate(
        value, lower, upper, table.n, p_validated=p_validated, p_refuted=p_refuted, method=name, library=OWN,
        version=installed(OWN), guarantee="guaranteed" if name == "clopper-pearson" else "approximate",
        n_groups=table.n, detail={"k": [k1, k2], "n": [n1, n2], "range": [-1.0, 1.0]},
    )  # fmt: skip


def _dual(excludes: Callable[[float], bool]) -> float:
    """The least α at which a bound that tightens with α lies beyond θ, by bisection on log α; 1 when none does."""
    low, high = math.log(1e-300), math.log(0.5)
    if not excludes(0.5):
        return 1.0
    if excludes(1e-300):
        return 0.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if excludes(math.exp(middle)) else (middle, high)
    return math.exp(high)
