"""Inverse probability weighting, with weights known or estimated."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import (
    Effect,
    Flags,
    Rows,
    checked,
    checked_level,
    effect,
    unanswered,
)
from ophamin.measuring.pillars.feasibility.propensity import Propensity, fit_propensity
from ophamin.proof.errors import UsageError

__all__ = [
    "FORMS", "TARGETS", "inverse_weights", "ipw", "sandwich", "trimmed", "weight_notes", "weight_slopes",
]  # fmt: skip

TARGETS = ("ate", "att", "atc")
FORMS = ("hajek", "horvitz-thompson")


def inverse_weights(treated: ArrayLike, score: ArrayLike, target: str = "ate") -> Floats:
    """Weight of each row: 1/P(the treatment it got) for the whole, times P(in the target group) for part of it.

    Args:
        treated: Flags, shape (n,).
        score: Propensity score in (0, 1), shape (n,).
        target: ``ate``, ``att`` or ``atc``.

    Raises:
        UsageError: An unknown target.

    Example:
        >>> inverse_weights([True, False], [0.25, 0.25], "att").round(3).tolist()
        [1.0, 0.333]
    """
    t, e = np.asarray(treated, dtype=bool), np.asarray(score, dtype=np.float64)
    if target == "ate":
        return np.where(t, 1 / e, 1 / (1 - e))
    if target == "att":
        return np.where(t, 1.0, e / (1 - e))
    if target == "atc":
        return np.where(t, (1 - e) / e, 1.0)
    raise UsageError(f"a target is one of {', '.join(TARGETS)}, not {target!r}")


def weight_slopes(treated: Flags, score: Floats, target: str) -> Floats:
    """Derivative of :func:`inverse_weights` by the score."""
    e = score
    up = {"ate": -1 / e**2, "att": np.zeros_like(e), "atc": -1 / e**2}[target]
    down = {"ate": 1 / (1 - e) ** 2, "att": 1 / (1 - e) ** 2, "atc": np.zeros_like(e)}[target]
    return np.where(treated, up, down)


def trimmed(rows: Rows, link: str, trim: float) -> tuple[Rows, Propensity, tuple[str, ...]]:
    """Rows whose score lies in [trim, 1 − trim], with the score fitted anew on them.

    Source: Crump, Hotz, Imbens & Mitnik (2009), Biometrika 96:187.

    Raises:
        UsageError: A trim outside [0, 0.5).
    """
    if not 0 <= trim < 0.5:
        raise UsageError(f"a trim lies from 0 up to below 0.5, not {trim!r}")
    fit = fit_propensity(rows.treated, rows.confounders, link=link)
    if trim == 0 or fit.problem:
        return rows, fit, fit.notes
    keep = (fit.score >= trim) & (fit.score <= 1 - trim)
    if keep.all():
        return rows, fit, fit.notes
    rows = Rows(rows.outcome[keep], rows.treated[keep], rows.confounders[keep])
    again = fit_propensity(rows.treated, rows.confounders, link=link)
    say = f"{int((~keep).sum())} rows with a propensity score outside [{trim:g}, {1 - trim:g}] were left out"
    return rows, again, (*again.notes, f"{say}: the effect is that of the rest")


def sandwich(influence: Floats) -> float:
    """Standard error of a mean of influence functions that are zero on average."""
    return float(np.sqrt((influence**2).sum())) / len(influence)


def weight_notes(rows: Rows, weights: Floats) -> tuple[str, ...]:
    """Sentences on weights that rest on few rows."""
    notes = []
    for name, arm in (("treated", rows.treated), ("untreated", ~rows.treated)):
        w = weights[arm]
        if w.sum() > 0 and w.max() > 0.1 * w.sum() and len(w) > 20:
            notes.append(f"one {name} row carries {w.max() / w.sum():.0%} of the weight of its arm: overlap is poor")
    return tuple(notes)


def ipw(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    target: str = "ate",
    form: str = "hajek",
    link: str = "logit",
    trim: float = 0.0,
    weights_known: bool = False,
    level: float = 0.95,
) -> Effect:
    """Difference of means weighted by the inverse probability of the treatment got.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p), of the propensity score.
        target: ``ate``, ``att`` or ``atc``.
        form: ``hajek`` (weights that sum to 1 in each arm) or ``horvitz-thompson`` (divided by n, or by the number in
            the target group).
        link: ``logit`` or ``probit``.
        trim: Rows with a score outside [trim, 1 − trim] are left out.
        weights_known: Take the weights as known, as a robust weighted regression does (Hajek only); default: the
            standard error counts that they were estimated.
        level: Two-sided confidence.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Hirano, Imbens & Ridder (2003), Econometrica 71:1161; standard error by stacked estimating equations,
    Stefanski & Boos (2002), American Statistician 56:29, as Stata's ``teffects``.
    """
    checked_level(level)
    if form not in FORMS:
        raise UsageError(f"a form is one of {', '.join(FORMS)}, not {form!r}")
    if weights_known and form != "hajek":
        raise UsageError("weights taken as known go with the form hajek")
    rows = checked(outcome, treatment, confounders)
    inverse_weights([], [], target)
    rows, fit, notes = trimmed(rows, link, trim)
    if fit.problem:
        return unanswered(rows, fit.problem, target=target, notes=notes)
    y, t, n = rows.outcome, rows.treated, rows.n
    weights = inverse_weights(t, fit.score, target)
    slopes = (weight_slopes(t, fit.score, target) * fit.slope)[:, None] * fit.design
    share = np.ones(n) if target == "ate" else (t if target == "att" else ~t).astype(float)
    means: list[float] = []
    parts: list[Floats] = []
    for arm in (t, ~t):
        w = arm * weights
        if form == "hajek":
            mean = float((w * y).sum() / w.sum())
            own, gradient = w * (y - mean) / w.mean(), (arm * (y - mean)) @ slopes / n / w.mean()
        else:
            mean = float((w * y).sum() / share.sum())
            own, gradient = (w * y - share * mean) / share.mean(), (arm * y) @ slopes / n / share.mean()
        means.append(mean)
        parts.append(own if weights_known else own + fit.influence @ gradient)
    se = sandwich(parts[0] - parts[1]) if n > 2 else math.nan
    return effect(
        rows, means[0], means[1], se, level=level, target=target, notes=(*notes, *weight_notes(rows, weights)),
        se_method="robust, weights known" if weights_known else "M-estimation",
    )  # fmt: skip
