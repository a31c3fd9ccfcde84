"""Scoring with no rows, before anything is registered: a mistake in the options is found while it costs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.measuring.decision import decide_claim
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim
from ophamin.protocols import CycleResult, Record, ScenarioProtocol

__all__ = ["rehearse"]

JSON = Any
_ADDED = ("record_id", "group", "arm", "status", "block", "wall_s")


def rehearse(
    scenario: ScenarioProtocol, options: Mapping[str, JSON], claim: Claim, record: Record | None, roles: Sequence[str]
) -> None:
    """Observe one failed cycle for its columns, score a table that has them and no row, and decide it.

    Args:
        scenario: The scenario.
        options: Its options, typed.
        claim: Its claim, as it will be registered.
        record: Any record of the corpus.
        roles: Roles the scenario asks for.

    Raises:
        UsageError: The scenario, the estimator or the decision refuses its options.
    """
    if record is None:
        return
    try:
        arm = scenario.arms(options)[0]
        failed = CycleResult(0, record.id, arm, "error", None, "rehearsed")
        values = scenario.observe(record, failed, dict.fromkeys(roles)) or {}
        score = scenario.score({name: [] for name in (*values, *_ADDED)}, options)
        decide_claim(claim, score, alpha=claim.decision.alpha, seed=0)
    except UsageError:
        raise
    except Exception:  # noqa: BLE001 - a scenario need not be able to score nothing; the run tells what it makes of rows
        return
