"""Canonical bytes: exact, and nothing that JSON would change gets in."""

from __future__ import annotations

import json
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.proof.canonical import MAX_DEPTH, MAX_NODES, canonical_bytes, content_id, digest, has_lone_surrogate
from ophamin.proof.errors import LimitError, RecordError
from ophamin.proof.reading import parse_value

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_bytes_are_those_of_json_dumps_and_come_back_as_they_were(value):
    data = canonical_bytes(value)
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    assert data == expected.encode("ascii")
    back = parse_value(data)
    assert repr(_sorted(back)) == repr(_sorted(value))  # repr tells 1, 1.0, True and -0.0 apart
    assert canonical_bytes(back) == data
    assert canonical_bytes(value, form="spaced") == json.dumps(value, sort_keys=True).encode()


def _sorted(value):
    if isinstance(value, dict):
        return {k: _sorted(value[k]) for k in sorted(value)}
    return [_sorted(v) for v in value] if isinstance(value, list) else value


def test_one_one_point_zero_and_true_differ():
    assert len({canonical_bytes(v) for v in (1, 1.0, True, "1")}) == 4


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        {"a": [-float("inf")]},
        {1: "a"},
        {"a": {None: 1}},
        {True: 1},
        (1, 2),
        {"a": (1,)},
        {"a": {1}},
        b"bytes",
        1j,
        OrderedDict(a=1),
        "\ud800",
        {"\udfff": 1},
        {"a": "\ud83d\ud83d"},
        {"a": ["x\\\ud800"]},
        {"a": chr(0xDE00) + chr(0xD83D)},
    ],
)
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(RecordError):
        canonical_bytes(value)


@pytest.mark.parametrize("text", ["😀", "\\😀", "\\ud800", "\\\\ud800\\", "a\\udc00😀\\", "\ue000"])
def test_what_only_looks_like_a_surrogate_is_kept(text):
    assert parse_value(canonical_bytes({"a": text})) == {"a": text}


@given(st.text(st.sampled_from(["\\", "u", "d", "\ud83d", "\ude00", "8", "0", '"', "é"]), max_size=12))
def test_lone_surrogates_are_found_exactly(text):
    escaped = json.dumps(text).encode()
    joined = json.loads(escaped)  # a high and a low half side by side become one character
    try:
        joined.encode("utf-8")
        lone = False
    except UnicodeEncodeError:
        lone = True
    assert has_lone_surrogate(escaped) == lone
    assert has_lone_surrogate(escaped.replace(b"\\ud", b"\\uD")) == lone or b"\\\\ud" in escaped


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_depth_nodes_digits_and_cycles_are_limited():
    canonical_bytes(nested(MAX_DEPTH))
    with pytest.raises(LimitError, match="levels deep"):
        canonical_bytes(nested(MAX_DEPTH + 1))
    canonical_bytes([0] * (MAX_NODES - 1))
    with pytest.raises(LimitError, match="values"):
        canonical_bytes([0] * MAX_NODES)
    assert digest([0] * MAX_NODES).startswith("sha256:")
    canonical_bytes(-(10**4300 - 1))
    for big in (10**4300, -(10**4300)):
        with pytest.raises(LimitError, match="digits"):
            canonical_bytes({"a": big})
    cycle: dict = {}
    cycle["a"] = cycle["b"] = cycle
    with pytest.raises(LimitError):
        canonical_bytes(cycle)


def test_ids_and_digests_are_sha256():
    assert content_id(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest({"b": 1, "a": 2}) == "sha256:" + content_id(b'{"a":2,"b":1}')
