from __future__ import annotations

import math
from importlib.metadata import version

import numpy as np
import pytest
from scipy import stats

from ophamin.measuring.pillars.bootstrap import Bootstrap
from ophamin.proof.errors import UsageError
from ophamin.registry import get_pillar

MOUSE = [94, 197, 16, 38, 99, 141, 23]


def test_is_found_by_name() -> None:
    assert get_pillar("N.bootstrap") is Bootstrap


def test_ideal_standard_errors_as_published() -> None:
    # Efron & Tibshirani (1993), table 2.1, B = infinity: 23.36 for the mean, 37.83 for the median.
    for statistic, value, error in (("mean", 86.857, 23.36), ("median", 94, 37.83)):
        result = Bootstrap().compute(
            {"value": MOUSE}, seed=3, statistic=statistic, method="percentile", resamples=20000
        )
        item = result.evidence[0]
        assert item.statistic_value == pytest.approx(value, abs=1e-3)
        assert item.detail["standard_error"] == pytest.approx(error, rel=0.02)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_agrees_with_scipy_and_is_attributed(method: str) -> None:
    x = np.random.default_rng(0).lognormal(size=80)
    item = Bootstrap().compute({"value": x.tolist()}, seed=5, method=method, resamples=2000).evidence[0]
    rng = np.random.default_rng(5)
    name = {"bca": "BCa"}.get(method, method)
    other = stats.bootstrap((x,), np.mean, n_resamples=2000, confidence_level=0.9, method=name, rng=rng, batch=2000)
    assert (item.ci_low, item.ci_high) == pytest.approx(tuple(other.confidence_interval))
    assert (item.library, item.library_version) == ("scipy", version("scipy"))
    assert (item.n, item.n_groups, item.role, item.guarantee) == (80, 80, "secondary", "approximate")


def test_is_seeded() -> None:
    once, again, other = (Bootstrap().compute({"value": MOUSE}, seed=s).evidence[0] for s in (1, 1, 2))
    assert once == again
    assert once.ci_low != other.ci_low


def test_groups_are_resampled_whole() -> None:
    value = [float(v) for v in MOUSE for _ in range(50)]
    grouped = Bootstrap().compute({"value": value, "group": [i // 50 for i in range(350)]}, seed=1).evidence[0]
    alone = Bootstrap().compute({"value": MOUSE}, seed=1).evidence[0]
    assert (grouped.ci_low, grouped.ci_high) == (alone.ci_low, alone.ci_high)
    assert (grouped.n, grouped.n_groups) == (350, 7)


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ([], "at least 2"),
        ([3.0, None], "at least 2"),
        ([4, 4, 4, 4], "no spread"),
        ([1, 1, 1, 1, 1, 2], "fewer than 50"),
    ],
)
def test_degenerate_data_is_a_typed_result(value: list[float | None], warning: str) -> None:
    result = Bootstrap().compute({"value": value}, seed=0, statistic="median")
    assert any(warning in w for w in result.warnings)
    if "fewer" not in warning:
        assert result.evidence[0].ci_low is None
        assert result.evidence[0].ci_high is None
    result.to_dict()


def test_misuse_is_refused() -> None:
    for options in ({"statistic": "mode"}, {"method": "studentised"}, {"confidence": 0.1}, {"resamples": 5}, {"b": 1}):
        with pytest.raises(UsageError):
            Bootstrap().compute({"value": MOUSE}, seed=0, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not finite"):
        Bootstrap().compute({"value": [1.0, math.nan]}, seed=0)
    with pytest.raises(UsageError, match="column 'value'"):
        Bootstrap().compute({"x": [1.0]}, seed=0)
