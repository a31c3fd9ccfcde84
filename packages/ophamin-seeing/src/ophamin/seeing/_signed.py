"""What the records of this wheel share: which code made them, and which older forms are read; the rest is core's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ophamin.proof import keeping
from ophamin.proof.errors import SchemaError
from ophamin.proof.keeping import Kept, keep, reproduction, signer_of, time_problems
from ophamin.proof.kinds import Kind, Version
from ophamin.proof.printable import printable, text

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


def identity() -> dict[str, JSON]:
    """Section ``identity``: which code, and when."""
    return keeping.identity("ophamin-seeing")
