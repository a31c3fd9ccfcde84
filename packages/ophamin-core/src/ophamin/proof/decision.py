"""The one place where a verdict is formed.

An interval decides, never a bare point. ``outcome`` is called by the measuring wheel,
by audit gates and by the cross-check of every record that is read, so all of them
decide alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

__all__ = ["Comparison", "Outcome", "Rule", "combine", "outcome"]

Outcome = Literal["VALIDATED", "REFUTED", "INCONCLUSIVE"]
Rule = Literal["interval", "sequential", "exact", "point"]


class Comparison(Protocol):
    """What of a threshold decides: ``Threshold`` when a claim is made, a row of a record when it is read."""

    @property
    def metric(self) -> str:
        """Name of the metric, for messages."""
        ...

    @property
    def comparator(self) -> str:
        """One of ``>= <= > < ==``."""
        ...

    @property
    def value(self) -> Any:
        """θ."""
        ...


def _finite(value: object) -> bool:
    # An integer is finite however large; isfinite() would first make it a float, which may overflow.
    return type(value) is int or (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    )


def outcome(threshold: Comparison, lower: object, upper: object, rule: str = "interval") -> Outcome:
    """Decide one threshold from two one-sided bounds.

    Args:
        threshold: Comparator and value θ of the claim.
        lower: The lower bound L, or ``None`` when that side could not be computed. Under
            ``exact`` the least value the statistic can have (equal to ``upper`` when no cycle is
            missing); under ``point`` the observed value.
        upper: The upper bound U, likewise.
        rule: ``interval`` and ``sequential`` compare bounds; ``exact`` compares the value itself and
            is the only rule with ``==``; ``point`` only reads records of version 1.0.

    Returns:
        VALIDATED, REFUTED, or INCONCLUSIVE. A missing or non-finite bound never decides, and
        neither does L > U.

    Raises:
        ValueError: Unknown rule or comparator, or ``==`` under a rule other than exact or point.

    Example:
        >>> from ophamin.proof import Threshold
        >>> outcome(Threshold("accuracy", ">=", 0.9), 0.91, 0.97)
        'VALIDATED'
        >>> outcome(Threshold("accuracy", ">=", 0.9), 0.88, 0.97)
        'INCONCLUSIVE'
    """
    if rule not in get_args(Rule):
        raise ValueError(f"unknown decision rule {rule!r}; use one of {', '.join(get_args(Rule))}")
    theta, comparator = threshold.value, threshold.comparator
    if comparator == "==":
        if rule not in ("exact", "point"):
            raise ValueError("'==' is decided only by rule 'exact'; write it as two claims, >= θ−δ and <= θ+δ")
        return _equal(theta, lower, upper)
    if comparator not in ("<=", "<", ">=", ">"):
        raise ValueError(f"unknown comparator {comparator!r}; use <=, <, >=, > or ==")
    if not _finite(theta):
        raise ValueError(f"the threshold of {threshold.metric!r} must be a finite number, not {theta!r}")
    low: Any = lower if _finite(lower) else -math.inf
    high: Any = upper if _finite(upper) else math.inf
    if low > high:
        return "INCONCLUSIVE"
    holds = {
        "<=": high <= theta,
        "<": high < theta,
        ">=": low >= theta,
        ">": low > theta,
    }[comparator]
    fails = {
        "<=": low > theta,
        "<": low >= theta,
        ">=": high < theta,
        ">": high <= theta,
    }[comparator]
    return "VALIDATED" if holds else "REFUTED" if fails else "INCONCLUSIVE"


def _equal(theta: object, lower: object, upper: object) -> Outcome:
    if lower is None or upper is None:
        return "INCONCLUSIVE"
    if lower != upper or type(lower) is not type(upper):
        # Missing cycles leave a range: refuted only when θ lies outside it.
        if _finite(lower) and _finite(upper) and _finite(theta):
            return "INCONCLUSIVE" if lower <= theta <= upper else "REFUTED"  # type: ignore[operator]
        return "INCONCLUSIVE"
    if isinstance(lower, float) and not math.isfinite(lower):
        return "INCONCLUSIVE"
    same = lower == theta and isinstance(lower, bool) == isinstance(theta, bool)
    return "VALIDATED" if same else "REFUTED"


def combine(outcomes: Sequence[str]) -> Outcome:
    """Join co-primary outcomes when *all* must hold.

    The caller computes each outcome from a validating bound at 1−α and a refuting bound at
    1−α/K, so that both errors of the joint verdict stay at α (intersection–union test, Berger 1982,
    Technometrics 24:295, and Bonferroni).

    Args:
        outcomes: One outcome per co-primary threshold, at least one.

    Returns:
        VALIDATED iff each is VALIDATED, REFUTED iff one is, else INCONCLUSIVE.
    """
    if not outcomes:
        raise ValueError("a claim has at least one threshold")
    if "REFUTED" in outcomes:
        return "REFUTED"
    return "VALIDATED" if all(o == "VALIDATED" for o in outcomes) else "INCONCLUSIVE"
