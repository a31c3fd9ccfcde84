"""Corrections for a family of claims, closed at registration.

Each runs twice at α: over the VALIDATED p-values and over the REFUTED ones. m counts every claim but the
exact ones; an undecided one has p = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ophamin.measuring.estimators._adjust import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    hochberg,
    holm,
)
from ophamin.proof.decision import Outcome
from ophamin.proof.errors import UsageError

__all__ = [
    "CORRECTIONS",
    "Corrected",
    "Member",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bonferroni",
    "correct_family",
    "corrected_outcome",
    "hochberg",
    "holm",
]

CORRECTIONS: Mapping[str, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "hochberg": hochberg,
    "bonferroni": bonferroni,
    "bh": benjamini_hochberg,
    "by": benjamini_yekutieli,
}
_BOUNDS = {
    "holm": "family-wise error rate",
    "hochberg": "family-wise error rate, if the claims are independent or positively dependent",
    "bonferroni": "family-wise error rate",
    "bh": "false-discovery rate, if the claims are independent or positively dependent",
    "by": "false-discovery rate",
}


@dataclass(frozen=True)
class Member:
    """One decided claim of a family.

    Args:
        name: Its name.
        outcome: Its own verdict.
        p_validated: p-value dual to the validating bound; of no matter unless VALIDATED or INCONCLUSIVE by the
            interval alone, and 1 when undecided.
        p_refuted: p-value dual to the refuting bound, likewise.
        exact: Whether it was decided by rule ``exact``, which has no sampling error and is not counted.
    """

    name: str
    outcome: Outcome
    p_validated: float = 1.0
    p_refuted: float = 1.0
    exact: bool = False


@dataclass(frozen=True)
class Corrected:
    """A claim after the correction of its family.

    Args:
        member: The claim before.
        outcome: VALIDATED, REFUTED or INCONCLUSIVE; never stronger than before.
        p_validated: Adjusted p-value among the VALIDATED ones.
        p_refuted: Adjusted p-value among the REFUTED ones.
        bound: What α bounds now, in words.
    """

    member: Member
    outcome: Outcome
    p_validated: float
    p_refuted: float
    bound: str


def correct_family(members: Sequence[Member], *, alpha: float, method: str = "holm") -> list[Corrected]:
    """Correct the verdicts of a family both ways, over all its claims but the exact ones.

    Args:
        members: Every claim of the family, the undecided ones too.
        alpha: α of the family, in (0, 0.5).
        method: ``holm``, ``hochberg``, ``bonferroni``, ``bh`` or ``by``.

    Returns:
        One result per claim, in the order given; exact ones as they were.

    Raises:
        UsageError: Unknown method, α out of range, two claims of one name, or a p-value outside [0, 1].

    Example:
        >>> family = [Member("a", "VALIDATED", 0.001), Member("b", "VALIDATED", 0.04), Member("c", "INCONCLUSIVE")]
        >>> [c.outcome for c in correct_family(family, alpha=0.05)]
        ['VALIDATED', 'INCONCLUSIVE', 'INCONCLUSIVE']
    """
    if method not in CORRECTIONS:
        raise UsageError(f"no correction of a family is called {method!r}; use {', '.join(CORRECTIONS)}")
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha lies between 0 and 0.5, such as 0.05, not {alpha!r}")
    if len({m.name for m in members}) < len(members):
        raise UsageError("two claims of the family have one name")
    counted = [m for m in members if not m.exact]
    adjust = CORRECTIONS[method]
    validated = dict(zip((m.name for m in counted), adjust([m.p_validated for m in counted]), strict=True))
    refuted = dict(zip((m.name for m in counted), adjust([m.p_refuted for m in counted]), strict=True))
    results = []
    for member in members:
        if member.exact:
            results.append(Corrected(member, member.outcome, 1.0, 1.0, "nothing: the whole target was measured"))
            continue
        up, down = validated[member.name], refuted[member.name]
        outcome = corrected_outcome(member.outcome, up, down, alpha)
        results.append(Corrected(member, outcome, up, down, _BOUNDS[method]))
    return results


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
