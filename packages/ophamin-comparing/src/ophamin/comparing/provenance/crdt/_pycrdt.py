"""A replica held by pycrdt."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from pycrdt import Doc, Map, Text

__all__ = ["PycrdtReplica"]

# y-py keeps 32 bits of a client's id. With pycrdt's own 53 it would take what comes back for another client's work,
# and every text would be there twice.
_CLIENT_BITS = 31


class PycrdtReplica:
    """See ``Replica``."""

    def __init__(self) -> None:
        self._doc: Doc[Any] = Doc(client_id=secrets.randbits(_CLIENT_BITS))

    def _map(self, name: str) -> Map[Any]:
        found: Map[Any] = self._doc.get(name, type=Map)
        return found

    def _text(self, name: str) -> Text:
        found: Text = self._doc.get(name, type=Text)
        return found

    def put(self, name: str, entries: Iterable[tuple[str, str]]) -> None:
        """Set entries of a map, in one transaction."""
        target = self._map(name)
        with self._doc.transaction():
            for key, value in entries:
                target[key] = value

    def drop(self, name: str, key: str) -> None:
        """Remove an entry of a map."""
        self._map(name).pop(key, None)

    def entries(self, name: str) -> dict[str, str]:
        """All entries of a map that are texts."""
        return {key: value for key, value in self._map(name).items() if isinstance(value, str)}

    def append(self, name: str, text: str) -> None:
        """Write at the end of a text."""
        target = self._text(name)
        target += text

    def cut(self, name: str, start: int, length: int) -> None:
        """Remove characters of a text; the library counts bytes of UTF-8."""
        target = self._text(name)
        whole = str(target)
        first = len(whole[:start].encode("utf-8"))
        del target[first : first + len(whole[start : start + length].encode("utf-8"))]

    def text(self, name: str) -> str:
        """A text."""
        return str(self._text(name))

    def state(self) -> bytes:
        """What has been seen."""
        return self._doc.get_state()

    def update(self, since: bytes | None = None) -> bytes:
        """Everything since a state."""
        return self._doc.get_update(since)

    def apply(self, update: bytes) -> None:
        """Take in an update."""
        self._doc.apply_update(update)
