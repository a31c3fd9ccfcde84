"""One file: read, verified as core verifies, and boiled down to what an index keeps of it."""

from __future__ import annotations

import hmac
import marshal
import os
import re
import stat
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ophamin import registry
from ophamin.comparing.drift.proofs import Part, proof_of
from ophamin.comparing.index._codec import canonical_of, parse
from ophamin.comparing.index._predicate import predicate
from ophamin.proof.bindings import check_ledger
from ophamin.proof.errors import OphaminError, PluginError, RecordError, SchemaError, UnsupportedVersion
from ophamin.proof.keys import Keyring, hmac_key_id, is_demo_key, key_id
from ophamin.proof.kinds import PROOF
from ophamin.proof.reading import MAX_BYTES, parse_value
from ophamin.proof.recordkind import RecordKind
from ophamin.proof.signed import OUTSIDE, SIGNING_KEY, SignedRecord, identify
from ophamin.proof.verification import verify

__all__ = ["Examiner", "Finding"]

JSON = Any

_PLAIN_BYTES = 1 << 20
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_HEX_64 = re.compile(r"[0-9a-f]{64}\Z").match
_HEX_128 = re.compile(r"[0-9a-f]{128}\Z").match
_HELD = "a key we hold"


class Finding(NamedTuple):
    """What an index keeps of one file.

    Args:
        state: ``proof``; ``unverified``: a proof that nobody known signed; ``other``: a sound record of another kind;
            else what is wrong: ``torn``, ``forged``, ``foreign``, ``future-version``, ``unreadable``.
        reason: One sentence, "" for a proof that verified.
        kind: Its kind, "" when it has none.
        record_id: Its id, "" when it has none.
        signer: Who is known to have signed it.
        key: Claim hash, scenario, substrate and corpus: the series it belongs to.
        claim: The claim's statement.
        outcome: Its verdict.
        created_at: When it was decided.
        about: Facts and parts, by ``marshal``: it tells numbers apart as JSON does, in a third of the time.
    """

    state: str
    reason: str
    kind: str = ""
    record_id: str = ""
    signer: str = ""
    key: tuple[str, str, str, str] | None = None
    claim: str = ""
    outcome: str = ""
    created_at: str = ""
    about: bytes = b""


