"""What the variance of a matching estimator owes to the propensity score being estimated."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.feasibility._effect import Flags
from ophamin.measuring.pillars.feasibility._nearest import Arm
from ophamin.measuring.pillars.feasibility.propensity import Propensity

__all__ = ["score_correction"]


class _Local(NamedTuple):
    """Among the rows of one arm that are nearest to each row of the study.

    Args:
        mean: Their mean outcome, shape (n,).
        others: That without the row itself, shape (n,).
        covariance: Of outcome and regressors, shape (n, k).
    """

    mean: Floats
    others: Floats
    covariance: Floats


def score_correction(
    y: Floats, treated: Flags, points: Floats, fit: Propensity, *, target: str, estimate: float, width: int
) -> float:
    """What is added to the variance of a matching estimator, as the score is that of ``fit`` and not the true one.

    With Z the regressors of the score, p the score, f its derivative, and V the covariance of its coefficients:
    −c'Vc for the average effect, c the mean of f·(cov(Z, Y₁ | p) / p + cov(Z, Y₀ | p) / (1 − p)), which is never above
    0. For the treated −c'Vc + d'Vd, of either sign: c is the sum of f·(Z·(E[Y₁ − Y₀ | p] − τ) + cov(Z, Y₁ | p) +
    p / (1 − p)·cov(Z, Y₀ | p)) and d that of f·Z·(E[Y₁ − Y₀ | Z] − τ), by how many are treated. The moments given p
    are those of the ``width`` rows of an arm with the nearest scores (the row itself is one of its own arm, but of no
    mean: Z times its own outcome would not be the product of two means), those given Z of the nearest by
    Mahalanobis's distance.

    Args:
        y: Outcome, shape (n,).
        treated: Shape (n,).
        points: Where rows were matched: the score, perhaps with more; shape (n, q).
        fit: The score.
        target: ``ate``, ``att`` or ``atc``.
        estimate: Of the effect.
        width: Rows of an arm, at least 2.

    Source: Abadie & Imbens (2016), Econometrica 84:781; for the average effect as Stata's ``teffects psmatch``.
    """
    if target == "atc":  # the untreated are the treated once the arms have changed names
        other = replace(fit, score=1 - fit.score, slope=-fit.slope)
        return score_correction(y, ~treated, points, other, target="att", estimate=-estimate, width=width)
    z, f, p = fit.design, fit.slope, fit.score
    y = y - y.mean()
    covariance = np.linalg.inv((z * (f**2 / (p * (1 - p)))[:, None]).T @ z)
    one, zero = (_local(y, z, points, treated == side, width) for side in (True, False))
    if target == "ate":
        c = (f[:, None] * (one.covariance / p[:, None] + zero.covariance / (1 - p)[:, None])).mean(axis=0)
        return -float(c @ covariance @ c)
    gain = (one.others - zero.others - estimate)[:, None]
    c = (f[:, None] * (z * gain + one.covariance + (p / (1 - p))[:, None] * zero.covariance)).sum(axis=0)
    place = _whitened(z[:, 1:])
    high, low = (_local(y, z, place, treated == side, width) for side in (True, False))
    d = (f[:, None] * z * (high.mean - low.mean - estimate)[:, None]).sum(axis=0)
    return float(d @ covariance @ d - c @ covariance @ c) / int(treated.sum()) ** 2


def _local(y: Floats, z: Floats, points: Floats, arm: Flags, width: int) -> _Local:
    """Moments of the ``width`` rows of an arm (and ties) that are nearest to each row of the study."""
    places, cell = np.unique(points, axis=0, return_inverse=True)
    near = Arm(points[arm], y[arm])
    found = near.neighbours(places, min(width, int(arm.sum())))
    held, starts = np.concatenate(found), np.cumsum([0, *map(len, found[:-1])])
    products = z[arm] * y[arm][:, None]
    sums = np.column_stack([near.size, near.sum, *(np.bincount(near.cell, v) for v in (*z[arm].T, *products.T))])
    total = np.add.reduceat(sums[held], starts, axis=0)
    n, k = total[:, 0], z.shape[1]
    mean, of_z, of_product = total[:, 1] / n, total[:, 2 : 2 + k], total[:, 2 + k :]
    covariance = (of_product - of_z * mean[:, None]) / (n - 1)[:, None]
    cell = cell.reshape(-1)
    others = np.where(arm, (total[cell, 1] - y) / (n[cell] - 1), mean[cell])
    return _Local(mean[cell], others, covariance[cell])


def _whitened(z: Floats) -> Floats:
    """Places whose squared distance is Mahalanobis's."""
    if not z.shape[1]:
        return np.zeros((len(z), 1))
    root = np.linalg.cholesky(np.atleast_2d(np.cov(z, rowvar=False)))
    return np.round(np.linalg.solve(root, z.T).T, 10)  # equal rows stay equal after the rotation
