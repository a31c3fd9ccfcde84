"""Cases computed by R on data of our own: made by hand for their faults, or drawn and rounded.

``AREA.json`` names the versions of R's packages, the data by name, and the cases: id, method, the call in R, the name of
its data, options, what R gave, and a relative tolerance. ``null`` stands for R's NA: there is no number. A test module
names its ``AREA`` and ``ANSWERS``, method → function of (data, options) that gives the numbers asked for. What R gives
only as an artefact (tolerances that do not scale with the data, an ended series) is not among the cases.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Answer = Callable[[Any, Any], dict[str, Any]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    whole = json.loads((Path(__file__).parent / f"{metafunc.module.AREA}.json").read_text(encoding="utf-8"))
    cases = [[name, method, whole["data"][data], *rest] for name, method, _, data, *rest in whole["cases"]]
    metafunc.parametrize("case", [pytest.param(case, id=case[0]) for case in cases])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _same(wanted: Any, got: Any, tolerance: float) -> bool:
    if isinstance(wanted, (str, bool)):
        return bool(wanted == got)
    none_wanted, none_got = wanted is None, got is None or math.isnan(got)
    if none_wanted or none_got:
        return none_wanted and none_got
    return abs(wanted - got) <= tolerance * max(abs(wanted), abs(got)) + 1e-11


@pytest.fixture
def agrees(case: list[Any]) -> Callable[[dict[str, Answer]], None]:
    """Asserts that the answer holds each of R's numbers within the tolerance."""
    _, method, data, options, expected, tolerance = case

    def check(answers: dict[str, Answer]) -> None:
        answer = answers[method](data, options)
        assert set(expected) <= set(answer)
        for key, value in expected.items():
            wanted, got = _list(value), _list(answer[key])
            assert len(wanted) == len(got), key
            wrong = [(w, g) for w, g in zip(wanted, got, strict=True) if not _same(w, g, tolerance)]
            assert not wrong, (key, wrong)

    return check
