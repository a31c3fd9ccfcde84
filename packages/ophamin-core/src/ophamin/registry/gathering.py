"""From words on the command line to records that were read and verified."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ophamin import registry
from ophamin.proof.errors import OphaminError, UnknownRecord, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import SignedRecord, verify
from ophamin.proof.verification import Verification
from ophamin.protocols.settings import Settings

if TYPE_CHECKING:
    from ophamin.proof.ledger import Ledger

__all__ = ["Found", "LeftOut", "gather", "ledger_of", "locate"]

RECORD = "record.json"
LINK = "it is a link, and links in a folder are not followed"


@dataclass(frozen=True)
class Found:
    """A record as read, and what verification says of it."""

    record: SignedRecord
    verification: Verification

    @property
    def bad(self) -> bool:
        """Whether it is not what was signed."""
        return self.verification.exit_code == 3


@dataclass(frozen=True)
class LeftOut:
    """A file that is no readable record, and why."""

    path: Path
    reason: str


def gather(settings: Settings, words: Sequence[str]) -> tuple[list[Found], list[LeftOut]]:
    """Read and verify every record the words mean.

    A file or an id that was named must be a record; of a folder, what is not one is left out with its reason.
    Links inside a folder are not followed.

    Args:
        settings: Of the project whose store ids are looked up in.
        words: Files, folders, ids or unique beginnings of ids.

    Returns:
        The records, each once, in the order of the words and by path; and what was left out.

    Raises:
        UnknownRecord: A word means nothing.
        RecordError: A named file is no record.
    """
    keyring = Keyring()
    found: dict[Path, Found] = {}
    left_out: list[LeftOut] = []
    for word in words:
        for path, named in _paths(settings, word, left_out):
            try:
                if not named and path.is_symlink():
                    raise UnknownRecord(LINK)
                record = registry.read_record(path)
                ledger = ledger_of(settings, record)
                found.setdefault(path.absolute(), Found(record, verify(record, keyring, ledger=ledger)))
            except OphaminError as error:
                # A damaged or foreign file must not hide the others; keys and plug-ins are everyone's problem.
                if named or error.exit_code not in (2, 3):
                    raise
                left_out.append(LeftOut(path, str(error).removeprefix(f"{path}: ")))
    return list(found.values()), left_out


def locate(settings: Settings, word: str) -> Path:
    """The one file a word means: a file, the folder of a record, or the id (or its beginning) of a stored record.

    Args:
        settings: Of the project whose store ids are looked up in.
        word: As typed.

    Returns:
        The path; a file named outright may not exist, which reading it says.

    Raises:
        UnknownRecord: No record is stored under that id.
        UsageError: Too short an id, or the beginning of several.
    """
    if not word:
        raise UsageError("an empty name means no record; give a file, a folder or an id")
    path = Path(word)
    if path.is_dir() and _is_record_folder(path):
        return path / RECORD
    if path.exists() or path.is_symlink() or os.sep in word or word.endswith(".json"):
        return path
    if not Path(settings.store).is_dir():
        raise UnknownRecord(f"{word}: no such file, and no records are stored in {settings.store}")
    from ophamin.proof.project import Project
    from ophamin.proof.store import Store  # only an id needs the store

    return Store(Path(settings.store), Project(Path(settings.project)).index).path(word)


def ledger_of(settings: Settings, record: SignedRecord) -> Ledger | None:
    """The ledger the record says it was registered in: this project's, or that of the project it lies in.

    Args:
        settings: Of this project.
        record: As read; its sections need not be what they should.

    Returns:
        The ledger, opened for reading only; ``None`` when neither project has it.
    """
    registered = record.object.get("preregistration")
    place = registered.get("ledger") if isinstance(registered, dict) else None
    wanted = place.get("log_id") if isinstance(place, dict) else None
    if not wanted:
        return None
    from ophamin.proof.ledger import Ledger
    from ophamin.proof.project import Project

    projects = [Project(Path(settings.project))]
    if record.path is not None:
        projects.append(Project.find(record.path.parent))
    for project in projects:
        if project.ledger_dir.is_dir():
            ledger = Ledger(project.ledger_dir, create=False)
            if ledger.log_id == wanted:
                return ledger
    return None


def _is_record_folder(path: Path) -> bool:
    return (path / RECORD).is_file() and not (path / RECORD).is_symlink()


def _paths(settings: Settings, word: str, left_out: list[LeftOut]) -> Iterator[tuple[Path, bool]]:
    """Files a word means, and whether it named that very file; folders that cannot be read go to ``left_out``."""
    path = Path(word)
    if word and path.is_dir() and not _is_record_folder(path):
        yield from ((file, False) for file in _records_under(path, left_out))
    else:
        yield locate(settings, word), True


def _records_under(folder: Path, left_out: list[LeftOut]) -> Iterator[Path]:
    """JSON files below a folder; beside a ``record.json`` lie its artifacts, and hidden folders are not records."""

    def unreadable(error: OSError) -> None:
        left_out.append(LeftOut(Path(str(error.filename)), error.strerror or "it cannot be read"))

    for here, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        left_out += [LeftOut(Path(here, name), LINK) for name in folders if Path(here, name).is_symlink()]
        records = [RECORD] if RECORD in files else sorted(f for f in files if f.endswith(".json") and f[0] != ".")
        yield from (Path(here, name) for name in records)