class Examiner:
    """Reads and verifies files one after the other, under one keyring.

    A proof of today's version that a key of ours signed and in which nothing is odd takes a short road; everything
    else goes through core's reader and ``verify``, which also find the words for what is wrong.

    Args:
        keyring: Keys to verify with; read once.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._keys = {hmac_key_id(key): key for key in keyring.hmac_keys() if not is_demo_key(key)}
        self._fits = predicate(PROOF.schema)
        self._key_ids: dict[str, str] = {}
        # Elsewhere an integer of any length would be taken that the reader refuses.
        self._quick = 0 < getattr(sys, "get_int_max_str_digits", lambda: 0)() <= 4300
        self._kinds: Sequence[RecordKind] | None = None

    def examine(self, path: str) -> Finding:
        """Read and verify one file; never raises for what it holds.

        Args:
            path: A regular file; whatever else it has become meanwhile is said.
        """
        try:
            data = _bytes(path)
        except OSError as error:
            return Finding("unreadable", error.strerror or "it cannot be read")
        if data is None:
            return Finding("unreadable", "it is not a regular file")
        record = self._plain(data)
        if record is not None:
            return _kept(record, "proof", "", _HELD)
        return self._examine(data)

    # --- the short road

    def _plain(self, data: bytes) -> Mapping[str, JSON] | None:
        """The record, if it is a proof of today's version, signed by a key of ours, with nothing odd about it.

        The signature is over the body, and our signer signs none that is too deep, too large or not JSON; so of the
        reader's rules only those about the text are left to check: that no key stands in it twice, which shows as a
        colon that the canonical form lacks, and that it is UTF-8.
        """
        if len(data) > _PLAIN_BYTES or not self._quick or (b"\\" in data and b"\\u00" in data):
            return None
        try:
            record = parse(data)
            if not isinstance(record, dict):
                return None
            outside = {name: record.pop(name) for name in (PROOF.id_field, *OUTSIDE) if name in record}
            canonical = canonical_of(record, outside.get(PROOF.id_field))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        named = record.get(SIGNING_KEY)
        key = self._keys.get(named) if isinstance(named, str) else None
        if key is None or canonical is None or hmac.digest(key, canonical, "sha256").hex() != outside.get("signature"):
            return None
        record.update(outside)
        if not self._fits(record) or not self._attested(outside, canonical) or PROOF.check(record):
            return None
        # What stands outside the body is all hexadecimal by now, but for names and the colons after them.
        colons = canonical.count(b":") + len(outside) + sum(map(len, outside.get("attestations", ())))
        if data.count(b":") != colons:
            return None
        if any(finding.state == "bad" for finding in check_ledger(SignedRecord(PROOF, record))):
            return None
        return record

    def _attested(self, outside: Mapping[str, JSON], canonical: bytes) -> bool:
        """Whether every attestation holds; where nobody can check one, the HMAC stands for itself."""
        if "attestation" in outside:
            return False
        entries = outside.get("attestations", ())
        if len(entries) > 8:
            return False
        for entry in entries:
            public, signature = entry["public_key"], entry["signature"]
            if len(entry) != 4 or entry["algorithm"] != "ed25519" or not _HEX_64(public) or not _HEX_128(signature):
                return False
            if public not in self._key_ids:
                self._key_ids[public] = key_id(public)
            if entry["key_id"] != self._key_ids[public]:
                return False
            try:
                from ophamin.proof import ed25519
            except ImportError:
                return True
            if not ed25519.verify(public, canonical, signature):
                return False
        return True

    # --- the whole road

    def _examine(self, data: bytes) -> Finding:
        try:
            value = parse_value(data)
        except RecordError as error:
            return Finding("torn", str(error))
        if not isinstance(value, dict):
            return Finding("foreign", "a record is a JSON object, and this is none")
        try:
            kind = identify(value, self._all_kinds())
        except UnsupportedVersion as error:
            return Finding("future-version", str(error))
        except RecordError as error:
            return Finding("foreign", str(error))
        record = SignedRecord(kind, value)
        try:
            found = verify(record, self._keyring)
        except OphaminError as error:
            return Finding("foreign", str(error), kind.name, record.id)
        if found.exit_code == 3:
            bad = "; ".join(f"{check.name}: {check.detail}" for check in found.checks if check.state == "bad")
            return Finding("forged", bad, kind.name, record.id)
        if kind.name != PROOF.name:
            return Finding("other", "", kind.name, record.id, found.signer)
        if found.ok:
            return _kept(value, "proof", "", found.signer)
        return _kept(value, "unverified", "nothing is bad, but nobody known signed it", "")

    def _all_kinds(self) -> Sequence[RecordKind]:
        """Every kind that loads; a broken plug-in must not hide the records of others."""
        if self._kinds is None:
            kinds = []
            for name in registry.records.names():
                try:
                    kinds.append(registry.records.get(name))
                except PluginError:
                    continue
            self._kinds = kinds
        return self._kinds


def _bytes(path: str) -> bytes | None:
    """The whole of a regular file, at most one byte more than a record may have.

    What is appended meanwhile is found by the next look.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        size = min(found.st_size, MAX_BYTES + 1)
        data = os.read(descriptor, size)
        while len(data) < size and (more := os.read(descriptor, size - len(data))):
            data += more
        return data
    finally:
        os.close(descriptor)


def _kept(record: Mapping[str, JSON], state: str, reason: str, signer: str) -> Finding:
    try:
        proof = proof_of(record)
        about = marshal.dumps((dict(proof.facts), tuple(map(_part, proof.parts))))
    except SchemaError as error:
        return Finding("foreign", str(error), PROOF.name, str(record.get(PROOF.id_field)))
    key = proof.key
    return Finding(
        state, reason, PROOF.name, proof.proof_id, signer, (key.claim, key.scenario, key.substrate, key.corpus),
        proof.claim, proof.outcome, proof.created_at, about,
    )  # fmt: skip


def _part(part: Part) -> tuple[JSON, ...]:
    b = part.bounds
    bounds = None if b is None else (b.value, b.lower, b.upper, b.lower_confidence, b.upper_confidence)
    return (
        part.metric, part.comparator, part.theta, part.outcome, bounds, part.exact, part.smallest_difference,
        part.estimator, part.support,
    )  # fmt: skip
