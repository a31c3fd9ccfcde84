"""Corrections for a family of claims, closed at registration.

Each runs twice at α: over the VALIDATED p-values and over the REFUTED ones. m counts every claim but the
exact ones; an undecided one has p = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from ophamin.proof.decision import Outcome
from ophamin.proof.errors import UsageError

__all__ = ["benjamini_hochberg", "benjamini_yekutieli", "corrected_outcome", "holm"]


def _order(p_values: Sequence[float]) -> list[int]:
    if any(not 0 <= p <= 1 for p in p_values):
        raise UsageError("a p-value lies between 0 and 1; an undecided claim has p = 1")
    return sorted(range(len(p_values)), key=lambda i: p_values[i])


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values; controls the family-wise error rate.

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


def _step_up(p_values: Sequence[float], factor: float) -> list[float]:
    m, adjusted, least = len(p_values), [1.0] * len(p_values), 1.0
    for rank, i in reversed(list(enumerate(_order(p_values), start=1))):
        least = min(least, factor * m / rank * p_values[i])
        adjusted[i] = least
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that control the false-discovery rate of independent claims.

    Source: Benjamini & Hochberg (1995), JRSS B 57:289.
    """
    return _step_up(p_values, 1.0)


def benjamini_yekutieli(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that control the false-discovery rate under any dependence.

    Source: Benjamini & Yekutieli (2001), Ann. Statist. 29:1165.
    """
    return _step_up(p_values, sum(1 / i for i in range(1, len(p_values) + 1)))


def corrected_outcome(outcome: Outcome, validated: float, refuted: float, alpha: float) -> Outcome:
    """A verdict after correction: it can only weaken.

    Args:
        outcome: The claim's own verdict.
        validated: Its adjusted p-value among the VALIDATED ones.
        refuted: Its adjusted p-value among the REFUTED ones.
        alpha: α of the family.
    """
    if outcome == "VALIDATED":
        return "VALIDATED" if validated <= alpha else "INCONCLUSIVE"
    if outcome == "REFUTED":
        return "REFUTED" if refuted <= alpha else "INCONCLUSIVE"
    return "INCONCLUSIVE"
