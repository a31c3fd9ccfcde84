"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["_family", "_sampler", "_tally", "gpu", "resources"])
def test_examples(name):
    found = doctest.testmod(import_module(f"ophamin.instrumenting.{name}"))
    assert found.attempted
    assert found.failed == 0
