"""Tier 3 and the whole: one bundle per cycle, with the system's own outputs by role.

Roles are those of the scenario (``blocked``, ``confidence``, ``latency_s``…), which a field catalog has mapped to the
system's output already. No key of the output is guessed at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ophamin.measuring.metrics.telemetry import Telemetry, flattened
from ophamin.measuring.metrics.validity import Registered, Validity
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult

__all__ = ["Bundle", "CycleMetrics", "outputs"]


@dataclass(frozen=True)
class Bundle:
    """The metrics of one cycle.

    Args:
        index: Position in the run.
        arm: Arm of the cycle.
        status: ``ok``, ``error`` or ``unmeasured``.
        values: Flat name → number: ``telemetry_…``, ``validity_…``, ``output_…``.
        skipped: Roles whose value is no finite number, and so is not among the values.
    """

    index: int
    arm: str
    status: str
    values: Mapping[str, float]
    skipped: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As one flat row.

        Example:
            >>> Bundle(0, "a", "ok", {"output_blocked": 1.0}, ()).to_dict()
            {'index': 0, 'arm': 'a', 'status': 'ok', 'output_blocked': 1.0}
        """
        return {"index": self.index, "arm": self.arm, "status": self.status, **self.values}


def outputs(observed: Mapping[str, Any]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Numbers and truth values by role, and the roles that hold something else.

    Args:
        observed: Role → value, as a scenario's ``observe`` takes it.

    Raises:
        UsageError: Two roles of one flat name.

    Example:
        >>> outputs({"blocked": True, "Log.Prob": -0.7, "answer": "no"})
        ({'blocked': 1.0, 'log_prob': -0.7}, ('answer',))
    """
    values: dict[str, float] = {}
    skipped = []
    for role, value in observed.items():
        number = float(value) if isinstance(value, (bool, int, float)) and abs(value) < 1e300 else math.nan
        if not math.isfinite(number):
            skipped.append(role)
            continue
        name = flattened(role)
        if name in values:
            raise UsageError(f"two roles are called {name!r} once flat, {role!r} is the second; rename one of them")
        values[name] = number
    return values, tuple(skipped)


class CycleMetrics:
    """The three tiers of a run.

    Args:
        registered: What tier 2 follows.
        outcome: Role whose 0 or 1 feeds the log likelihood ratio, or ``None``.
        value: Role whose number is watched for drift, or ``None``.
        telemetry: Tier 1, which others may write to as well.

    Example:
        >>> metrics = CycleMetrics(Registered(h0=0.5, h1=0.9), outcome="blocked")
        >>> bundle = metrics.cycle(CycleResult(0, "r1", wall_s=0.25), {"blocked": True})
        >>> sorted(bundle.values)[:2]
        ['output_blocked', 'telemetry_cycle_s_count']
    """

    def __init__(
        self,
        registered: Registered | None = None,
        *,
        outcome: str | None = None,
        value: str | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._outcome, self._value = outcome, value
        self.telemetry = telemetry or Telemetry()
        self.validity = Validity(registered or Registered())

    def cycle(
        self,
        result: CycleResult,
        observed: Mapping[str, Any] | None = None,
        *,
        outcome: float | None = None,
        value: float | None = None,
    ) -> Bundle:
        """Take in a cycle and give its bundle.

        An error counts as a cycle of its arm and has no outputs; a cycle that was not measured says nothing of the
        system, so tier 2 takes in its allocation only.

        Args:
            result: The cycle.
            observed: Role → value, ``None`` where the scenario took nothing from it.
            outcome: 0 or 1 of this cycle, where it is no role's; an error may have one too.
            value: Number of this cycle that is watched for drift, likewise.

        Raises:
            UsageError: An arm that was not planned, or a role's value that tier 2 cannot take.
        """
        self.telemetry.count("cycles")
        self.telemetry.count(f"cycles_{result.status}")
        if result.wall_s is not None:
            self.telemetry.observe("cycle", result.wall_s)
        for name, number in result.resources.items():
            if math.isfinite(number):
                self.telemetry.gauge(flattened(name), number)
        values, skipped = outputs(observed or {}) if result.status == "ok" else ({}, ())
        self.validity.update(
            arm=result.arm or None,
            outcome=values.get(self._outcome) if outcome is None and self._outcome else outcome,
            value=values.get(self._value) if value is None and self._value else value,
        )
        whole = {f"telemetry_{k}": v for k, v in self.telemetry.snapshot().items()}
        whole |= {f"validity_{k}": v for k, v in self.validity.snapshot().items()}
        whole |= {f"output_{k}": v for k, v in values.items()}
        return Bundle(result.index, result.arm, result.status, whole, skipped)
