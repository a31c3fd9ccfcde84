"""What the records of this wheel share: who made them, with which command, and where they are kept."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.project import Project
from ophamin.proof.recordkind import RecordKind
from ophamin.proof.signed import sign
from ophamin.proof.store import Store
from ophamin.protocols import Settings

__all__ = ["Kept", "identity", "keep", "reproduction", "signer_of", "time_problems"]

JSON = Any


@dataclass(frozen=True)
class Kept:
    """A record that was signed and stored.

    Args:
        record: The signed record.
        path: Its ``record.json`` in the store.
    """

    record: Mapping[str, JSON]
    path: Path


def signer_of(key_file: Path | None = None) -> Signer:
    """The key to sign with; asked for before any work, so that a key that cannot be used costs nothing."""
    return Keyring().signer(key_file)


def keep(
    body: Mapping[str, JSON],
    kind: RecordKind,
    settings: Settings,
    signer: Signer,
    files: Mapping[str, Path | bytes] | None = None,
) -> Kept:
    """Sign a body and store it in the project, with the files that belong to it.

    Raises:
        SchemaError: The body does not fit its schema: a bug of ours.
        OSError: The store cannot be written.
    """
    record = sign(body, kind, signer)
    path = Store(Path(settings.store), Project(Path(settings.project)).index).put(record, kind, files)
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
        "code": [{"distribution": name, "version": version(name)} for name in ("ophamin-core", "ophamin-comparing")],
    }


def reproduction(argv: Sequence[str]) -> dict[str, JSON]:
    """Section ``reproduction``: the command, as one line and by words."""
    words = [word.encode("utf-8", "backslashreplace").decode("utf-8") for word in argv]
    return {"command": shlex.join(words), "argv": words}


def time_problems(record: Mapping[str, JSON]) -> list[str]:
    """Whether ``identity.captured_at`` is a time, as one sentence or none."""
    try:
        aware = datetime.fromisoformat(record["identity"]["captured_at"]).tzinfo is not None
    except ValueError:
        aware = False
    return [] if aware else ["identity.captured_at is not a time with its zone"]
