"""How far two samples of one column lie apart, from one sort, and the bounds of that distance.

The distance that decides is the largest difference of a share: over all half-lines for numbers (Kolmogorov's), over
all sets of categories (total variation). Its bounds hold for any distribution and any n: the inequality of Dvoretzky,
Kiefer and Wolfowitz with Massart's constant (1990, Annals of Probability 18:1269) for numbers, McDiarmid's bounded
differences (1989) around E(TV) ≤ ½√((k − 1)/n) for categories. Wasserstein's and the energy distance (Székely & Rizzo
2013) and the population stability index are shown beside it and decide nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophamin.proof.errors import MissingDependency

try:
    from scipy.stats import chi2, kstwo
except ImportError as error:
    raise MissingDependency("drift of a table", "scipy", "ophamin-comparing[table]") from error

__all__ = ["Distance", "categories", "numbers", "p_beyond", "p_within"]

_BINS = 10
_CATEGORIES_PSI = 0.5


@dataclass(frozen=True)
class Distance:
    """Two samples of one column.

    Args:
        effect: Largest difference of a share, between 0 and 1.
        slack: What the effect's bound gives away beside sampling error: the bias of total variation.
        terms: Factor of the exponential bound: 4 for numbers, 2 for categories.
        root: 1/√n + 1/√m.
        p_equal: Of the classical test of no difference at all: Kolmogorov–Smirnov (asymptotic) or χ².
        psi: Population stability index over the reference's deciles, or over the categories.
        wasserstein: In units of the column; ``None`` for categories.
        energy: Likewise, its square root.
    """

    effect: float
    slack: float
    terms: int
    root: float
    p_equal: float
    psi: float
    wasserstein: float | None = None
    energy: float | None = None

    def margin(self, alpha: float) -> float:
        """What a one-sided bound at ``alpha`` lies away from the effect."""
        return self.slack + self.root * math.sqrt(math.log(self.terms / alpha) / 2)


def p_beyond(d: Distance, smallest: float) -> float:
    """Against the true distance being ``smallest`` or less."""
    return _p(d, d.effect - smallest - d.slack)


def p_within(d: Distance, smallest: float) -> float:
    """Against the true distance being ``smallest`` or more."""
    return _p(d, smallest - d.effect - d.slack)


def _p(d: Distance, excess: float) -> float:
    return 1.0 if excess <= 0 else min(1.0, d.terms * math.exp(-2 * (excess / d.root) ** 2))


def numbers(x: NDArray[np.float64], y: NDArray[np.float64]) -> Distance:
    """Distance of two samples of numbers.

    Args:
        x: Reference, shape ``(n,)``, finite.
        y: Current, shape ``(m,)``, finite.

    Example:
        >>> round(numbers(np.arange(100.0), np.arange(100.0) + 50).effect, 3)
        0.5
    """
    n, m = len(x), len(y)
    both = np.concatenate([x, y])
    order = np.argsort(both, kind="stable")
    ordered = both[order]
    steps = np.where(order < n, 1 / n, -1 / m)
    gap = np.cumsum(steps)
    # Between equal values the distribution functions are not there yet.
    width = np.diff(ordered)
    inner = gap[:-1]
    # Rounding alone makes no distance.
    effect = float(np.abs(inner[width > 0]).max(initial=0.0))
    effect = 0.0 if effect < 1e-12 else effect
    en = n * m / (n + m)
    # Not ``@``: a threaded BLAS loses more by waking its threads than it wins here.
    weighted = np.abs(inner) * width
    squared = float((weighted * np.abs(inner)).sum())
    first = ordered[order < n]
    edges = first[np.minimum((np.arange(1, _BINS) * n) // _BINS, n - 1)]
    psi = _psi(_counts(first, edges), _counts(ordered[order >= n], edges))
    p_equal = float(np.clip(kstwo.sf(effect, max(1, round(en))), 0.0, 1.0))
    root = 1 / math.sqrt(n) + 1 / math.sqrt(m)
    return Distance(effect, 0.0, 4, root, p_equal, psi, float(weighted.sum()), math.sqrt(max(0.0, 2 * squared)))


def _counts(ordered: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diff(np.searchsorted(ordered, edges, side="right"), prepend=0, append=len(ordered)).astype(float)


def _psi(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Half a row in every bin, so that an empty one is rare and not infinite."""
    p = (reference + _CATEGORIES_PSI) / (reference + _CATEGORIES_PSI).sum()
    q = (current + _CATEGORIES_PSI) / (current + _CATEGORIES_PSI).sum()
    return float(((q - p) * np.log(q / p)).sum())


def categories(reference: NDArray[np.int64], current: NDArray[np.int64]) -> Distance:
    """Distance of two samples of categories.

    Args:
        reference: Rows of each category, shape ``(k,)``; at least one in all.
        current: Likewise, the categories in the same order. One that neither side has counts as none.

    Example:
        >>> categories(np.array([50, 50]), np.array([80, 20])).effect
        0.3
    """
    seen = (reference + current) > 0
    reference, current = reference[seen], current[seen]
    n, m = int(reference.sum()), int(current.sum())
    k = len(reference)
    effect = round(float(np.abs(reference / n - current / m).sum()) / 2, 12)
    root = 1 / math.sqrt(n) + 1 / math.sqrt(m)
    total = reference + current
    expected = np.outer(np.array([n, m]) / (n + m), total)
    observed = np.vstack([reference, current])
    statistic = float((((observed - expected) ** 2) / expected).sum()) if k > 1 else 0.0
    p_equal = float(chi2.sf(statistic, k - 1)) if k > 1 else 1.0
    slack = 0.5 * math.sqrt(k - 1) * root
    return Distance(effect, slack, 2, root, p_equal, _psi(reference.astype(float), current.astype(float)))
