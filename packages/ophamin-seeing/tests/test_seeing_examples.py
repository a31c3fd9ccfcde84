"""The examples in the docstrings run as written."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

SUBSTRATES = ["_template", "command", "http", "kimera", "mock", "onnx", "payload_filter", "python", "repo", "sklearn"]
MODULES = [
    *(f"substrate.{name}" for name in SUBSTRATES),
    "discovery._tests",
    "discovery.diff",
    "discovery.discover",
    "discovery.miner",
    "telemetry.window",
    "wiring._config",
    "wiring.census",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"ophamin.seeing.{name}"))
    assert result.attempted
    assert not result.failed
