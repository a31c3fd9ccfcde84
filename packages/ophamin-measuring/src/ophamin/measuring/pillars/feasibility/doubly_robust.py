"""Estimators that model outcome and treatment, and are right when one of the two models is."""

from __future__ import annotations

import math
from typing import Any

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
    independent,
    unanswered,
)
from ophamin.measuring.pillars.feasibility.propensity import Propensity
from ophamin.measuring.pillars.feasibility.weighting import (
    inverse_weights,
    sandwich,
    trimmed,
    weight_notes,
    weight_slopes,
)

__all__ = ["aipw", "ipwra"]


def aipw(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    treatment_confounders: ArrayLike | None = None,
    link: str = "logit",
    trim: float = 0.0,
    weighted: bool = False,
    efficient: bool = False,
    level: float = 0.95,
) -> Effect:
    """Average effect by augmented inverse probability weighting, least squares within each arm.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Of the outcome models, shape (n, p).
        treatment_confounders: Of the propensity score, shape (n, q); default: the same.
        link: ``logit`` or ``probit``.
        trim: Rows with a score outside [trim, 1 − trim] are left out.
        weighted: Fit the outcome models by weighted least squares, with the weights that are best where the propensity
            score is right and they are not: (1 − e) / e² for the treated and e / (1 − e)² for the rest.
        efficient: Standard error from the efficient influence function alone, right where both models are; default:
            it also counts that both were estimated, right where either is.
        level: Two-sided confidence.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Robins, Rotnitzky & Zhao (1994), JASA 89:846; the weights: Cao, Tsiatis & Davidian (2009), Biometrika
    96:723; standard error by stacked estimating equations, as Stata's ``teffects aipw`` (``wnls`` when weighted) and
    statsmodels' ``TreatmentEffect.aipw`` and ``aipw_wls`` (the first clips scores to [0.01, 0.99] within it).
    """
    return _both(
        outcome, treatment, confounders, treatment_confounders, link, trim, level, "ate", augmented=True,
        weighted=weighted, efficient=efficient,
    )  # fmt: skip


def ipwra(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    treatment_confounders: ArrayLike | None = None,
    target: str = "ate",
    link: str = "logit",
    trim: float = 0.0,
    level: float = 0.95,
) -> Effect:
    """Regression adjustment with inverse-probability-weighted least squares within each arm.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Of the outcome models, shape (n, p).
        treatment_confounders: Of the propensity score, shape (n, q); default: the same.
        target: ``ate``, ``att`` or ``atc``.
        link: ``logit`` or ``probit``.
        trim: Rows with a score outside [trim, 1 − trim] are left out.
        level: Two-sided confidence.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Wooldridge (2007), J Econometrics 141:1281; standard error by stacked estimating equations, as Stata's
    ``teffects ipwra`` (statsmodels' ``TreatmentEffect.ipw_ra`` needs a propensity score of exactly six coefficients).
    """
    return _both(outcome, treatment, confounders, treatment_confounders, link, trim, level, target, augmented=False)


def _both(
    outcome: ArrayLike, treatment: ArrayLike, confounders: ArrayLike, others: ArrayLike | None, link: str,
    trim: float, level: float, target: str, *, augmented: bool, weighted: bool = False, efficient: bool = False,
) -> Effect:  # fmt: skip
    checked_level(level)
    inverse_weights([], [], target)
    rows = checked(outcome, treatment, confounders)
    second = rows if others is None else checked(outcome, treatment, others)
    # Rows trimmed by the treatment's model leave the outcome's too.
    numbered = Rows(np.arange(rows.n, dtype=np.float64), second.treated, second.confounders)
    left, fit, notes = trimmed(numbered, link, trim)
    stay = left.outcome.astype(np.intp)
    rows = Rows(rows.outcome[stay], rows.treated[stay], rows.confounders[stay])
    if fit.problem:
        return unanswered(rows, fit.problem, target=target, notes=notes)
    kept, lost = independent(rows.confounders)
    x = rows.confounders[:, kept]
    design: Floats = np.column_stack([np.ones(rows.n), (x - x.mean(axis=0)) / x.std(axis=0)])
    notes = tuple(dict.fromkeys((*notes, *lost)))
    for name, arm in (("treated", rows.treated), ("untreated", ~rows.treated)):
        if int(arm.sum()) < design.shape[1] or np.linalg.matrix_rank(design[arm]) < design.shape[1]:
            reason = f"the outcome model has {design.shape[1]} coefficients, which the {name} rows do not determine"
            return unanswered(rows, reason, target=target, notes=notes)
    weights = inverse_weights(rows.treated, fit.score, target)
    slopes = (weight_slopes(rows.treated, fit.score, target) * fit.slope)[:, None] * fit.design
    own, own_slopes = weights, slopes
    if augmented:
        own, own_slopes = np.ones(rows.n), np.zeros_like(slopes)
    if weighted:
        e = np.where(rows.treated, fit.score, 1 - fit.score)  # the probability of the treatment got
        own = (1 - e) / e**2
        own_slopes = (np.where(rows.treated, 1, -1) * (e - 2) / e**3 * fit.slope)[:, None] * fit.design
    share: Any = {"ate": np.ones(rows.n), "att": rows.treated * 1.0, "atc": 1.0 - rows.treated}[target]
    arms = [
        _arm(
            rows.outcome, arm, design, own, own_slopes, weights, slopes, share, fit, augmented=augmented,
            efficient=efficient,
        )
        for arm in (rows.treated, ~rows.treated)
    ]  # fmt: skip
    (one, part_one), (zero, part_zero) = arms
    spare = min(int(rows.treated.sum()), int((~rows.treated).sum())) > design.shape[1]
    # The nuisance parts of the influence functions average 0; without them the efficient one is a plain sample's.
    inflate = math.sqrt(rows.n / (rows.n - 1)) if efficient else 1.0
    return effect(
        rows, one, zero, inflate * sandwich(part_one - part_zero) if spare else math.nan, level=level, target=target,
        notes=(*notes, *weight_notes(rows, weights)),
        se_method="efficient influence function" if efficient else "M-estimation",
    )  # fmt: skip


def _arm(
    y: Floats, arm: Flags, design: Floats, own: Floats, own_slopes: Floats, weights: Floats, slopes: Floats,
    share: Floats, fit: Propensity, *, augmented: bool, efficient: bool,
) -> tuple[float, Floats]:  # fmt: skip
    """Mean outcome of the target group under one treatment, and its influence function.

    ``own`` are the weights of the least squares, ``own_slopes`` how they move with the coefficients of the score.
    """
    n = len(y)
    own = arm * own
    root = np.sqrt(own[arm])[:, None]
    beta = np.linalg.lstsq(root * design[arm], root[:, 0] * y[arm], rcond=None)[0]
    fitted = design @ beta
    residual = np.where(arm, y - fitted, 0.0)
    moments = (own * residual)[:, None] * design
    # How the coefficients move with those of the propensity score.
    moments = moments + fit.influence @ ((residual[:, None] * own_slopes).T @ design / n)
    beta_part = np.linalg.solve((own[:, None] * design).T @ design / n, moments.T).T
    if augmented:
        weight = arm * weights
        values = fitted + weight * residual
        mean = float(values.mean())
        if efficient:
            return mean, values - mean
        part = values - mean + beta_part @ (design * (1 - weight)[:, None]).mean(axis=0)
        return mean, part + fit.influence @ (residual @ slopes / n)
    mean = float((share * fitted).sum() / share.sum())
    return mean, share * (fitted - mean) / share.mean() + beta_part @ (share @ design / share.sum())
