"""A file of results as columns: CSV, TSV, JSON lines or Parquet, by pandas."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import Columns

__all__ = ["read_frame", "read_table"]

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_LINES = (".jsonl", ".ndjson")
_FORMS = "*.csv, *.tsv, *.jsonl, *.ndjson (each also .gz) or *.parquet"


def read_frame(path: Path) -> pd.DataFrame:
    """One file as a frame; only an empty cell is missing, and text such as ``NA`` stays text.

    Raises:
        UsageError: No such file, another form, or a malformed one.
        MissingDependency: Parquet without pyarrow.
    """
    form = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    try:
        if form in _SEPARATORS:
            frame = pd.read_csv(
                path,
                sep=_SEPARATORS[form],
                keep_default_na=False,
                na_values=[""],
                low_memory=False,
                encoding="utf-8-sig",
            )
        elif form in _LINES:
            frame = _json_lines(path)
        elif form == ".parquet":
            frame = pd.read_parquet(path)
        else:
            raise UsageError(f"{path} is not of a known form; name a file {_FORMS}")
    except ImportError as error:
        raise MissingDependency("reading Parquet", "pyarrow", "pyarrow") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text; convert it, e.g. by iconv -f latin1 -t utf-8") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError) as error:
        raise UsageError(f"{path} is malformed: {str(error).splitlines()[0]}") from error
    frame.columns = [str(name) for name in frame.columns]
    return frame


def _json_lines(path: Path) -> pd.DataFrame:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        rows = [json.loads(line.decode("utf-8-sig")) for line in file if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a JSON object is needed on every line")
    return pd.DataFrame(rows)


def read_table(path: Path, mapping: Mapping[str, str], wanted: Iterable[str]) -> Columns:
    """The wanted columns of a file, as lists with ``None`` for what is missing.

    Args:
        path: The file.
        mapping: Wanted name → column of the file; a name not in it is looked for as it is.
        wanted: Names a pillar or an estimator may ask for; those the file lacks are left out.

    Raises:
        UsageError: As :func:`read_frame`, or a mapping that names what is not there.
    """
    frame = read_frame(path)
    wanted = list(wanted)
    for name, column in mapping.items():
        if column not in frame.columns:
            near = get_close_matches(column, list(frame.columns), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(frame.columns)}"
            raise UsageError(f"{path} has no column {column!r}; {hint}")
        if wanted and name not in wanted:
            raise UsageError(f"no column is called {name!r} here; there are: {', '.join(wanted)}")
    chosen = {name: mapping.get(name, name) for name in [*wanted, *mapping]}
    return {name: _plain(frame[column]) for name, column in chosen.items() if column in frame.columns}


def _plain(column: Any) -> list[Any]:
    missing = column.isna()
    return [None if gone else value for value, gone in zip(column.tolist(), missing.tolist(), strict=True)]
