"""Adjusted p-values of a family of hypotheses; standard library, so that a verdict costs no science."""

from __future__ import annotations

from collections.abc import Sequence

from ophamin.proof.errors import UsageError

__all__ = ["benjamini_hochberg", "benjamini_yekutieli", "bonferroni", "hochberg", "holm"]


def _order(p_values: Sequence[float]) -> list[int]:
    if any(not 0 <= p <= 1 for p in p_values):
        raise UsageError("a p-value lies between 0 and 1; an undecided claim has p = 1")
    return sorted(range(len(p_values)), key=lambda i: p_values[i])


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """m times each p-value; controls the family-wise error rate under any dependence.

    Source: Dunn (1961), JASA 56:52.

    Example:
        >>> bonferroni([0.01, 0.5])
        [0.02, 1.0]
    """
    _order(p_values)
    return [min(1.0, len(p_values) * p) for p in p_values]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values; controls the family-wise error rate under any dependence.

    Source: Holm (1979), Scand. J. Statist. 6:65.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    m, adjusted, greatest = len(p_values), [1.0] * len(p_values), 0.0
    for rank, i in enumerate(_order(p_values)):
        greatest = max(greatest, min(1.0, (m - rank) * p_values[i]))
        adjusted[i] = greatest
    return adjusted


def hochberg(p_values: Sequence[float]) -> list[float]:
    """Hochberg's step-up adjusted p-values; family-wise, for independent or positively dependent claims.

    Never larger than Holm's, but with negatively dependent claims its error rate can exceed the stated one.

    Source: Hochberg (1988), Biometrika 75:800; positive dependence: Sarkar (1998), Ann. Statist. 26:494.

    Example:
        >>> hochberg([0.01, 0.04, 0.03])
        [0.03, 0.04, 0.04]
    """
    m, adjusted, least = len(p_values), [1.0] * len(p_values), 1.0
    for rank, i in reversed(list(enumerate(_order(p_values)))):
        least = min(least, (m - rank) * p_values[i])
        adjusted[i] = least
    return adjusted


def _discoveries(p_values: Sequence[float], factor: float) -> list[float]:
    m, adjusted, least = len(p_values), [1.0] * len(p_values), 1.0
    for rank, i in reversed(list(enumerate(_order(p_values), start=1))):
        least = min(least, factor * m / rank * p_values[i])
        adjusted[i] = least
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that control the false-discovery rate of independent claims.

    Source: Benjamini & Hochberg (1995), JRSS B 57:289.
    """
    return _discoveries(p_values, 1.0)


def benjamini_yekutieli(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that control the false-discovery rate under any dependence.

    Source: Benjamini & Yekutieli (2001), Ann. Statist. 29:1165.
    """
    return _discoveries(p_values, sum(1 / i for i in range(1, len(p_values) + 1)))
