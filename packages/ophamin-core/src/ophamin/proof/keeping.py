"""What the records of every wheel share: who made them, with which command, and where they are kept."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.printable import text
from ophamin.proof.project import Project
from ophamin.proof.recordkind import RecordKind
from ophamin.proof.signed import sign
from ophamin.proof.store import Store

__all__ = ["Kept", "identity", "keep", "reproduction", "signer_of", "time_problems"]

JSON = Any


class _Places(Protocol):
    """The part of ``ophamin.protocols.Settings`` that says where records go."""

    @property
    def project(self) -> str: ...
    @property
    def store(self) -> str: ...


@dataclass(frozen=True)
class Kept:
    """A record that was signed and stored.

    Args:
        record: The signed record.
        path: Its ``record.json`` in the store.

    Example:
        >>> Kept({"sweep_id": "ab"}, Path("proofs/sweep/ab/record.json")).path.name
        'record.json'
    """

    record: Mapping[str, JSON]
    path: Path


def signer_of(key_file: Path | None = None) -> Signer:
    """The key to sign with; asked for before any work, so that a key that cannot be used costs nothing."""
    return Keyring().signer(key_file)


def keep(
    body: Mapping[str, JSON],
    kind: RecordKind,
    settings: _Places,
    signer: Signer,
    files: Mapping[str, Path | bytes] | None = None,
) -> Kept:
    """Sign a body and store it in the project, with the files that belong to it.

    Args:
        body: Without id and signature.
        kind: Its kind.
        settings: Name the project and its store.
        signer: From ``signer_of``.
        files: Neighbours by plain file name: their bytes, or a file to copy.

    Raises:
        SchemaError: The body does not fit its schema: a bug of ours.
        OSError: The store cannot be written.
    """
    record = sign(body, kind, signer)
    path = Store(Path(settings.store), Project(Path(settings.project)).index).put(record, kind, files)
    return Kept(record, path)


def identity(*distributions: str) -> dict[str, JSON]:
    """Section ``identity``: which code, and when.

    Args:
        *distributions: The code beside the core, such as ``ophamin-comparing``.

    Example:
        >>> identity()["code"][0]["distribution"]
        'ophamin-core'
    """
    try:
        family = version("ophamin")
    except PackageNotFoundError:
        family = version("ophamin-core")
    return {
        "ophamin_version": family,
        "ophamin_git_commit": "",
        "captured_at": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
        "code": [{"distribution": name, "version": version(name)} for name in ("ophamin-core", *distributions)],
    }


def reproduction(argv: Sequence[str]) -> dict[str, JSON]:
    """Section ``reproduction``: the command, as one line and by words.

    Example:
        >>> reproduction(["ophamin", "sweep", "my file.yaml"])["command"]
        "ophamin sweep 'my file.yaml'"
    """
    words = [text(word) for word in argv]
    return {"command": shlex.join(words), "argv": words}


def time_problems(record: Mapping[str, JSON], where: str = "identity", field: str = "captured_at") -> list[str]:
    """Whether a field is a time, as one sentence or none.

    Args:
        record: One that fits its schema.
        where: The section it stands in, "" for the top.
        field: Its name.

    Example:
        >>> time_problems({"identity": {"captured_at": "yesterday"}})
        ['identity.captured_at is not a time with its zone']
    """
    try:
        aware = datetime.fromisoformat((record[where] if where else record)[field]).tzinfo is not None
    except ValueError:
        aware = False
    return [] if aware else [f"{where + '.' if where else ''}{field} is not a time with its zone"]
