"""The strict reader: hostile files, each a typed error, quickly; and the atomic writer."""

from __future__ import annotations

import json
import os
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.proof.canonical import MAX_DEPTH, MAX_NODES
from ophamin.proof.errors import DuplicateKeyError, LimitError, RecordError, UnknownRecord
from ophamin.proof.reading import MAX_BYTES, parse, parse_value, read_object, scan, write_object

HOSTILE = {
    "empty": (b"", RecordError),
    "white space": (b" \n", RecordError),
    "bom": (b"\xef\xbb\xbf{}", RecordError),
    "utf-16": ("{}".encode("utf-16"), RecordError),
    "not utf-8": (b'{"a": "\xff"}', RecordError),
    "overlong": (b'{"a": "\xc0\xaf"}', RecordError),
    "raw surrogate": (b'{"a": "\xed\xa0\x80"}', RecordError),
    "surrogate escape": (rb'{"a": "\ud800"}', RecordError),
    "surrogate escape, upper": (rb'{"a": "\uDC00"}', RecordError),
    "surrogate in a key": (rb'{"\ud800a": 1}', RecordError),
    "hidden surrogate": (rb'{"a": "\\ud83d\ude00"}', RecordError),
    "array": (b"[]", RecordError),
    "string": (b'"a"', RecordError),
    "number": (b"1", RecordError),
    "null": (b"null", RecordError),
    "trailing": (b"{} {}", RecordError),
    "half": (b'{"a": ', RecordError),
    "open string": (b'{"a": "', RecordError),
    "comment": (b"{} // a", RecordError),
    "single quotes": (b"{'a': 1}", RecordError),
    "trailing comma": (b'{"a": 1,}', RecordError),
    "control character": (b'{"a": "\x01"}', RecordError),
    "nan": (b'{"a": NaN}', RecordError),
    "infinity": (b'{"a": Infinity}', RecordError),
    "minus infinity": (b'{"a": -Infinity}', RecordError),
    "leading zero": (b'{"a": 01}', RecordError),
    "closed too often": (b"{}]", RecordError),
    "duplicate": (b'{"a": 1, "a": 1}', DuplicateKeyError),
    "duplicate by escape": (rb'{"a": 1, "\u0061": 1}', DuplicateKeyError),
    "duplicate below": (b'{"x": [{"a": 1, "a": 2}]}', DuplicateKeyError),
    "overflow": (b'{"a": 1e400}', LimitError),
    "negative overflow": (b'{"a": -1e400}', LimitError),
    "digits": (b'{"a": ' + b"9" * 4301 + b"}", LimitError),
    "negative digits": (b'{"a": -' + b"9" * 4301 + b"}", LimitError),
    "depth": (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", LimitError),
    "depth 10,000": (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", LimitError),
    "depth 10,000 of objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, LimitError),
    "depth unclosed": (b"[" * 100_000, LimitError),
    "nodes": (b'{"a":[' + b"0," * MAX_NODES + b"0]}", LimitError),
    "strings": (b'{"a":[' + b'"",' * MAX_NODES + b'""]}', LimitError),
    "100 MB": (b" " * 100_000_000, LimitError),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_a_typed_error(name, tmp_path):
    data, error = HOSTILE[name]
    with pytest.raises(RecordError) as caught:
        parse(data)
    assert type(caught.value) is error
    path = tmp_path / "record.json"
    path.write_bytes(data)
    with pytest.raises(RecordError) as caught:
        read_object(path)
    assert type(caught.value) is error
    assert str(caught.value).startswith(str(path))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "unit",
    [
        b'"',
        b'\\"',
        b"\\",
        b'"\\',
        b"[",
        b"]",
        b"{",
        b"[]",
        b"[[]",
        b'["',
        b",",
        b'"a":',
        b"\\ud83d",
        b"\\\\ud83d",
        b"9",
        b"0 ",
    ],
)
def test_eight_megabytes_of_anything_end_soon_and_small(unit):
    data = unit * (8_000_000 // len(unit))
    begin = time.perf_counter()
    with pytest.raises(RecordError):
        parse(b'{"a": ' + data)
    assert time.perf_counter() - begin < 30


def test_a_full_size_hostile_file_costs_little_memory():
    data = b'{"a": "' + b'\\"' * ((MAX_BYTES - 10) // 2) + b"}"
    tracemalloc.start()
    with pytest.raises(RecordError):
        parse(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * MAX_BYTES


def test_what_is_at_the_limits_reads():
    assert parse(b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}")
    assert len(parse(b'{"a":[' + b"0," * (MAX_NODES - 3) + b"0]}")["a"]) == MAX_NODES - 2
    assert parse(b'{"a": ' + b"9" * 4300 + b"}")["a"] == 10**4300 - 1
    assert parse(b'{"a": 1e308, "b": 1e-400}') == {"a": 1e308, "b": 0.0}
    assert parse(rb'{"a": "\ud83d\ude00 \\ud800 [[[ \" {"}') == {"a": '😀 \\ud800 [[[ " {'}


@given(st.recursive(st.integers(0, 9) | st.text('[]{},:\\" s', max_size=4), lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text('[]{},:\\"', max_size=2), v, max_size=3), max_leaves=8))  # fmt: skip
def test_the_scan_counts_depth_and_nodes_exactly(value):
    from ophamin.proof import reading

    depth, nodes = _measure(value)
    before = reading.MAX_DEPTH, reading.MAX_NODES
    data = json.dumps(value).encode()
    try:
        reading.MAX_DEPTH, reading.MAX_NODES = max(depth, 1), nodes
        scan(data)
        reading.MAX_NODES = nodes - 1
        with pytest.raises(LimitError):
            scan(data)
        if depth > 1:
            reading.MAX_DEPTH, reading.MAX_NODES = depth - 1, nodes
            with pytest.raises(LimitError):
                scan(data)
    finally:
        reading.MAX_DEPTH, reading.MAX_NODES = before


def _measure(value):
    if not isinstance(value, (list, dict)):
        return 0, 1
    inner = [_measure(v) for v in (value.values() if isinstance(value, dict) else value)]
    return 1 + max((d for d, _ in inner), default=0), 1 + sum(n for _, n in inner)


def test_numbers_keep_their_type():
    value = parse_value(b"[1, 1.0, -0.0, 1e2, -0, 123456789012345678901234567890, 0.1]")
    assert repr(value) == "[1, 1.0, -0.0, 100.0, 0, 123456789012345678901234567890, 0.1]"


def test_what_is_no_file_is_a_typed_error(tmp_path):
    with pytest.raises(UnknownRecord, match="no file"):
        read_object(tmp_path / "absent.json")
    with pytest.raises(UnknownRecord):
        read_object("a\0b")
    with pytest.raises(RecordError, match="is a directory"):
        read_object(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordError, match="regular file"):
        read_object(tmp_path / "pipe")


def test_a_written_object_reads_back_and_refused_ones_leave_nothing(tmp_path):
    path, obj = tmp_path / "a.json", {"b": [1, 1.0, "é😀"], "a": None}
    write_object(path, obj)
    assert path.read_text("utf-8") == json.dumps(obj, indent=2, ensure_ascii=False) + "\n"
    assert repr(read_object(path)) == repr(obj)
    for bad in ({"a": float("nan")}, {1: 2}, {"a": "\ud800"}, {"a": (1,)}):
        with pytest.raises(RecordError):
            write_object(path, bad)
    assert repr(read_object(path)) == repr(obj)
    assert os.listdir(tmp_path) == ["a.json"]
