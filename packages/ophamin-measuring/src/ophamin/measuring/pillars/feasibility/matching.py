"""Nearest-neighbour matching with replacement, ties averaged, and the standard error of Abadie and Imbens."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
from ophamin.measuring.pillars.feasibility._estimated_score import score_correction
from ophamin.measuring.pillars.feasibility._nearest import Arm
from ophamin.measuring.pillars.feasibility.propensity import fit_propensity
from ophamin.measuring.pillars.feasibility.weighting import TARGETS
from ophamin.proof.errors import UsageError

__all__ = ["ERRORS", "METRICS", "matching"]

METRICS = ("mahalanobis", "inverse-variance", "score")
ERRORS = ("robust", "homoscedastic")
"""Variance of the outcome about its mean at a place: from neighbours of the same arm, or one for all rows."""

_FAR = 1e5  # what unlike values of an exact confounder add to a distance counted in standard deviations


def matching(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    target: str = "ate",
    neighbours: int = 1,
    metric: str = "mahalanobis",
    exact: ArrayLike | None = None,
    bias_adjusted: bool | Sequence[int] = False,
    errors: str = "robust",
    tolerance: float = 0.0,
    link: str = "logit",
    score_known: bool = False,
    variance_neighbours: int | None = None,
    level: float = 0.95,
) -> Effect:
    """Each row against its nearest neighbours in the other arm.

    Args:
        outcome: Shape (n,).
        treatment: 0 and 1, shape (n,).
        confounders: Shape (n, p).
        target: ``ate``, ``att`` or ``atc``.
        neighbours: M; every row at the M-th distance is taken too, and all count alike.
        metric: ``mahalanobis`` (covariance of all rows), ``inverse-variance`` or ``score`` (propensity score).
        exact: Further confounders a neighbour must equal, shape (n, q).
        bias_adjusted: Correct each neighbour's outcome for what still differs in ``confounders``, by the slopes of a
            least-squares fit to the rows used as neighbours (and as often as they were used); or which columns.
        errors: ``robust``: variances from the row and the nearest of its own arm; ``homoscedastic``: one variance
            from the differences of matched pairs, the default of R's ``Match``.
        tolerance: Squared distances (in standard deviations) that exceed the M-th by no more are ties too; R's
            ``Match`` takes 1e-5.
        link: Of the propensity score.
        score_known: Take the propensity score as known. Otherwise the standard error counts that it was estimated.
        variance_neighbours: How many others are the nearest of its own arm; default: 2 (R's ``Match``, Stata's
            ``teffects nnmatch``), and 1 on the score (Stata's ``teffects psmatch``).
        level: Two-sided confidence.

    Returns:
        The effect. With more than one continuous confounder matching without bias adjustment is biased at the rate of
        its standard error or worse.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Abadie & Imbens (2006), Econometrica 74:235; (2011), JBES 29:1, for the adjustment; (2016), Econometrica
    84:781, for the estimated score. As Stata's ``teffects nnmatch`` and ``psmatch``, and R's ``Matching::Match``.
    """
    checked_level(level)
    if target not in TARGETS or metric not in METRICS or neighbours < 1:
        raise UsageError(f"matching takes a target of {', '.join(TARGETS)}, a metric of {', '.join(METRICS)}, M from 1")
    if errors not in ERRORS or not (tolerance >= 0 and math.isfinite(tolerance)):
        raise UsageError(f"errors of matching are {' or '.join(ERRORS)}, and the tolerance is 0 or more")
    if variance_neighbours is not None and variance_neighbours < 1:
        raise UsageError(f"the variance of a row takes 1 neighbour or more, not {variance_neighbours}")
    rows = checked(outcome, treatment, confounders)
    alike = checked(outcome, treatment, exact).confounders
    if reason := one_arm(rows):
        return unanswered(rows, reason, target=target)
    t, y = rows.treated, rows.outcome
    if min(int(t.sum()), int((~t).sum())) < max(2, neighbours):
        reason = f"each arm needs at least {max(2, neighbours)} rows to match {neighbours} and to see their spread"
        return unanswered(rows, reason, target=target)
    kept, notes = independent(rows.confounders)
    adjusting = _adjusting(bias_adjusted, kept, rows.confounders.shape[1])
    x = rows.confounders[:, kept]
    x = x - x.mean(axis=0)
    fit = fit_propensity(t, rows.confounders, link=link) if metric == "score" else None
    if fit:
        if fit.problem:
            return unanswered(rows, fit.problem, target=target, notes=fit.notes)
        x, notes = fit.score[:, None] / (fit.score.std(ddof=1) or 1.0), fit.notes
        if score_known or adjusting:
            fit, notes = None, (*notes, "the standard error takes the propensity score as known")
    elif not x.shape[1]:
        x = np.zeros((rows.n, 1))
    elif metric == "mahalanobis":
        # x'Σ⁻¹x is the squared length of L⁻¹x, with Σ = LL'.
        x = np.linalg.solve(np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False))), x.T).T
    else:
        x = x / x.std(axis=0, ddof=1)
    if alike.shape[1]:
        codes = [np.unique(column, return_inverse=True)[1] for column in alike.T]
        x = np.column_stack([x, _FAR * np.array(codes).T])
    x = np.round(x, 10)  # equal rows stay equal after the rotation
    width = 1 + (variance_neighbours or (1 if metric == "score" else 2))
    arms = {True: Arm(x[t], y[t]), False: Arm(x[~t], y[~t])}
    counted = {"ate": (True, False), "att": (True,), "atc": (False,)}[target]
    found = {side: arms[not side].neighbours(arms[side].places, neighbours, tolerance) for side in counted}
    if alike.shape[1] and (lone := sum(_unlike(arms[s], arms[not s], found[s], alike.shape[1]) for s in counted)):
        reason = f"there is no overlap: {lone} rows have fewer than {neighbours} rows of the other arm just like them"
        return unanswered(rows, reason, target=target, notes=notes)
    uses, squares = np.zeros(rows.n), np.zeros(rows.n)
    for side in counted:
        uses[t != side], squares[t != side] = _uses(arms[side], arms[not side], found[side])
    other, pairs, z = np.empty(rows.n), np.empty(rows.n), rows.confounders[:, adjusting]
    for side in counted:
        here, there, arm = t == side, t != side, arms[side]
        shift = np.zeros(rows.n)
        if z.shape[1]:
            slopes = _slopes(y[there], z[there], uses[there])
            if slopes is None:
                reason = "the matched rows do not determine the slopes of a bias adjustment"
                return unanswered(rows, reason, target=target, notes=notes)
            shift = (z - z.mean(axis=0)) @ slopes
        mean, spread = (part[arm.cell] for part in _imputed(y[there] - shift[there], arms[not side], found[side]))
        other[here], pairs[here] = mean + shift[here], spread
    inside = np.isin(t, counted)
    ours, size = y[inside], int(inside.sum())
    sign = np.where(t[inside], 1.0, -1.0)
    gain = sign * (ours - other[inside])
    estimate = float(gain.mean())
    one = float(np.where(t[inside], ours, other[inside]).mean())
    if errors == "robust":
        variances = np.empty(rows.n)
        for side, arm in arms.items():
            variances[t == side] = _spread(arm, width)[arm.cell]
    else:
        # Half the mean square of a pair's difference about the effect.
        variances = np.full(rows.n, float((pairs[inside] + (gain - estimate) ** 2).mean()) / 2)
    factor = uses**2 + 2 * uses - squares if target == "ate" else np.where(inside, 0.0, uses**2 - squares)
    variance = (float(((gain - estimate) ** 2).sum()) + float((factor * variances).sum())) / size**2
    if fit:
        variance += score_correction(y, t, x, fit, target=target, estimate=estimate, width=width)
    return effect(
        rows, one, one - estimate, math.sqrt(max(variance, 0.0)), level=level, target=target, estimate=estimate,
        se_method=f"Abadie-Imbens {errors}{', score estimated' if fit else ''}", notes=notes,
    )  # fmt: skip


def _unlike(mine: Arm, theirs: Arm, found: list[NDArray[np.intp]], exact: int) -> int:
    """Rows with a neighbour that differs in the last ``exact`` coordinates."""
    lone = [bool((theirs.places[places, -exact:] != mine.places[i, -exact:]).any()) for i, places in enumerate(found)]
    return int(mine.size[np.array(lone)].sum())


def _uses(mine: Arm, theirs: Arm, found: list[NDArray[np.intp]]) -> tuple[Floats, Floats]:
    """How often each of their rows was used, and the sum of the squares of its shares."""
    used, squared = np.zeros(len(theirs.size)), np.zeros(len(theirs.size))
    for i, places in enumerate(found):
        total = float(theirs.size[places].sum())
        used[places] += mine.size[i] / total
        squared[places] += mine.size[i] / total**2
    return used[theirs.cell], squared[theirs.cell]


def _adjusting(asked: bool | Sequence[int], kept: NDArray[np.intp], p: int) -> list[int]:
    """Columns of a bias adjustment."""
    if isinstance(asked, bool):
        return kept.tolist() if asked else []
    if any(not 0 <= j < p for j in asked):
        raise UsageError(f"a bias adjustment names columns from 0 to {p - 1}, not {list(asked)}")
    return [j for j in kept.tolist() if j in asked]


def _slopes(y: Floats, x: Floats, weights: Floats) -> Floats | None:
    """Slopes of weighted least squares, or ``None`` where the rows with weight do not determine them."""
    root = np.sqrt(weights)[:, None]
    scale = x.std(axis=0)
    scale[scale == 0] = 1.0
    design = root * np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / scale])
    beta, _, rank, _ = np.linalg.lstsq(design, root[:, 0] * y, rcond=None)
    return np.asarray(beta[1:] / scale, dtype=np.float64) if rank == design.shape[1] else None


def _imputed(y: Floats, theirs: Arm, found: list[NDArray[np.intp]]) -> tuple[Floats, Floats]:
    """Mean and variance (of the whole) of the neighbours' outcomes, for each of my places."""
    mean = np.bincount(theirs.cell, y) / theirs.size
    square = np.bincount(theirs.cell, (y - mean[theirs.cell]) ** 2)
    means, variances = np.empty(len(found)), np.empty(len(found))
    for i, places in enumerate(found):
        size = theirs.size[places]
        means[i] = float(size @ mean[places]) / float(size.sum())
        variances[i] = (square[places].sum() + float(size @ (mean[places] - means[i]) ** 2)) / float(size.sum())
    return means, variances


def _spread(arm: Arm, width: int) -> Floats:
    """Variance of the outcome at each place, from the nearest rows of its arm (and ties), one of which is there."""
    out = np.empty(len(arm.size))
    for i, places in enumerate(arm.neighbours(arm.places, min(width, int(arm.size.sum())))):
        size, mean = arm.size[places], arm.mean[places]
        centre = float(size @ mean) / float(size.sum())
        out[i] = (arm.spread[places].sum() + float(size @ (mean - centre) ** 2)) / (float(size.sum()) - 1)
    return out
