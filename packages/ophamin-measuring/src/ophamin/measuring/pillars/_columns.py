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
LARGEST, SMALLEST = 1e150, 1e-150
"""Beyond these the square of a number is no number any more, so nothing that has a variance can be computed."""


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
        UsageError: The column is missing, or holds text, an infinite value, a NaN that is not ``None``, or numbers
            whose squares cannot be told apart from infinity or 0.
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
        except OverflowError:  # an integer beyond all floats
            number = float("inf")
        if not np.isfinite(number):
            raise UsageError(
                f"column {name!r} holds {_short(value)} in row {row + 1}; {pillar} needs finite numbers or None"
            )
        values.append(number)
    array = np.array(values, dtype=np.float64)
    greatest = np.nanmax(np.abs(array), initial=0.0)
    if greatest > LARGEST or 0 < greatest < SMALLEST:
        raise UsageError(f"column {name!r} reaches {greatest:g}, whose square is no number; give it in other units")
    return array


def _short(value: Any) -> str:
    words = "a number beyond all floats" if isinstance(value, int) and value.bit_length() > 1100 else repr(value)
    return words if len(words) <= 60 else f"{words[:59]}…"


def labels(pillar: str, columns: Columns, name: str) -> NDArray[np.object_]:
    """One column as it is (text, numbers), missing as ``None``.

    Raises:
        UsageError: The column is missing, or holds lists, mappings or a NaN that is not ``None``.
    """
    require(pillar, columns, name)
    array = np.empty(len(columns[name]), dtype=object)
    for row, value in enumerate(columns[name]):
        if isinstance(value, (list, dict, set)) or value != value:
            raise UsageError(
                f"column {name!r} holds {_short(value)} in row {row + 1}; {pillar} needs text, numbers or None there"
            )
        array[row] = value
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
