"""What every estimator of a treatment effect takes and gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["Effect", "Rows", "checked", "checked_level", "effect", "independent", "noted", "one_arm", "unanswered"]

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Effect:
    """The effect of a treatment, treated minus untreated.

    Args:
        estimate: In units of the outcome; NaN where the data do not tell.
        se: Its standard error; NaN where there is none.
        lower: Lower bound.
        upper: Upper bound.
        p_value: Two-sided, of no effect.
        df: Degrees of freedom of Student's t, infinite for the normal distribution.
        target: ``ate`` (everybody), ``att`` (the treated) or ``atc`` (the untreated).
        mean_treated: Mean outcome had everybody in the target been treated.
        mean_control: Mean outcome had nobody been.
        n: Rows.
        n_treated: Treated rows.
        se_method: How the standard error is made.
        notes: What the reader must know, in sentences.
    """

    estimate: float
    se: float
    lower: float
    upper: float
    p_value: float
    df: float
    target: str
    mean_treated: float
    mean_control: float
    n: int
    n_treated: int
    se_method: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """Checked rows: outcome (n,), treated (n,), confounders (n, p)."""

    outcome: Floats
    treated: Flags
    confounders: Floats

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.outcome)


def checked_level(level: float) -> float:
    """The level, or an error.

    Raises:
        UsageError: It is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UsageError(f"a confidence level lies between 0 and 1, not {level!r}")
    return level


def checked(outcome: ArrayLike, treatment: ArrayLike, confounders: ArrayLike | None = None) -> Rows:
    """Arrays of one study.

    Args:
        outcome: Numbers, shape (n,).
        treatment: 1 or true for the treated, 0 or false for the rest, shape (n,).
        confounders: Numbers, shape (n, p) or (n,); ``None`` for none.

    Raises:
        UsageError: Shapes that do not fit, values that are not finite, a treatment other than 0 and 1.
    """
    y, w = np.asarray(outcome, dtype=np.float64), np.asarray(treatment)
    flags = w.dtype == bool  # which cannot be anything else
    w = w if flags else w.astype(np.float64, copy=False)
    x = np.empty((len(y), 0)) if confounders is None else np.asarray(confounders, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if y.ndim != 1 or y.shape != w.shape or x.ndim != 2 or len(x) != len(y):
        raise UsageError("outcome and treatment have shape (n,) and confounders shape (n, p), of one n")
    with np.errstate(over="ignore", invalid="ignore"):  # a sum is finite only where all is, and one pass
        finite = all(np.isfinite(v.sum()) or np.isfinite(v).all() for v in ((y, x) if flags else (y, w, x)))
    if not finite:
        raise UsageError("outcome, treatment and confounders must be finite; leave incomplete rows out first")
    treated = w if flags else w == 1
    if not flags and np.count_nonzero(treated) + np.count_nonzero(w == 0) < len(w):
        raise UsageError("a treatment is 1 for the treated and 0 for the rest")
    return Rows(y, treated, x)


def independent(columns: Floats, names: Sequence[str] = ()) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Columns that are neither constant nor a linear combination of earlier ones, and a sentence on the others.

    Args:
        columns: Shape (n, p).
        names: Of the columns, for the sentence.
    """
    n, p = columns.shape
    if not n or not p:
        return np.arange(0), ()
    if _plainly_independent(columns):
        return np.arange(p), ()
    centred = columns - columns.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    # Rounding leaves about 1e-16 of a column's magnitude after its mean is taken away.
    flat = size <= 1e-12 * np.sqrt(n) * np.maximum(np.abs(columns).max(axis=0), 1e-300)
    kept = np.flatnonzero(~flat)
    diagonal = np.abs(np.diagonal(np.linalg.qr(centred[:, kept] / size[kept], mode="r")))
    own = np.zeros(len(kept), dtype=bool)
    own[: len(diagonal)] = diagonal > 1e-7
    kept = kept[own][: max(0, n - 1)]
    lost = [names[j] if j < len(names) else f"column {j + 1}" for j in range(p) if j not in set(kept.tolist())]
    say = f"{', '.join(lost)} left out of the adjustment: constant, or a linear combination of the others"
    return kept, (say,) if lost else ()


def _plainly_independent(columns: Floats) -> bool:
    """Whether the least eigenvalue of the correlations is far from 0: the usual case, told from sums of products.

    No diagonal entry of the triangle of the standardised columns is less than its root. Means a thousand times the
    spread leave too few digits, and are not told here.
    """
    n, p = columns.shape
    if p >= n:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        raw, mean = columns.T @ columns, columns.mean(axis=0)
        products = raw - n * np.outer(mean, mean)
        spread = np.diagonal(products)
        told = np.isfinite(products).all() and (spread > 1e-6 * np.diagonal(raw)).all() and spread.min() > 1e-200
    return bool(told) and float(np.linalg.eigvalsh(products / np.sqrt(np.outer(spread, spread)))[0]) > 1e-6


def effect(
    rows: Rows,
    mean_treated: float,
    mean_control: float,
    se: float,
    *,
    level: float,
    target: str = "ate",
    df: float = math.inf,
    se_method: str,
    estimate: float | None = None,
    notes: Sequence[str] = (),
) -> Effect:
    """An effect with its Wald interval; none where the outcome has no spread or the standard error is no number."""
    value = mean_treated - mean_control if estimate is None else estimate
    told = list(notes)
    # The first rows of most outcomes differ already.
    if rows.n and np.ptp(rows.outcome[:100]) == 0 and np.ptp(rows.outcome) == 0:
        se = math.nan
        told.append("the outcome is constant: nothing can be said on its spread")
    elif not (math.isfinite(se) and se > 0 and df > 0):
        se = math.nan
        told.append("the rows are too few, or too much alike, for a standard error")
    lower = upper = p = math.nan
    if math.isfinite(se):
        law: Any = t(df) if math.isfinite(df) else norm
        half = float(law.ppf((1 + level) / 2)) * se
        lower, upper, p = value - half, value + half, float(2 * law.sf(abs(value) / se))
    return Effect(
        float(value), float(se), float(lower), float(upper), p, float(df), target, float(mean_treated),
        float(mean_control), rows.n, int(np.count_nonzero(rows.treated)), se_method, tuple(told),
    )  # fmt: skip


def unanswered(rows: Rows, reason: str, *, target: str = "ate", notes: Sequence[str] = ()) -> Effect:
    """No effect: the data do not tell, and why."""
    nan = math.nan
    return Effect(
        nan,
        nan,
        nan,
        nan,
        nan,
        nan,
        target,
        nan,
        nan,
        rows.n,
        int(np.count_nonzero(rows.treated)),
        "none",
        (reason, *notes),
    )


def one_arm(rows: Rows) -> str | None:
    """Why there is nothing to compare, if so."""
    treated = int(np.count_nonzero(rows.treated))
    if treated == 0 or treated == rows.n:
        return f"{treated} treated and {rows.n - treated} untreated rows: both are needed to compare"
    return None


def noted(found: Effect, *notes: str) -> Effect:
    """The same effect with further sentences."""
    return replace(found, notes=(*found.notes, *notes))
