"""Satterthwaite's degrees of freedom for the fixed effects of a mixed model."""

from __future__ import annotations

import math

import numpy as np

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.criterion import BOUNDARY, Criterion

__all__ = ["satterthwaite"]


def satterthwaite(criterion: Criterion, theta: Floats, sigma: float, back: Floats) -> Floats:
    """Degrees of freedom of each fixed effect, or of other linear combinations.

    df = 2·C²/(g'Ag): C the variance of the effect as a function of the variance parameters, g its gradient, A the
    covariance of those parameters (twice the inverse Hessian of −2 log-likelihood). A variance at 0 is held there.

    Args:
        criterion: Likelihood.
        theta: Parameters of Λ at the maximum.
        sigma: σ there.
        back: What takes the fitted effects to those of the table or to the combinations, shape (m, p).

    Returns:
        Shape (m,); ∞ where the likelihood is too flat to tell.

    Source: Satterthwaite (1946), Biometrics Bull 2:110; Kuznetsova, Brockhoff & Christensen (2017), J Stat Softw
    82(13).
    """
    free = [i for i, b in enumerate(criterion.random.nonnegative) if not b or theta[i] >= BOUNDARY]
    at = np.append(theta[free], math.log(sigma))
    # A step of the fourth root of the rounding, relative: the best for second differences.
    step = np.append(np.maximum(np.abs(theta[free]), 0.1), 1.0) * 1e-3

    def whole(values: Floats) -> Floats:
        all_of = theta.copy()
        all_of[free] = values[:-1]
        return all_of

    def deviance(values: Floats) -> float:
        return criterion.deviance(whole(values), math.exp(values[-1]))

    def variances(values: Floats) -> Floats:
        found = criterion.solve(whole(values))
        if found is None:
            return np.full(len(back), np.nan)
        scaled: Floats = math.exp(2 * values[-1]) * np.einsum("ij,jk,ik->i", back, found.unscaled, back)
        return scaled

    k = len(at)
    shifts = np.diag(step)
    hessian = np.empty((k, k))
    centre = deviance(at)
    for i in range(k):
        hessian[i, i] = (deviance(at + shifts[i]) - 2 * centre + deviance(at - shifts[i])) / step[i] ** 2
        for j in range(i):
            corners = [deviance(at + a * shifts[i] + b * shifts[j]) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            hessian[i, j] = hessian[j, i] = (corners[0] - corners[1] - corners[2] + corners[3]) / (
                4 * step[i] * step[j]
            )
    gradient = np.array([(variances(at + s) - variances(at - s)) / (2 * h) for s, h in zip(shifts, step, strict=True)])
    try:
        np.linalg.cholesky(hessian)
        spread = np.einsum("ip,ij,jp->p", gradient, 2 * np.linalg.inv(hessian), gradient)
    except np.linalg.LinAlgError:
        return np.full(len(back), math.inf)
    df: Floats = np.where(spread > 0, 2 * variances(at) ** 2 / np.where(spread > 0, spread, 1.0), math.inf)
    return df
