"""Effect sizes with their sampling variances, study by study.

Sources: Borenstein, Hedges, Higgins & Rothstein (2009), *Introduction to Meta-Analysis*, chapters 4 to 7; exact
small-sample factor: Hedges (1981), J Educ Stat 6:107, eq. 6e.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = [
    "CELLS",
    "SILENT",
    "Effects",
    "counts",
    "fisher_z",
    "hedges_factor",
    "mean_difference",
    "standardized_mean_difference",
]

CELLS = ("only0", "all", "if0all", "none")
"""Which tables get the correction added to their cells: those with an empty cell, all, all if any table has an empty
cell, or none (metafor's ``to``)."""

SILENT = ("ratios", "always", "never")
"""For which measures a study with the same outcome throughout carries no effect: ratios, on which it says nothing;
all (metafor's ``drop00=TRUE``); none (``drop00=FALSE``, its default), where the correction alone makes the effect."""


@dataclass(frozen=True)
class Effects:
    """Effects of k studies.

    Args:
        effect: Effect y, on the log scale for ratios; NaN where a study carries none; shape (k,).
        variance: Its sampling variance v; shape (k,).
        notes: What was done to studies with empty cells, in words.
    """

    effect: Floats
    variance: Floats
    notes: tuple[str, ...] = ()


def counts(
    measure: Literal["OR", "RR", "RD"] | str,
    events_1: ArrayLike,
    n_1: ArrayLike,
    events_2: ArrayLike,
    n_2: ArrayLike,
    *,
    correction: float = 0.5,
    to: str = "only0",
    drop00: str = "ratios",
) -> Effects:
    """Log odds ratio, log risk ratio or risk difference of 2×2 tables.

    Args:
        measure: ``OR``, ``RR`` (both on the log scale) or ``RD``.
        events_1: Events in the first arm; shape (k,).
        n_1: Size of the first arm.
        events_2: Events in the second arm.
        n_2: Size of the second arm.
        correction: Added to all four cells of a table (0 for none).
        to: To which tables, one of :data:`CELLS`.
        drop00: For which measures a study without any event, or with nothing but events, in both arms is NaN, one of
            :data:`SILENT`.

    Raises:
        UsageError: Counts that are negative, or more events than observations; an unknown measure or option.

    Example:
        >>> found = counts("RR", [4], [123], [11], [139])
        >>> round(float(found.effect[0]), 4), round(float(found.variance[0]), 4)
        (-0.8893, 0.3256)
    """
    a, n1, c, n2 = (np.asarray(x, dtype=np.float64) for x in (events_1, n_1, events_2, n_2))
    b, d = n1 - a, n2 - c
    if any((cell < 0).any() for cell in (a, b, c, d)) or (n1 <= 0).any() or (n2 <= 0).any():
        raise UsageError("each arm has at least one observation, and between 0 and n events")
    if drop00 not in SILENT:
        raise UsageError(f"studies with one outcome throughout are dropped for {', '.join(SILENT)}, not {drop00!r}")
    # Whole passes over the studies are left out where no study asks for them: most tables have no empty cell.
    dropped = None
    if drop00 == "always" or (drop00 == "ratios" and measure != "RD"):
        silent = ((a == 0) & (c == 0)) | ((b == 0) & (d == 0))
        dropped = silent if silent.any() else None
    notes, cells = [], (a, b, c, d)
    (a, b, c, d), touched = corrected(cells, correction, to, dropped)
    if touched.any():
        if to == "only0":
            empty = int(np.any([cell == 0 for cell in cells], axis=0).sum())
            notes.append(f"{empty} studies have an empty cell; {correction:g} was added to their cells")
        else:
            notes.append(f"{correction:g} was added to the cells of all {len(touched)} studies")
    effect, variance = of_cells(measure, a, b, c, d)
    if dropped is not None:
        effect, variance = np.where(dropped, np.nan, effect), np.where(dropped, np.nan, variance)
        notes.append(
            f"{int(dropped.sum())} studies have the same outcome throughout and "
            + ("were left out" if measure == "RD" else "say nothing on a ratio")
        )
    lost = ~(np.isfinite(effect) & np.isfinite(variance))
    if lost.any():
        effect, variance = np.where(lost, np.nan, effect), np.where(lost, np.nan, variance)
    return Effects(effect, variance, tuple(notes))


def of_cells(measure: str, a: Floats, b: Floats, c: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Effects and variances of tables as they are; not finite where an empty cell leaves none.

    Args:
        measure: ``OR``, ``RR`` or ``RD``.
        a: Events of the first arm, shape (k,).
        b: The others of the first arm.
        c: Events of the second arm.
        d: The others of the second arm.

    Raises:
        UsageError: An unknown measure.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "OR":
            return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d
        n1, n2 = a + b, c + d
        if measure == "RR":
            return np.log(a / n1 / (c / n2)), 1 / a - 1 / n1 + 1 / c - 1 / n2
        if measure == "RD":
            return a / n1 - c / n2, a * b / n1**3 + c * d / n2**3
    raise UsageError(f"a measure of counts is OR, RR or RD, not {measure!r}")


def corrected(
    cells: tuple[Floats, Floats, Floats, Floats], correction: float, to: str, dropped: NDArray[np.bool_] | None = None
) -> tuple[tuple[Floats, ...], NDArray[np.bool_]]:
    """Cells of 2×2 tables with a continuity correction, and which tables got it.

    Args:
        cells: Events and others of the first arm, events and others of the second; shape (k,) each.
        correction: What is added.
        to: One of :data:`CELLS`.
        dropped: Tables that are left out: they ask for no correction of the others.

    Raises:
        UsageError: Another ``to``, or a correction below 0.
    """
    if to not in CELLS or not 0 <= correction < np.inf:
        raise UsageError(f"a correction of at least 0 is added to {', '.join(CELLS)}, not {correction!r} to {to!r}")
    a, b, c, d = cells
    if not correction:
        return cells, np.zeros(np.shape(a), dtype=bool)
    touched = np.asarray(np.minimum(np.minimum(a, b), np.minimum(c, d)) == 0)
    if to != "only0":
        asks = bool((touched if dropped is None else touched & ~dropped).any())
        touched = np.full_like(touched, {"all": True, "if0all": asks, "none": False}[to])
    return tuple(np.where(touched, cell + correction, cell) for cell in cells) if touched.any() else cells, touched


def hedges_factor(df: ArrayLike) -> Floats:
    """Hedges' exact small-sample factor J(df) = Γ(df/2) / (√(df/2) Γ((df−1)/2)); needs df > 1."""
    m = np.asarray(df, dtype=np.float64)
    return np.exp(gammaln(m / 2) - gammaln((m - 1) / 2) - np.log(m / 2) / 2)


def standardized_mean_difference(
    mean_1: ArrayLike, sd_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike
) -> Effects:
    """Hedges' g: the difference of means in pooled standard deviations, corrected for small samples.

    The variance is 1/n₁ + 1/n₂ + g²/(2(n₁+n₂)).

    Raises:
        UsageError: A group of fewer than two, or a pooled standard deviation of 0.
    """
    m1, s1, n1, m2, s2, n2 = (np.asarray(x, dtype=np.float64) for x in (mean_1, sd_1, n_1, mean_2, sd_2, n_2))
    if (n1 < 2).any() or (n2 < 2).any() or (s1 < 0).any() or (s2 < 0).any():
        raise UsageError("a standardised mean difference needs groups of at least 2 and standard deviations from 0 up")
    df = n1 + n2 - 2
    pooled = np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df)
    if (pooled == 0).any():
        raise UsageError("a study has no spread at all, so its difference cannot be standardised")
    g = hedges_factor(df) * (m1 - m2) / pooled
    return Effects(g, 1 / n1 + 1 / n2 + g**2 / (2 * (n1 + n2)))


def mean_difference(
    mean_1: ArrayLike, sd_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike
) -> Effects:
    """Difference of means in its own units, variance s₁²/n₁ + s₂²/n₂.

    Raises:
        UsageError: An empty group or a negative standard deviation.
    """
    m1, s1, n1, m2, s2, n2 = (np.asarray(x, dtype=np.float64) for x in (mean_1, sd_1, n_1, mean_2, sd_2, n_2))
    if (n1 < 1).any() or (n2 < 1).any() or (s1 < 0).any() or (s2 < 0).any():
        raise UsageError("a mean difference needs groups of at least 1 and standard deviations from 0 up")
    return Effects(m1 - m2, s1**2 / n1 + s2**2 / n2)


def fisher_z(r: ArrayLike, n: ArrayLike) -> Effects:
    """Fisher's z = artanh(r) of correlations, variance 1/(n−3).

    Raises:
        UsageError: |r| ≥ 1, where z does not exist, or n ≤ 3.
    """
    rho, size = np.asarray(r, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if (np.abs(rho) >= 1).any() or (size <= 3).any():
        raise UsageError("Fisher's z needs correlations between -1 and 1, both exclusive, and n of at least 4")
    return Effects(np.arctanh(rho), 1 / (size - 3))
