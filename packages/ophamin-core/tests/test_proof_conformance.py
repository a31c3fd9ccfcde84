"""Third-party vectors, read from ``$OPHAMIN_SHARED/conformance``; never copied here."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

import pytest

from ophamin.proof.canonical import canonical_bytes
from ophamin.proof.errors import KeyPolicyError
from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.kinds import PROOF, Kind
from ophamin.proof.reading import read_object
from ophamin.proof.signed import read, sign, verify

PROOF_KEY, CANONICAL_KEY, AUDIT_KEY = (
    b"ophamin-scenario-proof-key",
    b"ophamin-canonical-test-key-v1",
    b"ophamin-audit-default-key",
)


@pytest.fixture
def conformance() -> Path:
    shared = os.environ.get("OPHAMIN_SHARED")
    if not shared:
        pytest.skip("OPHAMIN_SHARED is not set: the third-party vectors are not at hand")
    folder = Path(shared) / "conformance"
    assert folder.is_dir(), f"OPHAMIN_SHARED is set, but there is no {folder}"
    return folder


@pytest.mark.data
@pytest.mark.parametrize("name", ["boundary_cases", "deeply_nested", "numerical_edge", "simple", "unicode"])
def test_canonical_fixture(conformance, name):
    folder = conformance / "canonical_form"
    data = canonical_bytes(read_object(folder / f"{name}.input.json"))
    assert data == (folder / f"{name}.canonical.bytes").read_bytes()
    expected = (folder / f"{name}.hmac_sha256.hex").read_text().strip()
    assert hmac.new(CANONICAL_KEY, data, hashlib.sha256).hexdigest() == expected


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "outcome", "attested"),
    [
        ("immune_siege_gwf_776d02f2497a8c0c", "REFUTED", False),
        ("logic_topology_siege_94e389abcd63c96c", "REFUTED", False),
        ("wilson_ci_crosscheck_3396ea02dccb1086", "VALIDATED", True),
    ],
)
def test_published_proof_1_0(conformance, tmp_path, name, outcome, attested):
    pytest.importorskip("cryptography")
    record = read(conformance / "records" / f"{name}.json", [PROOF])
    assert (record.schema_version, record.body["verdict"]["outcome"]) == ("1.0", outcome)
    ring = Keyring(tmp_path, {})
    result = verify(record, ring, extra_keys=[PROOF_KEY])
    states = {c.name: c.state for c in result.checks}
    expected = {"id": "good", "signature": "good", "schema": "good", "consistency": "good"}
    expected |= {"attestation[0]": "good"} if attested else {"attestation": "could not be checked"}
    assert (states, result.exit_code) == (expected, 0)
    assert verify(record, ring).exit_code == 5
    assert verify(record, ring, extra_keys=[b"some other key that is wrong"]).exit_code == 3
    if attested:
        ring.trust("somebody", record.object["attestation"]["public_key"])
        assert verify(record, ring).exit_code == 0


@pytest.mark.data
def test_a_published_audit_verifies_over_the_spaced_form(conformance, tmp_path):
    # The kind itself belongs to another wheel; this one only says which form was signed.
    schema = tmp_path / "any.json"
    schema.write_text("{}")
    kind = Kind("audit", "audit_id", "audit/1.2", {"audit/1.0": schema}, spaced="audit/1.2")
    record = read(conformance / "records" / "audit_205138344cc70f37.json", [PROOF, kind])
    assert record.kind is kind
    assert kind.forms("audit/1.2") == ("compact",)
    result = verify(record, Keyring(tmp_path, {}), extra_keys=[AUDIT_KEY])
    assert result.exit_code == 0


@pytest.mark.parametrize("key", [PROOF_KEY, CANONICAL_KEY, AUDIT_KEY])
def test_the_public_demo_keys_sign_nothing(key, tmp_path):
    with pytest.raises(KeyPolicyError, match="public demo key"):
        Signer(key)
    with pytest.raises(KeyPolicyError) as caught:
        Keyring(tmp_path, {"OPHAMIN_SIGN_KEY": key.decode()}).signer()
    assert caught.value.exit_code == 5
    file = tmp_path / "demo.key"
    file.write_bytes(key + b"\n")
    file.chmod(0o600)
    with pytest.raises(KeyPolicyError):
        Keyring(tmp_path, {}).signer(file)
    assert Keyring(tmp_path, {"OPHAMIN_SIGN_KEY": key.decode()}).hmac_keys() == [key]


@pytest.mark.data
def test_a_published_record_re_signed_by_us_verifies(conformance, tmp_path):
    record = read(conformance / "records" / "immune_siege_gwf_776d02f2497a8c0c.json", [PROOF])
    ring = Keyring(tmp_path, {})
    again = sign(record.body, PROOF, ring.signer())
    assert again["proof_id"] == record.id
    path = tmp_path / "again.json"
    path.write_text(json.dumps(again))
    assert verify(read(path, [PROOF]), ring).ok
