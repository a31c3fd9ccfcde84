"""Distribution drift of a table: the current rows against reference rows, column by column and jointly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ophamin.comparing.drift.family import Correction, adjusted
from ophamin.comparing.drift_detection.distance import Distance, categories, numbers, p_beyond, p_within
from ophamin.comparing.drift_detection.mmd import MMD, mmd
from ophamin.proof.errors import MissingDependency, UsageError

try:
    import pandas as pd
except ImportError as error:
    raise MissingDependency("drift of a table", "pandas", "ophamin-comparing[table]") from error

__all__ = ["ColumnDrift", "TableDrift", "read_table", "table_drift"]

State = Literal["drift", "stable", "undecided"]
METHODS: tuple[Correction, ...] = ("by", "bh")
"""Of a false discovery rate: whatever the dependence of columns, or for independent and positively dependent ones."""
_MOST_CATEGORIES = 1_000
_LARGEST = 1e150


@dataclass(frozen=True)
class ColumnDrift:
    """One column, reference against current.

    Args:
        name: Of the column; with ``(missing)`` behind it when it is whether there is a value.
        kind: ``number``, ``category`` or ``missing``.
        n: Rows of either side with a value.
        distance: How far they lie apart.
        lower, upper: One-sided bounds of the effect at α, of this column alone.
        p_beyond, p_within: Against an effect of at most, and of at least, the smallest one; of this column alone.
        p_drift, p_stable: The same, adjusted over all columns.
        state: ``drift``, ``stable`` or ``undecided``.
    """

    name: str
    kind: str
    n: tuple[int, int]
    distance: Distance
    lower: float
    upper: float
    p_beyond: float
    p_within: float
    p_drift: float
    p_stable: float
    state: State


@dataclass(frozen=True)
class TableDrift:
    """What drifted.

    Args:
        columns: In the order of the reference; before a column with missing values stands their share.
        only_reference, only_current: Columns one side alone has.
        skipped: Columns that cannot be compared, with the reason.
        joint: The joint test of the numeric columns; ``None`` with fewer than two, or too few complete rows.
        alpha, smallest, method: As asked.
        units: Rows of either side after one was drawn of each group.
    """

    columns: Sequence[ColumnDrift]
    only_reference: Sequence[str]
    only_current: Sequence[str]
    skipped: Sequence[tuple[str, str]]
    joint: MMD | None
    alpha: float
    smallest: float
    method: str
    units: tuple[int, int]


def read_table(path: Path) -> tuple[pd.DataFrame, str]:
    """A CSV, JSON-lines or Parquet file, and the ``sha256:…`` of its bytes.

    Raises:
        UsageError: It cannot be read as what its name says.
        MissingDependency: Parquet without pyarrow.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        elif path.suffix in (".jsonl", ".ndjson"):
            frame = pd.read_json(path, lines=True)
        else:
            # Only what is empty is missing: a ticker NA is a ticker.
            frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except ImportError as error:
        raise MissingDependency("reading Parquet", "pyarrow", "ophamin-comparing[table]") from error
    except (OSError, ValueError, pd.errors.ParserError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise UsageError(f"{path} cannot be read as a table: {reason}") from error
    if not len(frame):
        raise UsageError(f"{path} has no rows")
    return frame, f"sha256:{digest}"


def table_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    alpha: float = 0.05,
    smallest: float = 0.1,
    method: Correction = "by",
    group: str | None = None,
    seed: int = 0,
    joint: bool = True,
) -> TableDrift:
    """Compare two tables column by column.

    A column's effect is the largest difference of a share: how much more of one table than of the other lies below some
    value (numbers), or in some set of categories. It *drifted* when the effect is shown to be more than ``smallest``,
    and is *stable* when it is shown to be less; both at α over all columns.

    Args:
        reference: Rows taken as they should be.
        current: Rows to compare.
        alpha: Share of wrong findings that is accepted among all findings, for either word.
        smallest: Smallest effect that matters, between 0 and 1.
        method: ``by`` (any dependence between columns) or ``bh``.
        group: Column of the unit rows are drawn in (a user, a session); one row of each is taken, seeded.
        seed: Of that draw and of the joint test.
        joint: Whether to test all numeric columns together.

    Raises:
        UsageError: No common column, an unknown group, or numbers out of range.

    Example:
        >>> frame = pd.DataFrame({"a": range(4000), "b": ["x", "y"] * 2000})
        >>> [c.state for c in table_drift(frame, frame.assign(a=frame.a + 2000)).columns]
        ['drift', 'stable']
    """
    if not 0 < alpha < 0.5 or not 0 < smallest < 1:
        raise UsageError(
            f"alpha lies between 0 and 0.5 and the smallest effect between 0 and 1, not {alpha}, {smallest}"
        )
    if method not in METHODS:
        raise UsageError(f"the correction is {' or '.join(METHODS)}, not {method!r}")
    for what, frame in (("reference", reference), ("current table", current)):
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise UsageError(f"the {what} has two columns {twice!r}; a column is compared by its name")
    rng = np.random.default_rng(seed)
    if group is not None:
        for what, frame in (("reference", reference), ("current table", current)):
            if group not in frame.columns:
                raise UsageError(
                    f"the {what} has no column {group!r} to group by; it has {', '.join(frame.columns[:8])}"
                )
        reference, current = (_one_of_each(frame, group, rng) for frame in (reference, current))
    common = [c for c in reference.columns if c in current.columns and c != group]
    if not common:
        raise UsageError("the two tables have no column in common")
    found: list[tuple[str, str, tuple[int, int], Distance]] = []
    skipped: list[tuple[str, str]] = []
    numeric: list[str] = []
    for name in common:
        if reference[name].isna().any() or current[name].isna().any():
            found.append(
                (
                    f"{name} (missing)",
                    "missing",
                    (len(reference), len(current)),
                    _missing(reference[name], current[name]),
                )
            )
        one = _column(reference[name].dropna(), current[name].dropna())
        if isinstance(one, str):
            skipped.append((str(name), one))
            continue
        kind, distance, n = one
        numeric += [name] if kind == "number" else []
        found.append((str(name), kind, n, distance))
    raw = [(p_beyond(d, smallest), p_within(d, smallest)) for *_, d in found]
    p_drift, p_stable = (adjusted(p, method) for p in ([b for b, _ in raw], [w for _, w in raw]))
    columns = [
        ColumnDrift(
            name, kind, n, d, max(0.0, d.effect - d.margin(alpha)), min(1.0, d.effect + d.margin(alpha)), *alone, p, q,
            "drift" if p <= alpha else "stable" if q <= alpha else "undecided",
        )
        for (name, kind, n, d), alone, p, q in zip(found, raw, p_drift, p_stable, strict=True)
    ]  # fmt: skip
    return TableDrift(
        columns,
        [str(c) for c in reference.columns if c not in current.columns],
        [str(c) for c in current.columns if c not in reference.columns],
        skipped,
        _joint(reference, current, numeric, seed) if joint else None,
        alpha,
        smallest,
        method,
        (len(reference), len(current)),
    )


