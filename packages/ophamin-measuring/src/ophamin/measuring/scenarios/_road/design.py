"""How a scenario wants its cycles laid out: in units of several, in fresh processes, over a whole corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ophamin import registry
from ophamin.protocols import ScenarioProtocol

__all__ = ["Design", "design_of", "instruments_of"]

JSON = Any


@dataclass(frozen=True)
class Design:
    """The layout of a run; by default a unit is a record, and one process answers all.

    Args:
        cycles_per_unit: Cycles that make one unit of n.
        fresh: Whether each unit runs in a process of its own.
        whole: Whether the whole corpus is measured when no n is asked for.
        assumptions: By metric, what a plan may assume (fields of the planning room's ``Assumptions``).
    """

    cycles_per_unit: int = 1
    fresh: bool = False
    whole: bool = False
    assumptions: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)

    def begins_process(self, position: int) -> bool:
        """Whether a fresh process answers from this record on."""
        return self.fresh and position % self.cycles_per_unit == 0

    def end_of_process(self, position: int) -> int:
        """Number of the first record that another process answers than this one."""
        if not self.fresh:
            return position + (1 << 62)
        return (position // self.cycles_per_unit + 1) * self.cycles_per_unit


def design_of(scenario: ScenarioProtocol, options: Mapping[str, JSON]) -> Design:
    """What the scenario's optional ``design(options)`` says, as keyword arguments of :class:`Design`."""
    offered = getattr(scenario, "design", None)
    return Design(**offered(options)) if offered is not None else Design()


def instruments_of(scenario: ScenarioProtocol, asked: Sequence[str]) -> list[str]:
    """Instruments asked for, and those the scenario cannot do without, where they are installed."""
    installed = registry.instruments.names()
    wanted = [name for name in getattr(scenario, "instruments", ()) if name in installed]
    return list(dict.fromkeys([*asked, *wanted]))
