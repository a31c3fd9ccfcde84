"""Kenward and Roger's covariance and degrees of freedom for the fixed effects of a mixed model."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.criterion import Criterion
from ophamin.measuring.pillars.mixed_effects.design import Random

__all__ = ["KenwardRoger", "kenward_roger"]


class KenwardRoger(NamedTuple):
    """Of each fixed effect.

    Args:
        variance: Adjusted variance over σ², shape (p,).
        df: Degrees of freedom, shape (p,); ∞ where the information on the variances does not tell.
    """

    variance: Floats
    df: Floats


def kenward_roger(criterion: Criterion, theta: Floats, back: Floats) -> KenwardRoger:
    """Adjusted variances and degrees of freedom after a REML fit.

    With Σ = Σᵣ γᵣGᵣ, Φ = (X'Σ⁻¹X)⁻¹, Pᵣ = −X'Σ⁻¹GᵣΣ⁻¹X, Qᵣₛ = X'Σ⁻¹GᵣΣ⁻¹GₛΣ⁻¹X and W the inverse of the expected
    information on γ: the covariance is Φ + 2Φ·Σᵣₛ Wᵣₛ(Qᵣₛ − PᵣΦPₛ)·Φ, and a single effect l'β has
    df = 2·(l'Φl)² / Σᵣₛ Wᵣₛ(l'ΦPᵣΦl)(l'ΦPₛΦl), with an F-scale of 1. All of it comes from cross-products of a block.

    Args:
        criterion: Restricted likelihood.
        theta: Parameters of Λ at the maximum.
        back: What takes the fitted effects to those of the table, shape (p, p).

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
    phi = np.linalg.inv(c1)
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
        return KenwardRoger(np.einsum("ij,jk,ik->i", back, phi, back), np.full(p, math.inf))
    weights = 2 * np.linalg.inv(information)
    adjusted = phi + 2 * phi @ np.einsum("rs,rsij->ij", weights, second - crossed) @ phi
    slopes = np.einsum("pi,rij,pj->pr", back @ phi, first, back @ phi)
    plain = np.einsum("ij,jk,ik->i", back, phi, back)
    spread = np.einsum("pr,rs,ps->p", slopes, weights, slopes)
    df: Floats = np.where(spread > 0, 2 * plain**2 / np.where(spread > 0, spread, 1.0), math.inf)
    return KenwardRoger(np.einsum("ij,jk,ik->i", back, adjusted, back), df)


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
