from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from ophamin.measuring.estimators.calibration import brier_skill, calibration_error
from ophamin.proof.errors import UsageError

Columns = dict[str, list[float]]


def uniform(rng: np.random.Generator, n: int, gap: float, groups: int = 0) -> Columns:
    c = rng.uniform(0.5, 1, n)
    columns: Columns = {"confidence": c.tolist(), "correct": (rng.random(n) < np.clip(c - gap, 0, 1)).tolist()}
    if groups:
        columns["group"] = (np.arange(n) % groups).tolist()
    return columns


def missed(estimator: object, draw: Callable[[], Columns], truth: float, runs: int) -> tuple[float, float]:
    low = high = 0
    for i in range(runs):
        e = estimator(draw(), confidence=0.95, seed=i)  # type: ignore[operator]
        low += e.lower is not None and e.lower > truth
        high += e.upper is not None and e.upper < truth
    return low / runs, high / runs


def limit(runs: int) -> float:
    return 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)


def test_error_and_bound_by_hand() -> None:
    # Two bins: in one 3 of 4 right at 0.75, in the other 1 of 4 right at 0.55: ECE = (0 + |1 − 2.2|) / 8.
    columns: Columns = {"confidence": [0.75] * 4 + [0.55] * 4, "correct": [1, 1, 1, 0, 1, 0, 0, 0]}
    columns = {name: column * 50 for name, column in columns.items()}
    e = calibration_error(columns, confidence=0.95)
    assert e.value == pytest.approx(1.2 / 8)
    d2 = (3 * 0.25**2 + 0.75**2 + 0.45**2 + 3 * 0.55**2) / 8
    assert e.upper == pytest.approx(0.15 + 1.6448536269514722 * math.sqrt((d2 - 0.15**2) / 400))


def test_bins_are_as_registered() -> None:
    columns: Columns = {"confidence": [0.55, 0.85] * 20, "correct": [0, 1] * 20}
    one = calibration_error(columns, confidence=0.95, bins=1)
    many = calibration_error(columns, confidence=0.95, bins=[0.0, 0.7, 1.0])
    assert one.value == pytest.approx(0.2)
    assert many.value == pytest.approx(0.35)
    with pytest.raises(UsageError, match="rising edges"):
        calibration_error(columns, confidence=0.95, bins=[0.0, 0.5])


def test_p_values_are_dual() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        columns, theta = uniform(rng, 300, 0.08), float(rng.uniform(0.01, 0.2))
        e = calibration_error(columns, confidence=0.95, seed=2, threshold=theta, comparator="<=")
        assert ((e.upper or 1) <= theta) is ((e.p_validated or 0) <= 0.05)
        assert ((e.lower or 0) > theta) is ((e.p_refuted or 0) <= 0.05)
        theta = float(rng.uniform(-0.05, 0.05))
        b = brier_skill(columns, confidence=0.95, threshold=theta, comparator=">")
        assert (b.lower > theta) is (b.p_validated <= 0.05)  # type: ignore[operator]
        assert (b.upper < theta) is (b.p_refuted <= 0.05)  # type: ignore[operator]


def test_no_constant_is_skilful() -> None:
    rng = np.random.default_rng(1)
    for c in (0.0, 0.3, 0.7, 0.71, 1.0):
        for n in (20, 200):
            y = (rng.random(n) < 0.7).tolist()
            e = brier_skill({"confidence": [c] * n, "correct": y}, confidence=0.95)
            assert e.problem or (e.lower is not None and e.lower <= 0)


def test_brier_skill_is_the_difference_of_scores() -> None:
    columns: Columns = {"confidence": [0.9, 0.2, 0.6, 0.4], "correct": [1, 0, 1, 1]}
    e = brier_skill(columns, confidence=0.95)
    brier = (0.01 + 0.04 + 0.16 + 0.36) / 4
    assert e.detail["brier"] == pytest.approx(brier)
    assert e.value == pytest.approx(0.75 * 0.25 - brier)
    assert e.detail["skill_score"] == pytest.approx(1 - brier / (0.75 * 0.25))


