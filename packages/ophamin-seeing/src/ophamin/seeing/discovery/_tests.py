"""Two exact tests and a correction, in the standard library: a schema is compared on any machine alike."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb

__all__ = ["fisher_exact", "holm", "kolmogorov_smirnov"]


def fisher_exact(a: int, n_a: int, b: int, n_b: int) -> float:
    """Two-sided p-value that two shares are one, by Fisher's exact test.

    Args:
        a: Successes in the first group, of ``n_a``.
        n_a: Size of the first group.
        b: Successes in the second group, of ``n_b``.
        n_b: Size of the second group.

    Returns:
        The probability, given the margins, of a table no likelier than this one.

    Source: R. A. Fisher, "The logic of inductive inference", JRSS 98 (1935); two-sided by the sum of the tables that
    are no likelier, as ``scipy.stats.fisher_exact`` and ``fisher.test`` of R have it.

    Example:
        >>> round(fisher_exact(8, 10, 1, 6), 6)
        0.034965
    """
    k = a + b
    low, high = max(0, k - n_b), min(k, n_a)
    weights = [comb(n_a, i) * comb(n_b, k - i) for i in range(low, high + 1)]
    seen = weights[a - low]
    return float(Fraction(sum(w for w in weights if w <= seen), sum(weights)))


def kolmogorov_smirnov(left: Sequence[float], right: Sequence[float]) -> tuple[float, float]:
    """The two-sample statistic D, and its two-sided exact p-value.

    Args:
        left: First sample.
        right: Second sample; both not empty.

    Returns:
        D, the greatest distance of the two distribution functions, and the probability of one as great if both samples
        come from one continuous distribution. With ties that probability is an upper bound.

    Source: J. L. Hodges, "The significance probability of the Smirnov two-sample test", Arkiv för Matematik 3 (1958):
    counting lattice paths; as ``scipy.stats.ks_2samp(method="exact")``.

    Example:
        >>> d, p = kolmogorov_smirnov([1, 2, 3, 4], [5, 6, 7, 8])
        >>> d, round(p, 6)
        (1.0, 0.028571)
    """
    n, m = len(left), len(right)
    xs, ys = sorted(left), sorted(right)
    i = j = greatest = 0
    while i < n and j < m:
        value = min(xs[i], ys[j])
        while i < n and xs[i] == value:
            i += 1
        while j < m and ys[j] == value:
            j += 1
        greatest = max(greatest, abs(i * m - j * n))
    if not greatest:
        return 0.0, 1.0
    # Share of the lattice paths from (0, 0) to (n, m) that stay strictly nearer to the diagonal than the distance seen,
    # as probabilities: at (i, j) the next step goes right with probability (n - i) / (n - i + m - j).
    row = [0.0] * (m + 1)
    row[0] = 1.0
    for i in range(n + 1):
        for j in range(m + 1):
            if i == j == 0:
                continue
            if abs(i * m - j * n) >= greatest:
                row[j] = 0.0
                continue
            from_left = row[j] * (n - i + 1) / (n - i + 1 + m - j) if i else 0.0
            from_below = row[j - 1] * (m - j + 1) / (n - i + m - j + 1) if j else 0.0
            row[j] = from_left + from_below
    return greatest / (n * m), min(1.0, max(0.0, 1.0 - row[m]))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the family-wise error rate.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. of Statistics 6 (1979).

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    greatest = 0.0
    for rank, index in enumerate(order):
        greatest = max(greatest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = greatest
    return adjusted
