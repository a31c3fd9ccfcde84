"""The records of this wheel: golden ones of every version verify for ever, contradictions are found and never signed."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ophamin.proof.errors import ConsistencyError, SchemaError
from ophamin.proof.keys import Keyring
from ophamin.proof.schemas import violations
from ophamin.proof.signed import read, sign, verify
from ophamin.protocols import RecordKind
from ophamin.registry import read_record, records
from ophamin.testing import check_record_kind

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
KEY = b"ophamin-seeing-golden-key"
KINDS = ("inventory", "schema-document", "telemetry", "wiring")


def golden(name: str):
    [path] = [p for p in GOLDEN if p.stem == name]
    return read_record(path)


def test_they_are_announced() -> None:
    for name in KINDS:
        assert isinstance(records.get(name), RecordKind)
        assert records.get(name).name == name
        assert records.origin(name).startswith("ophamin-seeing ")


def test_there_is_one_of_every_version_and_form() -> None:
    assert [p.stem for p in GOLDEN] == [
        "inventory-compact",
        "inventory-spaced",
        "schema-document-1.0",
        "telemetry-1.0",
        "telemetry-first-compact",
        "telemetry-first-spaced",
        "wiring-1.0",
        "wiring-first-compact",
        "wiring-first-spaced",
    ]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_golden_records_verify_for_ever(path: Path) -> None:
    record = read_record(path)
    states = {c.name: c.state for c in verify(record, Keyring(), extra_keys=[KEY]).checks}
    assert {states[n] for n in ("id", "signature", "schema", "consistency")} == {"good"}
    assert verify(record, Keyring(), extra_keys=[b"another key, quite long"]).exit_code == 3
    cases = record.kind.cases(record.object)
    assert cases
    for case in cases:
        assert all(isinstance(case[name], str) for name in ("name", "outcome", "message"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_they_keep_the_contract_of_a_kind(path: Path) -> None:
    record = read_record(path)
    check_record_kind(record.kind, record.object)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_our_reader_and_jsonschema_agree(path: Path) -> None:
    record = read_record(path)
    schema = record.kind.schema_for(record.schema_version)  # type: ignore[attr-defined]
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert violations(record.object, schema) == []
    assert validator.is_valid(record.object)
    tried = 0
    for name, value in record.object.items():
        for broken in ({k: v for k, v in record.object.items() if k != name}, {**record.object, name: 3.5}):
            assert bool(violations(broken, schema)) != validator.is_valid(broken)
            tried += bool(violations(broken, schema))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for inner in value[0]:
                row = {k: v for k, v in value[0].items() if k != inner}
                broken = {**record.object, name: [row, *value[1:]]}
                assert bool(violations(broken, schema)) != validator.is_valid(broken)
    assert tried > 5


CONTRADICTIONS = {
    "wiring-1.0": [
        (("summary", "n_wired"), 99),
        (("summary", "n_lines"), 0),
        (("strata", 0, "n_orphan"), 5),
        (("strata", 0, "as_expected"), None),
        (("strata", 0, "wired_rate"), 1.0),
        (("modules", 0, "classification"), "orphan"),
        (("modules", 0, "lines"), 7),
        (("worklist", 0, "action"), "tidy"),
        (("worklist",), []),
        (("broken_imports",), []),
        (("broken_imports", 0, "path"), "elsewhere.py"),
        (("config", "strata", 0, "expected"), 1),
        (("identity", "captured_at"), "yesterday"),
    ],
    "telemetry-1.0": [
        (("scrapes", 1, "n_samples"), 1),
        (("scrapes", 1, "n_families"), 1),
        (("window_s",), None),
        (("changes", 0, "state"), "missing"),
        (("changes", 0, "delta"), None),
        (("missing",), [{"name": "jobs_total", "labels": [["queue", "mail"]], "type": "counter"}]),
        (("families", 0, "samples", 0, "name"), "other"),
        (("identity", "captured_at"), "2026-05-01T12:00:00"),
    ],
    "schema-document-1.0": [
        (("cycles", "n_ok"), 4),
        (("cycles", "n"), 13),
        (("corpus", "n_selected"), 11),
        (("fields", 0, "n_cycles"), 12),
        (("fields", 0, "missing_rate"), 0.9),
        (("fields", 0, "types", "string", "n_occurrences"), 1),
        (("fields", 0, "path"), "blocked"),
        (("fields", 2, "values", "mean"), 7.0),
        (("identity", "captured_at"), ""),
    ],
}


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [(n, p, v) for n, rows in CONTRADICTIONS.items() for p, v in rows],
    ids=lambda v: ".".join(map(str, v)) if isinstance(v, tuple) else None,
)
def test_a_contradiction_is_found_and_never_signed(name: str, place, value) -> None:
    record = golden(name)
    assert not record.kind.check(record.object)
    body = copy.deepcopy(record.body)
    section = body
    for step in place[:-1]:
        section = section[step]
    assert section[place[-1]] != value
    section[place[-1]] = value
    with pytest.raises((ConsistencyError, SchemaError)):
        sign(body, record.kind, Keyring().signer())


def test_an_inventory_that_calls_a_stratum_live_against_its_counts() -> None:
    record = golden("inventory-compact")
    changed = copy.deepcopy(record.object)
    changed["strata"][0]["count"] = 0
    assert record.kind.check(changed)


def test_other_versions_are_told_apart() -> None:
    wiring = records.get("wiring")
    first, ours = golden("wiring-first-compact").object, golden("wiring-1.0").object
    for version, accepted in (
        (1, True),
        (True, False),
        (2, False),
        ("1", False),
        ("wiring/1.7", True),
        ("wiring/2.0", False),
    ):
        assert wiring.accepts({**first, "schema_version": version}) is accepted, version
    assert wiring.forms(1) == ("compact", "spaced")
    assert wiring.forms("wiring/1.0") == ("compact",)
    assert not records.get("telemetry").accepts(ours)


def test_unknown_fields_survive_and_stay_signed(tmp_path: Path) -> None:
    record = golden("telemetry-1.0")
    signed = sign({**record.body, "later": {"field": 1.0}}, record.kind, Keyring().signer())
    path = tmp_path / "r.json"
    path.write_text(json.dumps(signed), "utf-8")
    again = read(path, [record.kind])
    assert verify(again, Keyring()).ok
    again.object["later"]["field"] = 1
    assert not verify(again, Keyring()).ok
