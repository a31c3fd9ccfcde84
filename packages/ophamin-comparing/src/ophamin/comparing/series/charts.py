"""Control charts of a metric over commits, by the pillar of observability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ophamin import registry
from ophamin.proof.errors import UsageError
from ophamin.protocols import PillarResult

__all__ = ["CHARTS", "chart"]

CHARTS = ("individuals", "ewma", "cusum")


def chart(values: Sequence[float], name: str = "individuals", *, baseline: int = 0, **options: Any) -> PillarResult:
    """A control chart of one value per commit.

    Args:
        values: By commit, in order of time.
        name: ``individuals`` (large shifts at once), ``ewma`` or ``cusum`` (small ones that stay).
        baseline: How many commits from the beginning the limits come from; 0: all. Of a series that did change, limits
            from all of it are too wide.
        **options: Of pillar ``O.<name>``.

    Returns:
        The pillar's result: limits and points in ``tables``, signals in ``diagnostics``.

    Raises:
        UsageError: Another chart, or a baseline longer than the series.
        UnknownPlugin: The pillars of observability are not installed (``ophamin-comparing[stats]``).
    """
    if name not in CHARTS:
        raise UsageError(f"no chart of single values is called {name!r}; use {', '.join(CHARTS)}")
    if not 0 <= baseline <= len(values):
        raise UsageError(f"a baseline of {baseline} commits does not fit a series of {len(values)}")
    columns: dict[str, list[Any]] = {"value": list(values)}
    if baseline:
        columns["phase1"] = [i < baseline for i in range(len(values))]
    return registry.pillars.get(f"O.{name}")().compute(columns, seed=0, **options)
