"""Repeated-measures analysis of variance, with what a breach of sphericity asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import chi2
from scipy.stats import f as fisher
from statsmodels.stats.anova import AnovaRM

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.design import coded
from ophamin.proof.errors import UsageError

__all__ = ["Within", "repeated_measures"]


@dataclass(frozen=True)
class Within:
    """A within-subject effect.

    Args:
        name: Factors joined by ``:``.
        f: F; NaN where there is none.
        df: Numerator's degrees of freedom.
        df2: Denominator's.
        p_value: Under sphericity.
        greenhouse_geisser: Its ε, from 1/df to 1.
        p_greenhouse_geisser: p-value with both degrees of freedom times ε.
        huynh_feldt: Huynh and Feldt's ε, at most 1.
        p_huynh_feldt: p-value with that.
        mauchly_w: Mauchly's W; NaN with one degree of freedom (sphericity always holds) or too few subjects.
        mauchly_p: p-value of sphericity.
    """

    name: str
    f: float
    df: int
    df2: int
    p_value: float
    greenhouse_geisser: float
    p_greenhouse_geisser: float
    huynh_feldt: float
    p_huynh_feldt: float
    mauchly_w: float
    mauchly_p: float


def repeated_measures(value: ArrayLike, subject: Sequence[Any], factors: Mapping[str, Sequence[Any]]) -> list[Within]:
    """Effects of factors measured on every subject; several measurements of a cell are averaged first.

    Args:
        value: Outcomes, shape (n,).
        subject: Subject of each row, shape (n,).
        factors: Within-subject factors by name, shape (n,) each.

    Raises:
        UsageError: Malformed arguments, a subject that lacks a cell, fewer than two subjects, or a factor of one level.

    Source: Greenhouse & Geisser (1959), Psychometrika 24:95; Huynh & Feldt (1976), J Educ Stat 1:69; Mauchly (1940),
    Ann Math Stat 11:204; F by statsmodels' AnovaRM.

    Example:
        >>> y = [1.0, 2.0, 4.0, 2.0, 3.5, 5.0, 1.5, 2.0, 4.5]
        >>> round(repeated_measures(y, list("aaabbbccc"), {"dose": [1, 2, 3] * 3})[0].f, 3)
        84.0
    """
    y = np.asarray(value, dtype=float)
    if not factors:
        raise UsageError("a repeated-measures analysis needs a factor")
    if any(len(c) != len(y) for c in (subject, *factors.values())):
        raise UsageError("values, subjects and factors must have equal lengths")
    if not np.isfinite(y).all():
        raise UsageError("an analysis of variance needs finite numbers; leave incomplete rows out")
    subjects, who = coded(subject)
    coding = {name: coded(column) for name, column in factors.items()}
    flat = [name for name, (kinds, _) in coding.items() if len(kinds) < 2]
    if flat or len(subjects) < 2:
        raise UsageError(f"the factor {flat[0]!r} has one level" if flat else "at least two subjects are needed")
    shape = (len(subjects), *(len(kinds) for kinds, _ in coding.values()))
    cell = np.ravel_multi_index((who, *(codes for _, codes in coding.values())), shape)
    counts = np.bincount(cell, minlength=math.prod(shape))
    if not counts.all():
        gaps = subjects[np.flatnonzero(counts == 0)[0] // math.prod(shape[1:])]
        raise UsageError(f"the subject {gaps!r} lacks a cell; leave it out, or fit a mixed model (M.lmm) instead")
    y = y - y.mean()
    means = (np.bincount(cell, y, math.prod(shape)) / counts).reshape(len(subjects), -1)
    renamed = {f"x{i}": codes for i, (_, codes) in enumerate(coding.values())}
    grid = np.unravel_index(np.arange(means.size), shape)
    frame = pd.DataFrame({"y": means.ravel(), "s": grid[0], **{name: grid[i + 1] for i, name in enumerate(renamed)}})
    varies = _errors(means)
    table = AnovaRM(frame, "y", "s", within=list(renamed)).fit().anova_table if varies else None
    found = []
    names = list(factors)
    for size in range(1, len(names) + 1):
        for chosen in combinations(range(len(names)), size):
            contrast = _orthonormal(shape[1:], chosen)
            line = table.loc[":".join(f"x{i}" for i in chosen)] if table is not None else None
            found.append(_effect(":".join(names[i] for i in chosen), line, means @ contrast))
    return found


def _errors(means: Floats) -> bool:
    """Whether subjects differ in anything but their level: otherwise no F exists."""
    rest = means - means.mean(axis=1, keepdims=True)
    rest = rest - rest.mean(axis=0)
    return bool(np.abs(rest).max() > 1e-10 * max(float(np.abs(means).max()), 1e-300))


def _orthonormal(levels: tuple[int, ...], chosen: tuple[int, ...]) -> Floats:
    """Orthonormal contrasts of an effect over the cells, shape (cells, df)."""
    product = np.ones((1, 1))
    for i, k in enumerate(levels):
        mean = np.full((k, 1), k**-0.5)
        basis = np.linalg.qr(np.column_stack([mean, np.eye(k)[:, 1:]]))[0][:, 1:] if i in chosen else mean
        product = np.kron(product, basis)
    return product


def _effect(name: str, line: Any, scores: Floats) -> Within:
    n, df = scores.shape
    df2 = df * (n - 1)
    spread = np.atleast_2d(np.cov(scores, rowvar=False))
    trace, squares = float(np.trace(spread)), float((spread**2).sum())
    scale = float((scores**2).mean())
    if line is None or trace <= 1e-14 * max(scale, 1e-300):
        nan = math.nan
        return Within(name, nan, df, df2, nan, nan, nan, nan, nan, nan, nan)
    f = float(line["F Value"])
    gg = trace**2 / (df * squares)
    hf = min((n * df * gg - 2) / (df * (n - 1 - df * gg)), 1.0) if n - 1 > df * gg else 1.0
    w = p_w = math.nan
    if df > 1 and n > df:
        w = float(np.linalg.det(spread)) / (trace / df) ** df
        if w > 0:
            p_w = _mauchly(w, df, n)
    adjusted = [float(fisher.sf(f, e * df, e * df2)) for e in (1.0, gg, hf)]
    return Within(name, f, df, df2, adjusted[0], gg, adjusted[1], hf, adjusted[2], w, p_w)


def _mauchly(w: float, df: int, n: int) -> float:
    """Mauchly's p with Box's second term (Anderson 2003, *Multivariate Analysis*, §10.7.4).

    R's ``mauchly.test`` (to 4.2 at least) has 3(df+1) for 3·df in that term, and so differs in the third digit of p.
    """
    factor = n - 1 - (2 * df * df + df + 2) / (6 * df)
    statistic, size = -factor * math.log(w), df * (df + 1) // 2 - 1
    second = (df + 2) * (df - 1) * (df - 2) * (2 * df**3 + 6 * df**2 + 3 * df + 2) / (288 * (df * factor) ** 2)
    first = float(chi2.sf(statistic, size))
    return min(max(first + second * (float(chi2.sf(statistic, size + 4)) - first), 0.0), 1.0)
