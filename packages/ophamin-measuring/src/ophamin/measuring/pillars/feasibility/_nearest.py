"""The nearest rows of one arm, those at one place taken together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ophamin.measuring.pillars._columns import Floats

__all__ = ["Arm"]


class Arm:
    """Rows of one arm, those at one place taken together, so that ties cost nothing.

    Args:
        points: Where the rows lie, shape (n, q).
        y: Their outcomes, shape (n,).
    """

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

    def neighbours(self, points: Floats, count: int, tolerance: float = 0.0) -> list[NDArray[np.intp]]:
        """Places that hold the ``count`` nearest rows of each point, all ties included."""
        k = min(count, len(self.places))
        distance, index = (np.asarray(a).reshape(len(points), k) for a in self.tree.query(points, k=k))
        enough = np.argmax(self.size[index].cumsum(axis=1) >= count, axis=1)
        radius = np.sqrt(distance[np.arange(len(points)), enough] ** 2 + tolerance)
        found = self.tree.query_ball_point(points, radius * (1 + 1e-9) + 1e-9)
        return [np.asarray(sorted(f), dtype=np.intp) for f in found]
