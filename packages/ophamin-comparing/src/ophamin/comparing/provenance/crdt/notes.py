"""What people write beside records: one shared text per record, which every machine may add to at the same time."""

from __future__ import annotations

from ophamin.comparing.provenance.crdt.replica import Replica, open_replica
from ophamin.comparing.provenance.lineage import LineageStore
from ophamin.proof.errors import UsageError
from ophamin.proof.printable import text as storable

__all__ = ["NOTED", "add_note", "note_name", "note_of", "notes_in"]

NOTED = "noted"
"""Map of the record ids that have a note; a text of its own name for each keeps both ends of a concurrent beginning."""

LONGEST = 100_000


def note_name(record_id: str) -> str:
    """Name of the text."""
    return f"note:{record_id}"


def add_note(lineage: LineageStore, record_id: str, text: str, *, backend: str = "") -> None:
    """Add a paragraph to a record's note.

    Only the change is kept, as an update that any number of processes may add at the same time.

    Args:
        lineage: Where it is kept.
        record_id: The record.
        text: The paragraph.
        backend: Of ``open_replica``.

    Raises:
        UsageError: It is empty or longer than 100,000 characters.
    """
    words = storable(text.strip())
    if not words or len(words) > LONGEST:
        raise UsageError(f"a note has 1 to {LONGEST:,} characters")
    replica = open_replica(lineage.updates(), backend)
    before = replica.state()
    replica.put(NOTED, [(record_id, "")])
    replica.append(note_name(record_id), f"{words}\n")
    lineage.append_update(replica.update(before))


def note_of(lineage: LineageStore, record_id: str) -> str:
    """The note of a record, "" when there is none."""
    updates = lineage.updates()
    return open_replica(updates).text(note_name(record_id)) if updates else ""


def notes_in(replica: Replica) -> dict[str, str]:
    """All notes of a document, by record."""
    return {record_id: replica.text(note_name(record_id)) for record_id in sorted(replica.entries(NOTED))}
