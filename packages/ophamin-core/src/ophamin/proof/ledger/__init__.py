"""The pre-registration ledger: an append-only Merkle log (RFC 6962) in one file."""

from ophamin.proof.ledger._ledger import OUTCOMES, Ledger, head_bytes
from ophamin.proof.ledger._types import Attempt, LedgerEntry, LedgerRef, LedgerReport, LedgerView

__all__ = ["OUTCOMES", "Attempt", "Ledger", "LedgerEntry", "LedgerRef", "LedgerReport", "LedgerView", "head_bytes"]
