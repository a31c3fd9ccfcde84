"""Signing and verifying: good, bad and could-not-be-checked, apart."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.errors import (
    ConsistencyError,
    IdMismatch,
    KeyPolicyError,
    NoKeyError,
    RecordError,
    SchemaError,
    SignatureMismatch,
    UnknownRecord,
    UnsupportedVersion,
    UsageError,
)
from ophamin.proof.keys import Keyring, Signer, key_id
from ophamin.proof.kinds import PROOF
from ophamin.proof.reading import parse, write_object
from ophamin.proof.signed import OUTSIDE, SignedRecord, identify, read, sign, verify

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_SECRET = b"golden records are signed with this key, which is public"
IDS = {
    "1.0": "46c4b218c1a3f5a0a3262dac10328fd0c929c17bfb198ca69f756e0f03f4040e",
    "1.1": "906d05b7e5673c918ddb632f36ba2ac1c6a5a0e13c521faf001a2fc058cbd2bc",
}


@pytest.fixture
def ring(tmp_path):
    return Keyring(tmp_path / "home", {})


@pytest.fixture
def body():
    return read(GOLDEN / "proof-1.1.json", [PROOF]).body


def states(result):
    return {c.name: c.state for c in result.checks}


def check(obj, ring, **more):
    return verify(SignedRecord(identify(obj, [PROOF]), obj), ring, **more)


@pytest.mark.parametrize("version", IDS)
def test_a_record_of_every_past_version_reads_and_verifies(version, ring):
    pytest.importorskip("cryptography")
    record = read(GOLDEN / f"proof-{version}.json", [PROOF])
    assert (record.id, record.schema_version) == (IDS[version], version)
    result = verify(record, ring, extra_keys=[GOLDEN_SECRET])
    assert result.exit_code == 0, result.checks
    assert states(result)["attestation[0]"] == "good"
    assert "bad" not in states(result).values()
    assert verify(record, ring).exit_code == 5
    ring.trust("golden", Signer(GOLDEN_SECRET).public_key)
    assert verify(record, ring).exit_code == 0


def test_signing_completes_a_body_and_leaves_it_alone(body, ring, tmp_path):
    before = copy.deepcopy(body)
    signed = sign(body, PROOF, ring.signer())
    assert body == before
    named = {**body, "signing_key": ring.signer().hmac_key_id}
    assert signed["proof_id"] == content_id(canonical_bytes(named))
    write_object(tmp_path / "record.json", signed)
    record = read(tmp_path / "record.json", [PROOF])
    assert record.body == named
    result = verify(record, ring)
    assert result.ok
    result.require()
    assert verify(record, Keyring(tmp_path / "elsewhere", {})).exit_code == 5


def test_what_is_already_signed_is_not_signed_again(body, ring):
    signed = sign(body, PROOF, ring.signer())
    with pytest.raises(UsageError, match="no proof_id or signature"):
        sign(signed, PROOF, ring.signer())


def test_nothing_is_signed_that_we_would_call_bad(body, ring):
    signer = ring.signer()
    with pytest.raises(ConsistencyError, match="outcome"):
        sign({**body, "verdict": {**body["verdict"], "outcome": "REFUTED"}}, PROOF, signer)
    with pytest.raises(SchemaError, match="outcome"):
        sign({**body, "verdict": {**body["verdict"], "outcome": "PASSED"}}, PROOF, signer)
    with pytest.raises(SchemaError, match="version"):
        sign({**body, "schema_version": "one"}, PROOF, signer)
    with pytest.raises(RecordError):
        sign({**body, "extra": float("nan")}, PROOF, signer)


def test_unknown_fields_survive_a_round_trip_and_stay_signed(body, ring, tmp_path):
    body["later"] = {"field": [1, 1.0, -0.0]}
    body["verdict"] = {**body["verdict"], "later": "é"}
    write_object(tmp_path / "a.json", sign(body, PROOF, ring.signer()))
    record = read(tmp_path / "a.json", [PROOF])
    write_object(tmp_path / "b.json", record.object)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert verify(record, ring).ok
    for path in (["later", "field", 1], ["verdict", "later"]):
        obj = copy.deepcopy(record.object)
        section = obj
        for name in path[:-1]:
            section = section[name]
        section[path[-1]] = 2
        assert states(check(obj, ring))["id"] == "bad"


def test_a_newer_minor_reads_and_a_newer_major_is_refused(body, ring, tmp_path):
    newer = sign({**body, "schema_version": "1.7", "later": 1}, PROOF, ring.signer())
    assert check(newer, ring).ok
    write_object(tmp_path / "r.json", {**newer, "schema_version": "2.0"})
    with pytest.raises(UnsupportedVersion, match="upgrade") as caught:
        read(tmp_path / "r.json", [PROOF])
    assert caught.value.exit_code == 2
    for version, error in (("0.9", UnsupportedVersion), ("other/1.0", UnsupportedVersion), (None, SchemaError)):
        with pytest.raises(error):
            identify({"proof_id": "", "schema_version": version}, [PROOF])
    with pytest.raises(SchemaError):
        identify({"proof_id": ""}, [PROOF])
    with pytest.raises(RecordError, match="proof_id"):
        identify({"schema_version": "1.1"}, [PROOF])
    with pytest.raises(UnknownRecord):
        read(tmp_path / "absent.json", [PROOF])


# --- attacks


def test_a_swapped_signature_is_bad(body, ring):
    pytest.importorskip("cryptography")
    one = sign(body, PROOF, ring.signer())
    other = sign({**body, "later": 1}, PROOF, ring.signer())
    swapped = {**one, "signature": other["signature"]}
    result = check(swapped, ring)
    assert (states(result)["signature"], states(result)["id"], result.exit_code) == ("bad", "good", 3)
    with pytest.raises(SignatureMismatch):
        result.require()
    result = check({**one, "attestations": other["attestations"]}, ring)
    assert (states(result)["attestation[0]"], result.exit_code) == ("bad", 3)
    result = check({**one, "proof_id": other["proof_id"]}, ring)
    assert (states(result)["id"], result.exit_code) == ("bad", 3)
    with pytest.raises(IdMismatch):
        result.require()


@pytest.mark.parametrize(
    "signature", [None, 1, "", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", ["0" * 64]]
)
def test_a_malformed_signature_is_bad(body, ring, signature):
    assert check({**sign(body, PROOF, ring.signer()), "signature": signature}, ring).exit_code == 3


@pytest.mark.parametrize("field", ["proof_id", "signature"])
def test_a_missing_signature_or_id_is_refused(body, ring, field):
    obj = sign(body, PROOF, ring.signer())
    del obj[field]
    if field == "proof_id":
        with pytest.raises(RecordError):
            check(obj, ring)
    else:
        assert check(obj, ring).exit_code == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b["verdict"].update(observed_value=0.03251),
        lambda b: b["verdict"].pop("reasoning"),
        lambda b: b.update(reasoning=b["verdict"].pop("reasoning")),
        lambda b: b["verdict"].update(n_planned=400.0),
        lambda b: b["verdict"].update(n_planned="400"),
        lambda b: b["evidence"].reverse(),
        lambda b: b["preregistration"].update(attempt=True),
        lambda b: b.update(schema_version="1.0"),
    ],
)
def test_a_changed_body_is_tampered(body, ring, change):
    obj = copy.deepcopy(sign(body, PROOF, ring.signer()))
    change(obj)
    result = check(obj, ring)
    assert (states(result)["id"], result.exit_code) == ("bad", 3)


def test_another_spelling_of_the_same_object_verifies(body, ring, tmp_path):
    signed = sign(body, PROOF, ring.signer())
    path = tmp_path / "r.json"
    path.write_text(json.dumps(dict(reversed(list(signed.items()))), ensure_ascii=True, indent=7))
    assert verify(read(path, [PROOF]), ring).ok


def test_a_dropped_attestation_is_unattested_and_not_bad(body, ring, tmp_path):
    obj = {k: v for k, v in sign(body, PROOF, ring.signer()).items() if k != "attestations"}
    result = check(obj, ring)
    finding = next(c for c in result.checks if c.name == "attestation")
    assert (finding.state, result.exit_code) == ("could not be checked", 0)
    assert "unattested" in finding.detail
    other = check(obj, Keyring(tmp_path / "other", {}))
    assert other.exit_code == 5
    with pytest.raises(NoKeyError):
        other.require()


def test_an_unknown_signer_is_policy_and_trust_settles_it(body, ring, tmp_path):
    pytest.importorskip("cryptography")
    obj = sign(body, PROOF, ring.signer())
    reader = Keyring(tmp_path / "reader", {})
    reader.signer()  # a key of our own does not make a foreign signature false
    result = check(obj, reader)
    assert (states(result)["signature"], states(result)["attestation[0]"]) == ("could not be checked", "good")
    assert result.exit_code == 5
    with pytest.raises(KeyPolicyError, match="unknown"):
        result.require()
    reader.trust("colleague", ring.signer().public_key)
    result = check(obj, reader)
    assert (result.exit_code, result.signer) == (0, "colleague")


def test_an_attestation_of_our_own_suffices_without_the_hmac(body, ring):
    pytest.importorskip("cryptography")
    signer = ring.signer()
    data = canonical_bytes(body)
    obj = {"proof_id": content_id(data), **body, "signature": "0" * 64, "attestations": [signer.attest(data)]}
    assert check(obj, ring).exit_code == 3, "we hold the key that should have made it"
    stranger = Keyring(ring.home.parent / "stranger", {})
    stranger.trust("them", signer.public_key)
    assert check(obj, stranger).exit_code == 0


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        ("text", "bad"),
        ({}, "could not be checked"),
        ({"algorithm": "ed448"}, "could not be checked"),
        ({"algorithm": "ed25519"}, "bad"),
        ({"algorithm": "ed25519", "public_key": "0" * 64, "signature": "0" * 127}, "bad"),
        ({"algorithm": "ed25519", "public_key": " " * 64, "signature": "0" * 128}, "bad"),
        ({"algorithm": "ed25519", "public_key": "0" * 64, "signature": "0" * 128}, "bad"),
        ({"algorithm": "ed25519", "public_key": "f" * 64, "signature": "0" * 128, "key_id": "0" * 16}, "bad"),
    ],
)
def test_malformed_attestations(body, ring, entry, state):
    pytest.importorskip("cryptography")
    obj = {**sign(body, PROOF, ring.signer()), "attestations": [entry]}
    result = check(obj, ring)
    assert states(result)["attestation[0]"] == state
    assert result.exit_code == 3  # by the schema where not by the attestation itself


SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "ec" + "ff" * 30 + "7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 31,
]


@pytest.mark.parametrize("public", SMALL_ORDER + [k[:-2] + f"{int(k[-2:], 16) | 128:02x}" for k in SMALL_ORDER])
def test_a_key_that_anybody_can_sign_with_attests_nothing(body, ring, public):
    pytest.importorskip("cryptography")
    for later in range(12):  # such a signature fits one text in at most eight
        obj = sign({**body, "later": later}, PROOF, ring.signer())
        for point in SMALL_ORDER:
            entry = {
                "algorithm": "ed25519",
                "public_key": public,
                "signature": point + "00" * 32,
                "key_id": key_id(public),
            }
            assert states(check({**obj, "attestations": [entry]}, ring))["attestation[0]"] == "bad"
    with pytest.raises(UsageError, match="not an Ed25519 public key"):
        ring.trust("nobody", public)


def test_attestations_that_are_no_list_are_bad(body, ring):
    obj = {**sign(body, PROOF, ring.signer()), "attestations": {"0": 1}}
    assert states(check(obj, ring))["attestation"] == "bad"


def test_a_flood_of_attestations_is_bad_at_once(body, ring):
    obj = sign(body, PROOF, ring.signer())
    obj["attestations"] = obj.get("attestations", [{}]) * 100_000
    assert states(check(obj, ring))["attestation"] == "bad"


def test_a_second_attestation_may_be_added_later(body, ring, tmp_path):
    pytest.importorskip("cryptography")
    obj, other = sign(body, PROOF, ring.signer()), Keyring(tmp_path / "b", {}).signer()
    obj["attestations"] = [*obj["attestations"], other.attest(SignedRecord(PROOF, obj).canonical())]
    result = check(obj, ring)
    assert (states(result)["attestation[1]"], result.exit_code) == ("good", 0)
    assert obj["attestations"][1]["key_id"] == key_id(other.public_key) == other.key_id


def test_the_key_that_was_given_must_fit(body, ring, tmp_path):
    obj = sign(body, PROOF, Signer(b"the right key of sixteen"))
    assert check(obj, ring, extra_keys=[b"the right key of sixteen"]).exit_code == 0
    assert check(obj, ring, extra_keys=[b"the wrong key of sixteen"]).exit_code == 3
    named = Keyring(tmp_path / "x", {"OPHAMIN_SIGN_KEY": "the right key of sixteen"})
    assert check(obj, named).exit_code == 0


def flipped(signature):
    """Every way to change one hex digit of a signature, and what is no signature of this record at all."""
    for at in range(0, 64, 7):
        for digit in "0123456789abcdef":
            if digit != signature[at]:
                yield signature[:at] + digit + signature[at + 1 :]
    yield from ("0" * 64, "f" * 64, signature[::-1])


@pytest.mark.parametrize("attested", [True, False])
def test_a_changed_signature_of_a_key_we_hold_is_bad(body, ring, attested):
    signer = ring.signer()
    obj = sign(body, PROOF, signer)
    if not attested:
        obj.pop("attestations", None)
    assert check(obj, ring).exit_code == 0
    tried = list(flipped(obj["signature"]))
    assert len(tried) > 100
    for signature in tried:
        if signature == obj["signature"]:
            continue
        result = check({**obj, "signature": signature}, ring)
        assert (states(result)["signature"], states(result)["id"], result.exit_code) == ("bad", "good", 3)
    other = sign({**body, "later": 1}, PROOF, signer)
    assert check({**obj, "signature": other["signature"]}, ring).exit_code == 3


def test_whoever_does_not_hold_the_key_cannot_tell(body, ring, tmp_path):
    obj = sign(body, PROOF, ring.signer())
    obj.pop("attestations", None)
    stranger = Keyring(tmp_path / "stranger", {})
    stranger.signer()
    result = check({**obj, "signature": "0" * 64}, stranger)
    assert (states(result)["signature"], result.exit_code) == ("could not be checked", 5)
    assert obj["signing_key"] in next(c.detail for c in result.checks if c.name == "signature")


def test_the_name_of_the_key_cannot_be_taken_out_or_exchanged(body, ring, tmp_path):
    obj = sign(body, PROOF, ring.signer())
    obj.pop("attestations", None)
    gone = {k: v for k, v in obj.items() if k != "signing_key"}
    assert states(check({**gone, "signature": "0" * 64}, ring))["id"] == "bad"
    # Re-signed by another under our name: bad wherever either key is at hand.
    theirs = Signer(b"somebody else's sixteen bytes")
    forged = {**obj, "signature": theirs.hmac(SignedRecord(PROOF, obj).canonical())}
    assert states(check(forged, ring))["signature"] == "bad"
    stranger = Keyring(tmp_path / "stranger", {})
    assert check(forged, stranger, extra_keys=[b"somebody else's sixteen bytes"]).exit_code == 3
    for odd in (None, 1, [], "x" * 100_000):
        assert check({**obj, "signing_key": odd}, ring).exit_code == 3


def test_a_record_that_names_no_key_reads_as_before(ring):
    record = read(GOLDEN / "proof-1.1.json", [PROOF])
    assert "signing_key" not in record.object
    ring.signer()
    swapped = {**record.object, "signature": "0" * 64}
    swapped.pop("attestations")
    assert check(swapped, ring).exit_code == 5
    # The golden key, held: it signs a record of its own, and cannot show that it should have signed this one.
    assert check(swapped, ring, extra_keys=[GOLDEN_SECRET]).exit_code == 3


def test_signing_again_names_the_new_key(body, ring):
    first = sign(body, PROOF, Signer(b"the right key of sixteen"))
    again = sign(SignedRecord(PROOF, first).body, PROOF, ring.signer())
    assert again["signing_key"] == ring.signer().hmac_key_id != first["signing_key"]
    assert again["proof_id"] != first["proof_id"]
    assert check(again, ring).exit_code == 0


def test_a_key_in_the_environment_must_fit_what_names_no_other_signer(body, tmp_path):
    obj = sign(body, PROOF, Signer(b"the right key of sixteen"))
    obj.pop("attestations", None)
    assert check(obj, Keyring(tmp_path, {"OPHAMIN_SIGN_KEY": "the right key of sixteen"})).exit_code == 0
    wrong = Keyring(tmp_path, {"OPHAMIN_SIGN_KEY": "the wrong key of sixteen"})
    assert check(obj, wrong).exit_code == 3


def test_a_well_signed_record_that_contradicts_itself_is_bad(body, ring):
    signer = ring.signer()

    def force(change):
        forged = copy.deepcopy(body)
        change(forged)
        data = canonical_bytes(forged)
        return {"proof_id": content_id(data), **forged, "signature": signer.hmac(data)}

    result = check(force(lambda b: b["verdict"].update(outcome="REFUTED")), ring)
    assert (states(result)["id"], states(result)["consistency"], result.exit_code) == ("good", "bad", 3)
    with pytest.raises(ConsistencyError):
        result.require()
    result = check(force(lambda b: b.pop("evidence")), ring)
    assert (states(result)["schema"], states(result)["consistency"]) == ("bad", "could not be checked")


# --- the check that is skipped for what the reader built


@pytest.mark.parametrize(
    "change",
    [
        lambda o: o["verdict"].update(reasoning=float("nan")),
        lambda o: o["verdict"].update({1: 2}),
        lambda o: o["evidence"].append((1, 2)),
        lambda o: o["claim"].update(statement="\ud800"),
        lambda o: o.update(deep=json.loads("[" * 70 + "]" * 70)),
        lambda o: o["reproduction"].update(argv=("invented", "run")),
    ],
)
def test_changing_an_object_that_was_read_does_not_bypass_the_check(change):
    record = read(GOLDEN / "proof-1.1.json", [PROOF])
    record.canonical()
    change(record.object)
    with pytest.raises(RecordError):
        record.canonical()


def test_changing_a_type_alone_changes_the_canonical_bytes():
    record = read(GOLDEN / "proof-1.1.json", [PROOF])
    assert record.canonical() == canonical_bytes(record.body)
    record.object["preregistration"]["attempt"] = 2.0
    assert record.canonical() == canonical_bytes(record.body)
    assert content_id(record.canonical()) != record.id


def test_body_is_everything_but_id_and_signatures():
    obj = parse((GOLDEN / "proof-1.0.json").read_bytes())
    record = SignedRecord(PROOF, obj)
    assert set(obj) - set(record.body) == {"proof_id", "signature", "attestation"}
    assert set(OUTSIDE) == {"signature", "attestation", "attestations"}


# --- without the extra, and light


def run(code, **env):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env or None)


def test_without_cryptography_an_attestation_could_not_be_checked(tmp_path):
    code = f"""
