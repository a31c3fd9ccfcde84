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


ARM = {"arm": ["base", "head"] * (N // 2)}
PAIR = {"pair": [i // 2 for i in range(N)]}
OTHER = {"other": [v + RNG.gauss(0, 2) for v in NUMBERS["value"]]}
TIME = {"time": list(range(N))}
P_VALUES = {"value": [RNG.random() ** 3 for _ in range(20)], "status": ["ok"] * 20}


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
        ("difference.newcombe", {**SHARE, **ARM}, {}),
        ("difference.clopper-pearson", {**SHARE, **ARM}, {"arms": ["head", "base"]}),
        ("difference.mean", {**NUMBERS, **ARM}, {}),
        ("difference.mean", {**NUMBERS, **ARM, **PAIR}, {}),
        ("difference.mean", {**NUMBERS, **ARM, **GROUPS}, {}),
        ("difference.mean", {**NUMBERS, **ARM, "group": [i // 4 for i in range(N)]}, {}),
        ("difference.mean", {**NUMBERS, **ARM, **PAIR, "group": [i // 6 for i in range(N)]}, {"support": [-10, 20]}),
        ("tost", {**NUMBERS, **ARM}, {}),
        ("tost", NUMBERS, {}),
        ("slope.hac", {**NUMBERS, **TIME}, {}),
        ("slope.hac", {**NUMBERS, **TIME, **GROUPS}, {}),
        ("correlation", {**NUMBERS, **OTHER}, {}),
        ("correlation", {**NUMBERS, **OTHER}, {"kind": "spearman"}),
        ("effect-size", {**NUMBERS, **ARM}, {}),
        ("effect-size", {**NUMBERS, **ARM, **PAIR}, {}),
        ("holm", P_VALUES, {}),
        ("holm", P_VALUES, {"method": "hochberg"}),
    ],
)
def test_estimator(name, columns, options):
    check_estimator(estimators.get(name), columns, options=options)
