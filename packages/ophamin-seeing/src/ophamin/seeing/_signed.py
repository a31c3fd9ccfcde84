"""What the records of this wheel share: who made them, how they are signed and stored, which older forms are read."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ophamin.proof.errors import SchemaError
from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.kinds import Kind, Version
from ophamin.proof.project import Project
from ophamin.proof.recordkind import RecordKind
from ophamin.proof.signed import sign
from ophamin.proof.store import Store
from ophamin.protocols import Settings
from ophamin.seeing._versions import own_version

__all__ = ["Kept", "SeeingKind", "identity", "keep", "printable", "reproduction", "signer_of", "text", "time_problems"]

JSON = Any


@dataclass(frozen=True)
class SeeingKind(Kind):
    """A kind whose first form, in the wild, has the bare integer 1 as its version.

    Those records are read and verified, over either canonical form: no example was published that would settle which.
    """

    def accepts(self, record: Mapping[str, JSON]) -> bool:
        """Whether this object has our id field, and our version or the integer of the first form."""
        if super().accepts(record):
            return True
        stored = record.get("schema_version")
        return self.id_field in record and type(stored) is int and stored == 1 and stored in self.schemas

    def is_first_form(self, record: Mapping[str, JSON]) -> bool:
        """Whether it is of that first form."""
        try:
            return Version.parse(record.get("schema_version")).prefix == ""
        except SchemaError:
            return False


@dataclass(frozen=True)
class Kept:
    """A record that was signed and stored.

    Args:
        record: The signed record.
        path: Its ``record.json`` in the store.
    """

    record: Mapping[str, JSON]
    path: Path


def signer_of(key_file: Path | None) -> Signer:
    """The key to sign with; asked for before any work, so that a key that cannot be used costs nothing."""
    return Keyring().signer(key_file)


def keep(body: Mapping[str, JSON], kind: RecordKind, settings: Settings, signer: Signer) -> Kept:
    """Sign a body and store it in the project.

    Raises:
        SchemaError: The body does not fit its schema: a bug of ours.
        OSError: The store cannot be written.
    """
    record = sign(body, kind, signer)
    path = Store(Path(settings.store), Project(Path(settings.project)).index).put(record, kind)
    return Kept(record, path)


def identity() -> dict[str, JSON]:
    """Section ``identity``: which code, and when."""
    try:
        family = version("ophamin")
    except PackageNotFoundError:
        family = version("ophamin-core")
    return {
        "ophamin_version": family,
        "ophamin_git_commit": "",
        "captured_at": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
        "code": [
            {"distribution": "ophamin-core", "version": version("ophamin-core")},
            {"distribution": "ophamin-seeing", "version": own_version()},
        ],
    }


def reproduction(argv: Sequence[str]) -> dict[str, JSON]:
    """Section ``reproduction``: the command, as one line and by words."""
    words = [text(word) for word in argv]
    return {"command": shlex.join(words), "argv": words}


def text(value: object) -> str:
    r"""Text that a record can hold: bytes that are no UTF-8, and lone surrogates, become ``\udcff`` and the like."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def printable(value: object) -> str:
    """Text that cannot steer a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text(value))


def time_problems(record: Mapping[str, JSON]) -> list[str]:
    """Whether ``identity.captured_at`` is a time, as one sentence or none."""
    try:
        aware = datetime.fromisoformat(record["identity"]["captured_at"]).tzinfo is not None
    except ValueError:
        aware = False
    return [] if aware else ["identity.captured_at is not a time with its zone"]
