"""From the store of records to their lineage; what is known already is not read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.comparing.provenance.graph import provenance_of
from ophamin.comparing.provenance.lineage import LineageStore
from ophamin.proof.errors import OphaminError, RecordError
from ophamin.proof.keys import Keyring
from ophamin.proof.project import Project
from ophamin.proof.signed import SignedRecord, verify
from ophamin.proof.store import Store
from ophamin.proof.verification import Verification
from ophamin.protocols import Settings
from ophamin.registry.gathering import ledger_of

__all__ = ["Refreshed", "lineage_of", "refresh", "store_of", "take_in"]

JSON = Any


@dataclass
class Refreshed:
    """What a look at the store found.

    Args:
        added: Ids of the records that are new.
        left_out: Path of each record that is not trusted, with the reason.
        tampered: Whether one of them is not what was signed.
    """

    added: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    tampered: bool = False


def lineage_of(settings: Settings) -> LineageStore:
    """The lineage of a project."""
    return LineageStore(Project(Path(settings.project)).state / "lineage.sqlite")


def store_of(settings: Settings) -> Store:
    """The store of a project."""
    return Store(Path(settings.store), Project(Path(settings.project)).index)


def refresh(
    lineage: LineageStore, settings: Settings, *, progress: Callable[[int, int], None] | None = None
) -> Refreshed:
    """Take in every record of the store that is not known yet.

    Each is read and verified. What is not what was signed, or cannot be read, is left out and said; the rest is
    served.

    Args:
        lineage: Where to.
        settings: Of the project.
        progress: Told how many of how many records were looked at.
    """
    found, keyring = Refreshed(), Keyring()
    known = lineage.record_ids()
    rows = [row for row in store_of(settings).rows() if row.id not in known]
    for number, row in enumerate(rows, 1):
        try:
            if row.problem:  # a link, torn, or filed under another id
                raise RecordError(row.problem)
            record = registry.read_record(row.path)
            checked = verify(record, keyring, ledger=ledger_of(settings, record))
            if checked.exit_code == 3:
                found.tampered = True
                found.left_out[row.location] = _bad(checked)
            elif take_in(lineage, record, checked, keyring.trusted()):
                found.added.append(record.id)
        except OphaminError as error:
            if error.exit_code not in (2, 3):  # keys are everyone's problem, a damaged file is its own
                raise
            found.left_out[row.location] = str(error).removeprefix(f"{row.location}: ")
        if progress is not None:
            progress(number, len(rows))
    return found


def take_in(lineage: LineageStore, record: SignedRecord, checked: Verification, trusted: Mapping[str, str]) -> bool:
    """Add one record that was verified; returns whether it was new."""
    kind, id_field = record.kind.name, record.kind.id_field
    person = checked.signer if checked.signer in trusted else ""
    graph = provenance_of(record.object, kind, id_field, person=person)
    return lineage.add(record.object, kind, id_field, graph, verified=checked.ok)


def _bad(checked: Verification) -> str:
    return "; ".join(f"{check.name}: {check.detail}" for check in checked.checks if check.state == "bad")
