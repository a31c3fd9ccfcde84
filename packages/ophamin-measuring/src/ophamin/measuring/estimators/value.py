"""A value that was measured whole, for rule ``exact``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["value"]


def _only(values: Sequence[Any]) -> Any:
    return values[0] if all(v == values[0] and type(v) is type(values[0]) for v in values) else None


def _mean(values: Sequence[Any]) -> float:
    return math.fsum(values) / len(values)


_STATISTICS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "only": _only, "sum": sum, "mean": _mean, "max": max, "min": min,
}  # fmt: skip


def value(
    columns: Columns,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    method: str = "auto",
    statistic: str = "only",
    support: Sequence[float | None] | None = None,
    threshold: Any = None,
    comparator: str | None = None,
) -> Estimate:
    """The statistic of every row of the target, with nothing left to infer.

    Args:
        columns: ``value``: integers, floats or strings; ``None`` rows are left out.
        confidence: Not used: nothing is inferred.
        seed: Not used.
        method: ``auto`` or ``exact``.
        statistic: ``only`` (one value, or the same in every row), ``sum``, ``mean``, ``max`` or ``min``.
        support: Ends of one row's value, which the decision puts in for missing rows.
        threshold: Not used: an exact value has no p-value.
        comparator: Not used.

    Returns:
        An estimate whose bounds are the value itself.

    Raises:
        UsageError: Unknown method or statistic.

    Example:
        >>> value({"value": [0, 0, 2]}, statistic="sum").value
        2
    """
    from importlib.metadata import version

    if method not in ("auto", "exact"):
        raise UsageError(f"an exact value has the method 'exact', not {method!r}")
    if statistic not in _STATISTICS:
        raise UsageError(f"no statistic is called {statistic!r}; use {', '.join(_STATISTICS)}")
    rows = [int(v) if isinstance(v, bool) else v for v in columns.get("value", ()) if v is not None]
    result, problem = None, ""
    if not rows:
        problem = "there are no observations"
    elif any(isinstance(v, float) and not math.isfinite(v) for v in rows):
        problem = "column 'value' holds a value that is not finite"
    elif statistic != "only" and any(isinstance(v, str) for v in rows):
        problem = f"the {statistic} of text is not defined"
    else:
        try:
            result = _STATISTICS[statistic](rows)
        except (TypeError, OverflowError):
            problem = f"the {statistic} of these values is no number"
        if result is None and not problem:
            problem = "the rows differ where one value was claimed"
    return Estimate(
        result, result, result, len(rows), method="exact", library="ophamin-measuring",
        version=version("ophamin-measuring"), guarantee="guaranteed", n_groups=len(rows), computed=False,
        problem=problem, detail={"statistic": statistic},
    )  # fmt: skip
