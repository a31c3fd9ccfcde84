"""The signed record: what every kind shares.

``body`` is the top-level object without its id, ``signature``, ``attestation`` and ``attestations``. Id, HMAC and
attestations all cover the canonical bytes of that body. Reading and verifying work on the object as read, never on a
re-serialised dataclass, so fields this version does not know survive and stay signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophamin.proof.canonical import canonical_bytes, content_id, encode_checked
from ophamin.proof.errors import ConsistencyError, RecordError, SchemaError, UnsupportedVersion, UsageError
from ophamin.proof.kinds import Version
from ophamin.proof.reading import read_object
from ophamin.proof.schemas import violations
from ophamin.proof.verification import Finding, Verification, schema_of, verify

if TYPE_CHECKING:
    from ophamin.proof.keys import Signer
    from ophamin.proof.recordkind import RecordKind

__all__ = ["OUTSIDE", "Finding", "SignedRecord", "Verification", "identify", "read", "sign", "verify"]

JSON = Any

OUTSIDE = ("signature", "attestation", "attestations")
"""Top-level fields that, beside the id, are not part of the body."""

SIGNING_KEY = "signing_key"
"""Top-level field of the body that names the HMAC key, so that whoever holds it knows a changed signature for one."""


@dataclass(frozen=True)
class SignedRecord:
    """A record as it was read.

    Args:
        kind: What kind of record it is.
        object: The whole top-level object, plain JSON values.
        path: Where it was read from.

    Example:
        >>> record = read("record.json", [PROOF])  # doctest: +SKIP
        >>> record.body["verdict"]["outcome"]  # doctest: +SKIP
        'VALIDATED'
    """

    kind: RecordKind
    object: dict[str, JSON]
    path: Path | None = None
    _pristine: JSON = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The id as stored; whether it is right is for ``verify`` to say."""
        return str(self.object.get(self.kind.id_field, ""))

    @property
    def schema_version(self) -> JSON:
        """The version as stored."""
        return self.object.get("schema_version")

    @property
    def body(self) -> dict[str, JSON]:
        """What is signed: a new top-level dictionary around the same sections."""
        apart = (self.kind.id_field, *OUTSIDE)
        return {name: value for name, value in self.object.items() if name not in apart}

    def canonical(self, form: str = "compact") -> bytes:
        """Canonical bytes of the body.

        Args:
            form: ``compact`` or ``spaced``.

        Raises:
            RecordError: The object holds what no record may hold (not possible for one just read).
        """
        # What the strict reader built needs no second check, as long as it still equals the reader's own copy:
        # the shape is then the same and each value, if exchanged, one that JSON writes as what it equals.
        if self._pristine is not None and self.object == self._pristine:
            return encode_checked(self.body, form)
        return canonical_bytes(self.body, form=form)


def _copy(value: JSON) -> JSON:
    """The same containers anew around the same scalars; comparing the two is nearly free."""
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def identify(obj: Mapping[str, JSON], kinds: Iterable[RecordKind]) -> RecordKind:
    """Which of ``kinds`` an object is of.

    Args:
        obj: A top-level object.
        kinds: Kinds to choose from; taken one by one until one accepts.

    Raises:
        UnsupportedVersion: It is of one of these kinds, in a major version that is not read.
        RecordError: It has no id field of any of them.
    """
    near: RecordKind | None = None
    fields: list[str] = []
    for kind in kinds:
        if kind.accepts(obj):
            return kind
        fields.append(kind.id_field)
        if kind.id_field in obj:
            near = kind
    if near is None:
        raise RecordError(f"no record of a known kind: it has none of the fields {', '.join(fields)}")
    version, ours = Version.parse(obj.get("schema_version")), Version.parse(near.version)
    if version.prefix == ours.prefix and version.major > ours.major:
        raise UnsupportedVersion(
            f"this {near.name} record has schema version {obj['schema_version']}, and this Ophamin reads up to "
            f"{near.version}; upgrade: pip install --upgrade ophamin"
        )
    raise UnsupportedVersion(
        f"no {near.name} record has schema version {obj['schema_version']}; this Ophamin writes {near.version}"
    )


def read(path: Path | str, kinds: Iterable[RecordKind]) -> SignedRecord:
    """Read a record file strictly; nothing is verified yet.

    Args:
        path: File to read.
        kinds: Kinds it may be of.

    Raises:
        UnknownRecord: There is no such file.
        RecordError: It cannot be read, or is of none of these kinds.
        UnsupportedVersion: It is newer than this Ophamin.
    """
    obj = read_object(path)
    try:
        kind = identify(obj, kinds)
    except RecordError as error:
        raise type(error)(f"{path}: {error}") from None
    return SignedRecord(kind, obj, Path(path), _copy(obj))


def sign(body: Mapping[str, JSON], kind: RecordKind, signer: Signer) -> dict[str, JSON]:
    """Complete a body with the name of the key, its id, signature and, with ``cryptography``, an attestation.

    The id covers the name of the key: the same content signed by another is another record. A body of another
    version than the one we write knows no such field and is signed as it is. Nothing is signed that our own
    reader would call bad.

    Args:
        body: The body; left as it is. A ``signing_key`` in it is that of whoever signed it before.
        kind: What kind of record it becomes.
        signer: From ``Keyring.signer``.

    Returns:
        The complete object, id first.

    Raises:
        UsageError: ``body`` already has an id or signature (take ``SignedRecord.body``).
        RecordError: It holds what no record may hold.
        SchemaError: It does not fit the schema of its version.
        ConsistencyError: Its sections contradict each other.
    """
    complete = [name for name in (kind.id_field, *OUTSIDE) if name in body]
    if complete:
        raise UsageError(f"a body to sign has no {' or '.join(complete)}; take the body of the record")
    version = body.get("schema_version")
    if version == kind.version:
        body = {**body, SIGNING_KEY: signer.hmac_key_id}
    data = canonical_bytes(body, form=kind.forms(version)[0])
    attestation = signer.attest(data)
    signed = {
        kind.id_field: content_id(data),
        **body,
        "signature": signer.hmac(data),
        **({"attestations": [attestation]} if attestation else {}),
    }
    if broken := violations(signed, schema_of(kind, version)):
        raise SchemaError(f"this is no {kind.name} record of version {version}: {'; '.join(broken)}")
    if contradictions := kind.check(signed):
        raise ConsistencyError(f"this {kind.name} record contradicts itself: {'; '.join(contradictions)}")
    return signed
