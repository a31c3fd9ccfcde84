"""Kinds of signed record, and the one core owns: the Empirical Proof Record."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ophamin.proof.checks import check_proof, proof_cases
from ophamin.proof.errors import SchemaError
from ophamin.proof.schemas import load_schema

__all__ = ["PROOF", "Kind", "Version"]

JSON = Any
_VERSION = re.compile(r"(?:([a-z][a-z0-9-]*)/)?([0-9]{1,6})(?:\.([0-9]{1,6}))?\Z")


@dataclass(frozen=True, order=True)
class Version:
    """A schema version: ``1.1``, ``audit/1.2`` or the integer ``3``.

    Args:
        prefix: What stands before the slash, "" when nothing does.
        major: Readers of one major refuse the next.
        minor: Adds fields only; 0 when it is not written.
    """

    prefix: str
    major: int
    minor: int = 0

    @classmethod
    def parse(cls, value: JSON) -> Version:
        """Parse what stands in ``schema_version``.

        Raises:
            SchemaError: Absent, or nothing of that form.

        Example:
            >>> Version.parse("audit/1.2")
            Version(prefix='audit', major=1, minor=2)
        """
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        match = _VERSION.match(text) if isinstance(text, str) else None
        if match is None:
            raise SchemaError(f"schema_version is a version such as 1.1, not {value!r:.40}")
        return cls(match[1] or "", int(match[2]), int(match[3] or 0))


@dataclass(frozen=True)
class Kind:
    """A kind of signed record, for entry-point group ``ophamin.records``.

    Args:
        name: e.g. ``proof``; also the folder it is stored in.
        id_field: Top-level field that holds the id, e.g. ``proof_id``.
        version: The version we write.
        schemas: Schema file of each version that has one; a version between takes the nearest below.
        checker: Contradictions between sections of a record that fits its schema, one sentence each.
        lister: ``{name, outcome, message}`` rows.
        majors: Major versions that are read; default: that of ``version``.
        spaced: Versions below this one may be signed over the default separators; ``None``: none were.

    Example:
        >>> PROOF.accepts({"proof_id": "…", "schema_version": "1.0"})
        True
    """

    name: str
    id_field: str
    version: JSON
    schemas: Mapping[JSON, Path]
    checker: Callable[[Mapping[str, JSON]], Sequence[str]] = lambda record: ()
    lister: Callable[[Mapping[str, JSON]], Sequence[Mapping[str, JSON]]] = lambda record: ()
    majors: Sequence[int] = field(default=())
    spaced: JSON = None

    @property
    def schema(self) -> Mapping[str, JSON]:
        """JSON Schema of the version we write."""
        return self.schema_for(self.version)

    def schema_for(self, version: JSON) -> Mapping[str, JSON]:
        """JSON Schema a record of ``version`` must fit: its own, or the nearest older one.

        Raises:
            SchemaError: Not a version, or older than every schema.
        """
        wanted = Version.parse(version)
        fitting = [v for v in self.schemas if Version.parse(v) <= wanted]
        if not fitting:
            raise SchemaError(f"there is no schema for version {version} of a {self.name} record")
        return load_schema(self.schemas[max(fitting, key=Version.parse)])

    def accepts(self, record: Mapping[str, JSON]) -> bool:
        """Whether this object has our id field and a version we read."""
        if self.id_field not in record:
            return False
        ours = Version.parse(self.version)
        try:
            version = Version.parse(record.get("schema_version"))
        except SchemaError:
            return False
        return version.prefix == ours.prefix and version.major in (self.majors or (ours.major,))

    def forms(self, version: JSON) -> Sequence[str]:
        """Canonical forms a record of ``version`` may be signed over; the first is what we write."""
        if self.spaced is not None and Version.parse(version) < Version.parse(self.spaced):
            return ("compact", "spaced")
        return ("compact",)

    def check(self, record: Mapping[str, JSON]) -> Sequence[str]:
        """Contradictions between sections; empty when consistent."""
        return self.checker(record)

    def cases(self, record: Mapping[str, JSON]) -> Sequence[Mapping[str, JSON]]:
        """Rows for JUnit and for lists."""
        return self.lister(record)


_SCHEMAS = Path(__file__).parent / "schema"

PROOF = Kind(
    name="proof",
    id_field="proof_id",
    version="1.1",
    schemas={"1.0": _SCHEMAS / "proof-1.0.json", "1.1": _SCHEMAS / "proof-1.1.json"},
    checker=check_proof,
    lister=proof_cases,
)
"""The Empirical Proof Record; writes 1.1, reads 1.0 and every later 1.x."""
