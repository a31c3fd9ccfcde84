"""Ten thousand random changes of a signed record: none is accepted unless the body is the same."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.errors import RecordError
from ophamin.proof.keys import Keyring
from ophamin.proof.kinds import PROOF
from ophamin.proof.reading import parse
from ophamin.proof.signed import OUTSIDE, SignedRecord, identify, sign, verify

GOLDEN = Path(__file__).parent / "golden" / "proof-1.1.json"
N = 10_000
ALPHABET = b'0123456789abcdefABCDEF"\\{}[]:,.-+eE \n\ttrufalsn\x00\x7f\xc3'


def mutate(rng: random.Random, data: bytes) -> bytes:
    """One byte changed, dropped, doubled or put in; or two neighbours swapped."""
    at, new = rng.randrange(len(data)), bytes([rng.choice(ALPHABET)])
    return {
        "change": data[:at] + new + data[at + 1 :],
        "flip": data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :],
        "drop": data[:at] + data[at + 1 :],
        "put": data[:at] + new + data[at:],
        "swap": data[:at] + data[at + 1 : at + 2] + data[at : at + 1] + data[at + 2 :],
    }[rng.choice(["change", "flip", "drop", "put", "swap"])]


def canonical_body(obj: dict) -> bytes:
    return canonical_bytes({k: v for k, v in obj.items() if k not in ("proof_id", *OUTSIDE)})


@pytest.mark.slow
@pytest.mark.parametrize("attested", [True, False])
def test_no_mutation_is_accepted_unless_the_body_is_the_same(tmp_path, attested):
    body = SignedRecord(PROOF, parse(GOLDEN.read_bytes())).body
    body["reproduction"]["environment"] = {"python": "3.11"}  # short, so that mutations reach every section
    body["odd"] = {"space ": [1, 1.0, True, None, -0.0, 1e-7, 10**20, 'é\n"\\/'], "": [[]], "esc": "\u2028"}
    ring = Keyring(tmp_path, {})
    signed = sign(body, PROOF, ring.signer())
    if not attested:  # as core alone signs: by HMAC only
        signed.pop("attestations", None)
    data = json.dumps(signed, indent=1).encode()
    original, proofs = canonical_body(signed), {k: signed.get(k) for k in ("proof_id", *OUTSIDE)}
    rng, seen = random.Random(20261124), {"refused": 0, "bad": 0, "accepted": 0}
    for _ in range(N):
        mutated = mutate(rng, data)
        try:
            obj = parse(mutated)
            record = SignedRecord(identify(obj, [PROOF]), obj)
        except RecordError:
            seen["refused"] += 1
            continue
        result = verify(record, ring)
        same_body = content_id(canonical_body(obj)) == content_id(original)
        if result.ok:
            seen["accepted"] += 1
            assert same_body, mutated
            assert (obj["proof_id"], obj["signature"]) == (signed["proof_id"], signed["signature"])
        else:
            seen["bad"] += 1
            assert result.exit_code == 3, (result.checks, mutated)
            assert not same_body or {k: obj.get(k) for k in proofs} != proofs, mutated
    assert sum(seen.values()) == N
    assert min(seen.values()) > 100, seen
