from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.proof.errors import UsageError
from ophamin.registry import Spec

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]*", fullmatch=True)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]*", fullmatch=True)
# What looks like the beginning of the parameters cannot be part of an argument.
ARGS = st.text().filter(lambda text: not re.search(r"\?[A-Za-z_][\w.-]*=", text) and not text.endswith("?"))


@pytest.mark.parametrize(
    ("text", "name", "arg", "params"),
    [
        ("mock", "mock", "", {}),
        ("mock:", "mock", "", {}),
        ("python:pkg.mod:func", "python", "pkg.mod:func", {}),
        ("python:pkg.mod:func?input=record", "python", "pkg.mod:func", {"input": "record"}),
        ("command:./prog --flag", "command", "./prog --flag", {}),
        ("command:./prog --ok? yes", "command", "./prog --ok? yes", {}),
        ("table:rows.csv?text=prompt&label=y", "table", "rows.csv", {"text": "prompt", "label": "y"}),
        ("cyber-payloads?split=test", "cyber-payloads", "", {"split": "test"}),
        ("mock?a=1&b=", "mock", "", {"a": "1", "b": ""}),
        ("mock?a=x%26y+z", "mock", "", {"a": "x&y z"}),
        ("mock?a=b=c", "mock", "", {"a": "b=c"}),
        ("table:C:\\rows.csv", "table", "C:\\rows.csv", {}),
        ("http:https://h/x?y", "http", "https://h/x?y", {}),
    ],
)
def test_specs_as_written(text, name, arg, params):
    spec = Spec.parse(text)
    assert (spec.name, spec.arg, dict(spec.params)) == (name, arg, params)


@pytest.mark.parametrize(
    "text", ["", ":x", "?a=1", "-x", " mock", "mock x", "mock?", "mock?a", "mock?a=1&a=2", "mock?a=1&", "mock?a=1&=2"]
)
def test_what_is_no_spec_says_so_in_one_sentence(text):
    with pytest.raises(UsageError) as caught:
        Spec.parse(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(NAMES, ARGS, st.dictionaries(KEYS, st.text(), max_size=4))
def test_a_spec_written_out_reads_back_the_same(name, arg, params):
    spec = Spec(name, arg, params)
    assert Spec.parse(str(spec)) == spec


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_spec_or_a_usage_error(text):
    try:
        spec = Spec.parse(text)
    except UsageError:
        return
    assert Spec.parse(str(spec)) == spec
