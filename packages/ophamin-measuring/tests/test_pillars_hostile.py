"""Tables nobody should give, given to every pillar: a result that says so or one sentence, never a raw warning."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

from ophamin import registry
from ophamin.proof.errors import OphaminError, UsageError
from ophamin.protocols import PillarResult

N = 24
PLAIN: dict[str, list[Any]] = {
    "group": [f"g{i % 6}" for i in range(N)],
    "arm": ["ab"[i % 2] for i in range(N)],
    "treatment": [i * 7 % 5 % 2 for i in range(N)],
    "phase1": [i < 12 for i in range(N)],
    "subgroup": [i // 4 for i in range(N)],
    "part": ["calibration" if i < 16 else "test" for i in range(N)],
    "variance": [0.1 + i % 3 / 10 for i in range(N)],
    "size": [20 + i % 3 for i in range(N)],
    "count": [i % 5 for i in range(N)],
}
NORMAL = [math.sin(9 * i) + i / 50 for i in range(N)]
HOSTILE: dict[str, list[Any]] = {
    "beyond all floats": [10**400] * N,
    "squares overflow": [v * 1e300 for v in NORMAL],
    "squares vanish": [v * 1e-300 for v in NORMAL],
    "lists": [[1]] * N,
    "nan": [math.nan] * N,
    "one value": [1.0] * N,
    "level by row": [float(i) for i in range(N)],
    "ties": [float(i % 2) for i in range(N)],
    "codes": [i % 5 + 1 for i in range(N)],
}
# Whose one computation takes a second and more; the shared checks of the contract try them.
SLOW = {"F.causal_forest", "F.linear_dml", "F.refute", "D.posterior", "N.nested_cv", "N.compare_learners"}
# A tenth of one: given hostile columns only, not one hostile column among plain ones.
DEAR = {"M.lmm", "M.lrt", "M.anova_factorial", "O.cusum", "O.ewma", "N.cross_validation", "N.jackknife_plus"}
OURS = [n for n in registry.pillars.names() if registry.pillars.origin(n).startswith("ophamin-measuring")]


def _tables(name: str, columns: list[str]) -> list[dict[str, list[Any]]]:
    tables = [dict.fromkeys(columns, values) for values in HOSTILE.values()]
    if name not in DEAR:
        plain = {name: PLAIN.get(name, NORMAL) for name in columns}
        tables += [{**plain, name: values} for name in columns[:2] for values in HOSTILE.values()]
    return tables


def _given(pillar: Any, table: dict[str, list[Any]]) -> PillarResult | str:
    """The result, or the one sentence there is instead; a raw warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result: PillarResult = pillar.compute(table, seed=0)
        except OphaminError as error:
            return str(error)
    return result


@pytest.mark.parametrize("name", sorted(set(OURS) - SLOW))
def test_no_table_surprises_a_pillar(name: str) -> None:
    pillar = registry.get_pillar(name)()
    for table in _tables(name, list(pillar.columns)[:3]):
        found = _given(pillar, table)
        if isinstance(found, str):
            assert "\n" not in found
            assert len(found) < 300
            continue
        for item in found.evidence:
            assert item.statistic_value is not None or found.warnings, f"{item.statistic_name} is silently absent"
            numbers = [v for v in (item.statistic_value, item.ci_low, item.ci_high) if isinstance(v, float)]
            assert not any(map(math.isnan, numbers)), item


def test_what_a_number_has_to_be_is_said() -> None:
    spc = registry.get_pillar("O.individuals")()
    for values, words in (
        ([1.0, 10**400], "row 2"),
        ([1e200, 2e200], "in other units"),
        ([1e-200, 2e-200], "in other units"),
        ([1.0, [2.0]], r"\[2.0\] in row 2"),
    ):
        with pytest.raises(UsageError, match=words):
            spc.compute({"value": values}, seed=0)
    with pytest.raises(UsageError, match="text, numbers or None"):
        registry.get_pillar("M.anova")().compute({"value": [1, 2], "group": [[1], "b"]}, seed=0)


def test_a_model_of_too_many_parameters_is_refused_before_it_fills_the_memory() -> None:
    table = {"value": [float(i) for i in range(200)]} | {f: list(range(200)) for f in ("factor", "factor_2")}
    (words,) = registry.get_pillar("M.anova_factorial")().compute(table, seed=0).warnings
    assert "lower the order" in words