import sys
sys.modules["cryptography"] = None
from pathlib import Path
from ophamin.proof import Keyring, PROOF, read, sign, verify, SignedRecord
home, golden = Path({str(tmp_path)!r}), Path({str(GOLDEN)!r})
ring = Keyring(home, {{}})
record = read(golden / "proof-1.1.json", [PROOF])
result = verify(record, ring)
print(result.exit_code, {{c.name: c.state for c in result.checks}}["attestation[0]"])
print(verify(record, ring, extra_keys=[{GOLDEN_SECRET!r}]).exit_code)
signer = ring.signer()
mine = sign(record.body, PROOF, signer)
print("attestations" in mine, signer.public_key, len(signer.key_id), verify(SignedRecord(PROOF, mine), ring).exit_code)
"""
    done = run(code)
    assert done.stderr == ""
    assert done.stdout.split("\n")[:3] == ["5 could not be checked", "0", "False None 16 0"]


def test_importing_the_signed_base_stays_light():
    code = "import sys, ophamin.proof.signed; print(*sorted(set(m.partition('.')[0] for m in sys.modules)))"
    loaded = set(run(code).stdout.split())
    assert not loaded & {"cryptography", "jsonschema", "sqlite3", "importlib_resources", "click", "numpy"}
    code = "import sys, ophamin.proof.signed; print(*[m for m in sys.modules if m.startswith(('importlib.res', 'importlib.meta'))])"  # fmt: skip
    assert run(code).stdout.strip() == ""
