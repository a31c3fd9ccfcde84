"""Rewriting a record of an old version in today's form; the old reader stays.

A migration makes a new body, which the caller signs: nobody else's signature can cover it. It invents nothing the
old record did not know, and names the record it came from under ``migrated_from``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ophamin.proof.errors import UsageError
from ophamin.proof.kinds import PROOF, Version

if TYPE_CHECKING:
    from ophamin.proof.signed import SignedRecord

__all__ = ["migrate", "register"]

JSON = Any
Migration = Callable[[dict[str, JSON]], dict[str, JSON]]

_MIGRATIONS: dict[tuple[str, int], Migration] = {}


def register(kind: str, from_major: int) -> Callable[[Migration], Migration]:
    """Register how bodies of one major version of a kind are rewritten in the version now written.

    Args:
        kind: Name of the record kind.
        from_major: Major version it starts from.

    Returns:
        A decorator for a function that takes a copy of the old body and returns the new one.
    """

    def add(function: Migration) -> Migration:
        if (kind, from_major) in _MIGRATIONS:
            raise UsageError(f"there already is a migration of {kind} records from version {from_major}")
        _MIGRATIONS[kind, from_major] = function
        return function

    return add


def migrate(record: SignedRecord) -> dict[str, JSON]:
    """The body of ``record`` in the version its kind now writes, unsigned.

    Verify the record before: a migration keeps what it says and cannot keep its signatures.

    Args:
        record: A record of an older version; left as it is.

    Returns:
        A new body with ``migrated_from: {id, schema_version}``.

    Raises:
        UsageError: It is not older than what is written, or nobody registered a migration for it.

    Example:
        >>> body = migrate(read("old.json", [PROOF]))  # doctest: +SKIP
        >>> write_object("new.json", sign(body, PROOF, Keyring().signer()))  # doctest: +SKIP
    """
    kind, version = record.kind, Version.parse(record.schema_version)
    if version >= Version.parse(kind.version):
        raise UsageError(
            f"this {kind.name} record already has version {record.schema_version}; {kind.version} is written now"
        )
    function = _MIGRATIONS.get((kind.name, version.major))
    if function is None:
        raise UsageError(
            f"{kind.name} records of version {record.schema_version} need no migration: they are read and verified "
            "as they are"
        )
    body = function(copy.deepcopy(record.body))
    body["schema_version"] = kind.version
    body["migrated_from"] = {"id": record.id, "schema_version": record.schema_version}
    return body


@register(PROOF.name, 1)
def _proof_1_0(body: dict[str, JSON]) -> dict[str, JSON]:
    # 1.0 decided by the bare point and kept no interval: say so rather than make one up.
    body["claim"]["decision"] = {"rule": "point"}
    body["verdict"].update(interval=None, decided_by="point")
    return body
