"""Results of tools by what they were made from, so that an unchanged tree is not examined twice.

The key is the hash of everything that can change a result: the tool, its version, its program and the environment it
runs in; its command line, with ``--isolated`` in it; every source and settings file by content, and whatever else the
tool says it reads; the version of our reading of its output. Only finished runs are kept, and only when the target was
the same after the tools as before them. Entries lie in the user's folder (``$OPHAMIN_HOME``), never in the target.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

from ophamin.auditing.target import Target
from ophamin.proof.atomic import write_atomic
from ophamin.proof.canonical import digest
from ophamin.proof.keys import home_directory

__all__ = ["Cache", "caching"]

JSON = Any
FORMAT = 2
"""Of an entry; part of every key."""
KEPT = 400
"""Entries; the ones not used for longest make room."""


class Cache:
    """The cache as one audit uses it.

    Args:
        target: What is audited.
        inputs_hash: Of the target, as it was before the tools ran.
        directory: Where entries lie; default: the user's folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> Cache(Target.at(folder), "sha256:…", folder / "cache").read("0" * 64) is None
        True
    """

    def __init__(self, target: Target, inputs_hash: str, directory: Path | None = None) -> None:
        self.target, self.inputs_hash = target, inputs_hash
        self.directory = directory if directory is not None else home_directory() / "cache" / "audit"
        self.reading = True
        self._keys: dict[str, str] = {}
        self._fresh: dict[str, Mapping[str, JSON]] = {}
        self._lock = threading.Lock()

    def find(
        self, tool: Any, target: Target, program: Sequence[str], version: str, arguments: Sequence[str]
    ) -> dict[str, JSON] | None:
        """An earlier result of this tool on this target, or ``None`` when it must run.

        Args:
            tool: One without ``parser`` is never cached: its answer depends on more than files.
            target: What it examines.
            program: The words that start it.
            version: As it says itself.
            arguments: Its command line without the program.
        """
        parser = getattr(tool, "parser", None)
        if parser is None or target.path != self.target.path:
            return None
        besides = getattr(tool, "also_reads", None)
        key = digest(
            {
                "format": FORMAT,
                "tool": [tool.name, version, parser, bool(tool.isolated)],
                "program": [_names(program), [_stamp(Path(word)) for word in program[:1]]],
                "environment": self._environment,
                "arguments": _names(arguments),
                "place": _names([str(target.path), str(target.root)]),
                "inputs": self.inputs_hash,
                "besides": sorted([os.fsencode(f).hex(), *_stamp(f)] for f in set(besides(target))) if besides else [],
            }
        ).removeprefix("sha256:")
        with self._lock:
            self._keys[tool.name] = key
        return self.read(key) if self.reading_now() else None

    def reading_now(self) -> bool:
        """Whether earlier results count in this thread: the second pass of a gate is always a real one."""
        return self.reading and not _real.get()

    def read(self, key: str) -> dict[str, JSON] | None:
        """The entry of a key; one that cannot be read is no entry."""
        file = self._file(key)
        try:
            kept = json.loads(gzip.decompress(file.read_bytes()))
            if kept["key"] != key or kept["entry"]["status"] != "ok":
                return None
            entry: dict[str, JSON] = kept["entry"]
            os.utime(file)  # what is used stays
            return {**entry, "cache": {"hit": True, "key": key, "ran_at": str(kept["ran_at"])}}
        except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError, gzip.zlib.error):  # type: ignore[attr-defined]
            return None

    def note(self, name: str, entry: Mapping[str, JSON]) -> None:
        """Remember a finished entry of a tool that really ran, to keep it at the end."""
        if entry["status"] == "ok" and "cache" not in entry and name in self._keys:
            with self._lock:
                self._fresh[name] = entry

    @property
    def ran(self) -> bool:
        """Whether there is something to keep."""
        return bool(self._fresh)

    def keep(self) -> None:
        """Write what was noted; call it only when the target did not change. A full disk loses nothing but time."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        try:
            for name, entry in self._fresh.items():
                key = self._keys[name]
                file = self._file(key)
                file.parent.mkdir(parents=True, exist_ok=True)
                data = json.dumps({"key": key, "ran_at": now, "entry": entry}).encode()
                write_atomic(file, gzip.compress(data, 1, mtime=0), mode=0o600)
            self._make_room()
        except OSError:
            return

    def _make_room(self) -> None:
        entries = sorted(self.directory.glob("*/*.json.gz"), key=lambda f: f.stat().st_mtime, reverse=True)
        for old in entries[KEPT:]:
            old.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key}.json.gz"

    @cached_property
    def _environment(self) -> str:
        """Digest of the interpreter and of what is installed beside it: tools, their plug-ins, stubs."""
        installed = []
        for entry in sys.path:
            try:
                installed += sorted(n for n in os.listdir(entry or ".") if n.endswith((".dist-info", ".egg-info")))
            except OSError:
                continue
        return digest([sys.version, sys.prefix, installed])


caching: ContextVar[Cache | None] = ContextVar("caching", default=None)
"""The cache of the audit this thread works for."""
_real: ContextVar[bool] = ContextVar("real", default=False)
"""Whether this thread must really run its tools."""


def really() -> None:
    """From now on this thread's tools run, whatever the cache has."""
    _real.set(True)


def _names(words: Sequence[str]) -> list[str]:
    """Words as JSON can hold them: those that are no UTF-8 too, and no two alike."""
    return [os.fsencode(word).hex() for word in words]


def _stamp(file: Path) -> list[int]:
    try:
        known = file.stat()
    except OSError:
        return [-1, -1]
    return [known.st_size, known.st_mtime_ns]
