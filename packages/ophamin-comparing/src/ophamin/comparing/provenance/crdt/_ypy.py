"""A replica held by y-py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import y_py

__all__ = ["YpyReplica"]


class YpyReplica:
    """See ``Replica``."""

    def __init__(self) -> None:
        self._doc = y_py.YDoc()

    def _begin(self) -> Any:  # the library's stubs have the methods of a transaction wrong
        return self._doc.begin_transaction()

    def put(self, name: str, entries: Iterable[tuple[str, str]]) -> None:
        """Set entries of a map, in one transaction."""
        target = self._doc.get_map(name)
        with self._begin() as transaction:
            for key, value in entries:
                target.set(transaction, key, value)

    def drop(self, name: str, key: str) -> None:
        """Remove an entry of a map."""
        target = self._doc.get_map(name)
        if key in self.entries(name):  # the library's default for one that is not there does not work
            with self._begin() as transaction:
                target.pop(transaction, key)

    def entries(self, name: str) -> dict[str, str]:
        """All entries of a map that are texts."""
        items: Any = self._doc.get_map(name).items()
        return {str(key): value for key, value in items if isinstance(value, str)}

    def append(self, name: str, text: str) -> None:
        """Write at the end of a text."""
        target = self._doc.get_text(name)
        with self._begin() as transaction:
            target.extend(transaction, text)

    def cut(self, name: str, start: int, length: int) -> None:
        """Remove characters of a text; the library counts bytes of UTF-8."""
        target = self._doc.get_text(name)
        whole = str(target)
        first = len(whole[:start].encode("utf-8"))
        size = len(whole[start : start + length].encode("utf-8"))
        if size:
            with self._begin() as transaction:
                target.delete_range(transaction, first, size)

    def text(self, name: str) -> str:
        """A text."""
        return str(self._doc.get_text(name))

    def state(self) -> bytes:
        """What has been seen."""
        return bytes(y_py.encode_state_vector(self._doc))

    def update(self, since: bytes | None = None) -> bytes:
        """Everything since a state."""
        return bytes(y_py.encode_state_as_update(self._doc, since))

    def apply(self, update: bytes) -> None:
        """Take in an update."""
        try:
            y_py.apply_update(self._doc, update)
        except Exception as error:  # an EncodingException, which the library does not export
            raise ValueError(str(error)) from error
