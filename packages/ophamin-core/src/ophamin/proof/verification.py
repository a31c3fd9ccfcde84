"""Verification: each check answers good, bad, or could not be checked, and policy turns them into an exit code."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ophamin.proof.bindings import Finding, check_ledger, check_observations, check_selection
from ophamin.proof.canonical import content_id
from ophamin.proof.errors import (
    ConsistencyError,
    IdMismatch,
    IntegrityError,
    KeyPolicyError,
    LedgerError,
    NoKeyError,
    SchemaError,
    SignatureMismatch,
)
from ophamin.proof.keys import hmac_key_id, is_demo_key, key_id
from ophamin.proof.schemas import violations

if TYPE_CHECKING:
    from ophamin.proof.keys import Keyring
    from ophamin.proof.recordkind import RecordKind
    from ophamin.proof.signed import SignedRecord

__all__ = ["Finding", "Verification", "schema_of", "verify"]

JSON = Any
State = Literal["good", "bad", "could not be checked"]

_HEX_64 = re.compile(r"[0-9a-f]{64}\Z")
_HEX_128 = re.compile(r"[0-9a-f]{128}\Z")
_MAX_ATTESTATIONS = 100
_ERRORS: dict[str, type[IntegrityError]] = {
    "id": IdMismatch,
    "signature": SignatureMismatch,
    "attestation": SignatureMismatch,
    "ledger": LedgerError,
}


@dataclass(frozen=True)
class Verification:
    """The findings about one record.

    Args:
        checks: One finding per check, in the order they were made.
        signer: Who is known to have signed: a name of ours or of a trusted key; "" when nobody known did.
        public_only: A signature holds mathematically, but its signer is unknown.
    """

    checks: list[Finding]
    signer: str = ""
    public_only: bool = False

    @property
    def exit_code(self) -> int:
        """3 when anything is bad, else 5 when no known signer is shown, else 0."""
        if any(check.state == "bad" for check in self.checks):
            return 3
        return 0 if self.signer else 5

    @property
    def ok(self) -> bool:
        """Whether nothing is bad and a known signer stands behind it."""
        return self.exit_code == 0

    def require(self) -> None:
        """Raise for the first reason not to accept the record.

        Raises:
            IntegrityError: Something is bad; of the kind that fits the check.
            KeyPolicyError: A signature holds, but nobody known made it.
            NoKeyError: No signature could be checked.
        """
        for check in self.checks:
            if check.state == "bad":
                name = check.name.partition("[")[0]
                raise _ERRORS.get(name, ConsistencyError)(f"{check.name} is bad: {check.detail}")
        if not self.signer:
            reason = "; ".join(c.detail for c in self.checks if c.name.startswith(("signature", "attestation")))
            raise (KeyPolicyError if self.public_only else NoKeyError)(reason)


def schema_of(kind: RecordKind, version: JSON) -> Mapping[str, JSON]:
    """The schema a record of this version must fit; a kind with one schema for all need not say more."""
    chosen = getattr(kind, "schema_for", None)
    schema: Mapping[str, JSON] = chosen(version) if chosen is not None else kind.schema
    return schema


def verify(
    record: SignedRecord,
    keyring: Keyring,
    *,
    extra_keys: Iterable[bytes] = (),
    ledger: JSON = None,
    observations: Path | None = None,
    store: JSON = None,
) -> Verification:
    """Check everything that can be checked of a record.

    Args:
        record: The record as read.
        keyring: Our own keys and the public keys we trust.
        extra_keys: HMAC keys the caller says it was signed with; one must then fit.
        ledger: A ``Ledger`` that should hold its registration and outcome.
        observations: Its observations (gzip); default: ``observations.jsonl.gz`` beside the record.
        store: A ``Store`` with the proofs of earlier attempts; with it and the ledger, freshness is checked.

    Returns:
        One finding per check: ``id``, ``signature``, ``attestation[i]`` (or ``attestation`` when there is none),
        ``schema``, ``consistency``, and ``ledger``, ``observations`` and ``selection`` when the record speaks of
        them.

    Raises:
        KeyPermissionsError: A key file of ours is open to others.
    """
    forms = [record.canonical(form) for form in record.kind.forms(record.schema_version)]
    data = next((d for d in forms if content_id(d) == record.id), forms[0])
    identity = _check_id(record, data)
    own = keyring.public_keys()
    entries, malformed = _entries(record.object)
    trusted = {public: name for name, public in keyring.trusted().items()}
    attested = [_check_attestation(entry, data, own, trusted) for entry in entries]
    signature, hmac_signer = _check_signature(record, data, keyring, list(extra_keys), own, entries)
    checks = [identity, signature]
    for index, (state, detail, _) in enumerate(attested):
        checks.append(Finding(f"attestation[{index}]", state, detail))
    if malformed:
        checks.append(Finding("attestation", "bad", malformed))
    elif not entries:
        checks.append(Finding("attestation", "could not be checked", "unattested: it carries no attestation"))
    checks += _check_sections(record)
    sound = checks[-1].state == "good" and checks[-2].state == "good"
    if sound:
        checks += check_ledger(record, ledger) + check_observations(record, observations)
        if ledger is not None and store is not None and checks[-1].state != "bad":
            checks += check_selection(record, ledger, store)
    signer = hmac_signer or next((name for state, _, name in attested if state == "good" and name), "")
    return Verification(checks, signer, any(state == "good" for state, _, _ in attested))


def _check_id(record: SignedRecord, data: bytes) -> Finding:
    if content_id(data) == record.object.get(record.kind.id_field):
        return Finding("id", "good", "the id is the hash of the body")
    return Finding("id", "bad", f"the body hashes to {content_id(data)[:16]}…, the stored id is {record.id[:64]!r}")


def _entries(obj: Mapping[str, JSON]) -> tuple[list[JSON], str]:
    """All attestations, old single form first, and what is wrong with the fields that hold them."""
    entries = [obj["attestation"]] if "attestation" in obj else []
    many = obj.get("attestations", [])
    if not isinstance(many, list):
        return entries, "attestations is not a list"
    if len(many) > _MAX_ATTESTATIONS:  # each costs a verification, and anyone may add them
        return entries, f"it carries more than {_MAX_ATTESTATIONS} attestations"
    return [*entries, *many], ""


def _check_attestation(
    entry: JSON, data: bytes, own: Mapping[str, str], trusted: Mapping[str, str]
) -> tuple[State, str, str]:
    """State, detail, and the name of the signer if it is one we know."""
    if not isinstance(entry, dict):
        return "bad", "an attestation is an object", ""
    algorithm = entry.get("algorithm")
    if algorithm != "ed25519":
        return "could not be checked", f"this Ophamin knows ed25519, not {algorithm!r:.40}", ""
    public, signature = entry.get("public_key"), entry.get("signature")
    if not (isinstance(public, str) and _HEX_64.match(public)):
        return "bad", "its public_key is not 64 lower-hex characters", ""
    if not (isinstance(signature, str) and _HEX_128.match(signature)):
        return "bad", "its signature is not 128 lower-hex characters", ""
    name = key_id(public)
    if entry.get("key_id", name) != name:
        return "bad", f"its key_id is not that of its public key, {name}", ""
    try:
        from ophamin.proof import ed25519
    except ImportError as error:
        return "could not be checked", str(error), ""
    if not ed25519.verify(public, data, signature):
        return "bad", f"the signature of key {name} is not over this body", ""
    if public in own:
        return "good", f"signed by our own key {own[public]!r} ({name})", own[public]
    known = trusted.get(public, "")
    if known:
        return "good", f"signed by {known!r} ({name}), whom we trust", known
    return "good", f"signed by key {name}, but its signer is unknown; ophamin key trust NAME {public}", ""


def _check_signature(
    record: SignedRecord,
    data: bytes,
    keyring: Keyring,
    extra: Sequence[bytes],
    own: Mapping[str, str],
    entries: Sequence[JSON],
) -> tuple[Finding, str]:
    """The HMAC; and the name of the key that made it."""
    stored = record.object.get("signature")
    if not (isinstance(stored, str) and _HEX_64.match(stored)):
        return Finding("signature", "bad", "the signature is not 64 lower-hex characters"), ""
    ours = keyring.hmac_keys()
    signing_key = record.object.get("signing_key")
    for key in (*extra, *ours):
        if hmac.compare_digest(hmac.digest(key, data, "sha256").hex(), stored):
            if signing_key not in (None, hmac_key_id(key)):
                return Finding("signature", "bad", "made with another key than the one the record names"), ""
            if is_demo_key(key):
                detail = "made with a public demo key: it shows that the bytes are whole, not who wrote them"
                return Finding("signature", "good", detail), "a public demo key"
            return Finding("signature", "good", "made with a key we hold"), "a key we hold"
    # A wrong key and a changed signature look alike. It is bad only if a key we hold should have made it.
    if extra:
        return Finding("signature", "bad", "not made with the key that was given"), ""
    if any(hmac_key_id(key) == signing_key for key in ours):
        return Finding("signature", "bad", f"it names our key {signing_key}, which did not make this signature"), ""
    named = {str(e.get("public_key")) for e in entries if isinstance(e, dict)} & own.keys()
    if named or (keyring.environment_key() and not entries):
        return Finding("signature", "bad", "not made with our key, which should have made it"), ""
    detail = f"none of the {len(ours)} keys here made it" if ours else "there is no key here"
    if isinstance(signing_key, str):
        detail += f" (it names the key {signing_key!r:.40})"
    return Finding("signature", "could not be checked", f"{detail}; give the key with --key-file"), ""


def _check_sections(record: SignedRecord) -> list[Finding]:
    try:
        schema = schema_of(record.kind, record.schema_version)
        broken = violations(record.object, schema)
    except SchemaError as error:
        broken = [str(error)]
    if broken:
        return [
            Finding("schema", "bad", "; ".join(broken)),
            Finding("consistency", "could not be checked", "it does not fit its schema"),
        ]
    contradictions = list(record.kind.check(record.object))
    version = record.schema_version
    return [
        Finding("schema", "good", f"it fits version {version}"),
        Finding("consistency", "bad", "; ".join(contradictions))
        if contradictions
        else Finding("consistency", "good", "its sections agree"),
    ]
