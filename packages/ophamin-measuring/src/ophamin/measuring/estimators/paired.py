"""How far two runs over the same records lie apart, from the pairs.

Not estimators of a claim: a reproduction asks them whether two runs of one claim agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import gammaincinv, ndtri, stdtrit

from ophamin.measuring.estimators._table import (
    OWN,
    Floats,
    Table,
    check_confidence,
    failed,
    installed,
    read,
    too_few_groups,
)
from ophamin.measuring.estimators.calibration import bins_of, check_edges
from ophamin.measuring.estimators.mean import mean
from ophamin.protocols import Columns, Estimate

__all__ = ["calibration_shift", "mean_shift"]

_ENOUGH = 30.0
"""Units that differ from which on their sum is near normal."""


def mean_shift(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    support: Sequence[float] | None = None,
) -> Estimate:
    """Mean of paired differences; rows of one ``group`` (a process round, a block) are one unit.

    Without groups and with a support the bounds are guaranteed (betting). Otherwise they are Student's, and where
    few units differ at all they lie at least as far out as those of a Poisson count (Garwood 1936, Biometrika
    28:437) of (Σ|z|)²/Σz² units, z being the units' sums (Kish's effective number): a spread estimated from three
    units that differ says nothing of the fourth. Where every unit differs by the same, there is no spread at all:
    then betting decides, or without a support the common value itself.

    Args:
        columns: ``value`` (second minus first) and optionally ``group``.
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Order in which betting looks at the units.
        method: ``auto``, or ``t`` to keep betting for the case without any spread.
        support: ``[low, high]`` of one difference.

    Returns:
        The estimate; ``detail["few"]`` says that few units differ, so that its bounds come nearer with n, not √n.

    Raises:
        UsageError: A confidence outside (0.5, 1), or a malformed support.

    Example:
        >>> rounds = [i // 10 for i in range(800)]
        >>> e = mean_shift({"value": [0, 0, 0, 1] * 200, "group": rounds}, confidence=0.95)
        >>> e.value, round(e.lower, 3), round(e.upper, 3)
        (0.25, 0.241, 0.259)
    """
    alpha = check_confidence(confidence)
    table = read(columns, "value")
    grouped = table.codes is not None
    if support is not None and not grouped and method == "auto":
        found = mean(columns, confidence=confidence, seed=seed, support=support)
        few = bool(table.n) and _few(table.value)
        return replace(found, detail={**found.detail, "few": few})
    if table.problem:
        return failed(table.problem, table, method="t")
    if problem := too_few_groups(table):
        return failed(problem, table, method="t")
    x = table.value
    common = float(x.mean())
    if float(np.ptp(x)) <= 1e-12 * max(1.0, abs(common)):
        if support is not None:
            same = [common] * table.n_groups
            found = mean({"value": same}, confidence=confidence, seed=seed, support=support)
            return replace(found, detail={**found.detail, "few": True})
        if common == 0 or table.n_groups >= 20:
            return _shift(table, common, 0.0, "the same difference in every unit")
    found = mean(columns, confidence=confidence, seed=seed, method="t")
    if found.problem or found.value is None or found.upper is None:
        return found
    half = found.upper - found.value
    rare = _rare(table.totals(x), table.n, alpha)
    if rare > half:
        return _shift(table, found.value, rare, "t, poisson where few differ", few=True)
    return _shift(table, found.value, half, "t")


def _shift(table: Table, value: float, half: float, method: str, *, few: bool = False) -> Estimate:
    return Estimate(
        value, value - half, value + half, table.n, method=method, library="scipy", version=installed("scipy"),
        n_groups=table.n_groups, detail={"few": few},
    )  # fmt: skip


def _few(sizes: Floats) -> bool:
    """Whether so few units differ that a bound comes nearer with n, not with its root."""
    squares = float(sizes @ sizes)
    return squares == 0 or float(np.abs(sizes).sum()) ** 2 / squares < _ENOUGH


def _rare(sizes: Floats, n: int, alpha: float, one: float = 0.0) -> float:
    """How far a bound must lie from a mean over n rows that few units contribute to; 0 where many do.

    Args:
        sizes: What each unit contributes.
        n: Rows.
        alpha: One-sided error rate.
        one: What one unit could contribute, where none does.
    """
    squares = float(sizes @ sizes)
    one = squares / float(np.abs(sizes).sum()) if squares else one
    count = squares / one**2
    return one / n * (float(gammaincinv(count + 1, 1 - alpha)) - count) if count < _ENOUGH else 0.0


def calibration_shift(
    first: Columns, second: Columns, *, confidence: float, bins: int | Sequence[float] = 10
) -> Estimate:
    """An upper bound for how far two calibration errors lie apart, from the rows they share.

    With e_b the difference between a row's contributions y − c to bin b in the two runs,
    |ECE₂ − ECE₁| ≤ Σ_b |E e_b|, because ||a| − |b|| ≤ |a − b|. That sum is the greatest of E Σ_b s_b·e_b over all
    signs s of the bins, so the greatest of their upper bounds covers it, as for the calibration error itself; where
    few rows differ it lies at least as far out as that of a Poisson count. A row that failed in one run only could
    have given anything there; one that failed in both did the same twice.

    Args:
        first: ``confidence``, ``correct``, ``status`` and optionally ``group`` of the first run.
        second: Of the second run, row by row the same records.
        confidence: One-sided confidence of the bound, in (0.5, 1).
        bins: Number of equal bins of [0, 1], or their edges.

    Returns:
        The plug-in of Σ_b |E e_b| with ``lower`` 0 and ``upper``; approximate.

    Raises:
        UsageError: Malformed bins, or a confidence outside (0.5, 1).

    Example:
        >>> rows = {"confidence": [0.75] * 400, "correct": [1, 1, 1, 0] * 100}
        >>> e = calibration_shift(rows, rows, confidence=0.95)
        >>> e.value, round(e.upper, 4)
        (0.0, 0.015)
    """
    alpha = check_confidence(confidence)
    edges = check_edges(bins)
    n = len(first["confidence"])
    codes: dict[str, Sequence[Any]] = {"value": [0.0] * n}
    if "group" in first:
        codes["group"] = first["group"]
    table = read(codes, "value")
    if table.problem:
        return failed(table.problem, table, method="sign-vectors")
    last = len(edges) - 1  # a bin of its own sign, for rows that failed in one run only
    cells = np.zeros((n, last + 1))
    (c1, d1, ok1), (c2, d2, ok2) = _gaps(first), _gaps(second)
    if not (_stated(c1[ok1]) and _stated(c2[ok2])):
        return failed("a confidence lies between 0 and 1", table, method="sign-vectors")
    both = np.flatnonzero(ok1 & ok2)
    np.subtract.at(cells, (both, bins_of(edges, c1[both])), d1[both])
    np.add.at(cells, (both, bins_of(edges, c2[both])), d2[both])
    one = np.flatnonzero(ok1 != ok2)
    cells[one, last] = 1.0 + np.where(ok1, np.abs(d1), np.abs(d2))[one]
    if few := too_few_groups(table):
        return failed(few, table, method="sign-vectors")
    value = float(np.abs(cells.sum(axis=0)).sum()) / n
    if table.codes is not None:
        by_unit = np.zeros((table.n_groups, last + 1))
        np.add.at(by_unit, table.codes, cells)
        cells = by_unit
    sizes = np.abs(cells).sum(axis=1)
    units = table.n_groups
    if table.codes is None:
        half = float(ndtri(1 - alpha)) * math.sqrt(max(float(sizes @ sizes) / n - value * value, 0.0) / n)
    else:
        half = float(stdtrit(units - 1, 1 - alpha)) * math.sqrt(units / (units - 1) * float(sizes @ sizes)) / n
    rare = _rare(sizes, n, alpha, one=2.0 * n / units)
    return Estimate(
        value, 0.0, min(2.0, value + max(half, rare)), n, method="sign-vectors", library=OWN, version=installed(OWN),
        n_groups=units, detail={"few": rare > half},
    )  # fmt: skip


def _gaps(columns: Columns) -> tuple[Floats, Floats, Any]:
    """Stated confidence, y − c, and whether there is one, of each row."""
    c, y = (
        np.array([math.nan if v is None else float(v) for v in columns[name]]) for name in ("confidence", "correct")
    )
    ok = ~(np.isnan(c) | np.isnan(y))
    if "status" in columns:
        ok &= np.array([s == "ok" for s in columns["status"]], dtype=bool)
    return np.where(ok, c, 0.0), np.where(ok, y - c, 0.0), ok


def _stated(c: Floats) -> bool:
    return bool(((c >= 0) & (c <= 1)).all())
