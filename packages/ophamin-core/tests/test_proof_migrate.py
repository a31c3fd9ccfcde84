"""Old records in today's form; the old reader stays."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from ophamin.proof.errors import UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.kinds import PROOF, Kind
from ophamin.proof.migrate import migrate, register
from ophamin.proof.signed import SignedRecord, read, sign, verify

GOLDEN = Path(__file__).parent / "golden"


def test_a_1_0_proof_becomes_a_1_1_proof_that_says_where_it_came_from(tmp_path):
    old = read(GOLDEN / "proof-1.0.json", [PROOF])
    before = copy.deepcopy(old.object)
    body = migrate(old)
    assert old.object == before
    ring = Keyring(tmp_path, {})
    new = SignedRecord(PROOF, sign(body, PROOF, ring.signer()))
    assert verify(new, ring).ok
    assert new.schema_version == "1.1"
    assert new.body["migrated_from"] == {"id": old.id, "schema_version": "1.0"}
    assert new.body["claim"]["decision"] == {"rule": "point"}
    assert new.body["verdict"]["interval"] is None
    for section in ("identity", "preregistration", "data", "evidence", "reproduction", "provenance"):
        assert new.body[section] == old.body[section]


def test_what_is_not_old_is_not_migrated():
    with pytest.raises(UsageError, match=r"already has version 1\.1"):
        migrate(read(GOLDEN / "proof-1.1.json", [PROOF]))


def test_a_kind_registers_its_own():
    kind = Kind("test-migrate", "x_id", 3, {})
    old = SignedRecord(kind, {"x_id": "a", "schema_version": 2, "n": 1, "signature": ""})
    with pytest.raises(UsageError, match="need no migration"):
        migrate(old)
    register("test-migrate", 2)(lambda body: {**body, "n": body["n"] + 1})
    assert migrate(old) == {"schema_version": 3, "n": 2, "migrated_from": {"id": "a", "schema_version": 2}}
    with pytest.raises(UsageError, match="already is"):
        register("test-migrate", 2)(lambda body: body)
