"""Statistics that are resampled for many samples at once: functions over the last axis.

A statistic of two columns takes them in the order (x, y). ``error`` is the plug-in standard error a studentised
bootstrap divides by, where it has a closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["STATISTICS", "Statistic", "checked", "cluster_rows", "statistic_of"]


@dataclass(frozen=True)
class Statistic:
    """A named statistic.

    Args:
        name: Its name.
        columns: How many columns it takes, 1 or 2.
        value: From arrays of shape (…, n) to (…).
        error: From the same to the standard error, or ``None``.
    """

    name: str
    columns: int
    value: Callable[..., Floats]
    error: Callable[..., Floats] | None = None


def _mean(x: Floats) -> Floats:
    return np.asarray(x.mean(axis=-1), dtype=np.float64)


def _mean_error(x: Floats) -> Floats:
    return np.asarray(x.std(axis=-1) / np.sqrt(x.shape[-1]), dtype=np.float64)


def _trimmed(x: Floats) -> Floats:
    n = x.shape[-1]
    cut = int(0.1 * n)
    return np.asarray(np.sort(x, axis=-1)[..., cut : n - cut].mean(axis=-1), dtype=np.float64)


def _sd(x: Floats) -> Floats:
    n = x.shape[-1]
    if n < 2:
        return np.full(x.shape[:-1], np.nan)
    return np.asarray(x.std(axis=-1, ddof=1), dtype=np.float64)


def _correlation(x: Floats, y: Floats) -> Floats:
    a, b = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
        return np.asarray((a * b).sum(axis=-1) / power, dtype=np.float64)


def _ratio(x: Floats, y: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(x.mean(axis=-1) / y.mean(axis=-1), dtype=np.float64)


def _ratio_error(x: Floats, y: Floats) -> Floats:
    ratio = _ratio(x, y)
    residual = x - ratio[..., None] * y
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = residual.std(axis=-1) / np.abs(y.mean(axis=-1))
    return np.asarray(spread / np.sqrt(x.shape[-1]), dtype=np.float64)


def _slope(x: Floats, y: Floats) -> Floats:
    a = x - x.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((a * y).sum(axis=-1) / (a * a).sum(axis=-1), dtype=np.float64)


def _intercept(x: Floats, y: Floats) -> Floats:
    return np.asarray(y.mean(axis=-1) - _slope(x, y) * x.mean(axis=-1), dtype=np.float64)


STATISTICS: Mapping[str, Statistic] = {
    s.name: s
    for s in (
        Statistic("mean", 1, _mean, _mean_error),
        Statistic("median", 1, lambda x: np.asarray(np.median(x, axis=-1), dtype=np.float64)),
        Statistic("trimmed_mean", 1, _trimmed),
        Statistic("sd", 1, _sd),
        Statistic("correlation", 2, _correlation),
        Statistic("ratio", 2, _ratio, _ratio_error),
        Statistic("slope", 2, _slope),
        Statistic("intercept", 2, _intercept),
    )
}
"""``trimmed_mean`` cuts 10 % at either end; ``ratio`` is mean(x)/mean(y); ``slope`` and ``intercept`` are of y on x."""


def checked(arrays: Sequence[ArrayLike], statistic: Statistic) -> list[Floats]:
    """The columns of a statistic as arrays.

    Raises:
        UsageError: Too many or too few columns, lengths that differ, or a value that is not finite.
    """
    data = [np.asarray(a, dtype=np.float64) for a in arrays]
    one_length = len({len(a) for a in data}) == 1
    if len(data) != statistic.columns or not one_length or not all(np.isfinite(a).all() for a in data):
        raise UsageError(f"{statistic.name} takes {statistic.columns} column(s) of one length, of finite numbers")
    return data


def cluster_rows(clusters: Sequence[Any]) -> list[NDArray[np.intp]]:
    """Rows of each cluster, in the order in which clusters first appear."""
    rows: dict[Any, list[int]] = {}
    for i, name in enumerate(clusters):
        rows.setdefault(name, []).append(i)
    return [np.array(r, dtype=np.intp) for r in rows.values()]


def statistic_of(name: str) -> Statistic:
    """A statistic by name.

    Raises:
        UsageError: No such statistic.
    """
    if name not in STATISTICS:
        raise UsageError(f"what is resampled is {', '.join(STATISTICS)}, not {name!r}")
    return STATISTICS[name]
