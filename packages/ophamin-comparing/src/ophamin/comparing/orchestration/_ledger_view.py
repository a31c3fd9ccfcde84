"""A ledger that is read once and asked about many proofs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ophamin.proof.ledger import Attempt, Ledger, LedgerEntry
from ophamin.proof.signed import SignedRecord

__all__ = ["LedgerView"]

JSON = Any


class LedgerView:
    """The entries of a ledger as of now.

    Whoever verifies one proof walks the whole ledger; for every proof of a sweep that would be its square.

    Args:
        ledger: The ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._leaves: dict[JSON, LedgerEntry] = {}
        self._outcomes: dict[JSON, list[LedgerEntry]] = {}
        self._kin: dict[JSON, list[LedgerEntry]] = {}
        for entry in ledger.entries():
            self._leaves[entry.index] = entry
            if entry.value.get("type") == "outcome":
                self._outcomes.setdefault(entry.value.get("registration"), []).append(entry)
            elif entry.value.get("type") == "registration":
                self._kin.setdefault(entry.value.get("attempt_key"), []).append(entry)

    def of(self, record: SignedRecord) -> Part:
        """The part of the ledger that verifying a record asks for, shaped as the ledger."""
        registered = record.object.get("preregistration")
        place = registered.get("ledger") if isinstance(registered, dict) else None
        index = place.get("index") if isinstance(place, dict) else None
        leaf = self._leaves.get(index) if isinstance(index, int) else None
        if leaf is None:
            return Part(self._ledger, ())
        kin = self._kin.get(leaf.value.get("attempt_key"), [])
        found = {entry.index: entry for entry in (leaf, *self._outcomes.get(index, ()), *kin)}
        return Part(self._ledger, [found[i] for i in sorted(found)])


@dataclass(frozen=True)
class Part:
    """Some entries of a ledger; all else is asked of the ledger itself.

    Args:
        ledger: The ledger.
        chosen: The entries, by index.
    """

    ledger: Ledger
    chosen: Sequence[LedgerEntry]

    @property
    def log_id(self) -> str:
        """Of the ledger."""
        return self.ledger.log_id

    def entries(self) -> Iterator[LedgerEntry]:
        """The chosen ones."""
        return iter(self.chosen)

    def entry(self, index: int) -> LedgerEntry:
        """One entry."""
        return self.ledger.entry(index)

    def attempts(self, attempt_key: str) -> list[Attempt]:
        """All attempts at a claim."""
        return self.ledger.attempts(attempt_key)
