"""What the factors of a sweep do: marginal means, differences of levels, and how one changes another's effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS

from ophamin.measuring.estimators._adjust import holm
from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.design import coded
from ophamin.measuring.pillars.mixed_effects.factorial import sum_contrasts
from ophamin.proof.errors import UsageError

__all__ = ["Contrast", "Sweep", "averaged", "sweep_effects"]


@dataclass(frozen=True)
class Contrast:
    """A mean or a difference of means, every cell counting equally.

    Args:
        name: ``a[x]`` (mean), ``a[y-x]`` (difference), ``a[y-x]:b[v-u]`` (difference of differences).
        value: Estimate, in units of the outcome.
        se: Standard error.
        lower: Lower end, not adjusted.
        upper: Upper end, likewise.
        p_value: Two-sided p of 0, not adjusted; NaN for a mean.
        p_holm: Adjusted by Holm over all differences of the sweep; NaN for a mean.
    """

    name: str
    value: float
    se: float
    lower: float
    upper: float
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class Sweep:
    """Effects of a sweep's factors.

    Args:
        means: Marginal mean of every level.
        effects: Differences from each factor's first level.
        interactions: Differences of differences from the first levels; empty for order 1.
        residual_sd: Standard deviation within cells.
        residual_df: Its degrees of freedom.
    """

    means: list[Contrast]
    effects: list[Contrast]
    interactions: list[Contrast]
    residual_sd: float
    residual_df: int


def averaged(
    value: ArrayLike, factors: Mapping[str, Sequence[Any]], unit: Sequence[Any]
) -> tuple[Floats, dict[str, list[Any]]]:
    """Means of each unit in each cell: repeated measurements of one unit are no replicates.

    Args:
        value: Outcomes, shape (n,).
        factors: Labels by name, shape (n,) each.
        unit: Independent unit (seed, process round, author) of each row.

    Returns:
        One row per unit and cell.
    """
    y = np.asarray(value, dtype=float)
    keys = [coded(list(column))[1] for column in (*factors.values(), unit)]
    _, first, at = np.unique(np.column_stack(keys), axis=0, return_index=True, return_inverse=True)
    at = at.ravel()
    means = np.bincount(at, y) / np.bincount(at)
    return means, {name: [column[i] for i in first] for name, column in factors.items()}


def sweep_effects(
    value: ArrayLike, factors: Mapping[str, Sequence[Any]], *, order: int = 2, level: float = 0.95
) -> Sweep:
    """Effects of each factor and of each pair, from a linear model in sum contrasts with one residual variance.

    Args:
        value: Outcomes of independent runs, shape (n,).
        factors: Levels by name, shape (n,) each; the first level (in order) is the reference.
        order: 1: factors add; 2: pairs of factors interact.
        level: Two-sided confidence of each interval.

    Raises:
        UsageError: Malformed arguments, empty or confounded cells, or no residual degrees of freedom.

    Source: Montgomery (2017), *Design and Analysis of Experiments*, ch. 5; Searle, Speed & Milliken (1980), Am Stat
    34:216 (marginal means).

    Example:
        >>> y = [1.0, 1.2, 2.0, 2.1, 3.0, 3.1, 7.0, 7.2]
        >>> found = sweep_effects(y, {"a": list("llllhhhh"), "b": [0, 0, 1, 1, 0, 0, 1, 1]})
        >>> [(c.name, round(c.value, 3)) for c in found.effects]
        [('a[l-h]', -3.5), ('b[1-0]', 2.5)]
    """
    y = np.asarray(value, dtype=float)
    if order not in (1, 2):
        raise UsageError(f"effects are of order 1 or 2, not {order!r}")
    if not 0 < level < 1:
        raise UsageError(f"a level lies between 0 and 1, such as 0.95, not {level!r}")
    if not factors or any(len(c) != len(y) for c in factors.values()):
        raise UsageError("a sweep needs factors of the length of its outcomes")
    if not np.isfinite(y).all():
        raise UsageError("the effects of a sweep need finite numbers; leave incomplete rows out")
    names, levels = list(factors), [coded(c) for c in factors.values()]
    for name, (kinds, _) in zip(names, levels, strict=True):
        if len(kinds) < 2:
            raise UsageError(f"the factor {name!r} has one level" if len(y) else "there are no outcomes")
    terms: list[tuple[int, ...]] = [(i,) for i in range(len(names))]
    if order == 2:
        terms += list(combinations(range(len(names)), 2))
    blocks = [sum_contrasts(levels, term) for term in terms]
    x = np.column_stack([np.ones(len(y)), *blocks])
    rank = int(np.linalg.matrix_rank(x))
    if rank < x.shape[1]:
        raise UsageError("some cells are empty or confounded, so effects cannot be told apart; lower the order")
    if len(y) <= rank:
        raise UsageError(
            f"{len(y)} runs for {rank} parameters leave nothing to judge by; repeat cells, or lower the order"
        )
    fit = OLS(y - y.mean(), x).fit()
    beta, df = np.asarray(fit.params), int(fit.df_resid)
    spread = np.linalg.inv(x.T @ x) * float(fit.ssr) / df
    critical = float(student.ppf((1 + level) / 2, df))
    starts = np.cumsum([1, *(b.shape[1] for b in blocks)])
    coding = [np.vstack([np.eye(len(kinds) - 1), -np.ones(len(kinds) - 1)]) for kinds, _ in levels]

    def contrast(name: str, row: Floats, shift: float | None) -> Contrast:
        size, error = float(row @ beta), max(float(row @ spread @ row), 0.0) ** 0.5
        p = 2 * float(student.sf(abs(size) / error, df)) if shift is None and error > 0 else np.nan
        size += shift or 0.0
        return Contrast(name, size, error, size - critical * error, size + critical * error, p, np.nan)

    def row(term: int, part: Floats, intercept: float = 0.0) -> Floats:
        whole = np.zeros(x.shape[1])
        whole[0] = intercept
        whole[starts[term] : starts[term + 1]] = part
        return whole

    means: list[Contrast] = []
    differences: list[Contrast] = []
    interactions: list[Contrast] = []
    for i, (name, (kinds, _)) in enumerate(zip(names, levels, strict=True)):
        means += [contrast(f"{name}[{k}]", row(i, coding[i][j], 1.0), float(y.mean())) for j, k in enumerate(kinds)]
        differences += [
            contrast(f"{name}[{k}-{kinds[0]}]", row(i, coding[i][j] - coding[i][0]), None)
            for j, k in enumerate(kinds)
            if j
        ]
    for t, term in enumerate(terms[len(names) :], len(names)):
        a, b = term
        for i, one in enumerate(levels[a][0][1:], 1):
            for j, other in enumerate(levels[b][0][1:], 1):
                part = np.kron(coding[a][i] - coding[a][0], coding[b][j] - coding[b][0])
                label = f"{names[a]}[{one}-{levels[a][0][0]}]:{names[b]}[{other}-{levels[b][0][0]}]"
                interactions.append(contrast(label, row(t, part), None))
    differences, interactions = _holm(differences, interactions)
    return Sweep(means, differences, interactions, float(np.sqrt(fit.ssr / df)), df)


def _holm(*parts: list[Contrast]) -> list[list[Contrast]]:
    every = [c for part in parts for c in part]
    p = np.array([c.p_value for c in every])
    adjusted = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = holm(p[known].tolist())
    done = [
        Contrast(c.name, c.value, c.se, c.lower, c.upper, c.p_value, float(a))
        for c, a in zip(every, adjusted, strict=True)
    ]
    return [done[: len(parts[0])], done[len(parts[0]) :]]
