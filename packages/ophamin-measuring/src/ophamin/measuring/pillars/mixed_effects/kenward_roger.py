"""Kenward and Roger's covariance and degrees of freedom for the fixed effects of a mixed model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.criterion import Criterion
from ophamin.measuring.pillars.mixed_effects.design import Random

__all__ = ["KenwardRoger", "kenward_roger"]


@dataclass(frozen=True)
class KenwardRoger:
    """What is known of the fixed effects, in the units of the fit and over σ².

    Args:
        plain: Covariance with the variances taken as known, shape (p, p).
        adjusted: Covariance that counts that they were estimated, shape (p, p).
        first: Its derivatives' kernels P, one per variance, shape (q, p, p).
        weights: Covariance W of the variances, shape (q, q); NaN where the information does not tell.
    """

    plain: Floats
    adjusted: Floats
    first: Floats
    weights: Floats

    def variances(self, back: Floats) -> Floats:
        """Adjusted variances of linear combinations of the effects, the rows of ``back``: shape (m,)."""
        return np.asarray(np.einsum("ij,jk,ik->i", back, self.adjusted, back), dtype=np.float64)

    def degrees(self, back: Floats) -> Floats:
        """Degrees of freedom of each linear combination, ∞ where nothing tells: shape (m,).

        For one effect l'β they are 2·(l'Φl)² / Σᵣₛ Wᵣₛ(l'ΦPᵣΦl)(l'ΦPₛΦl), and the F statistic is not scaled.
        """
        half = back @ self.plain
        slopes = np.einsum("pi,rij,pj->pr", half, self.first, half)
        spread = np.einsum("pr,rs,ps->p", slopes, self.weights, slopes)
        known = spread > 0  # false for NaN, too
        size = np.einsum("pi,pi->p", half, back)
        return np.where(known, 2 * size**2 / np.where(known, spread, 1.0), math.inf)

    def joint(self, rows: Floats) -> tuple[float, float]:
        """Denominator degrees of freedom of the F test that all rows' effects are 0, and what F is multiplied by.

        Both NaN where the rows are too few for the moments that are matched.
        """
        q = len(rows)
        theta = rows.T @ np.linalg.solve(rows @ self.plain @ rows.T, rows)
        kernels = theta @ self.plain @ self.first @ self.plain
        a1 = float(np.einsum("rii,rs,sjj->", kernels, self.weights, kernels))
        a2 = float(np.einsum("rij,rs,sji->", kernels, self.weights, kernels))
        if not a2 > 0:
            return math.inf, 1.0
        b = (a1 + 6 * a2) / (2 * q)
        g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
        c1, c2, c3 = (c / (3 * q + 2 * (1 - g)) for c in (g, q - g, q + 2 - g))
        if min(1 - a2 / q, 1 - c2 * b, 1 - c3 * b) <= 0:
            return math.nan, math.nan
        ratio = ((1 - a2 / q) / (1 - c2 * b)) ** 2 * (1 + c1 * b) / (1 - c3 * b)  # q·ρ
        df = 4 + (q + 2) / (ratio - 1) if ratio > 1 else math.inf
        if not (2.01 < df < math.inf):  # the mean of F exists above 2 only
            return (df, 1.0) if df > 0 else (math.nan, math.nan)
        return df, df * (1 - a2 / q) / (df - 2)


def kenward_roger(criterion: Criterion, theta: Floats) -> KenwardRoger:
    """Adjusted covariance of the fixed effects after a REML fit, and what degrees of freedom are made of.

    With Σ = Σᵣ γᵣGᵣ, Φ = (X'Σ⁻¹X)⁻¹, Pᵣ = −X'Σ⁻¹GᵣΣ⁻¹X, Qᵣₛ = X'Σ⁻¹GᵣΣ⁻¹GₛΣ⁻¹X and W the inverse of the expected
    information on γ the covariance is Φ + 2Φ·Σᵣₛ Wᵣₛ(Qᵣₛ − PᵣΦPₛ)·Φ. All of it comes from cross-products of a block.

    Args:
        criterion: Restricted likelihood.
        theta: Parameters of Λ at the maximum.

    Source: Kenward & Roger (1997), Biometrics 53:983; Halekoh & Højsgaard (2014), J Stat Softw 59(9) (R's pbkrtest).
    """
    random, p = criterion.random, criterion.p
    a, b, xx = criterion.zz, criterion.za[:, :, :p], criterion.aa[:p, :p]
    root = random.root(theta)
    k = root @ np.linalg.solve(np.eye(random.k) + root.T @ a @ root, np.broadcast_to(root.T, a.shape))
    # With M⁻¹ = I − ZKZ': Z'M⁻ᵐ = (I − Z'Z·K)ᵐZ'.
    shrink = np.eye(random.k) - a @ k
    s1, s2 = shrink @ a, shrink @ shrink @ a
    t1, t2 = shrink @ b, shrink @ shrink @ b
    c1 = xx - _sum(b, k @ b)
    c2 = c1 - _sum(t1, k @ b)
    c3 = c2 - _sum(t2, k @ b)
    trace = criterion.n - float(np.einsum("gij,gji->", a, k)) - float(np.einsum("gij,gji->", s1, k))
    phi: Floats = np.asarray(np.linalg.inv(c1), dtype=np.float64)
    parts = _directions(random)
    q = len(parts) + 1
    first = np.empty((q, p, p))
    second, traces = np.empty((q, q, p, p)), np.empty((q, q))
    for r, e in enumerate(parts):
        first[r] = -_sum(t1, e @ t1)
        second[r, -1] = _sum(t1, e @ t2)
        second[-1, r] = second[r, -1].T
        traces[r, -1] = traces[-1, r] = float(np.einsum("ij,gji->", e, s2))
        for s, other in enumerate(parts):
            second[r, s] = _sum(t1, e @ s1 @ other @ t1)
            traces[r, s] = float(np.einsum("gij,gji->", s1 @ e, s1 @ other))
    first[-1], second[-1, -1], traces[-1, -1] = -c2, c3, trace
    crossed = np.einsum("rij,jk,skl->rsil", first, phi, first)
    information = traces - 2 * np.einsum("ij,rsji->rs", phi, second) + np.einsum("ij,rsji->rs", phi, crossed)
    information = (information + information.T) / 2
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 1e-10 * np.trace(information):
        return KenwardRoger(phi, phi, first, np.full((q, q), np.nan))
    weights: Floats = 2 * np.asarray(np.linalg.inv(information), dtype=np.float64)
    adjusted: Floats = phi + 2 * phi @ np.einsum("rs,rsij->ij", weights, second - crossed) @ phi
    return KenwardRoger(phi, adjusted, first, weights)


def _sum(left: Floats, right: Floats) -> Floats:
    """Products of the transposed left and the right matrices of all blocks, added up."""
    return np.asarray(np.einsum("gki,gkj->ij", left, right), dtype=np.float64)


def _directions(random: Random) -> list[NDArray[np.float64]]:
    """What each (co)variance adds to the covariance of a block's random effects, shape (k, k) each."""
    unit = np.eye(len(random.nonnegative))
    roots = [random.root(u) for u in unit]
    if random.structure != "slope":
        return [r @ r.T for r in roots]
    both = random.root(unit[0] + unit[1])
    one, other = (roots[i] @ roots[i].T for i in (0, 2))
    return [one, both @ both.T - one - other, other]
