"""Price files as data frames: by pandas' own parser where a file is plain, else from the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ophamin.protocols import Record
from ophamin.seeing.corpus._financial_dates import DayOrder, decide_order, slashed
from ophamin.seeing.corpus._financial_forms import Form
from ophamin.seeing.corpus._financial_rows import MISSING
from ophamin.seeing.corpus._pandas_csv import doubtful, read_plain

__all__ = ["from_records", "joined", "quick"]

_FORMATS = {"": "%Y-%m-%d", "mdy": "%m/%d/%Y", "dmy": "%d/%m/%Y"}


def quick(path: Path, form: Form, order: DayOrder, price: str) -> pd.DataFrame | None:
    """The file's series, as ``from_records`` would give them, or ``None`` where only the row reader can tell.

    pandas' parser fills a short row with missing values, reads words as numbers and cannot see a repeated day, so
    whatever it leaves in doubt is refused here: a missing last cell, a number that is not finite, a day out of its
    format, two rows of one day.
    """
    if len(form.series) > 1 or form.time is not None or form.zero_is_missing:
        return None
    series = form.series[0]
    last = len(form.header) - 1
    text = [place for place in (form.date, form.instrument) if place is not None]
    missing = sorted(MISSING)
    try:
        if doubtful(path, form.separator):
            return None
        frame = read_plain(
            path,
            text,
            {place: missing for place in range(len(form.header)) if place not in text},
            sep=form.separator,
            header=0,
            names=list(range(len(form.header))),
            dtype=dict.fromkeys(series.columns.values(), "float64"),
        )
        if frame.empty or frame[last].isna().any():
            return None
        days = frame[form.date]
        if slashed(days.iloc[0]) and not order:
            order = decide_order(days.unique())
        dates = pd.to_datetime(days, format=_FORMATS[order], exact=True).to_numpy().astype("datetime64[s]")
    except (ValueError, OSError, EOFError, Warning):
        return None
    values = frame[list(series.columns.values())].to_numpy()
    if np.isinf(values).any():
        return None
    names = frame[form.instrument] if form.instrument is not None else None
    if names is not None and (names.str.strip() != names).any():
        return None
    rows = _ordered(dates, names)
    if rows is None:
        return None
    columns: dict[str, Any] = {"instrument": names if names is not None else form.series[0].name or form.fallback}
    columns |= {"date": dates, "value": frame[series.columns[price]]}
    columns |= {column: frame[place] for column, place in series.columns.items()}
    made = pd.DataFrame(columns)
    made = made if isinstance(rows, slice) else made.iloc[rows]
    return made.dropna(subset=["value"]) if made["value"].isna().any() else made


def _ordered(dates: np.ndarray[Any, Any], names: pd.Series[str] | None) -> slice | np.ndarray[Any, Any] | None:
    """Rows by instrument, then day; ``None`` when an instrument has two rows of one day."""
    codes = np.zeros(len(dates), dtype=np.intp) if names is None else pd.factorize(names)[0]
    found: slice | np.ndarray[Any, Any] = slice(None)
    step, later = np.diff(codes), np.diff(dates) > np.timedelta64(0, "s")
    if not ((step > 0) | ((step == 0) & later)).all():
        found = np.lexsort((dates, codes))
        step, later = np.diff(codes[found]), np.diff(dates[found]) > np.timedelta64(0, "s")
        if not ((step > 0) | later).all():
            return None
    if names is not None and (names == "").any():
        return None
    return found


def from_records(records: Iterable[Record]) -> pd.DataFrame:
    """One row for each record: instrument, date, value, and the payload's columns."""
    rows = [
        {
            "instrument": record.labels["instrument"],
            "date": np.datetime64(str(record.labels["date"]).removesuffix("Z"), "s"),
            "value": record.labels["value"],
            **record.payload,
        }
        for record in records
    ]
    if not rows:
        empty = {"instrument": np.array([], dtype=str), "date": np.array([], dtype="datetime64[s]")}
        return pd.DataFrame({**empty, "value": np.array([], dtype="float64")})
    frame = pd.DataFrame(rows)
    for column in frame.columns.difference(["instrument", "date", "gap"]):
        frame[column] = frame[column].astype("float64")
    return frame


def joined(frames: Sequence[pd.DataFrame], files: Sequence[str]) -> pd.DataFrame:
    """All files below each other, in a column ``file`` (categorical) their names."""
    sizes = [len(frame) for frame in frames]
    filled = [frame for frame in frames if len(frame)] or list(frames[:1])  # an empty one has no say in the types
    whole = pd.concat(filled, ignore_index=True)
    codes = np.repeat(np.arange(len(files)), sizes)
    names = pd.Categorical.from_codes(codes, pd.Index(list(files)))
    whole.insert(0, "file", pd.Series(names, index=whole.index))
    return whole
