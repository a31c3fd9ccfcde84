"""Cases computed by others: published tables and an independent oracle, beside the checkout (``OPHAMIN_SHARED``).

A test module names its ``PILLAR`` letter and ``ANSWERS``, method → function of (case, frame) that gives the
numbers asked for; its test of a ``case`` is run for every case of that pillar.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Answer = Callable[[dict[str, Any], Any], dict[str, Any]]


def _folder() -> Path | None:
    shared = os.environ.get("OPHAMIN_SHARED", "")
    return Path(shared) / "reference" if shared else None


def _cases(pillar: str) -> list[dict[str, Any]]:
    folder = _folder()
    if folder is None:
        return []
    cases = json.loads((folder / "cases_open.json").read_text(encoding="utf-8"))
    return [case for case in cases if case["pillar"] == pillar]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every case of the module's pillar, or one skip that says why there are none."""
    if "case" not in metafunc.fixturenames:
        return
    found = [pytest.param(case, id=case["id"], marks=pytest.mark.data) for case in _cases(metafunc.module.PILLAR)]
    nothing = pytest.param(
        None, id="absent", marks=[pytest.mark.data, pytest.mark.skip(reason="OPHAMIN_SHARED is not set")]
    )
    metafunc.parametrize("case", found or [nothing])


@pytest.fixture
def agrees(case: dict[str, Any]) -> Callable[[dict[str, Answer]], None]:
    """Asserts that the answer to the case lies within its tolerance, by the comparison that came with the cases."""
    folder = _folder()
    assert folder is not None
    spec = importlib.util.spec_from_file_location("reference_compare", folder / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def check(answers: dict[str, Answer]) -> None:
        names = case.get("data_file") or []
        frames = [pd.read_csv(folder / name) for name in ([names] if isinstance(names, str) else names)]
        frame = frames if len(frames) > 1 else frames[0] if frames else None
        bad, missing = module.compare(case, answers[case["method"]](case, frame))
        assert not bad, bad
        assert not missing, f"not answered: {missing}"

    return check
