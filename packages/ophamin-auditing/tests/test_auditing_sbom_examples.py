from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = [
    *(f"sbom.{name}" for name in ("bom", "environment", "licences", "lock", "make", "parts", "platform", "record", "requirements")),
    *(f"tools.{name}" for name in ("_cvss", "_osv", "_osv_server", "_pins", "pip_audit")),
    "export.cyclonedx",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_hold(name):
    assert doctest.testmod(import_module(f"ophamin.auditing.{name}")).failed == 0
