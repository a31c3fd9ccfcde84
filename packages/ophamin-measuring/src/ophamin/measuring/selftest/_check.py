"""What one check is, and what it counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ophamin.protocols import Columns

__all__ = ["ALPHA", "MARGIN", "Check", "Law", "Reference", "Stress", "Tally"]

Rng = np.random.Generator

ALPHA = 0.05
"""One-sided error rate that most checks ask for."""
MARGIN = 0.01
"""How far from α each side of an approximate method may lie where it is said to hold."""


@dataclass(frozen=True)
class Law:
    """Data whose truth is known.

    Args:
        name: What it is, in a few words.
        truth: What the interval should cover.
        draw: One table.
    """

    name: str
    truth: float
    draw: Callable[[Rng], Columns]


@dataclass(frozen=True)
class Tally:
    """What was seen: counts of ``n`` runs, or chances of an enumeration (``n`` = 0).

    Args:
        below: Runs whose truth lay below the interval (its lower bound missed); of a decision: REFUTED.
        above: Runs whose truth lay above it (its upper bound missed); of a decision: VALIDATED; of a test: rejected.
        n: Runs.
        unanswered: Runs without a bound or answer where there should be one.
        why: What the first of those said.
    """

    below: float = 0
    above: float = 0
    n: int = 0
    unanswered: int = 0
    why: str = ""

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.below + other.below, self.above + other.above, self.n + other.n,
            self.unanswered + other.unanswered, self.why or other.why,
        )  # fmt: skip


Run = Callable[[Rng, int], Tally]


@dataclass(frozen=True)
class Stress:
    """A law an approximate method makes no promise for; its error is shown, not judged.

    Args:
        law: Its name.
        run: Counts misses.
    """

    law: str
    run: Run


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Args:
        family: What is under test, e.g. the name of an estimator.
        name: Which case of it.
        method: Name of the method, as evidence names it.
        guarantee: ``guaranteed``: the bound holds for every law of the kind; ``approximate``: where it is said to.
        kind: ``interval``: rates are misses; ``type I``: rejections of a true hypothesis; ``power``: of a false one.
        most: Each judged side's rate is at most this; ``None``: not judged from above.
        least: Each judged side's rate is at least this; ``None``: not judged from below. An interval much wider than
            it says fails this.
        run: Counts in simulated runs; or
        enumerate: the rates themselves.
        quick: Runs under ``--quick``; 0: too dear for that, only ``--full`` tries it.
        full: Runs under ``--full``.
        sides: Which sides are judged.
        stress: Laws beyond the promise.
        slack: How far an enumerated rate may pass its bound, for rounding.
    """

    family: str
    name: str
    method: str
    guarantee: Literal["guaranteed", "approximate"]
    kind: Literal["interval", "type I", "power"] = "interval"
    most: float | None = ALPHA
    least: float | None = None
    run: Run | None = None
    enumerate: Callable[[], Tally] | None = None
    quick: int = 4000
    full: int = 40_000
    sides: Sequence[str] = ("below", "above")
    stress: Sequence[Stress] = field(default=())
    slack: float = 1e-9

    @property
    def label(self) -> str:
        """Its name in the table; no two checks share one."""
        return f"{self.family}: {self.name}"

    def runs(self, mode: str) -> int:
        """How often it is simulated; 0 for an enumeration."""
        return 0 if self.run is None else self.quick if mode == "quick" else self.full

    def belongs_to(self, mode: str) -> bool:
        """Whether this mode tries it."""
        return self.run is None or self.runs(mode) > 0

    @property
    def limits(self) -> int:
        """How many limits chance could break for a right method."""
        return 0 if self.run is None else len(self.sides) * ((self.most is not None) + (self.least is not None))


@dataclass(frozen=True)
class Reference:
    """A number that has to come out: a closed form, a hand-made enumeration, an identity.

    Args:
        family: What is compared.
        name: Which number.
        compute: What the library says.
        expected: What it should say.
        source: Where the expected number comes from.
        tolerance: Largest difference, relative to the greater of 1 and the expected number.
    """

    family: str
    name: str
    compute: Callable[[], Any]
    expected: float
    source: str
    tolerance: float = 1e-9
