"""Student's t from scipy."""

from __future__ import annotations

from scipy.special import stdtrit

__all__ = ["upper_quantile"]


def upper_quantile(df: int, level: float) -> float:
    """The value Student's t with ``df`` degrees of freedom exceeds with chance ``level``."""
    return -float(stdtrit(df, level))
