"""Models as matrices: factors in treatment or sum contrasts, fixed terms by name, random terms by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["STRUCTURES", "Fixed", "Random", "coded", "fixed_design", "random_design"]

STRUCTURES = ("intercept", "slope", "slope-uncorrelated", "nested", "crossed")
"""Random parts: (1|g), (t|g), (t||g), (1|g) + (1|g:h), (1|g) + (1|h)."""

MOST_CELLS = 30_000_000
"""Cells of the random cross-products that are held at once (240 MB)."""


def coded(column: Sequence[Any] | NDArray[Any]) -> tuple[list[str], NDArray[np.intp]]:
    """Levels in order (numbers by size, text by alphabet) and the level of each row, from 0.

    Args:
        column: Labels without missing values, shape (n,).

    Example:
        >>> coded([10, 2, 10])[0]
        ['2', '10']
    """
    if isinstance(column, np.ndarray) and column.dtype != object:
        values = column
        if values.dtype.kind in "iu" and len(values):
            low, high = int(values.min()), int(values.max())
            if high - low < len(values):  # a table of all numbers between is smaller than the column: nothing to search
                return _counted(values, low)
    else:
        values = np.empty(len(column), dtype=object)
        values[:] = list(column)
    codes, seen = pd.factorize(values)
    number = all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in seen)
    names = [str(v) for v in seen]
    order = (
        sorted(range(len(seen)), key=lambda i: seen[i]) if number else sorted(range(len(seen)), key=lambda i: names[i])
    )
    place = np.empty(len(seen), dtype=np.intp)
    place[order] = np.arange(len(seen))
    return [names[i] for i in order], place[codes]


def _counted(values: NDArray[Any], low: int) -> tuple[list[str], NDArray[np.intp]]:
    """Levels and codes of whole numbers that lie close together."""
    # Unsigned numbers may lie beyond all signed ones; the differences of small signed ones beyond their own type.
    codes = (values - values.dtype.type(low) if values.dtype.kind == "u" else values).astype(np.intp)
    if values.dtype.kind == "i":
        codes -= low
    there = np.bincount(codes) > 0
    names = [str(low + i) for i in np.flatnonzero(there).tolist()]
    return names, codes if there.all() else (np.cumsum(there) - 1)[codes]


@dataclass(frozen=True)
class Fixed:
    """Fixed effects as columns.

    Args:
        names: Names of the columns; ``intercept`` first, a factor's level as ``factor[level]``.
        matrix: Shape (n, p), of full column rank.
        aliased: Columns left out because the ones before determine them.
        terms: Names of the covariates and factors each column belongs to: none for the intercept, two for a product.
    """

    names: list[str]
    matrix: Floats
    aliased: list[str]
    terms: list[tuple[str, ...]]


def fixed_design(
    n: int, numeric: Mapping[str, Floats], factors: Mapping[str, Sequence[Any]], *, interactions: bool = False
) -> Fixed:
    """Intercept, numbers as they are, factors in treatment contrasts (first level as reference).

    Args:
        n: Rows.
        numeric: Covariates by name, shape (n,) each.
        factors: Labels by name, shape (n,) each.
        interactions: Whether every product of two terms enters, too.
    """
    terms: list[list[tuple[str, Floats]]] = [[(name, np.asarray(x, float))] for name, x in numeric.items()]
    for name, column in factors.items():
        levels, codes = coded(column)
        terms.append([(f"{name}[{level}]", (codes == i).astype(float)) for i, level in enumerate(levels) if i])
    columns = [("intercept", np.ones(n)), *(column for term in terms for column in term)]
    of: list[tuple[str, ...]] = [
        (),
        *((name,) for name, term in zip([*numeric, *factors], terms, strict=True) for _ in term),
    ]
    if interactions:
        for (a_name, one), (b_name, other) in combinations(zip([*numeric, *factors], terms, strict=True), 2):
            columns += [(f"{a}:{b}", x * z) for a, x in one for b, z in other]
            of += [(a_name, b_name)] * (len(one) * len(other))
    matrix = np.column_stack([x for _, x in columns])
    keep = _independent(matrix)
    names = [name for name, _ in columns]
    return Fixed(
        [c for c, k in zip(names, keep, strict=True) if k],
        matrix[:, keep],
        [c for c, k in zip(names, keep, strict=True) if not k],
        [term for term, k in zip(of, keep, strict=True) if k],
    )


def _independent(matrix: Floats) -> NDArray[np.bool_]:
    """Columns that those before them do not determine, as R drops them: by what orthogonalisation leaves of each."""
    keep = np.zeros(matrix.shape[1], dtype=bool)
    basis = np.zeros((len(matrix), 0))
    for j in range(matrix.shape[1]):
        column = matrix[:, j]
        size = float(np.linalg.norm(column))
        left = column - basis @ (basis.T @ column)
        left -= basis @ (basis.T @ left)
        rest = float(np.linalg.norm(left))
        if size > 0 and rest > 1e-9 * size and basis.shape[1] < len(matrix):
            keep[j] = True
            basis = np.column_stack([basis, left / rest])
    return keep


@dataclass(frozen=True)
class Random:
    """Random effects: which columns of a block each row loads on, and how the parameters make their covariance.

    Args:
        structure: One of :data:`STRUCTURES`.
        block: Independent block of each row, from 0, shape (n,).
        column: Columns of Z inside the block that the row loads on, shape (n, m).
        loading: With what weight, shape (n, m).
        k: Columns of Z of the widest block.
        root: Parameters → relative covariance factor Λ, shape (k, k); the effects have covariance σ²ΛΛ'.
        nonnegative: Which parameters have 0 as their least value.
        names: Name of each standard deviation, without the residual's.
        transform: What takes (intercept, slope) as fitted to the units of the table, or ``None``.
        levels: Names of the units of each standard deviation's term.
        units: Position (block, column) of the units of each term, one array of shape (units, 2) per term.
    """

    structure: str
    block: NDArray[np.intp]
    column: NDArray[np.intp]
    loading: Floats
    k: int
    root: Callable[[Floats], Floats]
    nonnegative: tuple[bool, ...]
    names: tuple[str, ...]
    transform: Floats | None
    levels: tuple[list[str], ...]
    units: tuple[NDArray[np.intp], ...]

    @property
    def blocks(self) -> int:
        """Independent blocks."""
        return int(self.block.max()) + 1


def _diagonal(theta: Floats) -> Floats:
    return np.asarray(np.diag(theta))


def _correlated(theta: Floats) -> Floats:
    return np.array([[theta[0], 0.0], [theta[1], theta[2]]])


def random_design(
    structure: str,
    group: Sequence[Any],
    *,
    slope: Floats | None = None,
    second: Sequence[Any] | None = None,
    names: tuple[str, str, str] = ("group", "time", "group_2"),
) -> Random:
    """The random part of a model.

    Args:
        structure: One of :data:`STRUCTURES`.
        group: Grouping of each row, shape (n,).
        slope: What the slope of each group is on, shape (n,).
        second: Second grouping, shape (n,): inside the first (``nested``) or across it (``crossed``).
        names: What group, slope and second grouping are called.

    Raises:
        UsageError: An unknown structure, what it needs is not there, or it is too big to be held.
    """
    if structure not in STRUCTURES:
        raise UsageError(f"a random part is one of {', '.join(STRUCTURES)}, not {structure!r}")
    if structure.startswith("slope") and slope is None:
        raise UsageError(f"the random part {structure!r} needs the column {names[1]!r}")
    if structure in ("nested", "crossed") and second is None:
        raise UsageError(f"the random part {structure!r} needs the column {names[2]!r}")
    levels, codes = coded(group)
    n, first = len(codes), names[0]
    ones = np.ones(n)
    each = np.column_stack([np.arange(len(levels), dtype=np.intp), np.zeros(len(levels), np.intp)])
    if structure == "intercept":
        return Random(
            structure, codes, np.zeros((n, 1), np.intp), ones[:, None], 1, lambda t: t.reshape(1, 1), (True,),
            (f"{first}:intercept",), None, (levels,), (each,),
        )  # fmt: skip
    if slope is not None and structure.startswith("slope"):
        x = np.asarray(slope, float)
        scale = float(x.std()) or 1.0
        # Centring changes what "uncorrelated" means, so that model is only scaled.
        centre = float(x.mean()) if structure == "slope" else 0.0
        correlated = structure == "slope"
        return Random(
            structure, codes, np.tile(np.arange(2), (n, 1)), np.column_stack([ones, (x - centre) / scale]), 2,
            _correlated if correlated else _diagonal, (True, False, True) if correlated else (True, True),
            (f"{first}:intercept", f"{first}:{names[1]}"), np.array([[1.0, -centre / scale], [0.0, 1.0 / scale]]),
            (levels, levels), (each, each + np.array([[0, 1]])),
        )  # fmt: skip
    assert second is not None
    inner, inner_codes = coded(second)
    if structure == "crossed":
        a, b = len(levels), len(inner)
        _fits(1, a + b)
        spread = np.repeat([0, 1], [a, b])
        column = np.column_stack([codes, a + inner_codes])
        units = (np.column_stack([np.zeros(a, np.intp), np.arange(a)]),
                 np.column_stack([np.zeros(b, np.intp), a + np.arange(b)]))  # fmt: skip
        return Random(
            structure, np.zeros(n, np.intp), column, np.ones((n, 2)), a + b, lambda t: np.diag(t[spread]),
            (True, True), (f"{first}:intercept", f"{names[2]}:intercept"), None, (levels, inner), units,
        )  # fmt: skip
    pairs, pair = np.unique(codes * len(inner) + inner_codes, return_inverse=True)
    outer_of_pair = pairs // len(inner)
    rank = np.arange(len(pairs)) - np.searchsorted(outer_of_pair, outer_of_pair)
    k = 1 + int(rank.max()) + 1
    _fits(len(levels), k)
    spread = np.repeat([0, 1], [1, k - 1])
    column = np.column_stack([np.zeros(n, np.intp), 1 + rank[pair]])
    inside = [f"{levels[p // len(inner)]}:{inner[p % len(inner)]}" for p in pairs]
    return Random(
        structure, codes, column, np.ones((n, 2)), k, lambda t: np.diag(t[spread]), (True, True),
        (f"{first}:intercept", f"{first}:{names[2]}:intercept"), None, (levels, inside),
        (each, np.column_stack([outer_of_pair, 1 + rank])),
    )  # fmt: skip


def _fits(blocks: int, k: int) -> None:
    if blocks * k * k > MOST_CELLS:
        raise UsageError(
            f"{blocks} blocks of {k} random effects are too many to be held at once; sample groups, or name the "
            "smaller grouping as the second one"
        )
