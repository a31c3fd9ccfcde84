from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "decision._alpha", "decision._families", "decision._least", "decision._part", "estimators.calibration",
    "estimators.mean", "estimators.proportion", "estimators.quantile", "estimators.value", "pillars.bootstrap",
    "planning._plan", "estimators.exponent", "scenarios.cost_scaling", "scenarios.cost_substrate",
    "scenarios.memory_growth",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_documentation_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"ophamin.measuring.{name}"))
    assert result.attempted
    assert not result.failed
