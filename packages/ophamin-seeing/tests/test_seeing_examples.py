"""The examples in the docstrings of the substrates run as written."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = ["_template", "command", "http", "kimera", "mock", "onnx", "payload_filter", "python", "repo", "sklearn"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"ophamin.seeing.substrate.{name}"))
    assert result.attempted
    assert not result.failed
