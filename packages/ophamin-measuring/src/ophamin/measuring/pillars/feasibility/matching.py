"""Nearest-neighbour matching with replacement, ties averaged, and the standard error of Abadie and Imbens."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

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
from ophamin.measuring.pillars.feasibility.propensity import fit_propensity
from ophamin.measuring.pillars.feasibility.weighting import TARGETS
from ophamin.proof.errors import UsageError

__all__ = ["METRICS", "matching"]

METRICS = ("mahalanobis", "inverse-variance", "score")


class _Arm:
    """Rows of one arm, those at one place taken together, so that ties cost nothing."""

    def __init__(self, points: Floats, y: Floats) -> None:
        self.places, self.cell = np.unique(points, axis=0, return_inverse=True)
        self.cell = self.cell.reshape(-1)
        self.size = np.bincount(self.cell)
        mean = np.bincount(self.cell, y) / self.size
        self.sum = mean * self.size
        # About the place's mean, so that large constant digits do not cancel.
        self.spread = np.bincount(self.cell, (y - mean[self.cell]) ** 2)
        self.mean = mean
        self.tree = cKDTree(self.places)

    def neighbours(self, points: Floats, count: int) -> list[NDArray[np.intp]]:
        """Places that hold the ``count`` nearest rows of each point, all ties included."""
        k = min(count, len(self.places))
        distance, index = (np.asarray(a).reshape(len(points), k) for a in self.tree.query(points, k=k))
        enough = np.argmax(self.size[index].cumsum(axis=1) >= count, axis=1)
        radius = distance[np.arange(len(points)), enough]
        found = self.tree.query_ball_point(points, radius * (1 + 1e-9) + 1e-9)
        return [np.asarray(sorted(f), dtype=np.intp) for f in found]


def matching(
    outcome: ArrayLike,
    treatment: ArrayLike,
    confounders: ArrayLike,
    *,
    target: str = "ate",
    neighbours: int = 1,
    metric: str = "mahalanobis",
    link: str = "logit",
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
        link: Of the propensity score.
        level: Two-sided confidence.

    Returns:
        The effect; its standard error is robust to unequal variances, each from the row and the two nearest of its own
        arm. With more than one continuous confounder matching is biased at the rate of its standard error or worse.

    Raises:
        UsageError: Malformed arrays or options.

    Source: Abadie & Imbens (2006), Econometrica 74:235; as Stata's ``teffects nnmatch``.
    """
    checked_level(level)
    if target not in TARGETS or metric not in METRICS or neighbours < 1:
        raise UsageError(f"matching takes a target of {', '.join(TARGETS)}, a metric of {', '.join(METRICS)}, M from 1")
    rows = checked(outcome, treatment, confounders)
    if reason := one_arm(rows):
        return unanswered(rows, reason, target=target)
    t, y = rows.treated, rows.outcome
    if min(int(t.sum()), int((~t).sum())) < max(2, neighbours):
        reason = f"each arm needs at least {max(2, neighbours)} rows to match {neighbours} and to see their spread"
        return unanswered(rows, reason, target=target)
    kept, notes = independent(rows.confounders)
    x = rows.confounders[:, kept]
    x = x - x.mean(axis=0)
    if metric == "score":
        fit = fit_propensity(t, rows.confounders, link=link)
        if fit.problem:
            return unanswered(rows, fit.problem, target=target, notes=fit.notes)
        x, notes = fit.score[:, None], fit.notes
        notes = (*notes, "the standard error takes the propensity score as known")
    elif not x.shape[1]:
        x = np.zeros((rows.n, 1))
    elif metric == "mahalanobis":
        # x'Σ⁻¹x is the squared length of L⁻¹x, with Σ = LL'.
        x = np.linalg.solve(np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False))), x.T).T
    else:
        x = x / x.std(axis=0, ddof=1)
    x = np.round(x, 10)  # equal rows stay equal after the rotation
    arms = {True: _Arm(x[t], y[t]), False: _Arm(x[~t], y[~t])}
    other, uses, squares = np.empty(rows.n), np.zeros(rows.n), np.zeros(rows.n)
    counted = {"ate": (True, False), "att": (True,), "atc": (False,)}[target]
    for side in counted:
        mine, theirs = arms[side], arms[not side]
        found = theirs.neighbours(mine.places, neighbours)
        imputed, used, squared = np.empty(len(found)), np.zeros(len(theirs.size)), np.zeros(len(theirs.size))
        for i, places in enumerate(found):
            total = float(theirs.size[places].sum())
            imputed[i] = theirs.sum[places].sum() / total
            used[places] += mine.size[i] / total
            squared[places] += mine.size[i] / total**2
        here, there = (t, ~t) if side else (~t, t)
        other[here] = imputed[mine.cell]
        uses[there] += used[theirs.cell]
        squares[there] += squared[theirs.cell]
    inside = np.isin(t, counted)
    ours, size = y[inside], int(inside.sum())
    sign = np.where(t[inside], 1.0, -1.0)
    gain = sign * (ours - other[inside])
    estimate = float(gain.mean())
    one = float(np.where(t[inside], ours, other[inside]).mean())
    spread = np.empty(rows.n)
    for side, arm in arms.items():
        spread[t if side else ~t] = _spread(arm)[arm.cell]
    factor = uses**2 + 2 * uses - squares if target == "ate" else np.where(inside, 0.0, uses**2 - squares)
    variance = (float(((gain - estimate) ** 2).sum()) + float((factor * spread).sum())) / size**2
    return effect(
        rows, one, one - estimate, math.sqrt(max(variance, 0.0)), level=level, target=target, estimate=estimate,
        se_method="Abadie-Imbens robust", notes=notes,
    )  # fmt: skip


def _spread(arm: _Arm) -> Floats:
    """Variance of the outcome at each place, from a row there and the two nearest others of its arm (and ties)."""
    out = np.empty(len(arm.size))
    for i, places in enumerate(arm.neighbours(arm.places, min(3, int(arm.size.sum())))):
        size, mean = arm.size[places], arm.mean[places]
        centre = float(size @ mean) / float(size.sum())
        out[i] = (arm.spread[places].sum() + float(size @ (mean - centre) ** 2)) / (float(size.sum()) - 1)
    return out
