"""The engine that runs a scenario, and the scenarios that ship with it."""

from __future__ import annotations

from collections.abc import Callable

from ophamin.protocols import Progress, RunResult, RunSpec

__all__ = ["run_scenario"]


def run_scenario(spec: RunSpec, *, progress: Callable[[Progress], None] | None = None) -> RunResult:
    """Walk the whole road once: register, run, decide, sign, store.

    See :func:`ophamin.measuring.scenarios.engine.run_scenario`, which this imports on use.

    Args:
        spec: All that defines the run.
        progress: Told of counts and time, never of a running result.
    """
    from ophamin.measuring.scenarios.engine import run_scenario as walk

    return walk(spec, progress=progress)