def _one_of_each(frame: pd.DataFrame, group: str, rng: np.random.Generator) -> pd.DataFrame:
    shuffled = frame.iloc[rng.permutation(len(frame))]
    return shuffled.drop_duplicates(group)


def _missing(reference: Any, current: Any) -> Distance:
    counts = [np.array([int(s.notna().sum()), int(s.isna().sum())]) for s in (reference, current)]
    return categories(counts[0], counts[1])


def _column(x: Any, y: Any) -> tuple[str, Distance, tuple[int, int]] | str:
    """Kind, distance and rows of one column, or why there is none."""
    n = (len(x), len(y))
    if not n[0] or not n[1]:
        return "one side has no value in it"
    plain = [pd.api.types.is_numeric_dtype(s) and not pd.api.types.is_bool_dtype(s) for s in (x, y)]
    if all(plain):
        a, b = (s.to_numpy(dtype=float) for s in (x, y))
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return "it holds infinite numbers"
        if max(float(np.abs(a).max()), float(np.abs(b).max())) > _LARGEST:
            return f"it holds numbers beyond {_LARGEST:g}, whose squares are none"
        return "number", numbers(a, b), n
    if any(plain):
        return "it holds numbers on one side and something else on the other"
    codes, names = pd.factorize(pd.concat([x.astype(str), y.astype(str)]))
    if len(names) > _MOST_CATEGORIES:
        return f"it has {len(names)} different values, more than {_MOST_CATEGORIES} categories"
    counts = [np.bincount(part, minlength=len(names)) for part in (codes[: n[0]], codes[n[0] :])]
    return "category", categories(counts[0], counts[1]), n


def _joint(reference: pd.DataFrame, current: pd.DataFrame, numeric: Sequence[str], seed: int) -> MMD | None:
    if len(numeric) < 2:
        return None
    x, y = (frame[list(numeric)].dropna().to_numpy(dtype=float) for frame in (reference, current))
    return mmd(x, y, seed=seed) if min(len(x), len(y)) >= 20 else None
