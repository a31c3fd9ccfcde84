"""pandas' CSV parser, told to read what is there: exact numbers, text as text, warnings as refusals."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["has_nul", "read_plain"]

# The default reads every number exactly from pandas 3.1 on, which deprecates saying so.
_EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}


def read_plain(path: Path, text: Collection[Any], missing: Mapping[Any, list[str]], **options: Any) -> pd.DataFrame:
    """The file as a frame in which the columns ``text`` are text and hold no missing values.

    Text columns are left to pandas' inference first, which is four times faster than asking for them, and read again as
    text where it took one for something else.

    Args:
        path: CSV file, UTF-8, perhaps gzip.
        text: Columns that are text whatever they spell.
        missing: For every other column, what stands for a missing value.
        options: Of ``pandas.read_csv``.

    Raises:
        ValueError: The file is not plain; also any warning of pandas.
    """
    options |= {"encoding": "utf-8-sig", "keep_default_na": False, "low_memory": False, **_EXACT}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame: pd.DataFrame = pd.read_csv(path, na_values=missing, **options)
        wrong = [name for name in text if not pd.api.types.is_string_dtype(frame[name].dtype)]
        if wrong:
            types = {**options.pop("dtype", {}), **dict.fromkeys(wrong, str)}
            frame = pd.read_csv(path, na_values=missing, dtype=types, **options)
    if not isinstance(frame.index, pd.RangeIndex):  # what pandas makes of a first row with a field too many
        raise ValueError("a row wider than the header")
    return frame


def has_nul(path: Path) -> bool:
    """Whether there is a NUL in the (uncompressed) file: pandas silently ends a field at one."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        return any(b"\0" in chunk for chunk in iter(lambda: file.read(1 << 20), b""))
