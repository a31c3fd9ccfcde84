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


_DIFFERENCES = ("difference.newcombe", "difference.clopper-pearson", "difference.mean")
_ALSO_READS = {"correlation": ("other",), "slope.hac": ("time",)}


@dataclass(frozen=True)
class _Ends:
    """Which column a missing row is completed in, and the least and greatest it could be.

    Rows of the arm ``opposite`` count against the statistic, so they take the other end.
    """

    column: str
    low: float | None
    high: float | None
    opposite: str | None = None


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
    if call.estimator in _DIFFERENCES:
        first = str((call.options.get("arms") or ("base", "head"))[0])
        if call.estimator != "difference.mean":
            return _Ends("value", 0, 1, first)
        if support is not None:
            return _Ends("value", support[0], support[1], first)
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
        also = _ALSO_READS.get(call.estimator, ())
        reads = [c for c in ("value", "confidence", "correct", *also) if c in columns]
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
        fills = self._fills(self.errors, not higher_is_better)
        return None if fills is None else self._take(self.used, fills)

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
            found = self._fills(rows, up)
            if found is None:
                return None
            fills += found
        return self._take(self.used, fills)

    def best(self, higher_is_better: bool) -> Columns | None:
        """A table of this size and grouping on which every row speaks for the claim."""
        gaps = [*self.unmeasured, *([] if self._policy == "exclude" else self.errors)]
        fills = self._fills(sorted([*self.used, *gaps]), higher_is_better)
        return None if not fills else self._take([], fills)

    def _fills(self, rows: Sequence[int], high: bool) -> list[tuple[int, float]] | None:
        """The end each of these rows takes; ``None`` when one has none to take."""
        fills = []
        for i in rows:
            fill = None
            if self._ends is not None:
                against = self._ends.opposite is not None and self._columns["arm"][i] == self._ends.opposite
                fill = self._ends.high if high is not against else self._ends.low
            if fill is None:
                return None
            fills.append((i, fill))
        return fills

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
