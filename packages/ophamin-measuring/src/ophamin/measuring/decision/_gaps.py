"""Rows that failed or were not measured, and what stands in their place.

The argument is one of populations: a row of the completed table is at least (or at most) what the whole row
would have been, so a bound for the mean, share or quantile of completed rows bounds the true one too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.proof.types import Decision
from ophamin.protocols import Columns, EstimatorCall

__all__ = ["Rows", "ends"]


@dataclass(frozen=True)
class _Ends:
    """Which column a missing row is completed in, and the least and greatest it could be."""

    column: str
    low: float | None
    high: float | None


def ends(call: EstimatorCall, decision: Decision) -> _Ends | None:
    """What a missing row of this estimator lies between; ``None``: any gap is inconclusive."""
    support = decision.support if decision.support is not None else call.options.get("support")
    if call.estimator == "proportion":
        return _Ends("value", 0, 1)
    if call.estimator == "quantile":
        return _Ends("value", -math.inf, math.inf)
    if call.estimator in ("calibration-error", "brier-skill"):
        return _Ends("contribution", -1.0, 1.0)
    if call.estimator in ("mean", "value") and support is not None:
        low, high = support
        return _Ends("value", low, high)
    return None


class Rows:
    """The rows of one call, sorted into used, errors and unmeasured.

    Args:
        call: Its columns hold ``status`` (absent: all ok), perhaps ``in_scope`` (whether the row belongs to a
            random denominator; ``None`` when that is unknown) and what the estimator reads.
        policy: ``bound``, ``fail`` or ``exclude``.
        ends: What a missing row lies between.
    """

    def __init__(self, call: EstimatorCall, policy: str, ends: _Ends | None) -> None:
        columns = call.columns
        lengths = {len(c) for c in columns.values()}
        if len(lengths) != 1:
            raise UsageError(f"the columns of {call.metric!r} must have equal lengths, at least one column")
        count = lengths.pop()
        status = list(columns.get("status", ["ok"] * count))
        scope = list(columns.get("in_scope", [True] * count))
        reads = [c for c in ("value", "confidence", "correct") if c in columns]
        empty = [any(columns[c][i] is None for c in reads) for i in range(count)]
        inside = [i for i in range(count) if scope[i] is None or scope[i]]
        self.used = [i for i in inside if status[i] == "ok" and scope[i] is not None and not empty[i]]
        self.unmeasured = [i for i in inside if status[i] == "unmeasured"]
        taken = {*self.used, *self.unmeasured}
        # An ok cycle without a value is the system's failure to give one: an error, never dropped.
        self.errors = [i for i in inside if i not in taken]
        self._columns, self._policy, self._ends = columns, policy, ends

    @property
    def planned(self) -> int:
        """Rows in scope, whatever became of them."""
        return len(self.used) + len(self.errors) + len(self.unmeasured)

    @property
    def gaps(self) -> int:
        """Rows that need a completion."""
        return len(self.unmeasured) + (0 if self._policy == "exclude" else len(self.errors))

    @property
    def counted(self) -> int:
        """Rows of the completed table."""
        return len(self.used) + self.gaps

    def observed(self, higher_is_better: bool) -> Columns | None:
        """The rows of the point estimate: used ones, and under ``fail`` the errors at their worst."""
        if self._policy != "fail" or not self.errors:
            return self._take(self.used, [])
        fill = self._fill(not higher_is_better)
        return None if fill is None else self._take(self.used, [(i, fill) for i in self.errors])

    def completed(self, high: bool, higher_is_better: bool) -> Columns | None:
        """The table behind one bound: U from the highest completion, L from the lowest.

        Args:
            high: Whether this is for the upper bound.
            higher_is_better: Whether the claim is ``>=`` or ``>``; under ``fail`` errors take the claim's worst.

        Returns:
            The columns; ``None`` when a gap has no end to take.
        """
        fills: list[tuple[int, float]] = []
        groups = [(self.unmeasured, high)]
        if self._policy != "exclude":
            groups.append((self.errors, (not higher_is_better) if self._policy == "fail" else high))
        for rows, up in groups:
            fill = self._fill(up)
            if rows and fill is None:
                return None
            fills += [(i, fill) for i in rows if fill is not None]
        return self._take(self.used, fills)

    def best(self, higher_is_better: bool) -> Columns | None:
        """A table of this size and grouping on which every row speaks for the claim."""
        fill = self._fill(higher_is_better)
        gaps = [*self.unmeasured, *([] if self._policy == "exclude" else self.errors)]
        return None if fill is None else self._take([], [(i, fill) for i in sorted([*self.used, *gaps])])

    def _fill(self, high: bool) -> float | None:
        if self._ends is None:
            return None
        return self._ends.high if high else self._ends.low

    def _take(self, rows: Sequence[int], fills: Sequence[tuple[int, float]]) -> Columns:
        # The order of cycles is kept: it means nothing, but a seeded order must not depend on gaps.
        filled = dict(fills)
        order = sorted([*rows, *filled])
        table: dict[str, list[Any]] = {
            name: [column[i] for i in order]
            for name, column in self._columns.items()
            if name not in ("status", "in_scope")
        }
        if filled and self._ends is not None:
            self._put(table, self._ends.column, order, filled)
        return table

    def _put(self, table: dict[str, list[Any]], name: str, order: Sequence[int], filled: Mapping[int, float]) -> None:
        column = table.get(name, [None] * len(order))
        table[name] = [filled.get(i, v) for i, v in zip(order, column, strict=True)]
