"""pandas' CSV parser, told to read what is there: exact numbers, text as text, warnings as refusals."""

from __future__ import annotations

import codecs
import gzip
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["doubtful", "read_plain"]

_FIRST_ROWS = 200
# The default reads every number exactly from pandas 3.1 on, which deprecates saying so.
_EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}


def read_plain(path: Path, text: Collection[Any], missing: Mapping[Any, list[str]], **options: Any) -> pd.DataFrame:
    """The file as a frame in which the columns ``text`` are text and hold no missing values.

    Text columns are left to pandas' inference, which is four times faster than asking for them, but for those that the
    first rows show it would take for something else; where later rows do, all is read again.

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
        types = dict(options.pop("dtype", {}))
        frame: pd.DataFrame
        for rows in (_FIRST_ROWS, None, None):
            frame = pd.read_csv(path, na_values=missing, dtype=types, nrows=rows, **options)
            wrong = [name for name in text if not pd.api.types.is_string_dtype(frame[name].dtype)]
            if rows is None and not wrong:
                break
            types |= dict.fromkeys(wrong, str)
    if not isinstance(frame.index, pd.RangeIndex):  # what pandas makes of a first row with a field too many
        raise ValueError("a row wider than the header")
    return frame


def doubtful(path: Path, separator: str) -> bool:
    """Whether the (uncompressed) file holds what pandas reads silently and the row reader does not, or differently.

    pandas ends a field at a NUL, loses an empty row between carriage returns, and goes on after a closing quote that is
    followed by text. Counted from the
    beginning, every second quote closes a field or is the first of two that stand for one, so a separator, a line's end
    or another quote must follow it, and go before each of the others. Quotes within a field that does not begin with
    one are doubtful too; they cost the time of the row reader.
    """
    beside = np.zeros(256, dtype=bool)
    beside[list(f'\r\n"{separator}'.encode())] = True
    last, inside = b"\n", False
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        if file.read(3) != codecs.BOM_UTF8:
            file.seek(0)
        while chunk := file.read(1 << 20):
            while chunk.endswith((b'"', b"\r")) and (more := file.read(1)):  # what follows these is seen with them
                chunk += more
            if b"\0" in chunk or (b"\r" in chunk and chunk.count(b"\r") != chunk.count(b"\r\n")):
                return True
            if b'"' in chunk or inside:
                data = np.frombuffer(last + chunk + b"\n", dtype=np.uint8)
                quotes = np.flatnonzero(data[1:-1] == ord('"')) + 1
                opening, closing = quotes[inside::2], quotes[not inside :: 2]
                if not (beside[data[opening - 1]].all() and beside[data[closing + 1]].all()):
                    return True
                inside ^= bool(len(quotes) % 2)
            last = chunk[-1:]
    return False
