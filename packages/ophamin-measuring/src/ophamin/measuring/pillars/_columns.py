"""Reading a table as arrays: what every pillar does before it calls its library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns

__all__ = ["Floats", "complete", "labels", "numbers", "require"]

Floats = NDArray[np.float64]


def require(pillar: str, columns: Columns, *names: str) -> None:
    """Go on when the named columns are there and all columns have one length.

    Raises:
        UsageError: A column is missing, or lengths differ.
    """
    missing = [name for name in names if name not in columns]
    if missing:
        there = ", ".join(columns) or "none"
        raise UsageError(f"{pillar} needs the column {', '.join(map(repr, missing))}; there are: {there}")
    if len({len(column) for column in columns.values()}) > 1:
        raise UsageError("the columns of one table must have equal lengths")


def numbers(pillar: str, columns: Columns, name: str) -> Floats:
    """One column as floats, missing as NaN; booleans are 0 and 1.

    Raises:
        UsageError: The column is missing, or holds text, an infinite value or a NaN that is not ``None``.
    """
    require(pillar, columns, name)
    values = []
    for row, value in enumerate(columns[name]):
        if value is None:
            values.append(np.nan)
            continue
        try:
            number = float("nan" if isinstance(value, str) else value)
        except (TypeError, ValueError):
            number = float("nan")
        if not np.isfinite(number):
            raise UsageError(f"column {name!r} holds {value!r} in row {row + 1}; {pillar} needs finite numbers or None")
        values.append(number)
    return np.array(values, dtype=np.float64)


def labels(pillar: str, columns: Columns, name: str) -> NDArray[np.object_]:
    """One column as it is (text, numbers), missing as ``None``.

    Raises:
        UsageError: The column is missing.
    """
    require(pillar, columns, name)
    array = np.empty(len(columns[name]), dtype=object)
    array[:] = list(columns[name])
    return array


def complete(**arrays: NDArray[Any]) -> tuple[Mapping[str, NDArray[Any]], int]:
    """The rows in which nothing is missing, and how many were left out (listwise deletion).

    Args:
        **arrays: Equal-length arrays of floats (missing NaN) or objects (missing ``None``).
    """
    keep = np.ones(len(next(iter(arrays.values()))), dtype=bool)
    for array in arrays.values():
        keep &= np.array([v is not None for v in array], bool) if array.dtype == object else ~np.isnan(array)
    return {name: array[keep] for name, array in arrays.items()}, int((~keep).sum())
