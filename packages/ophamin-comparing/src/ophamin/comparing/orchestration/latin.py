"""Latin hypercubes, by scipy."""

from __future__ import annotations

from scipy.stats.qmc import LatinHypercube

__all__ = ["unit_points"]


def unit_points(factors: int, samples: int, seed: int) -> list[list[float]]:
    """Points of the unit cube, each factor's axis hit once per 1/samples; shape (samples, factors)."""
    points: list[list[float]] = LatinHypercube(factors, rng=seed).random(samples).tolist()
    return points
