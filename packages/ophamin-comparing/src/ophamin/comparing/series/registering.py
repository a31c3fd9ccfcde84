"""Registering how long commits are pooled before the first look, in the project's ledger.

A registration names the series, how many observations are pooled at most, α and how it is spent. Each look is an entry
too. What is registered again, otherwise, after somebody has looked, is another attempt: half of α, and only commits
that are measured from then on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from statistics import NormalDist
from typing import Any

from ophamin.comparing.series.points import Series
from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.proof.ledger import Ledger, LedgerEntry

__all__ = ["SPENDING", "Plan", "Registered", "find", "key_of", "register", "since", "spent"]

JSON = Any
SPENDING = ("obrien-fleming", "pocock", "power")
REGISTRATION, LOOK = "cumulative-registration", "cumulative-look"
_RHO = 3.0
_MOST = 10**15


@dataclass(frozen=True)
class Plan:
    """What is registered before the first look.

    Args:
        max_n: Observations at which looking ends; above 0.
        alpha: Two-sided, of all looks together, in (0, 0.5).
        spending: One of :data:`SPENDING`.
        drift_alpha: Of the tests of drift at each look, in (0, 0.5).
        include_earlier: Whether commits that were measured before the registration are pooled.

    Raises:
        UsageError: One of them makes no sense.

    Example:
        >>> Plan(40_000).spending
        'obrien-fleming'
    """

    max_n: int
    alpha: float = 0.05
    spending: str = "obrien-fleming"
    drift_alpha: float = 0.1
    include_earlier: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.max_n <= _MOST:
            raise UsageError(f"a maximum is a number of observations from 1 on, not {self.max_n}")
        if not 0 < self.alpha < 0.5 or not 0 < self.drift_alpha < 0.5:
            raise UsageError("alpha and the alpha of the drift tests lie between 0 and 0.5")
        if self.spending not in SPENDING:
            raise UsageError(f"alpha is spent by {', '.join(SPENDING)}, not {self.spending!r}")


@dataclass(frozen=True)
class Registered:
    """A registration as it stands in the ledger.

    Args:
        index: Its place.
        value: What it says.
        looks: The looks at it so far, in order.
        renewed: Whether it was there already, so that nothing was written.
    """

    index: int
    value: Mapping[str, JSON]
    looks: Sequence[Mapping[str, JSON]] = ()
    renewed: bool = False

    @property
    def plan(self) -> Plan:
        """What was registered."""
        return Plan(**{name: self.value[name] for name in Plan.__dataclass_fields__})

    @property
    def attempt(self) -> int:
        """Which registration of this series that was looked at, from 1."""
        return int(self.value["attempt"])

    @property
    def alpha_used(self) -> float:
        """α of this attempt."""
        return float(self.value["alpha_used"])

    @property
    def ended(self) -> bool:
        """Whether a look decided, or reached the maximum."""
        return bool(self.looks) and bool(self.looks[-1]["ended"])

    @property
    def pooled(self) -> list[str]:
        """Proofs that looks have taken, in the order they were taken in."""
        return [proof for look in self.looks for proof in look["added"]]


def key_of(series: Series) -> str:
    """What two registrations of one series share."""
    return digest({**asdict(series.key), "metric": series.metric, "comparator": series.comparator})


def find(ledger: Ledger, series: Series) -> Registered | None:
    """The registration of a series that holds now: the last one."""
    found = _all(ledger, key_of(series))
    return found[-1] if found else None


def register(ledger: Ledger, series: Series, plan: Plan) -> Registered:
    """Enter a plan in the ledger, before the first look.

    The same plan again changes nothing, unless the last one has ended. Another one takes the place of one under which
    no commit was measured; else it is another attempt, with α / 2^(k-1), on commits measured from now on.

    Args:
        ledger: Of the project.
        series: What will be pooled; its commits so far are counted, and not looked at.
        plan: See :class:`Plan`.

    Raises:
        UsageError: Its threshold is no number to be pooled against, or another attempt asks for earlier commits.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from ophamin.comparing.drift.proofs import SeriesKey
        >>> series = Series(SeriesKey("c", "s", "t", "d"), "accuracy", ">=", 0.9, [], [])
        >>> ledger = Ledger(Path(tempfile.mkdtemp()))
        >>> register(ledger, series, Plan(40_000)).attempt, register(ledger, series, Plan(40_000)).renewed
        (1, True)
    """
    if series.comparator == "==" or isinstance(series.theta, bool) or not isinstance(series.theta, (int, float)):
        raise UsageError(f"{series.metric} {series.comparator} {series.theta!r} is no bound to pool towards")
    key = key_of(series)
    with ledger.exclusive():
        ledger.check()  # what is known of it is answered from memory
        earlier = _all(ledger, key)
        if earlier and earlier[-1].plan == plan and not earlier[-1].ended:
            last = earlier[-1]
            return Registered(last.index, last.value, last.looks, renewed=True)
        # Who registers anew after commits were measured may have seen them, looked at or not.
        seen = [r for r in earlier if r.looks or any(since(p.created_at, r) for p in series.points)]
        attempt = 1 + len(seen)
        if attempt > 1 and plan.include_earlier:
            raise UsageError(
                f"commits of this series were seen under registration {seen[-1].index}; another one takes only commits "
                "that are measured from now on, so leave out --include-earlier"
            )
        value = {
            "type": REGISTRATION,
            "key": key,
            "series": asdict(series.key),
            "metric": series.metric,
            "comparator": series.comparator,
            "theta": series.theta,
            **asdict(plan),
            "attempt": attempt,
            "alpha_used": plan.alpha / 2 ** (attempt - 1),
            "points_there": len(series.points),
            "registered_at": _now(),
        }
        return Registered(ledger.append(value).index, value)


def since(created_at: str, registered: Registered) -> bool:
    """Whether a commit was measured after the registration; a time that is none was not."""
    try:
        return datetime.fromisoformat(created_at) > datetime.fromisoformat(registered.value["registered_at"])
    except (ValueError, TypeError):
        return False


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


class _Registrations:
    """All registrations by their series, each with its looks: a view of the ledger."""

    def __init__(self) -> None:
        self._by_key: dict[str, list[tuple[int, Mapping[str, JSON]]]] = {}
        self._looks: dict[int, list[Mapping[str, JSON]]] = {}

    def note(self, entry: LedgerEntry) -> None:
        value = entry.value
        if value.get("type") == REGISTRATION and isinstance(key := value.get("key"), str):
            self._by_key.setdefault(key, []).append((entry.index, value))
            self._looks[entry.index] = []
        elif value.get("type") == LOOK and isinstance(number := value.get("registration"), int):
            # A look before its registration is none.
            self._looks.get(number, []).append(value)

    def of(self, key: str) -> list[Registered]:
        """Those of one series, in order."""
        return [Registered(i, value, tuple(self._looks[i])) for i, value in self._by_key.get(key, ())]


def _all(ledger: Ledger, key: str) -> list[Registered]:
    return ledger.view(_Registrations).of(key)


def spent(spending: str, fraction: float, alpha: float) -> float:
    """Two-sided α spent at a fraction of the maximum information, up to 1.

    Source: Lan & DeMets (1983), Biometrika 70:659; ``power`` is α·t³ (Kim & DeMets 1987, Biometrika 74:149).

    Example:
        >>> [round(spent("obrien-fleming", t, 0.05), 5) for t in (0.25, 0.5, 1)]
        [1e-05, 0.00305, 0.05]
    """
    t = min(fraction, 1.0)
    if spending == "obrien-fleming":
        # Each side has a function of its own.
        return 4 * NormalDist().cdf(NormalDist().inv_cdf(alpha / 4) / math.sqrt(t))
    return alpha * math.log1p((math.e - 1) * t) if spending == "pocock" else alpha * t**_RHO