def test_a_contribution_stands_for_a_failed_row() -> None:
    rng = np.random.default_rng(3)
    columns = uniform(rng, 200, 0.0)
    failed: dict[str, list[float | None]] = {
        "confidence": [*columns["confidence"], *[None] * 20],
        "correct": [*columns["correct"], *[None] * 20],
    }
    plain = calibration_error(failed, confidence=0.95)
    assert plain.n == 200
    high = calibration_error({**failed, "contribution": [None] * 200 + [1.0] * 20}, confidence=0.95, seed=1)
    low = calibration_error({**failed, "contribution": [None] * 200 + [-1.0] * 20}, confidence=0.95, seed=1)
    assert high.n == low.n == 220
    assert (high.upper or 0) > (plain.upper or 1) + 0.05
    assert (low.lower or 0) <= (plain.lower or 0)
    assert high.value == pytest.approx(((plain.value or 0) * 200 + 20) / 220)
    skill = brier_skill({**failed, "contribution": [None] * 200 + [-1.0] * 20}, confidence=0.95)
    assert skill.value is not None
    assert skill.value < -0.05


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"confidence": [1.2, 0.5], "correct": [1, 0]}, "between 0 and 1"),
        ({"confidence": [0.2, 0.5], "correct": [1, 2]}, "0 and 1"),
        ({"confidence": [0.2, math.nan], "correct": [1, 1]}, "not finite"),
        ({"confidence": [], "correct": []}, "no observations"),
        ({"confidence": [0.2, 0.5, 0.9], "correct": [1, 0, 1], "group": [1, 1, 2]}, "fewer than 20"),
    ],
)
def test_bad_input_is_a_problem(columns: Columns, problem: str) -> None:
    assert problem in calibration_error(columns, confidence=0.95).problem
    assert problem in brier_skill(columns, confidence=0.95).problem


def test_one_kind_of_outcome_leaves_nothing_to_explain() -> None:
    assert "same" in brier_skill({"confidence": [0.9] * 30, "correct": [1] * 30}, confidence=0.95).problem


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 200, 1000])
@pytest.mark.parametrize("gap", [0.05, 0.1])
def test_calibration_error_is_held_on_each_side(n: int, gap: float) -> None:
    rng = np.random.default_rng([n, int(100 * gap)])
    assert max(missed(calibration_error, lambda: uniform(rng, n, gap), gap, 600)) <= limit(600)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "wrong"), [(60, 0.05), (100, 0.05), (400, 0.02), (1000, 0.02)])
def test_a_system_that_is_nearly_always_sure(n: int, wrong: float) -> None:
    # It says 0.995 or 0.005 and is wrong more often than it says: the error is wrong − 0.005.
    rng = np.random.default_rng(n)

    def draw() -> Columns:
        right = rng.random(n) >= wrong
        yes = rng.random(n) < 0.5
        return {"confidence": np.where(yes, 0.995, 0.005).tolist(), "correct": (right == yes).tolist()}

    assert max(missed(calibration_error, draw, wrong - 0.005, 1000)) <= limit(1000)


@pytest.mark.slow
def test_calibration_error_with_signs_that_alternate() -> None:
    rng = np.random.default_rng(4)

    def draw() -> Columns:
        c = rng.uniform(0.5, 0.9, 500)
        sign = np.where((c * 10).astype(int) % 2 == 0, 1, -1)
        return {"confidence": c.tolist(), "correct": (rng.random(500) < c + 0.08 * sign).tolist()}

    assert max(missed(calibration_error, draw, 0.08, 1000)) <= limit(1000)


@pytest.mark.slow
def test_grouped_calibration_is_held() -> None:
    rng = np.random.default_rng(5)

    def draw() -> Columns:
        shift = rng.normal(0, 0.1, 30)
        group = np.arange(300) % 30
        c = rng.uniform(0.55, 0.85, 300)
        p = np.clip(c - 0.1 + shift[group], 0, 1)
        return {"confidence": c.tolist(), "correct": (rng.random(300) < p).tolist(), "group": group.tolist()}

    # The clipped shift moves the mean by less than 0.002.
    assert missed(calibration_error, draw, 0.104, 1000)[0] <= limit(1000)
    assert missed(calibration_error, draw, 0.096, 1000)[1] <= limit(1000)


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 100, 800])
def test_brier_skill_is_held_at_zero(n: int) -> None:
    # Right with probability ½ + (c − ½)/2: overconfident by just so much that all skill is lost.
    rng = np.random.default_rng(n)

    def draw() -> Columns:
        c = rng.uniform(0, 1, n)
        return {"confidence": c.tolist(), "correct": (rng.random(n) < 0.5 + 0.5 * (c - 0.5)).tolist()}

    low, high = missed(brier_skill, draw, 0.0, 800)
    assert max(low, high) <= limit(800)
    assert low >= 0.02  # the validating side is not merely timid
