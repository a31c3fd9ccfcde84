"""The examples in the docstrings of the record modules run as written."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = [
    "canonical",
    "checks",
    "claims",
    "decision",
    "keeping",
    "keys",
    "kinds",
    "migrate",
    "printable",
    "reading",
    "schemas",
    "signed",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(import_module(f"ophamin.proof.{name}")).failed == 0
