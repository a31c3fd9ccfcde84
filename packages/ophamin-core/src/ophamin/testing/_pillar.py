"""The contract of a pillar."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from ophamin.proof.errors import OphaminError
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import Columns, Pillar, PillarResult
from ophamin.testing._values import assert_columns, assert_installed, assert_json, attempt, snapshot

__all__ = ["check_pillar"]

_ROWS = 60


def check_pillar(
    cls: type[Pillar], columns: Columns | None = None, *, options: Mapping[str, Any] | None = None, seed: int = 3
) -> None:
    """Check that a pillar attributes what it finds, repeats it, and refuses in words.

    Args:
        cls: The pillar.
        columns: A table it can analyse; default: 60 rows made up from the names of its columns.
        options: Options of every call.
        seed: Seed of every call.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    pillar, options = cls(), dict(options or {})
    assert isinstance(pillar, Pillar), f"{cls.__name__} lacks a member of Pillar"
    assert pillar.name, "the pillar has no name"
    assert pillar.library, "the pillar does not say which library it wraps"
    assert isinstance(pillar.columns, Mapping), "columns maps each column's name to what it holds"
    assert pillar.columns, "the pillar asks for no column"
    assert all(isinstance(t, str) and t.strip() for t in pillar.columns.values()), "a column is not described"
    table = dict(columns) if columns is not None else {name: _made_up(name) for name in pillar.columns}
    before, rows = snapshot(table), assert_columns(table, "the example")

    result = pillar.compute(table, seed=seed, **options)
    _check_result(result, pillar)
    assert table == before, "the pillar changed its columns"
    again = cls().compute(table, seed=seed, **options)
    assert repr(again.to_dict()) == repr(result.to_dict()), "the same seed gave other results"

    holes = {name: [None, *list(values)[1:]] for name, values in table.items()}
    _refuses_or_answers(pillar, holes, "a missing value", options, seed)
    _refuses_or_answers(pillar, {name: list(values)[:1] for name, values in table.items()}, "one row", options, seed)
    _refuses_or_answers(pillar, {name: [] for name in table}, "an empty table", options, seed)
    if rows:
        _, refused = attempt(lambda: pillar.compute({}, seed=seed, **options), OphaminError, "a table without columns")
        assert refused, "without its columns a pillar must raise UsageError and name what is missing"


def _made_up(name: str) -> list[Any]:
    rng = random.Random(f"column {name}")
    if name in ("group", "cluster", "arm", "unit"):
        return [f"{name}{i % (2 if name == 'arm' else 12)}" for i in range(_ROWS)]
    if name in ("time", "index", "step"):
        return list(range(_ROWS))
    if name in ("treatment", "label", "outcome", "success"):
        return [rng.randrange(2) for _ in range(_ROWS)]
    return [rng.gauss(0.0, 1.0) for _ in range(_ROWS)]


def _check_result(result: PillarResult, pillar: Pillar) -> None:
    assert isinstance(result, PillarResult), f"compute() gave a {type(result).__name__}, not a PillarResult"
    assert result.evidence, "the pillar found nothing: no evidence"
    for item in result.evidence:
        assert isinstance(item, PillarEvidence), f"evidence is a {type(item).__name__}, not PillarEvidence"
        what = f"the evidence {item.statistic_name!r}"
        assert item.pillar == pillar.name, f"{what} says it is of pillar {item.pillar!r}, not {pillar.name!r}"
        assert item.statistic_name, "an evidence item has no statistic_name"
        assert_installed(item.library, item.library_version, what)
        assert_json(item, what)
        assert item.p_value is None or 0 <= item.p_value <= 1, f"{what} has the p-value {item.p_value}"
        if item.ci_low is not None and item.ci_high is not None:
            assert item.ci_low <= item.ci_high, f"{what} has its interval the wrong way round"
    for name, table in result.tables.items():
        assert_columns(table, f"the table {name!r}")
    assert all(isinstance(w, str) and w for w in result.warnings), "warnings are sentences"
    assert_json(result.to_dict(), "the result")
    assert isinstance(result.summary(), str), "summary() must be text"


def _refuses_or_answers(pillar: Pillar, table: Columns, what: str, options: Mapping[str, Any], seed: int) -> None:
    result, _ = attempt(lambda: pillar.compute(table, seed=seed, **options), OphaminError, f"compute() of {what}")
    if result is not None:
        assert_json(result.to_dict(), f"the result from {what}")
