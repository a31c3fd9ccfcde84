"""Factorial analysis of variance: sums of squares of types I, II and III, with every interaction or up to an order."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from numpy.typing import ArrayLike
from scipy.stats import f as fisher
from statsmodels.stats.anova import anova_lm

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars._evidence import OWN
from ophamin.measuring.pillars.mixed_effects.design import coded
from ophamin.proof.errors import UsageError

__all__ = ["Factorial", "Term", "factorial", "sum_contrasts"]

WIDEST = 2000
"""Most parameters of a model: interactions of factors with many levels would fill any memory."""


@dataclass(frozen=True)
class Term:
    """One line of the table.

    Args:
        name: Factors joined by ``:``.
        sum_of_squares: Sum of squares.
        df: Degrees of freedom that the other terms leave it; 0 when aliased.
        f: F; NaN where there is none.
        p_value: p-value; NaN where there is none.
        partial_eta2: SS/(SS + residual SS).
    """

    name: str
    sum_of_squares: float
    df: int
    f: float
    p_value: float
    partial_eta2: float


@dataclass(frozen=True)
class Factorial:
    """A factorial analysis of variance.

    Args:
        terms: Its lines, main effects first.
        residual_ss: Residual sum of squares.
        residual_df: Its degrees of freedom.
        balanced: Whether all cells hold equally many rows; the three types then agree.
        empty_cells: Combinations of levels without a row.
        library: Who computed it.
    """

    terms: list[Term]
    residual_ss: float
    residual_df: int
    balanced: bool
    empty_cells: int
    library: str


def factorial(
    value: ArrayLike,
    factors: Mapping[str, Sequence[Any]],
    *,
    type: int = 2,
    order: int | None = None,
    block: Sequence[Any] | None = None,
) -> Factorial:
    """Divide the variance of an experiment among its factors.

    Factors enter in sum contrasts, without which type III is wrong. Where some terms determine others (empty cells,
    confounding) statsmodels would report them with one degree of freedom and an F of noise; they are then computed here
    by comparing models, and an aliased term has none.

    Args:
        value: Outcomes, shape (n,).
        factors: Labels by name, shape (n,) each; numbers are taken as labels.
        type: Type of the sums of squares: 1 (sequential), 2 (each term given those that do not contain it) or 3.
        order: Highest order of interactions; default: all.
        block: Block of each row, a term of its own that enters first and does not interact.

    Raises:
        UsageError: Malformed arguments, no residual degrees of freedom, or type III with aliased terms.

    Source: Langsrud (2003), Stat Comput 13:163; Fox & Weisberg (2019), *An R Companion*, §5.3.

    Example:
        >>> y = [1.0, 2.0, 3.0, 5.0, 4.0, 4.5, 8.0, 9.0]
        >>> found = factorial(y, {"a": list("llllhhhh"), "b": list("xxyyxxyy")})
        >>> [(t.name, round(t.sum_of_squares, 3)) for t in found.terms]
        [('a', 26.281), ('b', 22.781), ('a:b', 1.531)]
    """
    y = np.asarray(value, dtype=float)
    names = [*(["block"] if block is not None else []), *factors]
    columns = [*([block] if block is not None else []), *factors.values()]
    if not factors:
        raise UsageError("a factorial analysis of variance needs a factor")
    if type not in (1, 2, 3):
        raise UsageError(f"sums of squares are of type 1, 2 or 3, not {type!r}")
    if any(len(c) != len(y) for c in columns):
        raise UsageError("values and factors must have equal lengths")
    if not np.isfinite(y).all():
        raise UsageError("an analysis of variance needs finite numbers; leave incomplete rows out")
    if "block" in factors and block is not None:
        raise UsageError("no factor may be called 'block' beside a block")
    levels = [coded(c) for c in columns]
    flat = [name for name, (kinds, _) in zip(names, levels, strict=True) if len(kinds) < 2]
    if flat or not len(y):
        raise UsageError(f"the factor {flat[0]!r} has one level" if len(y) else "there are no observations")
    highest = len(factors) if order is None else order
    if not 1 <= highest <= len(factors):
        raise UsageError(f"interactions are of order 1 to {len(factors)}, not {order}")
    start = len(names) - len(factors)
    terms: list[tuple[int, ...]] = [(0,)] if start else []
    for size in range(1, highest + 1):
        terms += list(combinations(range(start, len(names)), size))
    width = 1 + sum(math.prod(len(levels[i][0]) - 1 for i in term) for term in terms)
    if width > WIDEST:
        raise UsageError(
            f"the terms have {width} parameters, more than {WIDEST}; lower the order, or leave out a factor of many "
            "levels"
        )
    y = y - y.mean()
    blocks = [sum_contrasts(levels, term) for term in terms]
    shape = tuple(len(kinds) for kinds, _ in levels[start:])
    counts = np.bincount(np.ravel_multi_index([codes for _, codes in levels[start:]], shape))
    cells, possible = counts[counts > 0], math.prod(shape)
    whole = np.column_stack([np.ones(len(y)), *blocks])
    # Contrasts are whole numbers, so their cross-products are exact.
    rank = int(np.linalg.matrix_rank(whole.T @ whole, hermitian=True))
    if len(y) <= rank:
        raise UsageError(
            f"{len(y)} rows for {rank} parameters leave nothing to judge by; repeat cells, or lower the order"
        )
    aliased = rank < whole.shape[1]
    if aliased and type == 3:
        raise UsageError("type III does not exist with empty or confounded cells; use type 1 or 2, or a lower order")
    lines = (_by_comparison if aliased else _by_statsmodels)(y, levels, terms, blocks, type)
    residual_ss = lines[-1][0]
    residual_df = len(y) - rank
    # What rounding leaves of a perfect fit is no variance.
    exact = residual_ss <= 1e-20 * max(float(y @ y), 1e-300) * len(y)
    found = []
    for term, (ss, df) in zip(terms, lines[:-1], strict=True):
        f = math.nan if exact or not df else (ss / df) / (residual_ss / residual_df)
        share = ss / (ss + residual_ss) if ss + residual_ss > 0 else math.nan
        name = ":".join(names[i] for i in term)
        found.append(Term(name, ss, df, f, math.nan if math.isnan(f) else float(fisher.sf(f, df, residual_df)), share))
    balanced = len(cells) == possible and bool((cells == cells[0]).all())
    library = OWN if aliased else "statsmodels"
    return Factorial(found, residual_ss, residual_df, balanced, possible - len(cells), library)


def sum_contrasts(levels: Sequence[tuple[list[str], Any]], term: tuple[int, ...]) -> Floats:
    """Columns of a term in sum contrasts, shape (n, df)."""
    product = np.ones((len(levels[0][1]), 1))
    for i in term:
        kinds, codes = levels[i]
        one = np.vstack([np.eye(len(kinds) - 1), -np.ones(len(kinds) - 1)])[codes]
        product = (product[:, :, None] * one[:, None, :]).reshape(len(codes), -1)
    return product


def _by_statsmodels(
    y: Floats, levels: Sequence[tuple[list[str], Any]], terms: list[tuple[int, ...]], blocks: list[Floats], type: int
) -> list[tuple[float, int]]:
    # Columns get names of ours and the formula an empty scope (-1), so that no name of the table can mean anything in
    # it, and nothing called C or Sum is captured from here.
    frame = pd.DataFrame({"y": y, **{f"x{i}": pd.Categorical(codes) for i, (_, codes) in enumerate(levels)}})
    right = " + ".join(":".join(f"C(x{i}, Sum)" for i in term) for term in terms)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a perfect fit divides by zero; the caller looks for that itself
        table = anova_lm(smf.ols(f"y ~ {right}", frame, eval_env=-1).fit(), typ=type)
    rows = table.drop(index="Intercept", errors="ignore")
    return [(float(ss), round(float(df))) for ss, df in zip(rows["sum_sq"], rows["df"], strict=True)]


def _by_comparison(
    y: Floats, levels: Sequence[tuple[list[str], Any]], terms: list[tuple[int, ...]], blocks: list[Floats], type: int
) -> list[tuple[float, int]]:
    def fit(chosen: list[int]) -> tuple[float, int]:
        x = np.column_stack([np.ones(len(y)), *(blocks[i] for i in chosen)])
        beta, _, rank, _ = np.linalg.lstsq(x, y, rcond=1e-10)
        return float(((y - x @ beta) ** 2).sum()), int(rank)

    everything = list(range(len(terms)))
    lines = []
    for i, term in enumerate(terms):
        others = everything[:i] if type == 1 else [j for j in everything if not set(term) <= set(terms[j])]
        (ss0, rank0), (ss1, rank1) = fit(others), fit([*others, i])
        lines.append((max(ss0 - ss1, 0.0) if rank1 > rank0 else 0.0, rank1 - rank0))
    return [*lines, (fit(everything)[0], 0)]
