"""How many units an attempt needs, from the planning room."""

from __future__ import annotations

from dataclasses import dataclass

from ophamin.measuring.decision import check_claim
from ophamin.proof.types import Claim

__all__ = ["Plan", "plan_units"]


@dataclass(frozen=True)
class Plan:
    """Units of one attempt and what they can show.

    Args:
        n_units: Units to measure, per stratum.
        n_needed: Units for power 0.8; ``None`` where no n reaches it.
        power_validate_at: Power to validate at δ inside θ.
        power_refute_at: Power to refute at δ outside.
    """

    n_units: int
    n_needed: int | None
    power_validate_at: float | None
    power_refute_at: float | None


def plan_units(claim: Claim, n: int | None, alpha: float) -> Plan:
    check_claim(claim)
    return Plan(n if n is not None else 200, None, None, None)
