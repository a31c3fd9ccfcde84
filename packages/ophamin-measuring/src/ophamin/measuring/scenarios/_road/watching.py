"""Looking after every unit whether a sequential claim is decided; it tells the engine alone, and only yes or no."""

from __future__ import annotations

import json
import math
from typing import Any

from ophamin.measuring.decision import decide_claim
from ophamin.measuring.decision._stopping import looks_of
from ophamin.measuring.scenarios._road.deciding import score_rows
from ophamin.measuring.scenarios._road.selection import Selection
from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.proof.errors import ProtocolViolation
from ophamin.proof.types import Decision, Threshold
from ophamin.protocols import EstimatorCall

__all__ = ["Watch"]

JSON = Any
SLACK = 1e-6
"""By how much sums made one by one may differ from those made at once; asking too early does no harm."""
Row = dict[str, JSON]


class Watch:
    """Follows the processes of a claim while its rows come in, at the cost of one row each.

    The watch only says when it is worth asking; the verdict is always that of all rows so far, by the same function
    that anyone can call on the stored ones. It scores the rows of one unit at a time, so it is only right for a
    scenario whose score is one row after another, which is checked whenever the number of units doubles and at each
    verdict.

    Args:
        setup: The prepared run.
        selection: Its records, units one after another.
        alpha: α of this attempt.
        seed: Its seed.
    """

    def __init__(self, setup: Setup, selection: Selection, alpha: float, seed: int) -> None:
        self._setup, self._alpha, self._seed = setup, alpha, seed
        self._units, self._arms = selection.units, len(setup.arms)
        self._rows: list[Row] = []
        self._unit: list[Row] = []
        parts = setup.claim.parts()
        self._parts = [_Follower(t, d, alpha, alpha / len(parts)) for t, d in parts]
        self._check_at, self._ask_at = 1, 0

    def see(self, line: bytes) -> bool:
        """Take one row; whether the claim is decided with it."""
        row = json.loads(line)
        self._rows.append(row)
        self._unit.append(row)
        position = len(self._rows) // self._arms
        whole = len(self._rows) % self._arms == 0
        if not whole or (position < len(self._units) and self._units[position] == self._units[position - 1]):
            return False
        inside = any(r["values"] is not None for r in self._unit)
        calls = score_rows(self._setup, self._unit).calls if inside else ()
        self._unit = []
        for part, call in zip(self._parts, calls, strict=False):
            part.take(call)
        if self._parts[0].units >= self._check_at:
            self._check_at *= 2
            self._check()
        return self._worth_asking() and self._decided()

    def _worth_asking(self) -> bool:
        if all(part.looks for part in self._parts):
            return any(part.looking for part in self._parts)
        crossed = all(part.may_validate for part in self._parts) or any(part.may_refute for part in self._parts)
        return crossed and len(self._rows) >= self._ask_at

    def _decided(self) -> bool:
        self._check()
        score = score_rows(self._setup, self._rows)
        found = decide_claim(self._setup.claim, score, alpha=self._alpha, seed=self._seed)
        # A crossing that may not speak yet (too few groups) is asked about ever more seldom: each time costs all rows.
        n = len(self._rows)
        self._ask_at = n + max(1, n // 50)
        return found.outcome != "INCONCLUSIVE"

    def _check(self) -> None:
        """Whether the rows of each unit alone gave what all rows give."""
        whole = score_rows(self._setup, self._rows).calls
        if any(not part.is_that_of(call) for part, call in zip(self._parts, whole, strict=True)):
            raise ProtocolViolation(
                f"scenario {self._setup.scenario.name!r} does not score one unit after another, so its claim cannot be "
                "stopped early; use rule interval"
            )


class _Follower:
    """The two processes of one threshold, unit by unit."""

    def __init__(self, threshold: Threshold, decision: Decision, validate: float, refute: float) -> None:
        looks = looks_of(decision)
        self._threshold, self._decision = threshold, decision
        self._upwards = threshold.comparator in (">=", ">")
        self._goals = (math.log(1 / validate) - SLACK, math.log(1 / refute) - SLACK)
        self._sides: tuple[Any, Any] | None = None
        self.values, self.units = list[JSON](), 0
        self.looks = frozenset() if looks is None else frozenset(looks.n)
        self.may_validate = self.may_refute = self.looking = False

    def take(self, call: EstimatorCall) -> None:
        """Add the rows of one unit."""
        from ophamin.measuring.decision._sequential import running_of, units_of

        found = units_of(self._threshold, self._decision, call)
        self.values += list(call.columns.get("value", ()))
        self.units += len(found.low)
        self.looking = len(found.low) > 0 and self.units in self.looks
        if self.looks:
            return
        if self._sides is None:
            self._sides = running_of(self._decision, found.null)
        above, below = self._sides
        for low, high in zip(found.low.tolist(), found.high.tolist(), strict=True):
            up, down = above.add(low), below.add(1 - high)
            validating, refuting = (up, down) if self._upwards else (down, up)
            self.may_validate = self.may_validate or validating >= self._goals[0]
            self.may_refute = self.may_refute or refuting >= self._goals[1]

    def is_that_of(self, call: EstimatorCall) -> bool:
        """Whether the table of all rows is the tables of the units, one after the other."""
        from ophamin.measuring.decision._sequential import units_of

        same = list(call.columns.get("value", ())) == self.values
        return same and len(units_of(self._threshold, self._decision, call).low) == self.units
