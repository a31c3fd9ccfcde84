"""What a kind of signed record must say of itself; lies here because reading and signing ask it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

__all__ = ["RecordKind"]

JSON = Any


@runtime_checkable
class RecordKind(Protocol):
    """A kind of signed record (group ``ophamin.records``): an object, not a class.

    ``forms(version)`` names the canonical forms a record of that version may be signed over:
    ``("compact",)``, or also ``"spaced"`` for audits before 1.2.
    """

    @property
    def name(self) -> str:
        """Name of the kind, e.g. ``proof``."""
        ...

    @property
    def id_field(self) -> str:
        """The field that holds the id, e.g. ``proof_id``."""
        ...

    @property
    def version(self) -> JSON:
        """The schema version written today."""
        ...

    @property
    def schema(self) -> Mapping[str, JSON]:
        """JSON Schema of that version."""
        ...

    def accepts(self, record: Mapping[str, JSON]) -> bool:
        """Whether this object is of this kind, judged by its id field and version."""
        ...

    def forms(self, version: JSON) -> Sequence[str]:
        """Canonical forms that may have been signed."""
        ...

    def check(self, record: Mapping[str, JSON]) -> Sequence[str]:
        """Contradictions between sections, one sentence each; empty when consistent."""
        ...

    def cases(self, record: Mapping[str, JSON]) -> Sequence[Mapping[str, JSON]]:
        """``{name, outcome, message}`` rows, for JUnit and for lists."""
        ...
