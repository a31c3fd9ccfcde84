"""One copy of a replicated document, whichever library holds it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Protocol

from ophamin.proof.errors import MissingDependency, RecordError, UsageError

__all__ = ["BACKENDS", "Replica", "applied", "open_replica", "vetted"]

BACKENDS = ("pycrdt", "y-py")
"""Libraries, the preferred one first."""

_LONGEST_TRY_S = 120.0
_INSTALL = "ophamin-comparing[crdt]"


class Replica(Protocol):
    """A document of named maps (text to text) and named texts.

    Whatever order updates are applied in, and however often, replicas that saw the same ones hold the same.
    """

    def put(self, name: str, entries: Iterable[tuple[str, str]]) -> None:
        """Set entries of a map."""
        ...

    def drop(self, name: str, key: str) -> None:
        """Remove an entry of a map; one that is not there is no error."""
        ...

    def entries(self, name: str) -> dict[str, str]:
        """All entries of a map; what is no text is left out."""
        ...

    def append(self, name: str, text: str) -> None:
        """Write at the end of a text."""
        ...

    def cut(self, name: str, start: int, length: int) -> None:
        """Remove characters of a text."""
        ...

    def text(self, name: str) -> str:
        """A text."""
        ...

    def state(self) -> bytes:
        """What has been seen, to ask for the rest with."""
        ...

    def update(self, since: bytes | None = None) -> bytes:
        """Everything, or everything since a ``state``, as an update of Yjs version 1."""
        ...

    def apply(self, update: bytes) -> None:
        """Take in an update.

        Raises:
            ValueError: It is none.
        """
        ...


def open_replica(updates: Sequence[bytes] = (), backend: str = "") -> Replica:
    """A replica that has seen some updates.

    Args:
        updates: Applied in order; any order gives the same.
        backend: One of ``BACKENDS``, or "" for the first that is installed.

    Raises:
        UsageError: No such backend.
        MissingDependency: The library is not installed.
        RecordError: An update cannot be read.

    Example:
        >>> one, other = open_replica(), open_replica()  # doctest: +SKIP
        >>> one.append("note", "seen on one machine")  # doctest: +SKIP
        >>> other.apply(one.update())  # doctest: +SKIP
        >>> other.text("note")  # doctest: +SKIP
        'seen on one machine'
    """
    if backend and backend not in BACKENDS:
        raise UsageError(f"no CRDT library is called {backend!r}; libraries: {', '.join(BACKENDS)}")
    replica: Replica | None = None
    for name in [backend] if backend else BACKENDS:
        try:
            if name == "pycrdt":
                from ophamin.comparing.provenance.crdt._pycrdt import PycrdtReplica

                replica = PycrdtReplica()
            else:
                from ophamin.comparing.provenance.crdt._ypy import YpyReplica

                replica = YpyReplica()
            break
        except ImportError:
            continue
    if replica is None:
        raise MissingDependency("merging without a server", backend or "pycrdt", _INSTALL)
    for update in updates:
        applied(replica, update, "an update of the lineage")
    return replica


_TRY = """
import sys
from ophamin.comparing.provenance.crdt.replica import open_replica
while size := sys.stdin.buffer.read(8):
    replica = open_replica((), sys.argv[1])
    replica.apply(sys.stdin.buffer.read(int.from_bytes(size, "big")))
    replica.update()
"""


def vetted(updates: Sequence[bytes], what: str, backend: str = "") -> Sequence[bytes]:
    """Updates from elsewhere, after a process of its own has lived through them.

    The libraries end the whole process on some bytes that are no update (an allocation as large as the bytes say, or a
    panic), which no ``except`` here could catch.

    Raises:
        RecordError: One is no update; ``what`` is named.
    """
    framed = b"".join(len(update).to_bytes(8, "big") + update for update in updates)
    words = [sys.executable, "-c", _TRY, backend]
    try:
        tried = subprocess.run(words, input=framed, capture_output=True, timeout=_LONGEST_TRY_S, check=False)
    except subprocess.TimeoutExpired:
        tried = None
    if tried is None or tried.returncode:
        raise RecordError(f"{what} is no update of a replicated document")
    return updates


def applied(replica: Replica, update: bytes, what: str) -> None:
    """Apply an update that may be anything.

    Raises:
        RecordError: It is no update; ``what`` is named.
    """
    try:
        replica.apply(update)
    except ValueError as error:
        raise RecordError(f"{what} is no update of a replicated document ({error})") from error
