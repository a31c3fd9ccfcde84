from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import itertools
import json
import math
from collections import OrderedDict, namedtuple
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.proof.canonical import canonical_bytes
from ophamin.seeing.substrate._json import UnsuitableOutput, as_output, to_json


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Verdict:
    blocked: bool
    scores: np.ndarray


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int32(7), 7),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.float32("nan"), None),
        (math.inf, None),
        ({"p": -math.inf}, {"p": None}),
        ((1, "a", None), [1, "a", None]),
        ({3, 1, 2}, [1, 2, 3]),
        (b"plain", "plain"),
        (b"\xff\x00", {"base64": "/wA="}),
        (Colour.RED, "red"),
        (Pair(1, [2]), {"a": 1, "b": [2]}),
        (OrderedDict(x=1), {"x": 1}),
        ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (decimal.Decimal("0.25"), 0.25),
        (PurePosixPath("a/b"), "a/b"),
        ("\ud800x", "\\ud800x"),
        (range(3), [0, 1, 2]),
        pytest.param((i for i in "ab"), ["a", "b"], id="generator"),
    ],
    ids=repr,
)
def test_rules(value: object, expected: object) -> None:
    plain = to_json(value)
    assert json.dumps(plain) == json.dumps(expected)
    canonical_bytes({"output": plain})


def test_a_dataclass_with_an_array_becomes_an_object() -> None:
    assert to_json(Verdict(True, np.array([0.25, np.nan]))) == {"blocked": True, "scores": [0.25, None]}


def test_only_an_object_stays_whole() -> None:
    assert as_output({"a": 1}) == {"a": 1}
    assert as_output([1]) == {"output": [1]}
    assert as_output(None) == {"output": None}


def cyclic() -> list[object]:
    loop: list[object] = []
    loop.append(loop)
    return loop


def test_what_has_no_json_form_is_refused() -> None:
    deep: object = 0
    for _ in range(70):
        deep = [deep]
    for bad in (cyclic(), deep, "x" * 10_000_001, object(), {"f": len}, 10**5000, {(1, 2): 3}, {1: 0, "1": 0}):
        with pytest.raises(UnsuitableOutput):
            to_json(bad)


def test_endless_and_huge_outputs_end() -> None:
    with pytest.raises(UnsuitableOutput, match="10 MB"):
        to_json(itertools.count())
    with pytest.raises(UnsuitableOutput, match="10 MB"):
        to_json(np.broadcast_to(np.float64(0), (10**6, 10**6)))  # 8 TB, were it copied


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_plain_json_passes_unchanged(value: object) -> None:
    assert json.dumps(to_json(value)) == json.dumps(value)


@given(st.recursive(st.floats() | st.binary() | st.text(st.characters(codec=None)) | st.sets(st.integers()), st.lists))
def test_whatever_comes_out_is_canonical(value: object) -> None:
    canonical_bytes({"output": to_json(value)})
