"""Runs of a claim at other revisions of its systems: samples that are to be added up share no record.

An attempt at a claim leaves out what earlier attempts at the same revision measured. A run with records of its own also
leaves out what was measured at others.
"""

from __future__ import annotations

from ophamin.measuring.scenarios._road.attempts import counts
from ophamin.measuring.scenarios._road.kinship import kinship
from ophamin.measuring.scenarios._road.setup import Setup
from ophamin.proof.ledger import Attempt, Ledger, LedgerEntry

__all__ = ["others_of"]


class _Claims:
    """The attempt keys of each claim: a view of the ledger."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[str, None]] = {}

    def note(self, entry: LedgerEntry) -> None:
        claim, key = entry.value.get("claim_hash"), entry.value.get("attempt_key")
        if entry.value.get("type") == "registration" and isinstance(claim, str) and isinstance(key, str):
            self._keys.setdefault(claim, {})[key] = None

    def of(self, claim_hash: str) -> list[str]:
        """Those of one claim, in the order they came."""
        return list(self._keys.get(claim_hash, ()))


def others_of(setup: Setup, ledger: Ledger) -> list[Attempt]:
    """Registrations of this claim for other revisions of the same systems, by which anything may have been measured.

    A claim names its corpus by content, so they drew from the same records.
    """
    keys = [key for key in ledger.view(_Claims).of(setup.claim_hash) if key != setup.attempt_key]
    systems = kinship(setup)["substrates"]
    return [
        attempt
        for key in keys
        for attempt in ledger.attempts(key)
        if (attempt.value.get("claim_hash"), attempt.value.get("substrates")) == (setup.claim_hash, systems)
        and counts(len(setup.arms), attempt.outcome, attempt.outcome_value)
    ]
