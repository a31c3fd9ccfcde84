"""The (restricted) likelihood of a linear mixed model, from cross-products: exact, and microseconds a call.

Source: Bates, Mächler, Bolker & Walker (2015), J Stat Softw 67(1), §3.4 (profiled deviance by penalised least squares).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.design import Random

__all__ = ["Criterion", "Solved"]

BOUNDARY = 1e-4
"""A standard deviation below this share of the residual's is a variance of zero."""

_SIZES = (0.05, 0.3, 1.0, 3.0, 10.0)
"""Standard deviations over the residual's, where the search begins."""


@dataclass(frozen=True)
class Solved:
    """Generalised least squares at given variances, relative to σ².

    Args:
        logdet: log|V|/σ², the random part's.
        logdet_x: log|X'V⁻¹X| up to σ².
        beta: Fixed effects, shape (p,).
        unscaled: (X'V⁻¹X)⁻¹/σ², shape (p, p).
        rss: Penalised residual sum of squares.
    """

    logdet: float
    logdet_x: float
    beta: Floats
    unscaled: Floats
    rss: float


class Criterion:
    """−2 log-likelihood of ``y = Xβ + Zb + ε``, b ~ N(0, σ²ΛΛ'), as a function of Λ's parameters.

    Args:
        x: Fixed effects, shape (n, p), well conditioned.
        y: Outcomes, shape (n,).
        random: Random part.
        reml: Whether the likelihood is the restricted one.

    Example:
        >>> from ophamin.measuring.pillars.mixed_effects.design import random_design
        >>> y = np.array([1.0, 2.0, 4.0, 5.0])
        >>> one = Criterion(np.ones((4, 1)), y, random_design("intercept", [0, 0, 1, 1]), reml=True)
        >>> round(one.profiled(np.zeros(1)), 6) == round(3 * (1 + math.log(2 * math.pi * 10 / 3)) + math.log(4), 6)
        True
    """

    def __init__(self, x: Floats, y: Floats, random: Random, *, reml: bool) -> None:
        self.random, self.reml = random, reml
        self.n, self.p = int(x.shape[0]), int(x.shape[1])
        self.free = self.n - self.p if reml else self.n
        g, k, m = random.blocks, random.k, random.column.shape[1]
        a = np.column_stack([x, y])
        at = random.block[:, None] * k + random.column
        zz: Floats = np.zeros(g * k * k)
        for i in range(m):
            for j in range(m):
                weights = random.loading[:, i] * random.loading[:, j]
                zz = zz + np.bincount(at[:, i] * k + random.column[:, j], weights, g * k * k)
        self.zz: Floats = zz.reshape(g, k, k)
        self.za = np.stack(
            [
                sum(np.bincount(at[:, i], random.loading[:, i] * a[:, c], g * k) for i in range(m))
                for c in range(a.shape[1])
            ],
            axis=1,
        ).reshape(g, k, a.shape[1])
        self.aa = a.T @ a

    def solve(self, theta: Floats) -> Solved | None:
        """β and the determinants at Λ(theta); ``None`` where the numbers do not hold."""
        root, p = self.random.root(theta), self.p
        try:
            factor = np.linalg.cholesky(np.eye(self.random.k) + root.T @ self.zz @ root)
            c = np.linalg.solve(factor, root.T @ self.za)
            s = self.aa - np.einsum("gki,gkj->ij", c, c)
            r = np.linalg.cholesky(s[:p, :p])
        except np.linalg.LinAlgError:
            return None
        half = np.linalg.solve(r, s[:p, p])
        rss = float(s[p, p] - half @ half)
        inverse = np.linalg.inv(r)
        logdet = 2 * float(np.log(np.diagonal(factor, axis1=1, axis2=2)).sum())
        logdet_x = 2 * float(np.log(np.diag(r)).sum())
        return Solved(logdet, logdet_x, inverse.T @ half, inverse.T @ inverse, rss) if rss > 0 else None

    def sigma2(self, rss: float) -> float:
        """σ² at given variances relative to it."""
        return rss / self.free

    def profiled(self, theta: Floats) -> float:
        """−2 log-likelihood with β and σ at their best; ∞ where the numbers do not hold."""
        found = self.solve(np.asarray(theta, float))
        return math.inf if found is None else self._deviance(found, self.sigma2(found.rss))

    def deviance(self, theta: Floats, sigma: float) -> float:
        """−2 log-likelihood with β at its best."""
        found = self.solve(np.asarray(theta, float))
        return math.inf if found is None or sigma <= 0 else self._deviance(found, sigma * sigma)

    def _deviance(self, found: Solved, sigma2: float) -> float:
        logdet = found.logdet + (found.logdet_x if self.reml else 0.0)
        return logdet + self.free * math.log(2 * math.pi * sigma2) + found.rss / sigma2

    def minimum(self) -> Floats | None:
        """The parameters of the greatest likelihood; ``None`` when there is none."""
        free = self.random.nonnegative
        best: tuple[float, Floats] | None = None
        for at in self._valleys():
            found = self._descend(at)
            if best is None or found[0] < best[0]:
                best = found
        if best is None or self._endless(best[1]):
            return None
        # A simplex that was folded against an edge stays there: from a fresh one it may leave it.
        for _ in range(6):
            found = min((self._descend(at) for at in self._around(best[1])), key=lambda one: one[0])
            gained = best[0] - found[0]
            best = found if gained > 0 else best
            if gained <= 1e-7:
                break
        theta = best[1]
        if self._endless(theta):
            return None
        # A variance that does not pay for itself is zero.
        if np.abs(theta).max() < 1e-2 and self.profiled(0 * theta) <= self.profiled(theta) + 1e-8:
            return 0 * theta
        for i, bounded in enumerate(free):
            zero = theta.copy()
            zero[i] = 0.0
            if bounded and theta[i] < 1e-2 and self.profiled(zero) <= self.profiled(theta) + 1e-8:
                theta = zero
        return theta

    def _endless(self, theta: Floats) -> bool:
        """Whether units and fixed effects reproduce the outcomes, so that the likelihood grows as σ falls to 0.

        Then the penalised residuals vanish with greater variances of the units; else they are the residual's own.
        """
        if np.abs(theta).max() < 1e3:
            return False
        here, beyond = self.solve(theta), self.solve(10 * theta)
        return here is None or beyond is None or beyond.rss < 0.05 * here.rss

    def _valleys(self) -> list[Floats]:
        """Points of a grid that are lower than their neighbours, at most three, the lowest first.

        Small and noisy data have likelihoods of several hills, and long ridges where a variance is almost 0.
        """
        axes = [_SIZES if bounded else (-0.5, 0.0, 0.5) for bounded in self.random.nonnegative]
        points = np.array(list(product(*axes)))
        shape = tuple(len(axis) for axis in axes)
        heights = np.array([self.profiled(point) for point in points]).reshape(shape)
        lowest = np.ones(shape, dtype=bool)
        for axis in range(len(shape)):
            padded = np.pad(
                heights, [(1, 1) if i == axis else (0, 0) for i in range(len(shape))], constant_values=np.inf
            )
            before, after = (np.take(padded, range(i, i + shape[axis]), axis=axis) for i in (0, 2))
            lowest &= (heights <= before) & (heights <= after)
        places = np.flatnonzero(lowest & np.isfinite(heights))
        return [points[i] for i in places[np.argsort(heights.ravel()[places], kind="stable")][:3]]

    def _around(self, theta: Floats) -> list[Floats]:
        """Where to begin again: off the edges; at an edge also with intercept and slope wholly correlated."""
        free = np.array(self.random.nonnegative)
        inside = np.where(free, np.maximum(theta, _SIZES[0]), theta)
        if free.all() or theta[free].min() >= BOUNDARY:
            return [inside]
        spread = math.hypot(theta[1], theta[2])
        return [inside, *(np.array([inside[0], sign * spread, _SIZES[0]]) for sign in (-1.0, 1.0))]

    def _descend(self, at: Floats) -> tuple[float, Floats]:
        """A simplex: there are at most three parameters, and the edges at 0 need no gradient."""
        bounds = [(0.0 if bounded else None, None) for bounded in self.random.nonnegative]
        options: Any = {"xatol": 1e-6, "fatol": 1e-9, "maxiter": 2000}
        found = minimize(self._finite, at, method="Nelder-Mead", bounds=bounds, options=options)
        return float(found.fun), found.x

    def settled(self, theta: Floats) -> Floats:
        """The maximum near ``theta`` to its last digits: gradients by differences carry the likelihood's rounding."""
        free = [i for i, b in enumerate(self.random.nonnegative) if not b or theta[i] > 0]
        if not free:
            return theta

        def whole(values: Floats) -> Floats:
            every = theta.copy()
            every[free] = values
            return every

        def inside(values: Floats) -> float:
            bounded = [v < 0 and self.random.nonnegative[i] for i, v in zip(free, values, strict=True)]
            return 1e300 if any(bounded) else self._finite(whole(values))

        size = np.maximum(np.abs(theta[free]) * 1e-3, 1e-4)
        simplex = np.vstack([theta[free], theta[free] + np.diag(size)])
        options: Any = {"initial_simplex": simplex, "xatol": 1e-9, "fatol": 1e-10, "maxiter": 400}
        return whole(minimize(inside, theta[free], method="Nelder-Mead", options=options).x)

    def _finite(self, theta: Floats) -> float:
        value = self.profiled(theta)
        return value if math.isfinite(value) else 1e300

    def effects(self, theta: Floats) -> tuple[Floats, Floats]:
        """Conditional modes of the random effects (BLUPs) and their conditional covariance over σ².

        Args:
            theta: Parameters of Λ.

        Returns:
            Shapes (blocks, k) and (blocks, k, k), in the units of the fit.
        """
        found = self.solve(theta)
        assert found is not None
        root = self.random.root(theta)
        middle = np.linalg.inv(np.eye(self.random.k) + root.T @ self.zz @ root)
        spread = root @ middle @ root.T
        rest = self.za[:, :, self.p] - self.za[:, :, : self.p] @ found.beta
        return np.einsum("gij,gj->gi", spread, rest), spread
