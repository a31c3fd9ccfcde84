"""Laws to draw from: the ordinary ones, and the stress grid.

The grid: log-normal values, 1 % spikes, 20 groups with intra-class correlation 0.1, and a series with lag-one
correlation 0.5 told in 20 contiguous blocks. Dependent 0/1 outcomes come from dependent normals by their ranks, so
that every single one keeps its chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr

from ophamin.measuring.selftest._check import Law
from ophamin.protocols import Columns

__all__ = [
    "GROUPS",
    "blocked_series",
    "coupled",
    "grouped",
    "lognormal",
    "normal",
    "shares",
    "spikes",
    "unit_spikes",
]

Floats = NDArray[np.float64]
Rng = np.random.Generator
GROUPS, SIZE = 20, 10
ICC, LAG = 0.1, 0.5
_CODES = np.repeat(np.arange(GROUPS), SIZE).tolist()


def _grouped_normals(rng: Rng) -> Floats:
    between = np.repeat(rng.normal(size=GROUPS), SIZE)
    return np.asarray(math.sqrt(ICC) * between + math.sqrt(1 - ICC) * rng.normal(size=GROUPS * SIZE))


def _series_normals(rng: Rng) -> Floats:
    noise = rng.normal(size=GROUPS * SIZE) * math.sqrt(1 - LAG**2)
    noise[0] /= math.sqrt(1 - LAG**2)  # begins in its stationary law
    return np.asarray(lfilter([1.0], [1.0, -LAG], noise), dtype=np.float64)


def normal(n: int) -> Law:
    """Standard normal values."""
    return Law(f"normal, n = {n}", 0.0, lambda rng: {"value": rng.normal(size=n).tolist()})


def lognormal(n: int) -> Law:
    """Log-normal values, σ = 1."""
    return Law(f"log-normal, n = {n}", math.exp(0.5), lambda rng: {"value": rng.lognormal(size=n).tolist()})


def spikes(n: int) -> Law:
    """Standard normal values of which 1 % are 100 higher."""

    def draw(rng: Rng) -> Columns:
        return {"value": (rng.normal(size=n) + 100 * (rng.random(n) < 0.01)).tolist()}

    return Law(f"1 % spikes, n = {n}", 1.0, draw)


def unit_spikes(n: int) -> Law:
    """Uniform values in [0, 0.1] of which 1 % are 1 instead."""

    def draw(rng: Rng) -> Columns:
        return {"value": np.where(rng.random(n) < 0.01, 1.0, rng.uniform(0, 0.1, n)).tolist()}

    return Law(f"1 % spikes in [0, 1], n = {n}", 0.99 * 0.05 + 0.01, draw)


def grouped() -> Law:
    """Normal values in 20 groups of 10."""
    return Law("20 groups, ICC 0.1", 0.0, lambda rng: {"value": _grouped_normals(rng).tolist(), "group": _CODES})


def blocked_series() -> Law:
    """A normal series of 200 with lag-one correlation 0.5, in 20 blocks."""
    return Law("AR 0.5 in 20 blocks", 0.0, lambda rng: {"value": _series_normals(rng).tolist(), "group": _CODES})


def coupled(name: str) -> tuple[str, Callable[[Rng], tuple[Floats, list[int]]]]:
    """Uniform numbers that depend on each other, and their groups; ``grouped`` or ``series``."""
    normals = {"grouped": _grouped_normals, "series": _series_normals}[name]
    words = {"grouped": "20 groups, ICC 0.1", "series": "AR 0.5 in 20 blocks"}[name]
    return words, lambda rng: (np.asarray(ndtr(normals(rng))), _CODES)


def shares(p: float, name: str = "grouped") -> Law:
    """0/1 outcomes of chance p, dependent."""
    words, uniforms = coupled(name)

    def draw(rng: Rng) -> Columns:
        u, codes = uniforms(rng)
        return {"value": (u < p).astype(float).tolist(), "group": codes}

    return Law(f"share {p:g}, {words}", p, draw)
