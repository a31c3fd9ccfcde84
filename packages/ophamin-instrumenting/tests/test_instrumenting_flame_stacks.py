from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.instrumenting.flame import Stacks, difference, parse_capture
from ophamin.instrumenting.flame._stacks import frame_key
from ophamin.instrumenting.flame.files import write_graph
from ophamin.proof.errors import UsageError

frames = st.text(min_size=1, max_size=12)
stacks = st.dictionaries(st.lists(frames, min_size=1, max_size=6).map(tuple), st.integers(1, 10**12), max_size=12)
units = st.sampled_from(["samples", "microseconds", "bytes"])


@given(stacks, units)
def test_both_formats_are_read_back_as_they_were_written(weights, unit):
    one = Stacks(weights, unit, "capture")
    assert one.total == sum(weights.values())
    text, profile = one.collapsed(), json.dumps(one.speedscope())
    assert Stacks.from_collapsed(text, unit=unit).weights == one.weights
    again = parse_capture(profile.encode())
    assert (again.weights, again.unit) == (one.weights, unit)
    assert Stacks(again.weights, unit, "capture").svg() == one.svg()


@given(stacks, stacks)
def test_adding_captures_adds_their_weights(first, second):
    a, b = Stacks(first), Stacks(second)
    assert (a + b).total == a.total + b.total
    assert (a + b).weights == (b + a).weights
    assert (a + Stacks({}, "bytes")).unit == "samples"


def test_speedscope_is_of_its_published_schema():
    found = Stacks({("a", "b"): 3, ("a",): 1}, "microseconds", "x").speedscope()
    assert found["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert found["shared"] == {"frames": [{"name": "a"}, {"name": "b"}]}
    (profile,) = found["profiles"]
    assert profile["type"] == "sampled"
    assert profile["unit"] in ("bytes", "microseconds", "milliseconds", "nanoseconds", "none", "seconds")
    assert (profile["samples"], profile["weights"]) == ([[0], [0, 1]], [1, 3])
    assert (profile["startValue"], profile["endValue"]) == (0, 4)
    assert Stacks({("a",): 1}).speedscope()["profiles"][0]["unit"] == "none"


def test_an_evented_profile_of_another_tool_is_read():
    profile = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": "main", "file": "m.py", "line": 3}, {"name": "f"}]},
        "profiles": [{"type": "evented", "name": "t", "unit": "milliseconds", "startValue": 0, "endValue": 10, "events": [
            {"type": "O", "frame": 0, "at": 1}, {"type": "O", "frame": 1, "at": 3},
            {"type": "C", "frame": 1, "at": 7}, {"type": "C", "frame": 0, "at": 10}]}],
    }  # fmt: skip
    read = parse_capture(json.dumps(profile).encode())
    assert read.unit == "microseconds"
    assert read.weights == {("main (m.py:3)",): 5000, ("main (m.py:3)", "f"): 4000}


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe not text",
        b"main;load\n",
        b"main;load 3.5\n",
        b"main;load -3\n",
        b"main;load " + b"9" * 40,
        b"{",
        b"{}",
        b'{"shared":{"frames":[]},"profiles":[{"type":"sampled","unit":"none","samples":[[0]],"weights":[1]}]}',
        b'{"shared":{"frames":[{"name":"a"}]},"profiles":[{"type":"sampled","unit":"none","samples":[[-1]],"weights":[1]}]}',
        b'{"shared":{"frames":[{"name":"a"}]},"profiles":[{"type":"sampled","unit":"none","samples":[[0]],"weights":[NaN]}]}',
        b'{"shared":{"frames":[{"name":"a"}]},"profiles":[{"type":"sampled","unit":"none","samples":[[0]],"weights":[1e999]}]}',
        b'{"shared":{"frames":[{"name":"a"}]},"profiles":[{"type":"sampled","unit":"none","samples":[[0],[0]],"weights":[1]}]}',
        b'{"shared":{"frames":[{"name":"a"}]},"profiles":[{"type":"evented","unit":"none","startValue":0,"events":[{"type":"C","frame":0,"at":1}]}]}',
        b'{"shared":{"frames":[]},"profiles":[{"unit":"parsecs"}]}',
        b"[" * 100_000,
        b"{" + b'"a":[' * 100_000,
    ],
)
def test_what_is_no_capture_is_refused_in_one_sentence(data):
    with pytest.raises(UsageError) as refused:
        parse_capture(data)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_hostile_frames_are_made_harmless():
    one = Stacks({("a;b\n2", "\x1b[31m\ud800\u202e", ""): 1, ("x" * 5000,): 2, ("zero",): 0, (): 5})
    assert set(one.weights) == {("a,b 2", "[31m", "?"), ("x" * 999 + "…",)}
    assert one.total == 3
    assert Stacks.from_collapsed(one.collapsed()).weights == one.weights


def test_a_unit_that_does_not_exist_or_fit_is_refused():
    with pytest.raises(UsageError, match="parsecs"):
        Stacks({}, "parsecs")
    with pytest.raises(UsageError, match="cannot be added"):
        Stacks({("a",): 1}) + Stacks({("a",): 1}, "bytes")
    with pytest.raises(UsageError, match="cannot be compared"):
        difference(Stacks({("a",): 1}), Stacks({("a",): 1}, "bytes"))


def test_a_difference_is_relative_and_blind_to_moved_lines():
    before = Stacks({("main (m.py:1)", "f (m.py:10)"): 10, ("main (m.py:1)", "old (m.py:30)"): 10})
    # Twice as long, the same function three lines further down, another one gone.
    after = Stacks({("main (m.py:1)", "f (m.py:13)"): 30, ("main (m.py:1)", "new (m.py:40)"): 10})
    found = difference(before, after)
    assert [(c.frame, c.before, c.after) for c in found.changes()] == [
        ("old (m.py)", 0.5, 0.0),
        ("f (m.py)", 0.5, 0.75),
        ("new (m.py)", 0.0, 0.25),
    ]
    assert found.removed() == ["old (m.py)"]
    assert "main (m.py);f (m.py) 10 30\n" in found.collapsed()
    assert frame_key("f (m.py:10)") == frame_key("f (m.py:13)") != frame_key("g (m.py:10)")


@given(stacks, stacks)
def test_shares_of_a_difference_sum_to_one(first, second):
    changes = difference(Stacks(first), Stacks(second)).changes()
    for side, given_ in (("before", first), ("after", second)):
        assert sum(getattr(c, side) for c in changes) == pytest.approx(1 if given_ else 0)


def test_three_files_are_left_the_picture_first(tmp_path):
    paths = write_graph(Stacks({("a",): 1}), tmp_path, "cpu")
    assert [p.name for p in paths] == ["cpu.svg", "cpu.collapsed.txt", "cpu.speedscope.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)
    assert parse_capture(paths[1].read_bytes()).weights == parse_capture(paths[2].read_bytes()).weights
