"""The shipped JSON Schema, and its interpreter held against ``jsonschema``."""

from __future__ import annotations

import copy
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import RecordError, SchemaError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.kinds import PROOF, Version
from ophamin.proof.reading import parse
from ophamin.proof.schemas import KEYWORDS, violations
from ophamin.proof.signed import SignedRecord, identify, verify

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = ["1.0", "1.1"]


def golden(version):
    return parse((GOLDEN / f"proof-{version}.json").read_bytes())


def paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


ODD = [
    10**400,
    -(10**400),
    1e308,
    2**53 + 1,
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    0.5,
    2.5,
    -0.5,
    10**30,
    "",
    "x",
    "0" * 64,
    "0" * 64 + "\n",
    [],
    [None],
    [1, 2],
]
ODD += [{}, {"a": 1}, "VALIDATED", "1.1", "==", "2026-01-01T00:00:00Z", "sha256:" + "a" * 64]


def mutated(record, rng):
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        choices = [p for p in paths(record) if p and not (len(p) > 2 and "environment" in p)]
        *where, last = rng.choice(choices)
        parent = record
        for key in where:
            parent = parent[key]
        what = rng.random()
        if what < 0.2:
            del parent[last]
        elif what < 0.3:
            other = rng.choice(choices)
            value = record
            for key in other:
                if not isinstance(value, (dict, list)) or (isinstance(value, list) and key >= len(value)):
                    break
                value = value.get(key) if isinstance(value, dict) else value[key]
            parent[last] = copy.deepcopy(value)
        else:
            parent[last] = copy.deepcopy(rng.choice(ODD))
    return record


@pytest.mark.parametrize("version", VERSIONS)
def test_reader_and_jsonschema_agree_on_mutated_records(version):
    jsonschema = pytest.importorskip("jsonschema")
    schema = PROOF.schema_for(version)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    rng, seen = random.Random(7), {True: 0, False: 0}
    original = golden(version)
    original["reproduction"]["environment"] = {"python": "3.11"}
    for _ in range(1500):
        record = mutated(copy.deepcopy(original), rng)
        ours = not violations(record, schema)
        assert ours == validator.is_valid(record), violations(record, schema)
        seen[ours] += 1
    assert min(seen.values()) > 50, seen


@pytest.mark.parametrize("version", VERSIONS)
def test_verifying_a_hostile_record_never_crashes(version, tmp_path):
    rng, ring, original = random.Random(8), Keyring(tmp_path, {}), golden(version)
    original["reproduction"]["environment"] = {"python": "3.11"}
    consistent = 0
    for _ in range(1500):
        obj = mutated(copy.deepcopy(original), rng)
        try:
            result = verify(SignedRecord(identify(obj, [PROOF]), obj), ring)
        except RecordError:
            continue
        consistent += {c.name: c.state for c in result.checks}["consistency"] != "could not be checked"
    assert consistent > 100


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 1.5, "", "a", "ab", "b\n"])
instances = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from("ab"), v), max_leaves=6)  # fmt: skip
rules = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["object", "array", "string", "integer", "number", "boolean", "null", ["null", "array"]]
        ),
        "minimum": st.integers(-2, 2),
        "maximum": st.integers(-2, 2),
        "exclusiveMinimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "b$", "^(a|b)*$"]),
        "enum": st.lists(scalars, min_size=1, max_size=3),
        "const": scalars,
        "required": st.lists(st.sampled_from("ab"), max_size=2, unique=True),
        "$ref": st.just("#/$defs/x"),
    },
)
schemas = st.recursive(
    rules | st.booleans(),
    lambda s: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("ab"), s),
            "additionalProperties": s,
            "items": s,
            "anyOf": st.lists(s, min_size=1, max_size=3),
            "allOf": st.lists(s, min_size=1, max_size=3),
        },
    ),
    max_leaves=5,
)


@settings(max_examples=300)
@given(instances, schemas, st.dictionaries(st.just("type"), st.sampled_from(["string", "object", "number"])))
def test_the_interpreter_agrees_with_jsonschema_on_any_schema(instance, schema, definition):
    jsonschema = pytest.importorskip("jsonschema")
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema], "$defs": {"x": definition}}
    assert (not violations(instance, whole)) == jsonschema.Draft202012Validator(whole).is_valid(instance)


@pytest.mark.parametrize("version", VERSIONS)
def test_shipped_schemas_use_only_what_the_reader_interprets(version):
    known = {*KEYWORDS, "$schema", "$id", "$defs", "title", "description"}

    def visit(schema):
        if isinstance(schema, bool):
            return
        assert set(schema) <= known
        for name in ("properties", "$defs"):
            for sub in schema.get(name, {}).values():
                visit(sub)
        for name in ("items", "additionalProperties"):
            if name in schema:
                visit(schema[name])

    schema = PROOF.schema_for(version)
    visit(schema)
    assert not violations(golden(version), schema)


def test_1_1_only_adds_to_1_0():
    old, new = PROOF.schema_for("1.0"), PROOF.schema_for("1.1")

    def within(a, b, path):
        assert a.get("required", []) == b.get("required", []), path
        assert a.get("type") == b.get("type"), path
        for name, sub in a.get("properties", {}).items():
            if name != "schema_version":
                within(sub, b["properties"][name], (*path, name))

    within(old, new, ())
    for name, definition in old["$defs"].items():
        within(definition, new["$defs"][name], (name,))
    assert not violations({**golden("1.0"), "schema_version": "1.1"}, new)


def test_an_unknown_keyword_is_refused_rather_than_ignored():
    with pytest.raises(UsageError, match="contains"):
        violations([], {"contains": {}})
    with pytest.raises(UsageError, match="defs"):
        violations([], {"$ref": "https://example.org/x"})


def test_versions_choose_their_schema():
    assert PROOF.schema is PROOF.schema_for("1.1") is PROOF.schema_for("1.9")
    assert PROOF.schema_for("1.0")["properties"]["schema_version"] == {"const": "1.0"}
    with pytest.raises(SchemaError):
        PROOF.schema_for("0.9")
    assert Version.parse(3) == Version("", 3)
    assert Version.parse("audit/1.2") > Version.parse("audit/1.1")
    for bad in (True, None, 1.1, "", "1.", "v1", "1.1\n", "a/b/1.0", "1" * 7, "١.١"):
        with pytest.raises(SchemaError):
            Version.parse(bad)


def test_violations_name_the_place():
    record = golden("1.1")
    record["evidence"][1]["library"] = 3
    del record["claim"]["h0"]
    assert set(violations(record, PROOF.schema)) == {
        "evidence[1].library: 3 is not string",
        "claim: 'h0' is missing",
    }
