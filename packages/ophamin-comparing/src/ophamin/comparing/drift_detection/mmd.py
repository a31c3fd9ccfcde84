"""Whether two tables differ jointly: maximum mean discrepancy on a stated subsample, with a permutation test.

It sees what no single column shows, such as two columns that no longer move together. Source: Gretton et al. (2012),
JMLR 13:723; Gaussian kernel with the median heuristic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MMD", "mmd"]

SUBSAMPLE = 500
PERMUTATIONS = 999
_ROUNDING = 1e-9


@dataclass(frozen=True)
class MMD:
    """A joint test of all numeric columns.

    Args:
        value: Unbiased estimate of the squared discrepancy.
        p: Of no difference at all, by permutation.
        rows: Rows of each side that were looked at.
        columns: How many columns took part.
    """

    value: float
    p: float
    rows: tuple[int, int]
    columns: int


def mmd(x: NDArray[np.float64], y: NDArray[np.float64], *, seed: int) -> MMD:
    """Compare two samples of vectors.

    Args:
        x: Reference, shape ``(n, d)``, finite, at least two rows.
        y: Current, shape ``(m, d)``, likewise.
        seed: Of the subsample and the permutations.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> mmd(rng.normal(size=(200, 2)), rng.normal(1, 1, (200, 2)), seed=0).p
        0.001
    """
    rng = np.random.default_rng(seed)
    x, y = (a[rng.choice(len(a), min(SUBSAMPLE, len(a)), replace=False)] for a in (x, y))
    both = _standardised(np.concatenate([x, y]))
    norms = (both * both).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms[None, :] - 2 * both @ both.T, 0.0)
    upper = squared[np.triu_indices(len(both), 1)]
    # Where most rows are alike the median is rounding, and would take equal rows for different ones.
    width = next((w for w in (float(np.median(upper)), float(upper.mean())) if w > _ROUNDING), 1.0)
    kernel = np.exp(-squared / width)
    np.fill_diagonal(kernel, 0.0)
    n, m = len(x), len(y)
    member = np.zeros((PERMUTATIONS + 1, n + m))
    member[0, :n] = 1.0
    for row in member[1:]:
        row[rng.permutation(n + m)[:n]] = 1.0
    inside = member @ kernel
    within_x = (inside * member).sum(axis=1)
    across = (inside * (1 - member)).sum(axis=1)
    within_y = kernel.sum() - within_x - 2 * across
    values = within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)
    # Equal permutations differ by rounding.
    more = int((values[1:] >= values[0] - 1e-12).sum())
    return MMD(float(values[0]), (more + 1) / (PERMUTATIONS + 1), (n, m), both.shape[1])


def _standardised(both: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column around 0 with a standard deviation of 1, over both samples together.

    By one sample alone the two would not be exchangeable, which is what the permutation test asks; and distances of
    what lies far from 0, as times do, would be lost in their squares.
    """
    largest = np.abs(both).max(axis=0)
    small = both / np.where(largest > 0, largest, 1.0)
    centred = small - small.mean(axis=0)
    scale = centred.std(axis=0)
    return np.asarray(centred / np.where(scale > 0, scale, 1.0))
