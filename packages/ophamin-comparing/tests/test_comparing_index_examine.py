"""The short road and the compiled schema against core, which they must never contradict."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.comparing.index._examine import Examiner
from ophamin.comparing.index._predicate import predicate
from ophamin.proof.errors import RecordError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.kinds import PROOF
from ophamin.proof.reading import parse
from ophamin.proof.schemas import violations
from ophamin.proof.signed import SignedRecord, identify, sign, verify

ALPHABET = b'0123456789abcdefABCDEF"\\{}[]:,.-+eEu \n\ttrufalsn\x00\x7f\xc3'


def by_core(data: bytes, ring: Keyring) -> bool:
    try:
        obj = parse(data)
        return verify(SignedRecord(identify(obj, [PROOF]), obj), ring).ok
    except RecordError:
        return False


def mutate(rng: random.Random, data: bytes) -> bytes:
    at, new = rng.randrange(len(data)), bytes([rng.choice(ALPHABET)])
    return rng.choice(
        [
            data[:at] + new + data[at + 1 :],
            data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :],
            data[:at] + data[at + 1 :],
            data[:at] + new + data[at:],
            data[:at] + data[at + 1 : at + 2] + data[at : at + 1] + data[at + 2 :],
        ]
    )


def odd_body(body: Any) -> dict[str, Any]:
    made: dict[str, Any] = body(statement='It is "right": «à peu près», \\ 𝛼.')
    made["odd"] = {"space ": [1, 1.0, True, None, -0.0, 1e-7, 10**20, 'é\n"\\/'], "": [[]], "esc": "\u2028"}
    return made


def test_no_mutation_is_taken_that_core_refuses(home: Path, tmp_path: Path, body: Any) -> None:
    ring = Keyring()
    data = json.dumps(sign(odd_body(body), PROOF, ring.signer()), indent=1).encode()
    examiner, rng, path = Examiner(ring), random.Random(20261126), tmp_path / "record.json"
    taken = 0
    for turn in range(1500):
        mutated = mutate(rng, data) if turn else data
        path.write_bytes(mutated)
        found = examiner.examine(str(path)).state == "proof"
        assert found == by_core(mutated, ring), mutated
        taken += found
    assert 1 <= taken < 300


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_layout_of_a_sound_record_is_taken(
    home: Path, tmp_path: Path, body: Any, indent: int | None, ascii_only: bool
) -> None:
    ring = Keyring()
    path = tmp_path / "record.json"
    signed = sign(odd_body(body), PROOF, ring.signer())
    path.write_text(json.dumps(signed, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert Examiner(ring).examine(str(path)).state == "proof"


@pytest.mark.parametrize(
    "twice",
    [
        b'"claim": {}, "claim": ',
        b'"cl\\u0061im": {}, "claim": ',
        b'"x\\u003a": 1, "claim": {}, "claim": ',
    ],
)
def test_a_key_that_stands_twice_is_found_on_the_short_road(
    home: Path, tmp_path: Path, body: Any, twice: bytes
) -> None:
    ring = Keyring()
    data = json.dumps(sign(body(), PROOF, ring.signer())).encode().replace(b'"claim": ', twice, 1)
    path = tmp_path / "record.json"
    path.write_bytes(data)
    assert Examiner(ring).examine(str(path)).state != "proof"


def test_the_short_road_is_taken(home: Path, tmp_path: Path, body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Keyring()
    path = tmp_path / "record.json"
    path.write_text(json.dumps(sign(body(), PROOF, ring.signer()), indent=2))
    examiner = Examiner(ring)
    monkeypatch.setattr(examiner, "_examine", lambda data: pytest.fail("the whole road was taken"))
    assert examiner.examine(str(path)).state == "proof"


# --- the compiled schema

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(allow_nan=False), st.text(max_size=70),
    st.sampled_from(["", "VALIDATED", "0" * 64, "2026-01-01T00:00:00Z", ">=", "interval", "primary", "1.1"]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3))


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(p for name, item in items for p in paths(item, (*here, name)))]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@settings(max_examples=400)
@given(data=st.data())
def test_the_compiled_schema_says_what_the_interpreter_says(version: str, data: st.DataObject) -> None:
    schema = PROOF.schema_for(version)
    fits = _COMPILED.setdefault(version, predicate(schema))
    record = json.loads(_RECORD)
    record["schema_version"] = version
    for _ in range(data.draw(st.integers(0, 2))):
        *parents, name = data.draw(st.sampled_from(paths(record)[1:]))
        target = record
        for step in parents:
            target = target[step]
        if data.draw(st.booleans()) and isinstance(target, dict):
            del target[name]
        else:
            target[name] = data.draw(VALUES)
        if len(paths(record)) < 2:
            break
    assert fits(record) == (violations(record, schema) == [])


_COMPILED: dict[str, Any] = {}
_RECORD = ""


@pytest.fixture(autouse=True)
def _record(body: Any, tmp_path: Path) -> None:
    global _RECORD
    if not _RECORD:
        made = sign(odd_body(body), PROOF, Keyring(tmp_path / "other-home", {}).signer())
        claim = made["claim"]
        claim["co_primary"] = [{"threshold": claim["threshold"], "decision": claim["decision"]}]
        made["verdict"]["co_primary"] = [
            {
                "metric": "accuracy",
                "observed_value": 0.9,
                "interval": made["verdict"]["interval"],
                "outcome": "VALIDATED",
            }
        ]
        made["preregistration"].update(
            family={"id": "f", "m": 2, "method": "holm"}, ledger={"index": 0, "path": ["0" * 64]}
        )
        _RECORD = json.dumps(made)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"enum": [1, "a", None]}, [1, 1.0, "a", None], [True, 2, "b", []]),
        ({"const": True}, [True], [1, "true"]),
        ({"type": ["integer", "null"], "minimum": 0}, [0, 2.0, None], [-1, 1.5, True, "1"]),
        ({"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}}, [["a"]], [[], ["a"] * 3, [1], "a"]),
        ({"minLength": 1, "maxLength": 2, "pattern": "^a"}, ["a", 5], ["", "abc", "b"]),
        ({"anyOf": [{"type": "null"}, {"exclusiveMinimum": 1, "exclusiveMaximum": 3}]}, [None, 2, "x"], [1, 3]),
        ({"allOf": [{"type": "number"}, {"maximum": 3}]}, [3], [4, "a"]),
        ({"properties": {"a": True, "b": False}, "additionalProperties": {"type": "string"}}, [{"a": 1, "c": "x"}, 7], [{"b": 1}, {"c": 1}]),
    ],
)  # fmt: skip
def test_every_keyword(schema: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    fits = predicate(schema)
    for value, expected in [*((v, True) for v in good), *((v, False) for v in bad)]:
        assert fits(value) is expected
        assert (violations(value, schema) == []) is expected


def test_a_keyword_that_is_not_compiled_is_refused() -> None:
    with pytest.raises(UsageError, match="not compiled"):
        predicate({"uniqueItems": True})
