from __future__ import annotations

import pytest

from ophamin.proof.errors import UsageError
from ophamin.registry import Spec


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
