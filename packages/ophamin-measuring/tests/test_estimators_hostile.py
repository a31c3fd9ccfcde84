"""Values nobody should measure: an estimate that says why it cannot decide, never an exception of the machine."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from ophamin.proof.errors import OphaminError
from ophamin.registry import estimators

N = 24
HOSTILE: dict[str, list[Any]] = {
    "beyond all floats": [10**400, *range(N - 1)],
    "squares overflow": [(-1) ** i * 1e300 for i in range(N)],
    "infinite": [float("inf"), *range(N - 1)],
    "lists": [[1]] * N,
}
BESIDE: dict[str, dict[str, list[Any]]] = {
    "nothing": {},
    "arms": {"arm": ["base", "head"] * (N // 2)},
    "times": {"time": list(range(N))},
    "sizes": {"size": [2**i for i in range(N)]},
    "another": {"other": [float(i * i % 7) for i in range(N)]},
}
OPTIONS: dict[str, dict[str, Any]] = {"quantile": {"q": 0.9}, "value": {"statistic": "mean"}}


@pytest.mark.parametrize("values", HOSTILE)
@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("name", estimators.names())
def test_no_value_surprises_an_estimator(name: str, beside: str, values: str) -> None:
    column = HOSTILE[values]
    tables = [{"value": column, **BESIDE[beside]}]
    if beside == "nothing":
        tables.append({"confidence": column, "correct": [1] * N, "value": [1] * N})
    for table in tables:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found = estimators.get(name)(table, confidence=0.95, seed=0, **OPTIONS.get(name, {}))
            except OphaminError:
                continue  # a column it needs is not there
        assert found.value is not None or found.problem


def test_what_has_no_square_says_so() -> None:
    found = estimators.get("mean")({"value": HOSTILE["squares overflow"]}, confidence=0.95, seed=0)
    assert "square is no number" in found.problem
    assert (
        "beyond all floats" in estimators.get("mean")({"value": HOSTILE["beyond all floats"]}, confidence=0.95).problem
    )
    ranks = estimators.get("quantile")({"value": [1e300 * i for i in range(100)]}, confidence=0.95, q=0.5)
    assert (ranks.problem, ranks.value) == ("", 4.9e301)  # ranks need no square
