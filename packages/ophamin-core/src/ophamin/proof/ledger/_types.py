"""What the ledger hands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

__all__ = ["Attempt", "LedgerEntry", "LedgerRef", "LedgerReport", "LedgerView"]

JSON = Any


@dataclass(frozen=True)
class LedgerRef:
    """Where an entry stands, and the proof that it stands there.

    Args:
        log_id: Which log, 32 hex digits.
        index: Position of the leaf, from 0.
        leaf_hash: RFC 6962 hash of the leaf.
        tree_size: Leaves in the tree the path belongs to.
        root_hash: Root of that tree.
        path: Inclusion path, bottom first.
    """

    log_id: str
    index: int
    leaf_hash: str
    tree_size: int
    root_hash: str
    path: Sequence[str]

    def to_dict(self) -> dict[str, JSON]:
        """The section ``preregistration.ledger`` of a proof."""
        return {**asdict(self), "path": list(self.path)}


@dataclass(frozen=True)
class LedgerEntry:
    """One leaf: its position, what it says, and its hash."""

    index: int
    value: dict[str, JSON]
    leaf_hash: str


class LedgerView(Protocol):
    """What is kept of the entries to answer a question without reading them all again; see ``Ledger.view``."""

    def note(self, entry: LedgerEntry) -> None:
        """Take in one entry.

        Entries are written by whoever may write the file: this must not raise, whatever they hold.
        """
        ...


@dataclass(frozen=True)
class Attempt:
    """One registration of a claim and how it ended.

    Args:
        index: Index of the registration.
        value: The registration.
        outcome: Its outcome; ``None`` while it is open.
        outcome_value: The outcome's own entry.
    """

    index: int
    value: Mapping[str, JSON]
    outcome: str | None = None
    outcome_value: Mapping[str, JSON] | None = None


@dataclass(frozen=True)
class LedgerReport:
    """What ``verify`` found.

    Args:
        log_id: Which log; "" when there is none.
        size: Leaves that were checked and are good.
        root_hash: Root over them.
        first_bad: Index of the first leaf that was rewritten, dropped or moved; ``None`` when the leaves
            are good.
        problem: What is wrong, one sentence; "" when nothing is.
        torn_bytes: Length of an unfinished last line, left by a killed writer; not a fault, the next
            append cuts it off.
    """

    log_id: str
    size: int
    root_hash: str
    first_bad: int | None = None
    problem: str = ""
    torn_bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether the log is what its heads say."""
        return not self.problem
