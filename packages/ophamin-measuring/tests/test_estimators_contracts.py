"""Every estimator and the pillar keep their contracts."""

from __future__ import annotations

import random

import pytest

from ophamin.registry import estimators
from ophamin.testing import check_estimator

RNG = random.Random(11)
N = 240
OK = ["ok"] * N
CONFIDENCE = [RNG.uniform(0.5, 1) for _ in range(N)]
SHARE = {"value": [int(RNG.random() < 0.8) for _ in range(N)], "status": OK}
NUMBERS = {"value": [RNG.gauss(5, 2) for _ in range(N)], "status": OK}
CALIBRATION = {"confidence": CONFIDENCE, "correct": [int(RNG.random() < c) for c in CONFIDENCE], "status": OK}
SIZES = [0, *(10 * 2**k for k in range(9))]
COSTS = {"size": SIZES, "value": [s**1.3 * RNG.lognormvariate(0, 0.05) for s in SIZES], "status": ["ok"] * len(SIZES)}
GROUPS = {"group": [f"g{i % 40}" for i in range(N)]}


@pytest.mark.parametrize(
    ("name", "columns", "options"),
    [
        ("proportion", SHARE, {}),
        ("proportion", {**SHARE, **GROUPS}, {}),
        ("proportion", {**SHARE, **GROUPS}, {"method": "korn-graubard"}),
        ("mean", NUMBERS, {}),
        ("mean", {**NUMBERS, **GROUPS}, {}),
        ("mean", SHARE, {"support": [0, 1]}),
        ("mean", SHARE, {"support": [0, 1], "method": "empirical-bernstein"}),
        ("quantile", NUMBERS, {"q": 0.9}),
        ("calibration-error", CALIBRATION, {}),
        ("brier-skill", CALIBRATION, {}),
        ("exponent", COSTS, {}),
        ("exponent", COSTS, {"part": "top"}),
        ("value", {"value": [3], "status": ["ok"]}, {}),
    ],
)
def test_estimator(name, columns, options):
    check_estimator(estimators.get(name), columns, options=options)
