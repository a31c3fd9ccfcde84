"""Differences of means, plain and adjusted by least squares (statsmodels)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.regression.linear_model import OLS

from ophamin.measuring.pillars.feasibility._effect import (
    Effect,
    Rows,
    checked,
    checked_level,
    effect,
    independent,
    one_arm,
    unanswered,
)
from ophamin.proof.errors import UsageError

__all__ = ["ERRORS", "difference_in_means", "lin", "regression"]

ERRORS = ("classical", "HC0", "HC1", "HC2", "HC3")
"""Standard errors of a regression: homoscedastic, or robust in one of four ways."""


def difference_in_means(
    outcome: ArrayLike, treatment: ArrayLike, *, errors: str = "welch", level: float = 0.95
) -> Effect:
    """Mean of the treated minus mean of the rest.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        errors: ``welch`` (unequal variances, Satterthwaite's degrees of freedom) or one of :data:`ERRORS`.
        level: Two-sided confidence.

    Returns:
        The effect; a causal one only where treatment was given at random.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Welch (1947), Biometrika 34:28; Neyman (1923), Statistical Science 5:465.

    Example:
        >>> found = difference_in_means([1.0, 2.0, 3.0, 4.0, 5.0, 7.0], [0, 0, 0, 1, 1, 1])
        >>> round(found.estimate, 3), round(found.se, 3)
        (3.333, 1.054)
    """
    rows = checked(outcome, treatment)
    if errors != "welch":
        return regression(rows.outcome, rows.treated, errors=errors, level=level)
    checked_level(level)
    if reason := one_arm(rows):
        return unanswered(rows, reason)
    a, b = rows.outcome[rows.treated], rows.outcome[~rows.treated]
    mean_a, mean_b = a.mean(keepdims=True), b.mean(keepdims=True)
    se, df = math.nan, math.nan
    if len(a) > 1 and len(b) > 1:
        u, v = a.var(ddof=1, mean=mean_a) / len(a), b.var(ddof=1, mean=mean_b) / len(b)
        if u + v > 0:
            se, df = math.sqrt(u + v), float((u + v) ** 2 / (u**2 / (len(a) - 1) + v**2 / (len(b) - 1)))
    return effect(rows, float(mean_a[0]), float(mean_b[0]), se, level=level, df=df, se_method="welch")


def regression(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike | None = None,
    *,
    errors: str = "HC2",
    level: float = 0.95,
) -> Effect:
    """Coefficient of the treatment in an additive least-squares regression.

    Where the effect differs between people this is an average that weights by the variance of the treatment given
    the confounders, not the average effect.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        errors: One of :data:`ERRORS`.
        level: Two-sided confidence, by Student's t.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Angrist (1998), Econometrica 66:249; MacKinnon & White (1985), J Econometrics 29:305.
    """
    rows = checked(outcome, treatment, confounders)
    return _coefficient(rows, rows.confounders, errors, level)


def lin(
    outcome: ArrayLike, treatment: ArrayLike, confounders: ArrayLike, *, errors: str = "HC2", level: float = 0.95
) -> Effect:
    """Lin's adjustment of an experiment: confounders centred at their means, and their products with the treatment.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p), measured before treatment.
        errors: One of :data:`ERRORS`.
        level: Two-sided confidence, by Student's t.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Lin (2013), Annals of Applied Statistics 7:295.
    """
    rows = checked(outcome, treatment, confounders)
    kept, notes = independent(rows.confounders)
    centred = rows.confounders[:, kept] - rows.confounders[:, kept].mean(axis=0) if rows.n else rows.confounders
    return _coefficient(rows, np.column_stack([centred, centred * rows.treated[:, None]]), errors, level, notes)


def _coefficient(rows: Rows, columns: Any, errors: str, level: float, notes: tuple[str, ...] = ()) -> Effect:
    checked_level(level)
    if errors not in ERRORS:
        raise UsageError(f"errors are one of {', '.join(ERRORS)}, not {errors!r}")
    if reason := one_arm(rows):
        return unanswered(rows, reason)
    design = np.column_stack([np.ones(rows.n), columns, rows.treated])
    kept, lost = independent(design[:, 1:])
    if columns.shape[1] and (not len(kept) or kept[-1] != columns.shape[1]):
        return unanswered(rows, "the confounders determine the treatment: its effect cannot be told from theirs")
    told = notes or lost
    squares = np.einsum("ij,ij->j", design, design)
    if squares[squares > 0].min() < 1e-8 * squares.max():
        # Units as far apart as this would make least squares drop columns; they are not the treatment's coefficient.
        design[:, 1:-1] = _scaled(design[:, 1:-1])
    if len(kept) <= columns.shape[1]:
        design = design[:, np.concatenate([[0], 1 + kept])]
    df = rows.n - design.shape[1]
    if df < 1:
        return unanswered(rows, f"{rows.n} rows are too few for {design.shape[1]} coefficients", notes=told)
    fit = OLS(rows.outcome, design).fit()
    value, kind = float(fit.params[-1]), "nonrobust" if errors == "classical" else errors
    with np.errstate(divide="ignore", invalid="ignore"):
        se = float(fit.bse[-1] if kind == "nonrobust" else getattr(fit, f"{kind}_se")[-1])
    base = float(rows.outcome.mean()) - value * float(rows.treated.mean())  # least squares goes through the means
    return effect(rows, base + value, base, se, level=level, df=df, se_method=errors, estimate=value, notes=told)


def _scaled(columns: Any) -> Any:
    """Columns of mean 0 and spread 1; constant ones become 0."""
    centred = columns - columns.mean(axis=0)
    spread = centred.std(axis=0)
    return centred / np.where(spread > 0, spread, 1.0)
