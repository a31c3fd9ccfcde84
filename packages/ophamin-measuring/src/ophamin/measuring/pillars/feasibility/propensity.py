"""The propensity score: the probability of treatment given the confounders, by maximum likelihood (statsmodels)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog
from scipy.special import expit
from scipy.stats import norm
from statsmodels.discrete.discrete_model import Logit, Probit

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import checked, independent
from ophamin.proof.errors import UsageError

__all__ = ["LINKS", "Propensity", "fit_propensity"]

LINKS = ("logit", "probit")


@dataclass(frozen=True)
class Propensity:
    """A fitted propensity score.

    Args:
        score: Probability of treatment of each row, shape (n,); NaN when ``problem`` is set.
        slope: Its derivative by the linear predictor, shape (n,).
        design: Regressors, constant first, columns scaled; shape (n, k).
        influence: Influence function of the coefficients, row by row; shape (n, k).
        notes: Sentences on confounders left out.
        problem: Why there is no score, or ``None``.
    """

    score: Floats
    slope: Floats
    design: Floats
    influence: Floats
    notes: tuple[str, ...] = ()
    problem: str | None = None


def fit_propensity(treatment: ArrayLike, confounders: ArrayLike | None, *, link: str = "logit") -> Propensity:
    """Fit the propensity score without penalty, to convergence.

    Args:
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p); ``None``: the share of the treated.
        link: ``logit`` or ``probit``.

    Returns:
        The score; with ``problem`` set when one arm is empty, a combination of confounders separates the arms
        (then the likelihood has no maximum and the arms do not overlap), or the fit does not converge.

    Raises:
        UsageError: Malformed arrays, or an unknown link.

    Source: Rosenbaum & Rubin (1983), Biometrika 70:41; separation: Albert & Anderson (1984), Biometrika 71:1, found by
    linear programming as in Konis (2007).
    """
    if link not in LINKS:
        raise UsageError(f"a propensity score has the link {' or '.join(LINKS)}, not {link!r}")
    w = np.asarray(treatment, dtype=np.float64)
    rows = checked(np.zeros(len(w)), w, confounders)
    kept, notes = independent(rows.confounders)
    x = rows.confounders[:, kept]
    # Scaling leaves the score as it is and lets Newton's method converge on raw dollars and squared ages.
    x = (x - x.mean(axis=0)) / x.std(axis=0) if x.shape[1] else x
    design = np.column_stack([np.ones(rows.n), x])
    treated = int(rows.treated.sum())
    if treated in (0, rows.n):
        return _none(design, notes, f"{treated} treated and {rows.n - treated} untreated rows: both are needed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each is found out below and said in words
        try:
            model = (Logit if link == "logit" else Probit)(w, design)
            fit = model.fit(disp=0, maxiter=200, method="newton", tol=1e-12, check_rank=False)
            coefficients, converged = np.asarray(fit.params), bool(fit.mle_retvals["converged"])
            linear = design @ coefficients
            score = expit(linear) if link == "logit" else norm.cdf(linear)
        except (np.linalg.LinAlgError, ValueError):
            converged, score = False, np.array([math.nan])
    extreme = not converged or not np.isfinite(score).all() or score.min() < 1e-6 or score.max() > 1 - 1e-6
    if extreme and _separated(design, rows.treated):
        return _none(
            design, notes, "there is no overlap: a combination of the confounders separates treated from untreated rows"
        )
    if not converged or not np.isfinite(score).all() or score.min() <= 0 or score.max() >= 1:
        return _none(design, notes, "the propensity score did not converge to probabilities between 0 and 1")
    slope = score * (1 - score) if link == "logit" else norm.pdf(linear)
    information = -1.0 * np.asarray(model.hessian(coefficients)) / rows.n
    influence = np.linalg.solve(information, np.asarray(model.score_obs(coefficients)).T).T
    return Propensity(score, slope, design, influence, notes)


def _none(design: Floats, notes: tuple[str, ...], problem: str) -> Propensity:
    nothing = np.full(len(design), math.nan)
    return Propensity(nothing, nothing, design, np.full(design.shape, math.nan), notes, problem)


def _separated(design: Floats, treated: NDArray[np.bool_]) -> bool:
    """Whether some combination of the regressors is never negative for the treated nor positive for the rest."""
    signed = np.where(treated, 1.0, -1.0)[:, None] * design
    found = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs")
    return found.status == 0 and float(signed.sum(axis=0) @ found.x) > 1e-6 * len(signed)
