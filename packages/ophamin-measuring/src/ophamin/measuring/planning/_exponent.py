"""Power for the exponent of a cost: noncentral t on a slope over sizes in geometric steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import nctdtr, ndtri, stdtrit

from ophamin.measuring.estimators.exponent import FEWEST_SIZES
from ophamin.measuring.planning._assume import Floats, Part

__all__ = ["DEFAULT_SD", "ExponentPower"]

DEFAULT_SD = 0.1
"""Standard deviation of the logarithm of one median: about 10 % of noise."""
_WIDER = 1.15
"""What the greater of two variances makes of the standard error, on average, where noise is equal (simulated)."""


class ExponentPower:
    """Power when the truth lies δ from θ.

    Args:
        part: What is planned; ``assume.top`` for the upper half of the range, ``assume.sd`` for the noise of the
            logarithm of one median, ``assume.decades`` for the range.
        delta: Distance of the truth from θ.
    """

    def __init__(self, part: Part, delta: float) -> None:
        self.part, self.delta = part, delta
        self.sd = DEFAULT_SD if part.assume.sd is None else part.assume.sd

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each number of sizes, the empty call not counted."""
        sizes = np.atleast_1d(np.asarray(n, dtype=np.float64))
        used = np.ceil(sizes / 2) if self.part.assume.top else sizes
        width = self.part.assume.decades * math.log(10) * (used - 1) / np.maximum(sizes - 1, 1)
        # Evenly spaced x over a width w: Σ(x − x̄)² = n·w²·(n+1) / (12·(n−1)).
        square = used * width**2 * (used + 1) / (12 * np.maximum(used - 1, 1))
        error = _WIDER * self.sd / np.sqrt(np.maximum(square, 1e-12))
        df = np.maximum(used - 2, 1)
        shift = np.minimum(self.delta / error, 37.0)
        enough = sizes >= FEWEST_SIZES

        def power(alpha: float) -> Floats:
            return np.where(enough, 1 - nctdtr(df, shift, stdtrit(df, 1 - alpha)), 0.0)

        return power(self.part.alpha_validate), power(self.part.alpha_refute)

    def guess(self, power: float) -> float:
        """Where the search for the number of sizes begins."""
        z = float(ndtri(power) - ndtri(self.part.alpha_refute))
        return max(FEWEST_SIZES, 12 * (z * self.sd / self.delta / (2 * math.log(10))) ** 2)

    def reachable(self) -> bool:
        """More sizes always help."""
        return True

    def notes(self) -> list[str]:
        """What was assumed."""
        return [
            f"units are sizes, over {self.part.assume.decades:g} decades; the noise of the logarithm of a size's "
            f"median cost is taken as {self.sd:g}; power is approximate"
        ]
