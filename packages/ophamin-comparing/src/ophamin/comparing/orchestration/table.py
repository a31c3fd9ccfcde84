"""The runs of a sweep as one table; pandas, with Parquet by pyarrow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ophamin.proof.atomic import write_atomic

__all__ = ["frame_of", "write_parquet"]

JSON = Any


def frame_of(record: Mapping[str, JSON]) -> pd.DataFrame:
    """One row a cell: its factors as ``factor.NAME``, then what became of it.

    Args:
        record: A ``sweep/1.0`` record.
    """
    rows = [
        {
            **{f"factor.{name}": value for name, value in cell["assignment"].items()},
            **{name: value for name, value in cell.items() if name != "assignment"},
        }
        for cell in record["cells"]
    ]
    return pd.DataFrame(rows)


def write_parquet(record: Mapping[str, JSON], path: Path) -> None:
    """Write the table, whole or not at all; a column of mixed types is written as JSON text.

    Raises:
        OSError: It cannot be written there.
    """
    frame = frame_of(record)
    for name in frame.columns:
        if frame[name].dtype == object and len({type(v) for v in frame[name] if v is not None}) > 1:
            frame[name] = [None if v is None else json.dumps(v) for v in frame[name]]
    whole: bytes = frame.to_parquet(None, index=False)
    write_atomic(path, whole)
