"""p-values of a family of differences, corrected for how many there are; standard library, so that reading checks it.

Sources: Holm (1979), Scand. J. Statist. 6:65; Benjamini & Hochberg (1995), JRSS B 57:289; Benjamini & Yekutieli
(2001), Ann. Statist. 29:1165.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

__all__ = ["CORRECTIONS", "Correction", "adjusted"]

Correction = Literal["holm", "bh", "by", "none"]
CORRECTIONS: tuple[Correction, ...] = get_args(Correction)


def adjusted(p_values: Sequence[float], method: Correction) -> list[float]:
    """Adjusted p-values, in the order given: one at most α is a finding of the family at α.

    Args:
        p_values: One per difference, in [0, 1].
        method: ``holm`` holds the chance of any wrong finding, whatever the dependence; ``bh`` the expected share of
            wrong ones, for independent or positively dependent differences; ``by`` that share whatever the
            dependence; ``none`` corrects nothing.

    Example:
        >>> adjusted([0.01, 0.04, 0.03], "holm")
        [0.03, 0.06, 0.06]
    """
    m = len(p_values)
    if method == "none" or not m:
        return list(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    found = [1.0] * m
    if method == "holm":
        greatest = 0.0
        for rank, i in enumerate(order):
            greatest = max(greatest, min(1.0, (m - rank) * p_values[i]))
            found[i] = greatest
        return found
    factor = m * (sum(1 / k for k in range(1, m + 1)) if method == "by" else 1.0)
    least = 1.0
    for rank, i in zip(range(m, 0, -1), reversed(order), strict=True):
        least = min(least, p_values[i] * factor / rank)
        found[i] = least
    return found
