"""False discovery rates over the columns of a table.

Sources: Benjamini & Hochberg (1995), JRSS B 57:289; Benjamini & Yekutieli (2001), Annals of Statistics 29:1165.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["METHODS", "adjusted"]

METHODS = ("by", "bh")


def adjusted(p: Sequence[float], method: str) -> list[float]:
    """Adjusted p-values: a column is found at α when its own is at most α.

    Args:
        p: One per column.
        method: ``by`` holds whatever the dependence of columns; ``bh`` for independent or positively dependent ones.

    Example:
        >>> adjusted([0.01, 0.04], "bh")
        [0.02, 0.04]
    """
    m = len(p)
    factor = m * (sum(1 / k for k in range(1, m + 1)) if method == "by" else 1.0)
    order = sorted(range(m), key=lambda i: p[i], reverse=True)
    found, least = [0.0] * m, 1.0
    for rank, i in zip(range(m, 0, -1), order, strict=True):
        least = min(least, p[i] * factor / rank)
        found[i] = least
    return found
