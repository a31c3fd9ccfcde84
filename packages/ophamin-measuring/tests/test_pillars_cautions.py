"""What is known to mislead is said in the result."""

from __future__ import annotations

from typing import Any

import pytest

from ophamin import registry

STUDIES = {"effect": [0.1, 0.3, 0.35, 0.65], "variance": [0.03, 0.03, 0.05, 0.01]}
ALIKE = {"effect": [0.3, 0.31, 0.3, 0.29], "variance": [0.03, 0.03, 0.05, 0.01]}
SPLITS = {"score": [0.8, 0.82, 0.79], "other": [0.83, 0.86, 0.85]}
ROWS = {"target": [float(i * i % 7) for i in range(30)], "feature": [float(i) for i in range(30)]}
SPLIT = {
    "target": [float(i * i % 7) for i in range(30)],
    "prediction": [3.0] * 30,
    "part": ["calibration"] * 20 + ["test"] * 10,
}
NEW = {**ROWS, "target": [*ROWS["target"][:-1], None]}


@pytest.mark.parametrize(
    ("name", "columns", "options", "words"),
    [
        ("A.sprt", {"value": [1] * 10}, {"h0": 0.1, "h1": 0.3}, "no claim with a threshold between them"),
        ("I.meta", STUDIES, {"method": "DL", "test": "z"}, "4 studies and a normal interval: it is narrower"),
        ("I.leave_one_out", STUDIES, {"method": "DL", "test": "z"}, "4 studies and a normal interval"),
        ("I.cumulative", STUDIES, {"method": "DL", "test": "z"}, "4 studies and a normal interval"),
        ("I.meta", ALIKE, {"test": "knapp-hartung"}, "smaller than the normal one (here it is)"),
        ("I.meta", STUDIES, {"method": "FE", "test": "knapp-hartung"}, "smaller than the normal one (here it is not)"),
        ("I.cumulative", STUDIES, {}, "4 looks without a correction"),
        ("N.jackknife_plus", NEW, {"alpha": 0.1}, "at least 80% is guaranteed"),
        ("D.anticipatory_failure", SPLIT, {"alpha": 0.1}, "one calibration set of 20 covers less than 90% in"),
        ("N.compare_learners", SPLITS, {"test_share": 0.5}, "speaks of the learners"),
    ],
)
def test_it_is_said(name: str, columns: dict[str, Any], options: dict[str, Any], words: str) -> None:
    pillar = registry.get_pillar(name)()
    table = {c: v for c, v in columns.items() if c in pillar.columns}
    if name == "N.compare_learners":
        table = dict(zip(list(pillar.columns)[:2], columns.values(), strict=True))
    found = pillar.compute(table, seed=0, **options)
    assert any(words in warning for warning in found.warnings), found.warnings


def test_a_corrected_series_is_not_warned_of_its_looks() -> None:
    found = registry.get_pillar("I.cumulative")().compute(STUDIES, seed=0, max_information=500.0)
    assert not any("looks without a correction" in warning for warning in found.warnings)
