"""The store: one folder per record, found by its id, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ophamin.proof._index import RECORD, TEMPORARY, Index, Row, is_record_id
from ophamin.proof._process import is_gone, this_process
from ophamin.proof.atomic import sync_directory, write_all, write_atomic
from ophamin.proof.errors import UnknownRecord, UsageError
from ophamin.proof.reading import write_object

__all__ = ["Row", "Store"]

JSON = Any
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PREFIX = re.compile(r"[0-9a-f]{4,64}")
_ABANDONED_S = 3600.0


class _Kind(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def id_field(self) -> str: ...


class Store:
    """Signed records in ``<root>/<kind>/<id[:2]>/<id>/record.json``, each with its neighbours.

    The folders are the truth; the index only makes lists fast and may be deleted at any time. A reader
    never sees half a record. Links inside the store are not followed.

    Args:
        proofs: The folder of the records; made by the first ``put``.
        index: The SQLite index; default ``.index.sqlite`` in that folder.

    Example:
        >>> import tempfile
        >>> store = Store(Path(tempfile.mkdtemp()) / "proofs")
        >>> store.rows()
        []
    """

    def __init__(self, proofs: Path, index: Path | None = None) -> None:
        self.root = Path(proofs).absolute()
        self._index = Index(self.root, Path(index).absolute() if index else self.root / ".index.sqlite")

    def put(self, obj: Mapping[str, JSON], kind: _Kind, files: Mapping[str, Path | bytes] | None = None) -> Path:
        """Store a signed record and the files that belong to it.

        A record that is there already is left as it is but for signatures and files, which are replaced.

        Args:
            obj: The complete object, with its id.
            kind: Its ``RecordKind``.
            files: Neighbours by plain file name: their bytes, or a file to copy.

        Returns:
            Path of its ``record.json``.

        Raises:
            UsageError: The object has no id of that kind, or a file name is not plain.
            OSError: The store cannot be written; then nothing is stored.
        """
        files = files or {}
        record_id = obj.get(kind.id_field)
        if not isinstance(record_id, str) or not is_record_id(record_id):
            raise UsageError(f"a {kind.name} to store has 64 hex digits as {kind.id_field}; sign it first")
        for name in (kind.name, *files):
            if not _NAME.fullmatch(name) or name == RECORD:
                raise UsageError(f"{name!r} cannot name a file of a record; use letters, digits, '.', '_' and '-'")
        shard = self.root / kind.name / record_id[:2]
        shard.mkdir(parents=True, exist_ok=True)
        self._sweep(shard)
        target = shard / record_id
        temporary = shard / _temporary_name()
        temporary.mkdir()
        try:
            for name, content in files.items():
                _write(temporary / name, content)
            write_object(temporary / RECORD, dict(obj))
            sync_directory(temporary)
            try:
                os.rename(temporary, target)
            except OSError:
                if not target.is_dir():
                    raise
                self._replace(temporary, target, files)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_directory(shard)
        return target / RECORD

    def _replace(self, temporary: Path, target: Path, files: Mapping[str, Path | bytes]) -> None:
        """File by file into a record that is there already: the record itself last."""
        for name in (*files, RECORD):
            os.replace(temporary / name, target / name)
        sync_directory(target)

    def path(self, id_or_prefix: str) -> Path:
        """``record.json`` of the one record whose id begins so.

        Args:
            id_or_prefix: At least 4 hex digits.

        Raises:
            UsageError: Too short, not hex, or the beginning of several ids, which are named.
            UnknownRecord: No record of this store.
        """
        prefix = id_or_prefix.lower()
        if not _PREFIX.fullmatch(prefix):
            raise UsageError(f"{id_or_prefix!r} is not the beginning of an id; give 4 to 64 hex digits")
        found: list[Path] = []
        for shard in sorted(self.root.glob(f"[!.]*/{prefix[:2]}")):
            if not shard.is_symlink() and not shard.parent.is_symlink():
                found += [d / RECORD for d in sorted(shard.iterdir()) if d.name.startswith(prefix)]
        found = [p for p in found if _is_own(p)]
        if not found:
            raise UnknownRecord(f"no record in {self.root} has an id that begins with {prefix}")
        if len(found) > 1:
            names = ", ".join(p.parent.name[: len(prefix) + 8] for p in found[:8])
            raise UsageError(f"{prefix} is the beginning of {len(found)} ids; give more digits: {names}")
        return found[0]

    def rows(self, kind: str | None = None, **filters: JSON) -> list[Row]:
        """All records, oldest first; an unreadable one has a ``problem`` instead of its fields.

        Finds records that others added or removed. A record changed in place, which nobody does by
        rights, is seen by ``refresh``.

        Args:
            kind: Name of a kind, or all.
            **filters: Values that fields of ``Row`` must equal, e.g. ``outcome="REFUTED"``.

        Raises:
            UsageError: There is no such field.
        """
        return self._index.rows(kind, filters)

    def refresh(self) -> None:
        """Look at every file again, and clear away what killed writers left."""
        for shard in self.root.glob("[!.]*/[!.]*"):
            if shard.is_dir() and not shard.is_symlink():
                self._sweep(shard)
        self._index.refresh()

    def _sweep(self, shard: Path) -> None:
        with contextlib.suppress(OSError), os.scandir(shard) as entries:
            for entry in entries:
                if entry.name.startswith(TEMPORARY) and _is_abandoned(entry):
                    shutil.rmtree(entry.path, ignore_errors=True)


def _is_own(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def _write(path: Path, content: Path | bytes) -> None:
    if isinstance(content, bytes):
        write_atomic(path, content)
        return
    with open(content, "rb") as source, open(path, "xb") as target:
        while part := source.read(1 << 20):
            write_all(target.fileno(), part)
        os.fsync(target.fileno())


def _temporary_name() -> str:
    here = this_process()
    boot = here["boot_id"].replace("-", "")
    return f"{TEMPORARY}{boot}-{here['pid']}-{here['start_time']}-{secrets.token_hex(6)}"


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    """Whether its writer is gone; one this machine knows nothing of is given an hour."""
    here = this_process()
    parts = entry.name.removeprefix(TEMPORARY).split("-")
    if len(parts) == 4 and parts[0] == here["boot_id"].replace("-", "") and parts[1].isdecimal():
        return is_gone({**here, "pid": int(parts[1]), "start_time": parts[2]})
    with contextlib.suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_S
    return False
