"""Comparing asks measuring's pillars: commits pooled under one truth, and charted."""

from __future__ import annotations

import random

import pytest

from ophamin.comparing.series.charts import chart
from ophamin.comparing.series.pooling import pool
from ophamin.proof.errors import UsageError

SE = [0.02] * 16
N = [200] * 16


def values(shift: float = 0.0, mean: float = 0.93, seed: int = 0) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(mean + (shift if i >= 8 else 0.0), 0.02) for i in range(16)]


def test_commits_of_one_truth_are_pooled_and_the_interval_pays_for_the_looks() -> None:
    found = pool(values(), SE, N, theta=0.9, max_n=16 * 200)
    assert found.one_truth
    assert found.lower is not None
    assert found.lower > 0
    assert found.crossed is not None
    step = found.steps[3]
    assert step.lower is not None
    assert step.lower < step.value - 1.96 * step.se


def test_commits_that_changed_are_not_pooled() -> None:
    found = pool(values(-0.1), SE, N, theta=0.9, max_n=16 * 200)
    assert not found.one_truth
    assert found.value is None
    assert "changed at commit 8" in found.reason


def test_commits_that_differ_by_more_than_their_errors_are_not_pooled() -> None:
    spread = [0.93 + (0.06 if i % 2 else -0.06) for i in range(16)]
    found = pool(spread, SE, N, theta=0.9, max_n=16 * 200)
    assert not found.one_truth
    assert "standard errors" in found.reason


def test_pooling_needs_a_registered_maximum() -> None:
    with pytest.raises(UsageError, match="register the maximum"):
        pool(values(), SE, N, theta=0.9, max_n=0)


@pytest.mark.parametrize("name", ["individuals", "ewma", "cusum"])
def test_a_chart_signals_after_the_shift(name: str) -> None:
    calm, moved = chart(values(), name, baseline=8), chart(values(-0.2), name, baseline=8)
    assert str(calm.diagnostics) != str(moved.diagnostics)
    assert calm.tables
    with pytest.raises(UsageError):
        chart(values(), name, baseline=99)
    with pytest.raises(UsageError, match="individuals"):
        chart(values(), "pie")
