"""How many units an attempt needs, and what the units it got can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ophamin.measuring.decision._stopping import looks_of
from ophamin.measuring.planning import Plan, plan_claim
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim

__all__ = ["POWER", "Wanted", "power_of", "wanted_units"]

JSON = Any

POWER = 0.8


@dataclass(frozen=True)
class Wanted:
    """Units of one attempt.

    Args:
        n_units: Units to measure, per stratum; ``None`` under rule exact, which measures all.
        n_needed: Units for power 0.8; ``None`` where that cannot be planned.
        notes: What was assumed, or why it cannot be planned.
    """

    n_units: int | None
    n_needed: int | None
    notes: Sequence[str] = ()


Assumed = Mapping[str, Mapping[str, JSON]]


@dataclass(frozen=True)
class _Question:
    """What a plan follows from; two of one ``key`` have one answer."""

    key: str
    claim: Claim = field(compare=False)
    alpha: float = field(compare=False)
    assumptions: Assumed | None = field(compare=False)
    n: int | None = field(compare=False)


@lru_cache(maxsize=256)
def _answer(asked: _Question) -> Plan:
    return plan_claim(
        asked.claim, power=POWER, n=asked.n, alpha=asked.alpha, smallest=False, assumptions=asked.assumptions
    )


def _planned(claim: Claim, alpha: float, assumptions: Assumed | None, n: int | None = None) -> Plan:
    """The plan of a claim; the cells of a sweep that state one claim are planned once."""
    return _answer(_Question(repr((claim.parts(), alpha, assumptions, n)), claim, alpha, assumptions, n))


def wanted_units(
    claim: Claim, n: int | None, alpha: float, assumptions: Assumed | None = None, *, whole: bool = False
) -> Wanted:
    """Units asked for, or else those the plan needs; all there are where the scenario measures its whole corpus.

    Raises:
        UsageError: It cannot be planned and no ``n`` was given.
    """
    if claim.decision.rule == "exact":
        if n is not None:
            raise UsageError("rule exact measures the whole corpus; leave out --n, or narrow the corpus")
        return Wanted(None, None)
    if n is not None and n < 0:
        raise UsageError(f"n is a number of units, not {n}")
    looks = looks_of(claim.decision)
    if looks is not None:
        if n not in (None, looks.n[-1]):
            raise UsageError(
                f"the last registered look is at {looks.n[-1]} units, so leave out --n {n} or make it that"
            )
        n = looks.n[-1]
    try:
        plan = _planned(claim, alpha, assumptions)
    except UsageError as error:
        if n is None and not whole:
            raise UsageError(f"{error}; or say how many units to measure, --n N") from error
        return Wanted(n, None, (str(error),))
    return Wanted(plan.n if n is None and not whole else n, plan.n, plan.notes)


def power_of(claim: Claim, n: int, alpha: float, assumptions: Assumed | None = None) -> dict[str, JSON]:
    """The powers of ``n`` units, and the truths at which they hold, for the plan section of a record."""
    nothing: dict[str, JSON] = {"power_validate_at": None, "power_refute_at": None, "expected_error_rate": 0.0}
    if n < 1 or claim.decision.rule == "exact":
        return nothing
    try:
        plan = _planned(claim, alpha, assumptions, n)
    except UsageError:
        return nothing  # the plan's notes say why
    return {
        "power_validate_at": {"power": plan.power_validate, "truth": dict(plan.validate_at)},
        "power_refute_at": {"power": plan.power_refute, "truth": dict(plan.refute_at)},
        "expected_error_rate": plan.expected_error_rate,
        **(
            {"expected_n_validate": plan.expected_n_validate, "expected_n_refute": plan.expected_n_refute}
            if claim.decision.rule == "sequential"
            else {}
        ),
    }
