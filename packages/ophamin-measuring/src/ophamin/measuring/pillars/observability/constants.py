"""Constants of control charts, computed rather than copied from tables.

d₂ and d₃ are the mean and standard deviation of the range of n standard normal values, c₄ the mean of their standard
deviation. Printed tables round to three digits (d₂(2) = 1.128); limits computed with those differ in the fifth digit.

Source: Montgomery (2013), *Introduction to Statistical Quality Control*, appendix VI; Tippett (1925), Biometrika
17:364, for the range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr

from ophamin.proof.errors import UsageError

__all__ = ["Constants", "constants", "range_quantile"]

_EDGE = 8.5  # standard deviations beyond which a normal tail adds nothing
_NODES = 400


@dataclass(frozen=True)
class Constants:
    """All constants for subgroups of n.

    Args:
        n: Subgroup size, at least 2.
        d2: Mean of the relative range.
        d3: Its standard deviation.
        c4: Mean of the relative standard deviation.
    """

    n: int
    d2: float
    d3: float
    c4: float

    @property
    def c5(self) -> float:
        """Standard deviation of the relative standard deviation, √(1−c₄²)."""
        return math.sqrt(1 - self.c4**2)

    def table(self, sigmas: float = 3.0) -> dict[str, float]:
        """The factors A, A2, A3, B3 … B6, D1 … D4 as they are printed, for limits of ``sigmas`` standard errors."""
        root = sigmas / math.sqrt(self.n)
        return {
            "A": root,
            "A2": root / self.d2,
            "A3": root / self.c4,
            "c4": self.c4,
            "B3": max(0.0, 1 - sigmas * self.c5 / self.c4),
            "B4": 1 + sigmas * self.c5 / self.c4,
            "B5": max(0.0, self.c4 - sigmas * self.c5),
            "B6": self.c4 + sigmas * self.c5,
            "d2": self.d2,
            "d3": self.d3,
            "D1": max(0.0, self.d2 - sigmas * self.d3),
            "D2": self.d2 + sigmas * self.d3,
            "D3": max(0.0, 1 - sigmas * self.d3 / self.d2),
            "D4": 1 + sigmas * self.d3 / self.d2,
        }


@lru_cache(maxsize=512)
def constants(n: int) -> Constants:
    """Constants for subgroups of n.

    Args:
        n: Subgroup size, 2 to 1,000.

    Raises:
        UsageError: n out of range.

    Example:
        >>> round(constants(5).d2, 4), round(constants(5).table()["D4"], 4)
        (2.3259, 2.1145)
    """
    if not 2 <= n <= 1000:
        raise UsageError(f"a subgroup has 2 to 1,000 values, not {n}; a single value belongs on an individuals chart")
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    x, w = _EDGE * nodes, _EDGE * weights
    lower = ndtr(x)
    d2 = float(w @ (1 - lower**n - ndtr(-x) ** n))
    # E[R²] = 2 ∫∫_{x<y} (1 − Φ(y)ⁿ − (1−Φ(x))ⁿ + (Φ(y)−Φ(x))ⁿ) dx dy, with y = x + r.
    r = _EDGE * (nodes + 1)
    above = ndtr(x[:, None] + r)
    inner = 1 - above**n - (1 - lower[:, None]) ** n + (above - lower[:, None]) ** n
    second = 2 * float(w @ inner @ (_EDGE * weights))
    c4 = math.sqrt(2 / (n - 1)) * math.exp(float(gammaln(n / 2) - gammaln((n - 1) / 2)))
    return Constants(n, d2, math.sqrt(second - d2**2), c4)


@lru_cache(maxsize=512)
def range_quantile(q: float, n: int) -> float:
    """Quantile of the range of n standard normal values, for probability limits of an R chart.

    Args:
        q: In (0, 1).
        n: 2 to 1,000.

    Raises:
        UsageError: q or n out of range.

    Example:
        >>> round(range_quantile(0.95, 5), 3)
        3.858
    """
    if not 0 < q < 1 or not 2 <= n <= 1000:
        raise UsageError("a quantile lies between 0 and 1, and a range is of 2 to 1,000 values")
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    x = _EDGE * nodes
    lower, density = ndtr(x), np.exp(-0.5 * x**2) * weights * (_EDGE * n / math.sqrt(2 * math.pi))
    return float(brentq(lambda r: float(density @ (ndtr(x + r) - lower) ** (n - 1)) - q, 0.0, 2 * _EDGE, xtol=1e-12))
