"""How rows are cut into folds, by scikit-learn's splitters; folds given by hand count as one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    RepeatedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from ophamin.proof.errors import UsageError

__all__ = ["SCHEMES", "Split", "given_folds", "splits"]

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
SCHEMES = ("k-fold", "repeated", "stratified", "group", "leave-one-group-out", "time-series", "leave-one-out")


def given_folds(fold: ArrayLike) -> list[Split]:
    """Folds named row by row; each in turn is tested, in sorted order.

    Raises:
        UsageError: Fewer than two folds.
    """
    names = np.asarray(fold)
    chosen = np.unique(names)
    if len(chosen) < 2:
        raise UsageError("cross-validation needs at least two folds")
    return [(np.flatnonzero(names != f), np.flatnonzero(names == f)) for f in chosen]


def splits(
    scheme: str,
    n: int,
    *,
    folds: int = 5,
    repeats: int = 10,
    shuffle: bool = True,
    seed: int = 0,
    target: ArrayLike | None = None,
    groups: Sequence[Any] | None = None,
) -> list[Split]:
    """Train and test rows of every split.

    Args:
        scheme: One of :data:`SCHEMES`.
        n: Rows.
        folds: k.
        repeats: For ``repeated``.
        shuffle: For ``k-fold`` and ``stratified``; unshuffled folds of rows in time order measure drift.
        seed: Of the shuffling.
        target: For ``stratified``: the classes.
        groups: For the group schemes: the group of each row.

    Raises:
        UsageError: An unknown scheme, too few rows or groups, or groups or classes that are missing.
    """
    if scheme not in SCHEMES:
        raise UsageError(f"folds are cut by {', '.join(SCHEMES)}, not {scheme!r}")
    if scheme in ("group", "leave-one-group-out") and groups is None:
        raise UsageError(f"{scheme} needs the group of each row")
    if scheme == "stratified" and target is None:
        raise UsageError("stratified folds need the class of each row")
    seeded = seed if shuffle else None
    maker: Any = {
        "k-fold": lambda: KFold(folds, shuffle=shuffle, random_state=seeded),
        "repeated": lambda: RepeatedKFold(n_splits=folds, n_repeats=repeats, random_state=seed),
        "stratified": lambda: StratifiedKFold(folds, shuffle=shuffle, random_state=seeded),
        "group": lambda: GroupKFold(folds),
        "leave-one-group-out": LeaveOneGroupOut,
        "time-series": lambda: TimeSeriesSplit(folds),
        "leave-one-out": LeaveOneOut,
    }[scheme]
    grouped = scheme in ("group", "leave-one-group-out")
    names = (
        None
        if groups is None or not grouped
        else np.unique(np.asarray([str(g) for g in groups]), return_inverse=True)[1]
    )
    try:
        return [
            (train, test)
            for train, test in maker().split(np.zeros((n, 1)), target if scheme == "stratified" else None, names)
        ]
    except ValueError as error:
        raise UsageError(f"these rows cannot be cut by {scheme}: {error}") from error
