"""Other claims on the same metric, systems and corpus: how many were registered, and what α they have spent.

A ledger of a large sweep has thousands of them, and each registration tells of all before it. So the ledger's entries
are not read again for each: a view of the ledger keeps count.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from ophamin.measuring.scenarios._road.attempts import counts
from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.proof.ledger import Ledger, LedgerEntry

__all__ = ["kinship", "related"]

JSON = Any


def kinship(setup: Setup) -> dict[str, JSON]:
    """What a registration tells of its claim, so that later ones can find their relatives."""
    return {
        "scenario": setup.spec.scenario,
        "metrics": sorted({threshold.metric for threshold, _ in setup.claim.parts()}),
        "substrates": [[arm.identity.kind, arm.identity.name] for arm in setup.arms],
        "data_hash": setup.data_hash,
        "source": setup.source,
    }


def related(setup: Setup, ledger: Ledger) -> dict[str, JSON]:
    """Other claims of the same scenario on the same metric, systems and corpus: how many, and their α."""
    return ledger.view(_Kinship).of(kinship(setup), setup.attempt_key)


@dataclass(frozen=True)
class _Subject:
    """What a claim speaks of; claims that differ in their numbers only have the same."""

    scenario: JSON
    substrates: str
    metrics: frozenset[str]
    data_hash: JSON
    source: JSON

    @property
    def family(self) -> tuple[JSON, str]:
        return self.scenario, self.substrates

    def is_kin(self, own: _Subject) -> bool:
        same_data = own.data_hash == self.data_hash or own.source == self.source
        return same_data and not own.metrics.isdisjoint(self.metrics)


@dataclass
class _Spent:
    """How often each α was spent on a subject, in all and by claim."""

    all: Counter[float] = field(default_factory=Counter)
    by_key: dict[JSON, Counter[float]] = field(default_factory=dict)

    def count(self, key: JSON, alpha: float, by: int) -> None:
        self.all[alpha] += by
        self.by_key.setdefault(key, Counter())[alpha] += by

    def without(self, key: JSON) -> Counter[float]:
        return self.all - self.by_key.get(key, Counter())


@dataclass
class _Registration:
    spent: _Spent
    key: JSON
    alpha: float
    arms: int
    counted: bool = True


class _Kinship:
    """All registrations by what they speak of, with their ends as they are now."""

    def __init__(self) -> None:
        self._families: dict[tuple[JSON, str], dict[_Subject, _Spent]] = {}
        self._registrations: dict[JSON, _Registration] = {}

    def note(self, entry: LedgerEntry) -> None:
        value = entry.value
        if value.get("type") == "registration":
            subject = _subject(value)
            key, alpha = value.get("attempt_key"), value.get("alpha_used", 0.0)
            if subject is None or not isinstance(key, str) or not isinstance(alpha, (int, float)):
                return  # not one of a scenario
            spent = self._families.setdefault(subject.family, {}).setdefault(subject, _Spent())
            spent.count(key, float(alpha), 1)
            self._registrations[entry.index] = _Registration(spent, key, float(alpha), len(value["substrates"]))
        elif value.get("type") in ("outcome", "resumption"):
            number = value.get("registration")
            known = self._registrations.get(number) if isinstance(number, int) else None
            if known is None:
                return
            counted = counts(known.arms, value.get("outcome"), value)
            if counted != known.counted:
                known.counted = counted
                known.spent.count(known.key, known.alpha, 1 if counted else -1)

    def of(self, own: Mapping[str, JSON], key: str) -> dict[str, JSON]:
        """The relatives of a claim, itself left out."""
        subject = _subject(own)
        assert subject is not None, "kinship() describes a claim"
        spent: Counter[float] = Counter()
        for other, theirs in self._families.get(subject.family, {}).items():
            if other.is_kin(subject):
                spent.update(theirs.without(key))
        # An exact sum does not depend on the order, and so not on how they are kept.
        total = math.fsum(alpha for alpha, times in spent.items() for alpha in repeat(alpha, times))
        return {"registrations": sum(spent.values()), "alpha_spent": total}


def _subject(value: Mapping[str, JSON]) -> _Subject | None:
    """What a registration speaks of; ``None`` when it is not one of a scenario."""
    names, systems = value.get("metrics"), value.get("substrates")
    scenario, data_hash, source = value.get("scenario"), value.get("data_hash"), value.get("source")
    words = (scenario, data_hash, source, *(names if isinstance(names, list) else [None]))
    if not isinstance(systems, list) or not all(isinstance(word, str) for word in words):
        return None
    return _Subject(scenario, json.dumps(systems, sort_keys=True), frozenset(names or ()), data_hash, source)
