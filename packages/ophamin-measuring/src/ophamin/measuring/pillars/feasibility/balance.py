"""Are the arms alike, before and after weighting, and do they overlap?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import checked, one_arm
from ophamin.measuring.pillars.feasibility.propensity import fit_propensity
from ophamin.measuring.pillars.feasibility.weighting import inverse_weights
from ophamin.proof.errors import UsageError

__all__ = ["Balance", "balance", "effective_size", "standardised_differences"]


@dataclass(frozen=True)
class Balance:
    """Balance and overlap of two arms.

    Args:
        before: Standardised mean difference of each confounder, shape (p,).
        after: The same with weights; NaN where there is no overlap.
        variance_ratio: Variance of the treated over that of the rest, with weights, shape (p,).
        score: Propensity scores, shape (n,); NaN where there is no overlap.
        weights: Inverse-probability weights, shape (n,).
        stabilised: Weights times the share of the arm, whose mean is near 1; shape (n,).
        effective_treated: Effective sample size of the treated.
        effective_control: Effective sample size of the rest.
        common: Least and greatest score that both arms reach.
        outside: Share of rows whose score lies outside it.
        overlap: Overlapping coefficient of the two distributions of the score, from 0 to 1, in 20 bins.
        notes: What the reader must know, in sentences.
    """

    before: Floats
    after: Floats
    variance_ratio: Floats
    score: Floats
    weights: Floats
    stabilised: Floats
    effective_treated: float
    effective_control: float
    common: tuple[float, float]
    outside: float
    overlap: float
    notes: tuple[str, ...] = ()


def effective_size(weights: ArrayLike) -> float:
    """Kish's effective sample size (Σw)² / Σw²; NaN without weight.

    Example:
        >>> effective_size([1.0, 1.0, 2.0])
        2.6666666666666665
    """
    w = np.asarray(weights, dtype=np.float64)
    square = float((w**2).sum())
    return float(w.sum()) ** 2 / square if square > 0 else math.nan


def standardised_differences(
    treatment: ArrayLike, confounders: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Standardised mean differences, and variance ratios.

    The spread is that before weighting, √((s₁² + s₀²)/2), so that weighting moves the means only.

    Args:
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        weights: Shape (n,); default: none.

    Returns:
        Two arrays of shape (p,), NaN where a confounder has no spread.

    Raises:
        UsageError: Malformed arrays.

    Source: Austin (2009), Statistics in Medicine 28:3083.
    """
    w = np.asarray(treatment, dtype=np.float64)
    rows = checked(np.zeros(len(w)), w, confounders)
    given = np.ones(rows.n) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != w.shape or not (np.isfinite(given).all() and (given >= 0).all()):
        raise UsageError("weights are finite numbers from 0 up, one for each row")
    if one_arm(rows):
        nothing = np.full(rows.confounders.shape[1], math.nan)
        return nothing, nothing
    means, raw, spread = [], [], []
    for arm in (rows.treated, ~rows.treated):
        x, v = rows.confounders[arm], given[arm] / given[arm].sum()
        means.append(v @ x)
        raw.append(x.var(axis=0, ddof=1) if len(x) > 1 else np.full(x.shape[1], math.nan))
        spread.append(v @ (x - means[-1]) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.sqrt((raw[0] + raw[1]) / 2)
        difference, ratio = (means[0] - means[1]) / pooled, spread[0] / spread[1]
    return np.where(pooled > 0, difference, math.nan), np.where(spread[1] > 0, ratio, math.nan)


def balance(treatment: ArrayLike, confounders: ArrayLike, *, target: str = "ate", link: str = "logit") -> Balance:
    """Balance before and after weighting by the inverse propensity score, and the overlap of the arms.

    Args:
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        target: ``ate``, ``att`` or ``atc``.
        link: ``logit`` or ``probit``.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Austin & Stuart (2015), Statistics in Medicine 34:3661; Kish (1965), *Survey Sampling*.
    """
    inverse_weights([], [], target)
    before, ratio = standardised_differences(treatment, confounders)
    fit = fit_propensity(treatment, confounders, link=link)
    flags = np.asarray(treatment, dtype=np.float64) == 1
    nothing, nan = np.full(len(flags), math.nan), math.nan
    if fit.problem:
        outside, overlap = (1.0, 0.0) if "overlap" in fit.problem else (nan, nan)
        return Balance(
            before, np.full_like(before, nan), ratio, nothing, nothing, nothing, nan, nan, (nan, nan), outside,
            overlap, (fit.problem, *fit.notes),
        )  # fmt: skip
    weights = inverse_weights(flags, fit.score, target)
    after, ratio = standardised_differences(treatment, confounders, weights)
    share = float(flags.mean())
    stabilised = weights * np.where(flags, share, 1 - share) if target == "ate" else weights / weights.mean()
    a, b = fit.score[flags], fit.score[~flags]
    common = float(max(a.min(), b.min())), float(min(a.max(), b.max()))
    outside = float(((fit.score < common[0]) | (fit.score > common[1])).mean())
    bins = np.linspace(0, 1, 21)
    density = [np.histogram(s, bins)[0] / len(s) for s in (a, b)]
    overlap = float(np.minimum(*density).sum())
    notes = list(fit.notes)
    if np.nanmax(np.abs(after), initial=0.0) > 0.1:
        notes.append("a confounder still differs by more than 0.1 standard deviations after weighting")
    if outside > 0.05:
        notes.append(f"{outside:.0%} of the rows lie where only one arm has propensity scores")
    sizes = effective_size(weights[flags]), effective_size(weights[~flags])
    for name, size, raw in (("treated", sizes[0], len(a)), ("untreated", sizes[1], len(b))):
        if size < 0.5 * raw:
            notes.append(f"weighting leaves the {raw} {name} rows worth {size:.0f}")
    return Balance(
        before, after, ratio, fit.score, weights, stabilised, *sizes, common, outside, overlap, tuple(notes)
    )  # fmt: skip
