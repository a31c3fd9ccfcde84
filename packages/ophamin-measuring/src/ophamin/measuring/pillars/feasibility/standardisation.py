"""The g-formula: model the outcome, then average its predictions over everybody under each treatment."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from statsmodels.discrete.discrete_model import Logit
from statsmodels.regression.linear_model import OLS

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import (
    Effect,
    checked,
    checked_level,
    effect,
    independent,
    one_arm,
    unanswered,
)
from ophamin.measuring.pillars.feasibility.weighting import TARGETS
from ophamin.proof.errors import UsageError

__all__ = ["OUTCOMES", "effect_at", "g_formula"]

OUTCOMES = ("linear", "logistic")


def g_formula(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    interactions: Sequence[int] | None = None,
    outcome_model: str = "linear",
    target: str = "ate",
    others: ArrayLike | None = None,
    others_treatment: ArrayLike | None = None,
    level: float = 0.95,
) -> Effect:
    """Standardised difference of means (parametric g-formula for a treatment at one time).

    With the treatment's products with all confounders (the default) and a linear model it is regression adjustment
    in each arm, Stata's ``teffects ra``.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        interactions: Columns of the confounders whose product with the treatment is in the model; default: all.
        outcome_model: ``linear`` (least squares) or ``logistic`` (outcomes 0 and 1).
        target: ``ate``, ``att`` or ``atc``: over whom is averaged.
        others: Confounders of further rows without an outcome to average over, shape (m, p).
        others_treatment: Their treatment, shape (m,); only for ``att`` and ``atc``.
        level: Two-sided confidence.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Robins (1986), Mathematical Modelling 7:1393; Hernán & Robins, *Causal Inference: What If*, chapter 13;
    standard error by stacked estimating equations, Stefanski & Boos (2002).
    """
    checked_level(level)
    if target not in TARGETS or outcome_model not in OUTCOMES:
        raise UsageError(f"a target is {', '.join(TARGETS)} and an outcome model {' or '.join(OUTCOMES)}")
    rows = checked(outcome, treatment, confounders)
    if outcome_model == "logistic" and not np.isin(rows.outcome, (0.0, 1.0)).all():
        raise UsageError("a logistic outcome model needs outcomes 0 and 1")
    if reason := one_arm(rows):
        return unanswered(rows, reason, target=target)
    p = rows.confounders.shape[1]
    chosen = list(range(p)) if interactions is None else list(interactions)
    if any(not 0 <= j < p for j in chosen):
        raise UsageError(f"interactions are columns from 0 to {p - 1}, not {chosen}")
    whole, flags = rows.confounders, rows.treated
    if others is not None:
        more = np.asarray(others, dtype=np.float64).reshape(-1, p)
        if others_treatment is None and target != "ate":
            raise UsageError("averaging over the treated or the untreated needs the treatment of the further rows")
        given = np.zeros(len(more)) if others_treatment is None else others_treatment
        again = checked(np.zeros(len(more)), given, more)
        whole, flags = np.vstack([whole, more]), np.concatenate([flags, again.treated])
    kept, notes = independent(rows.confounders)
    centre, scale = rows.confounders[:, kept].mean(axis=0), rows.confounders[:, kept].std(axis=0)
    z: Floats = (whole[:, kept] - centre) / scale
    places = [i for i, j in enumerate(kept) if j in chosen]

    own, w = z[: rows.n], rows.treated * 1.0
    design = np.column_stack([np.ones(rows.n), w, own, w[:, None] * own[:, places]])
    n, k = design.shape
    cross = design.T @ design / n
    if not _determined(design, cross):
        reason = f"the outcome model has {k} coefficients, which {n} rows of this kind do not determine"
        return unanswered(rows, reason, target=target, notes=notes)
    weight = {"ate": np.ones(len(z)), "att": flags * 1.0, "atc": 1.0 - flags}[target]
    try:
        beta, residual, bread = _fit(design, cross, rows.outcome, outcome_model)
    except ArithmeticError as error:
        return unanswered(rows, str(error), target=target, notes=notes)
    q = 2 + z.shape[1]
    without: Floats = beta[0] + z @ beta[2:q]
    gain: Floats = beta[1] + z[:, places] @ beta[q:]
    means, gradients, spreads = [], [], []
    for one in (1.0, 0.0):
        value = without + one * gain
        slope = weight
        if outcome_model == "logistic":
            value = expit(value)
            slope = weight * value * (1 - value)
        means.append(float(weight @ value / weight.sum()))
        along = slope @ z
        gradients.append(np.concatenate([[slope.sum(), one * slope.sum()], along, one * along[places]]) / weight.sum())
        spreads.append(weight * (value - means[-1]))
    # Rows with an outcome move the coefficients; all rows move the average.
    part = (spreads[0] - spreads[1]) / weight.sum()
    part[:n] += residual * (design @ np.linalg.solve(bread, gradients[0] - gradients[1])) / n
    se = float(np.sqrt((part**2).sum())) if n > k else math.nan
    return effect(rows, means[0], means[1], se, level=level, target=target, notes=notes, se_method="M-estimation")


def _determined(design: Floats, cross: Floats) -> bool:
    """Whether the columns are independent: told from their mean products where that is plain, as it mostly is."""
    roots = np.linalg.eigvalsh(cross)
    return bool(roots[0] > 1e-6 * roots[-1]) or int(np.linalg.matrix_rank(design)) == design.shape[1]


def _fit(design: Floats, cross: Floats, y: Floats, kind: str) -> tuple[Floats, Floats, Floats]:
    """Coefficients, residuals, and the mean derivative of the estimating equations (k, k): the bread of a sandwich."""
    if kind == "linear":
        beta = np.asarray(OLS(y, design).fit().params)
        return beta, y - design @ beta, cross
    if np.ptp(y) == 0:
        raise ArithmeticError("the outcome is constant: a logistic model has no finite coefficients")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = Logit(y, design).fit(disp=0, maxiter=200, check_rank=False)
            done = bool(fit.mle_retvals["converged"]) and bool(np.abs(fit.params).max() < 30)
        except np.linalg.LinAlgError:
            done = False
    if not done:
        raise ArithmeticError("the outcome model did not converge: treatment and confounders predict it perfectly")
    beta, fitted = np.asarray(fit.params), np.asarray(fit.predict())
    return beta, y - fitted, (design * (fitted * (1 - fitted))[:, None]).T @ design / len(y)


def effect_at(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    modifier: int,
    values: Sequence[float],
    level: float = 0.95,
) -> tuple[list[Effect], float]:
    """Effects at values of one confounder that modifies them, by least squares with one product.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        modifier: Column of the confounders.
        values: Its values.
        level: Two-sided confidence, by Student's t; classical standard errors.

    Returns:
        One effect per value, and the product's coefficient.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Hernán & Robins, *Causal Inference: What If*, chapter 15.
    """
    checked_level(level)
    rows = checked(outcome, treatment, confounders)
    if not 0 <= modifier < rows.confounders.shape[1]:
        raise UsageError(f"a modifier is one of the {rows.confounders.shape[1]} columns, not {modifier}")
    kept, notes = independent(rows.confounders)
    t, m = rows.treated * 1.0, rows.confounders[:, modifier]
    x = rows.confounders[:, kept]
    x = (x - x.mean(axis=0)) / x.std(axis=0) if rows.n else x
    # Centred at the value asked for, the treatment's coefficient is the effect there, whatever the scale of the rest.
    found, slope, size = [], math.nan, float(m.std()) if rows.n else 0.0
    for value in values:
        shifted = (m - value) / size if size > 0 else m
        design = np.column_stack([np.ones(rows.n), t, t * shifted, x])
        df = rows.n - design.shape[1]
        reason = one_arm(rows)
        if reason or df < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
            found.append(unanswered(rows, reason or "the rows do not determine the effect at this value", notes=notes))
            continue
        fit = OLS(rows.outcome, design).fit()
        slope, estimate = float(fit.params[2]) / size, float(fit.params[1])
        base = float(rows.outcome.mean())
        found.append(
            effect(rows, base + estimate, base, float(fit.bse[1]), level=level, df=df, estimate=estimate,
                   se_method="classical", notes=notes)
        )  # fmt: skip
    return found, slope
