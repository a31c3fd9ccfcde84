"""Field paths and their precedence."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.measuring.scenarios.roles import Missing, RoleReader, compile_path
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult

NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=6)
STEPS = st.lists(st.one_of(NAMES, st.integers(0, 3)), min_size=1, max_size=5).filter(lambda s: isinstance(s[0], str))


def _path(steps):
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _around(steps, value):
    for step in reversed(steps):
        value = [*range(step), value] if isinstance(step, int) else {step: value}
    return value


@given(STEPS, st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()))
def test_a_path_finds_what_was_put_there_untouched(steps, value):
    found = compile_path(_path(steps))(_around(steps, value))
    assert found == value
    assert type(found) is type(value)


def test_a_filter_takes_the_first_item_that_matches():
    output = {"checks": [{"k": "a", "score": 1}, "noise", {"k": "b", "score": 2}, {"k": "b", "score": 3}]}
    assert compile_path("checks[?k=='b'].score")(output) == 2
    assert compile_path('checks[?k=="a"].score')(output) == 1
    assert compile_path("checks[-1].score")(output) == 3
    assert compile_path("checks[?k=='c'].score")(output).__class__ is Missing


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        ".a",
        "a.",
        "a..b",
        "a b",
        "a[",
        "a[]",
        "a[x]",
        "a[?k=b]",
        "a[?k=='b]",
        "$.a",
        "a[*]",
        "a/b",
        "a.0",
        "..a",
    ],
)
def test_anything_else_is_no_path(path):
    with pytest.raises(UsageError, match="path"):
        compile_path(path)


@pytest.mark.parametrize(
    ("path", "output", "words"),
    [
        ("a.b", {"a": "text"}, "a is a str, not an object"),
        ("a[0]", {"a": "text"}, "a is a str, not a list"),
        ("a[3]", {"a": [1]}, "a has 1 items"),
        ("a.b.c", {"a": {"b": 5}}, "a.b is a int, not an object"),
        ("a", [1], "the output is a list"),
        ("a", None, "the output is a NoneType"),
        ("a[?k=='b']", {"a": {"k": "b"}}, "a is a dict, not a list"),
    ],
)
def test_what_is_not_there_says_where_it_stopped(path, output, words):
    found = compile_path(path)(output)
    assert found.__class__ is Missing
    assert words in found.reason


def _read(output, role="blocked", chosen=None, offered=None, **more):
    result = CycleResult(0, "r", output=output, **more)
    return RoleReader([role], chosen or {}, offered or {}).read(result)


def test_the_caller_comes_before_the_substrate_and_both_before_the_name():
    output = {"blocked": 1, "mine": 2, "theirs": 3}
    assert _read(output) == ({"blocked": 1}, None)
    assert _read(output, offered={"blocked": "theirs"}) == ({"blocked": 3}, None)
    assert _read(output, chosen={"blocked": "mine"}, offered={"blocked": "theirs"}) == ({"blocked": 2}, None)


def test_a_single_bare_output_stands_for_what_functions_return():
    for role in ("blocked", "answer", "value"):
        assert _read({"output": False}, role) == ({role: False}, None)
    assert _read({"output": 0.5}, "confidence")[1] == ("confidence", "the output has no 'confidence'")
    assert _read({"output": True, "other": 1})[1] is not None


def test_null_is_no_value():
    assert _read({"blocked": None})[1] == ("blocked", "'blocked' is null in the output")


def test_latency_comes_from_an_instrument_or_the_clock():
    assert _read({}, "latency_s", wall_s=0.5) == ({"latency_s": 0.5}, None)
    assert _read({}, "latency_s", wall_s=0.5, resources={"latency_s": 0.1}) == ({"latency_s": 0.1}, None)
    assert _read({}, "latency_s")[1][0] == "latency_s"
    assert _read({}, "cpu_s", wall_s=1.0)[1][0] == "cpu_s"
    assert _read({"t": 3}, "latency_s", chosen={"latency_s": "t"}, wall_s=0.5) == ({"latency_s": 3}, None)


# --- types and units of the catalog


def _declared(entry: str, value, role: str = "latency_s"):
    output = {"a": {"b": value}, "list": [{"k": "x:number:ms", "v": value}]}
    values, missing = RoleReader([role], {role: entry}, {}).read(CycleResult(0, "r", output=output))
    return values.get(role) if missing is None else missing[1]


@pytest.mark.parametrize(
    ("role", "entry", "value", "expected"),
    [
        ("latency_s", "a.b:number:ms", 12.5, 0.0125),
        ("latency_s", "a.b:number:us", 3, 3e-6),
        ("latency_s", "a.b:number:s", 3, 3),
        ("latency_s", "a.b:number:min", 2, 120),
        ("rss_bytes", "a.b:number:MiB", 1.5, 1572864.0),
        ("rss_bytes", "a.b:number:kB", 2, 2000),
        ("confidence", "a.b:number:%", 87, 0.87),
        ("confidence", "a.b:number", 0.5, 0.5),
        ("answer", "a.b:text", "yes", "yes"),
        ("answer", "a.b:list", [1], [1]),
        ("answer", "a.b:object", {"c": 1}, {"c": 1}),
        ("blocked", "a.b:truth", 1, 1),
        ("latency_s", "list[?k=='x:number:ms'].v", 7, 7),
        ("latency_s", "list[?k=='x:number:ms'].v:number:ms", 7, 0.007),
    ],
)
def test_units_become_the_roles_own(role, entry, value, expected):
    assert _declared(entry, value, role) == expected


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("a.b:number", "12", "'latency_s' is '12', no finite number"),
        ("a.b:number:ms", None, "null"),
        ("a.b:number:ms", float("inf"), "no finite number"),
        ("a.b:text", 3, "is 3, no text"),
        ("a.b:list", "abc", "no list"),
        ("a.b:object", [1], "no object"),
        ("a.c:number:ms", 1, "has no 'c'"),
    ],
)
def test_a_value_of_another_type_counts_as_missing(entry, value, said):
    assert said in str(_declared(entry, value))


@pytest.mark.parametrize(
    ("role", "entry", "said"),
    [
        ("latency_s", "a.b:numbr", "'numbr' is no type"),
        ("latency_s", "a.b:number:MB", "'MB' is no unit of latency_s; it may be ns, us"),
        ("rss_bytes", "a.b:number:ms", "it may be B, kB"),
        ("confidence", "a.b:number:ms", "it may be 1, %"),
        ("answer", "a.b:text:ms", "needs the type number"),
        ("latency_s", ":number", "empty"),
        ("latency_s", "a.b:number:ms:ms", "'ms' is no type"),
    ],
)
def test_types_and_units_that_make_no_sense_are_told(role, entry, said):
    with pytest.raises(UsageError) as caught:
        RoleReader([role], {role: entry}, {})
    assert said in str(caught.value)


def test_every_missing_role_is_named():
    reader = RoleReader(["answer", "confidence", "blocked"], {"answer": "a.b"}, {"blocked": "x"})
    values, (role, reason) = reader.read(CycleResult(0, "r", output={"a": {}, "x": 1}))
    assert values == {"blocked": 1}
    assert role == "answer"
    assert "a has no 'b'" in reason
    assert "nor is there 'confidence'" in reason
