"""The jackknife: bias and standard error from leaving one unit out at a time.

Source: Efron & Tibshirani (1993), *An Introduction to the Bootstrap*, chapter 11; infinitesimal jackknife: Jaeckel
(1972), Bell Labs memorandum; Efron (1982), *The Jackknife, the Bootstrap and Other Resampling Plans*, chapter 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.robustness.statistics import Statistic, checked, cluster_rows
from ophamin.proof.errors import UsageError

__all__ = ["Jackknifed", "infinitesimal_error", "jackknife", "leave_one_out"]


@dataclass(frozen=True)
class Jackknifed:
    """What leaving one out showed.

    Args:
        value: The statistic of the data.
        bias: (n−1)(mean of the leave-one-out values − value).
        standard_error: √((n−1)/n Σ(θ₍ᵢ₎−mean)²).
        values: Leave-one-out values, shape (n,).
        influential: Unit whose absence moves the value most.
    """

    value: float
    bias: float
    standard_error: float
    values: Floats
    influential: int


def leave_one_out(
    data: Sequence[Floats], statistic: Statistic, members: Sequence[NDArray[np.intp]] | None = None
) -> Floats:
    """The statistic without each row, or without each cluster, in turn."""
    n = len(data[0])
    if members is not None:
        out = []
        for rows in members:
            keep = np.ones(n, dtype=bool)
            keep[rows] = False
            out.append(float(statistic.value(*(a[keep] for a in data))) if keep.any() else math.nan)
        return np.array(out)
    if statistic.name == "mean":
        return np.asarray((data[0].sum() - data[0]) / (n - 1), dtype=np.float64)
    if statistic.name == "ratio":
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((data[0].sum() - data[0]) / (data[1].sum() - data[1]), dtype=np.float64)
    found, step = [], max(1, 2_000_000 // n)
    for start in range(0, n, step):
        gone = np.arange(start, min(start + step, n))
        rows = np.arange(n - 1) + (np.arange(n - 1) >= gone[:, None])
        found.append(statistic.value(*(a[rows] for a in data)))
    return np.concatenate(found)


def jackknife(arrays: Sequence[Floats], statistic: Statistic, *, clusters: Sequence[Any] | None = None) -> Jackknifed:
    """Jackknife a statistic.

    It fails for statistics that are not smooth: of a median its standard error is not even consistent.

    Args:
        arrays: One array for each column of the statistic, each of shape (n,).
        statistic: What is jackknifed.
        clusters: Cluster of each row, left out whole.

    Raises:
        UsageError: Fewer than two units, or columns that do not fit.

    Example:
        >>> from ophamin.measuring.pillars.robustness.statistics import statistic_of
        >>> round(jackknife([np.array([1.0, 2.0, 4.0])], statistic_of("mean")).standard_error, 4)
        0.8819
    """
    data = [np.asarray(a, dtype=np.float64) for a in arrays]
    if (
        len(data) != statistic.columns
        or len({len(a) for a in data}) != 1
        or not all(np.isfinite(a).all() for a in data)
    ):
        raise UsageError(f"{statistic.name} takes {statistic.columns} column(s) of one length, of finite numbers")
    members = None if clusters is None else cluster_rows(clusters)
    n = len(data[0]) if members is None else len(members)
    if n < 2:
        raise UsageError("a jackknife needs at least two units")
    value, values = float(statistic.value(*data)), leave_one_out(data, statistic, members)
    mean = float(values.mean())
    error = math.sqrt((n - 1) / n * float(((values - mean) ** 2).sum()))
    return Jackknifed(value, (n - 1) * (mean - value), error, values, int(np.abs(values - value).argmax()))


def infinitesimal_error(arrays: Sequence[Floats], statistic: Statistic) -> float:
    """Standard error from the derivatives of the statistic in the weights of the rows, for a mean or a ratio.

    Args:
        arrays: Columns, each of shape (n,).
        statistic: ``mean`` or ``ratio``, whose weighted form is known.

    Raises:
        UsageError: Another statistic.
    """
    data = checked(arrays, statistic)
    if statistic.name not in ("mean", "ratio") or statistic.error is None:
        raise UsageError("an infinitesimal jackknife is offered for mean and ratio")
    return float(statistic.error(*data))
