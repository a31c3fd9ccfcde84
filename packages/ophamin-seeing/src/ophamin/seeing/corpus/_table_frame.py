"""A table as a data frame: by pandas' own parser where the file leaves no doubt, else from the records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ophamin.seeing.corpus._pandas_csv import doubtful, read_plain

__all__ = ["from_rows", "quick"]


def quick(path: Path, header: Sequence[str], separator: str, text: Collection[str], unique: str) -> pd.DataFrame | None:
    """The file as pandas reads it, or ``None`` where its reading could differ from the row reader's.

    pandas fills a short row with missing values silently and cannot see that an id comes twice; for what else it takes
    without a word see ``doubtful``.

    Args:
        path: CSV file, UTF-8, perhaps gzip.
        header: Its columns.
        separator: One character.
        text: Columns that stay text.
        unique: Column of ids, or "".
    """
    missing = {name: [""] for name in header if name not in text}
    try:
        if doubtful(path, separator):
            return None
        frame = read_plain(path, text, missing, sep=separator)
    except (ValueError, OSError, EOFError, Warning):
        return None
    last = frame[header[-1]]
    short = last.isna() if last.dtype.kind in "fiub" else last.isna() | (last == "")
    if short.any() or any(np.isinf(frame[name]).any() for name in header if frame[name].dtype.kind == "f"):
        return None
    if unique and (not frame[unique].is_unique or (frame[unique] == "").any()):
        return None
    return frame


def from_rows(rows: Sequence[Mapping[str, Any]], header: Sequence[str]) -> pd.DataFrame:
    """A frame of the rows, its columns in the file's order."""
    return pd.DataFrame.from_records([dict(row) for row in rows], columns=list(header) or None)
