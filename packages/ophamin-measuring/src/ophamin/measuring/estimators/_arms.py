"""Two arms of one table: rows, pairs, and the difference of their means with its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophamin.measuring.estimators._clusters import mean_variance
from ophamin.measuring.estimators._table import Table, read, too_few_groups
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns

__all__ = ["ARMS", "Arms", "Difference", "difference_of_means", "read_arms"]

ARMS = ("base", "head")
"""Names of the arms where none are given; a difference is the second minus the first."""

EQUAL = "all values are equal, so their spread is unknown"


@dataclass(frozen=True)
class Arms:
    """Rows with a value, each of one of two arms.

    Args:
        table: Values and groups of both arms.
        second: Which rows are of the second arm; shape (n,).
        pairs: Pair of each row, or ``None`` when rows are not paired.
        problem: Why the rows cannot be used, or "".
    """

    table: Table
    second: NDArray[np.bool_]
    pairs: NDArray[np.object_] | None
    problem: str = ""

    def counts(self) -> tuple[int, int]:
        """Rows of the first and of the second arm."""
        head = int(self.second.sum())
        return self.table.n - head, head


def read_arms(columns: Columns, arms: Sequence[str] = ARMS) -> Arms:
    """Take ``value``, ``arm`` and, where they are there, ``pair`` and ``group``; rows without a value are left out.

    Args:
        columns: The table.
        arms: Names of the first and second arm.

    Raises:
        UsageError: A column is missing, lengths differ, or the arms are not two names.
    """
    if isinstance(arms, str) or len(arms) != 2 or arms[0] == arms[1]:
        raise UsageError(f"a difference is of two arms, such as ['base', 'head'], not {arms!r}")
    for name in ("value", "arm"):
        if name not in columns:
            raise UsageError(f"the estimator needs a column {name!r}; there are {', '.join(columns) or 'none'}")
    if len({len(columns[name]) for name in ("value", "arm", "pair", "group") if name in columns}) > 1:
        raise UsageError("the columns of one table must have equal lengths")
    keep = [i for i, value in enumerate(columns["value"]) if value is not None]
    part = {name: [columns[name][i] for i in keep] for name in ("value", "group") if name in columns}
    table, problem = read(part, "value"), ""
    names = [columns["arm"][i] for i in keep]
    stray = next((name for name in names if name not in arms), None)
    if table.problem:
        problem = table.problem
    elif any(name not in arms for name in names):
        problem = f"arm {stray!r} is neither {arms[0]!r} nor {arms[1]!r}"
    else:
        empty = [name for name in arms if name not in names]
        problem = f"arm {empty[0]!r} has no observations" if empty else ""
    second = np.array([name == arms[1] for name in names], dtype=np.bool_)
    pairs = None
    if "pair" in columns:
        pairs = np.empty(len(keep), dtype=object)
        pairs[:] = [columns["pair"][i] for i in keep]
        if not problem and any(p is None for p in pairs):
            problem = "a row does not say which pair it belongs to"
    return Arms(table, second, pairs, problem)


@dataclass(frozen=True)
class Difference:
    """A mean or a difference of means with its standard error.

    Args:
        value: The estimate.
        error: Its standard error.
        df: Degrees of freedom.
        method: ``welch``, ``paired-t``, ``t``, or these with ``-cluster``.
        n: Rows used.
        units: Independent units.
        problem: Why there is none, or "".
    """

    value: float | None
    error: float
    df: float
    method: str
    n: int
    units: int
    problem: str = ""


def difference_of_means(columns: Columns, arms: Sequence[str] = ARMS) -> Difference:
    """Second minus first arm; of pairs where rows are paired; the mean itself where there are no arms.

    Independent rows: Welch's variance and degrees of freedom. Pairs: one difference each. Groups: the linearised
    variance over groups, joint where a group has rows in both arms.

    Source: Welch (1947), Biometrika 34:28; Satterthwaite (1946), Biometrics Bull. 2:110; Cochran (1977), *Sampling
    Techniques*, section 9A.

    Raises:
        UsageError: As :func:`read_arms`.
    """
    if "arm" not in columns:
        return _one(read(columns, "value"), "t")
    found = read_arms(columns, arms)
    if found.problem:
        return Difference(None, math.nan, math.nan, "welch", found.table.n, found.table.n_groups, found.problem)
    if found.pairs is not None:
        return _paired(found)
    table, second = found.table, found.second
    value = float(table.value[second].mean() - table.value[~second].mean())
    if table.codes is not None:
        return _clustered(found, value)
    errors, dfs = [], []
    for x in (table.value[~second], table.value[second]):
        if len(x) < 2:
            return _none(found, value, "welch", "a t interval needs at least 2 values in each arm")
        errors.append(float(x.var(ddof=1)) / len(x))
        dfs.append(len(x) - 1)
    return _welch(found, value, errors, dfs, "welch", table.n)


def _none(found: Arms, value: float, method: str, problem: str) -> Difference:
    return Difference(value, math.nan, math.nan, method, found.table.n, found.table.n_groups, problem)


def _no_spread(error: float, value: float) -> bool:
    return error <= 1e-14 * max(1.0, abs(value))


def _welch(
    found: Arms, value: float, errors: Sequence[float], dfs: Sequence[int], method: str, units: int
) -> Difference:
    total = sum(errors)
    error = math.sqrt(total)
    if _no_spread(error, float(np.abs(found.table.value).max())):
        return _none(found, value, method, EQUAL)
    df = total**2 / sum(v * v / k for v, k in zip(errors, dfs, strict=True))
    return Difference(value, error, df, method, found.table.n, units)


def _one(table: Table, method: str) -> Difference:
    value = None if table.problem else float(table.value.mean())
    problem = table.problem or too_few_groups(table)
    method = method if table.codes is None else f"{method}-cluster"
    if not problem and table.n_groups < 2:
        problem = "a t interval needs at least 2 independent values"
    if problem:
        return Difference(value, math.nan, math.nan, method, table.n, table.n_groups, problem)
    centre, variance, df = mean_variance(table, table.value)
    error = math.sqrt(variance)
    problem = EQUAL if _no_spread(error, centre) else ""
    return Difference(centre, error, df, method, table.n, table.n_groups, problem)


def _paired(found: Arms) -> Difference:
    """One difference for each complete pair; rows whose partner has no value are left out, as the pair is."""
    assert found.pairs is not None
    rows: dict[Any, list[int]] = {}
    for i, pair in enumerate(found.pairs):
        rows.setdefault(pair, []).append(i)
    second, x, codes = found.second, found.table.value, found.table.codes
    differences, groups = [], []
    for pair, members in rows.items():
        if len(members) > 2 or (len(members) == 2 and second[members[0]] == second[members[1]]):
            return _none(found, 0.0, "paired-t", f"pair {pair!r} has more than one row in an arm")
        if len(members) < 2:
            continue
        first, last = sorted(members, key=lambda i: bool(second[i]))
        differences.append(float(x[last] - x[first]))
        groups.append(None if codes is None else int(codes[first]))
    if not differences:
        return Difference(None, math.nan, math.nan, "paired-t", found.table.n, 0, "no pair has a value in both arms")
    one = _one(read({"value": differences, "group": groups}, "value"), "paired-t")
    return Difference(one.value, one.error, one.df, one.method, 2 * one.n, one.units, one.problem)


def _clustered(found: Arms, value: float) -> Difference:
    table, second = found.table, found.second
    assert table.codes is not None
    if set(table.codes[second]) & set(table.codes[~second]):
        if problem := too_few_groups(table):
            return _none(found, value, "paired-cluster", problem)
        x = table.value
        head, base = x - x[second].mean(), x - x[~second].mean()
        totals = table.totals(np.where(second, head / second.sum(), -base / (~second).sum()))
        units = table.n_groups
        error = math.sqrt(units / (units - 1) * float(totals @ totals))
        problem = EQUAL if _no_spread(error, float(np.abs(x).max())) else ""
        return Difference(value, error, units - 1, "paired-cluster", table.n, units, problem)
    variances, dfs = [], []
    for side in (~second, second):
        _, codes = np.unique(table.codes[side], return_inverse=True)
        arm = Table({"value": table.value[side]}, codes, int(codes.max()) + 1)
        if problem := too_few_groups(arm):
            return _none(found, value, "welch-cluster", problem)
        _, variance, df = mean_variance(arm, arm.value)
        variances.append(variance)
        dfs.append(df)
    return _welch(found, value, variances, dfs, "welch-cluster", table.n_groups)
