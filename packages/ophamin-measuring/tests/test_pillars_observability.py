"""Pillar O: rules against plain Python, charts of uneven subgroups, run lengths by simulation, degenerate input."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import ADWIN

from ophamin.measuring.pillars.observability import charts, run_length
from ophamin.measuring.pillars.observability.capability import capability
from ophamin.measuring.pillars.observability.constants import constants
from ophamin.measuring.pillars.observability.drift import detect
from ophamin.measuring.pillars.observability.plugins_charts import Individuals, PChart, XbarChart
from ophamin.measuring.pillars.observability.plugins_series import CusumChart, EwmaChart
from ophamin.measuring.pillars.observability.ratio import sample_ratio_mismatch
from ophamin.measuring.pillars.observability.rules import violations
from ophamin.measuring.pillars.observability.weighted import cusum, ewma
from ophamin.proof.errors import UsageError


def _plain(z: list[float]) -> dict[str, list[int]]:
    """The rules as their papers say them, a point at a time."""
    found: dict[str, list[int]] = {f"nelson-{i}": [] for i in range(1, 9)}

    def zone(i: int, limit: float, k: int, m: int) -> bool:
        part = z[max(0, i - m + 1) : i + 1]
        above, below = sum(v > limit for v in part), sum(v < -limit for v in part)
        return (above >= k and z[i] > limit) or (below >= k and z[i] < -limit)

    for i in range(len(z)):
        last = lambda k: z[i - k + 1 : i + 1] if i + 1 >= k else None  # noqa: B023, E731 - used within the pass
        if abs(z[i]) > 3:
            found["nelson-1"].append(i)
        if (p := last(9)) and (all(v > 0 for v in p) or all(v < 0 for v in p)):
            found["nelson-2"].append(i)
        if p := last(6):
            steps = [b - a for a, b in pairwise(p)]
            if all(s > 0 for s in steps) or all(s < 0 for s in steps):
                found["nelson-3"].append(i)
        if p := last(14):
            steps = [b - a for a, b in pairwise(p)]
            if all(a * b < 0 for a, b in pairwise(steps)):
                found["nelson-4"].append(i)
        if zone(i, 2, 2, 3):
            found["nelson-5"].append(i)
        if zone(i, 1, 4, 5):
            found["nelson-6"].append(i)
        if (p := last(15)) and all(abs(v) < 1 for v in p):
            found["nelson-7"].append(i)
        if (p := last(8)) and all(abs(v) > 1 for v in p):
            found["nelson-8"].append(i)
    return found


@settings(max_examples=60)
@given(
    z=st.lists(st.sampled_from([-3.5, -2.5, -1.5, -0.5, -0.2, 0.0, 0.3, 0.7, 1.5, 2.5, 3.5]), max_size=60),
    seed=st.integers(0, 99),
)
def test_rules_mark_what_plain_python_marks(z: list[float], seed: int) -> None:
    # Long quiet and alternating stretches are rare in random lists, so some are put in.
    rng = np.random.default_rng(seed)
    z = [*z, *(rng.uniform(-0.9, 0.9, 17)), *((-1) ** np.arange(17) * rng.uniform(1.1, 2, 17)), *np.arange(0.1, 1, 0.1)]
    assert {k: v.tolist() for k, v in violations(z, "nelson").items()} == _plain([float(v) for v in z])


def test_western_electric_false_alarms_come_as_often_as_published() -> None:
    # Champ & Woodall (1987), Technometrics 29:393: all four rules signal every 91.75 points on average.
    rng, lengths = np.random.default_rng(8), []
    for _ in range(2000):
        marks = [m for m in violations(rng.standard_normal(1500), "western-electric").values() if len(m)]
        lengths.append(min((int(m[0]) for m in marks), default=1499) + 1)
    assert np.mean(lengths) == pytest.approx(91.75, rel=0.07)


def test_constants_far_out() -> None:
    # Montgomery (2013), appendix VI: n = 25 has d2 = 3.931, d3 = 0.708, c4 = 0.9896.
    law = constants(25)
    assert (law.d2, law.d3, law.c4) == pytest.approx((3.931, 0.708, 0.9896), abs=5e-4)
    rng = np.random.default_rng(1)
    ranges = np.ptp(rng.standard_normal((40_000, 7)), axis=1)
    assert (ranges.mean(), ranges.std()) == pytest.approx((constants(7).d2, constants(7).d3), rel=0.01)
    for n in (1, 1001):
        with pytest.raises(UsageError):
            constants(n)


def test_uneven_subgroups_have_their_own_limits() -> None:
    rng = np.random.default_rng(2)
    sizes = [2, 5, 3, 8, 4] * 6
    names = [i for i, n in enumerate(sizes) for _ in range(n)]
    x = rng.normal(10, 2, len(names))
    for method in ("range", "sd", "pooled"):
        chart = charts.xbar(x, names, sigma_method=method)
        assert chart.sigma == pytest.approx(2, rel=0.2)
        assert chart.upper - chart.center == pytest.approx(3 * chart.sigma / np.sqrt(sizes))
    spread = charts.s_chart(x, names)
    assert (spread.lower >= 0).all()
    assert spread.center[0] / spread.sigma == pytest.approx(constants(2).c4)


def test_phase_one_alone_sets_the_limits() -> None:
    x = [1.0, 1.2, 0.9, 1.1, 1.0, 1.3, 0.8, 1.0]
    mask = [True] * 8 + [False]
    with_outlier = charts.individuals([*x, 50.0], phase1=mask)
    assert with_outlier.upper[0] == charts.individuals(x).upper[0]
    assert with_outlier.beyond.tolist() == [8]
    table = {"value": [*x, 50.0], "phase1": mask}
    assert Individuals().compute(table, seed=0).diagnostics["signals"]["individuals"]["beyond_limits"] == [8]


def test_integral_equations_agree_with_simulation() -> None:
    for shift in (0.5, 1.0):
        exact = run_length.ewma_arl(shift, lam=0.2, width=2.86)
        arl, error = run_length.autocorrelated_arl(
            "ewma", 0.0, shift=shift, lam=0.2, width=2.86, runs=1500, longest=800
        )
        assert arl == pytest.approx(exact, abs=5 * error)
        exact = run_length.cusum_arl(shift, k=0.5, h=4)
        arl, error = run_length.autocorrelated_arl("cusum", 0.0, shift=shift, k=0.5, h=4, runs=1500, longest=800)
        assert arl == pytest.approx(exact, abs=5 * error)
    assert run_length.ewma_arl(0.0, lam=1.0, width=3.0) == run_length.shewhart_arl()


def test_autocorrelation_shortens_the_run_and_is_said() -> None:
    rng = np.random.default_rng(3)
    noise, x = rng.standard_normal(400), np.zeros(400)
    for i in range(1, 400):
        x[i] = 0.6 * x[i - 1] + noise[i]
    for pillar in (EwmaChart(), CusumChart()):
        result = pillar.compute({"value": x.tolist()}, seed=1, sigma=float(x.std()), runs=200)
        lengths = {e.statistic_name: e.statistic_value for e in result.evidence}
        assert lengths["ARL0_autocorrelated"] < lengths["ARL0"] / 2
        assert any("autocorrelated" in w for w in result.warnings)
        assert pillar.compute({"value": x.tolist()}, seed=1, sigma=float(x.std()), runs=200) == result


def test_cusum_is_the_recursion() -> None:
    x = np.random.default_rng(4).normal(0, 1, 300)
    found, up, down = cusum(x, target=0.1, sigma=1.5, k=0.4, h=4), [0.0], [0.0]
    for v in x:
        up.append(max(0.0, up[-1] + v - 0.1 - 0.6))
        down.append(max(0.0, down[-1] + 0.1 - 0.6 - v))
    assert found.upper == pytest.approx(up[1:], abs=1e-9)
    assert found.lower == pytest.approx(down[1:], abs=1e-9)
    smooth, z = ewma(x, target=0.5, sigma=1.0, lam=0.3).ewma, 0.5
    for v, got in zip(x, smooth, strict=True):
        z = 0.3 * v + 0.7 * z
        assert got == pytest.approx(z)


def test_capability_by_hand_and_its_intervals() -> None:
    found = capability([9.0, 10.0, 11.0], lower=4, upper=13)
    assert (found.cp, found.cpk, found.ppk) == pytest.approx((1.5, 1.0, 1.0))
    assert found.cpm == pytest.approx(9 / (6 * math.hypot(1, 1.5)))
    one_sided = capability([9.0, 10.0, 11.0], upper=13)
    assert math.isnan(one_sided.cp)
    assert one_sided.cpk == pytest.approx(1.0)
    rng, missed = np.random.default_rng(5), 0
    for _ in range(1000):
        low, high = capability(rng.normal(0, 1, 40), lower=-3, upper=3).cp_interval
        missed += not low <= 1 <= high
    assert missed <= 87  # 1 in 500,000 at 5 %


@pytest.mark.parametrize("lam", [0.001, 0.2, 1 - 1e-12, 1.0])
def test_limits_of_an_ewma_chart_vary_as_the_formula_says_to_the_end(lam: float) -> None:
    found = ewma(np.zeros(30_000), target=1.0, sigma=2.0, lam=lam, width=3.0)
    share = 1 - (1 - lam) ** (2.0 * np.arange(1, 30_001))
    assert found.upper - 1 == pytest.approx(6 * np.sqrt(lam / (2 - lam) * share), rel=1e-12)
    assert found.upper - 1 == pytest.approx(1 - found.lower, rel=1e-12)
    settled = ewma(np.zeros(30_000), target=1.0, sigma=2.0, lam=lam, width=3.0, limits="asymptotic")
    assert found.upper[-1] == settled.upper[-1]
    assert (found.upper <= settled.upper).all()


@given(
    lengths=st.lists(st.integers(0, 400), min_size=1, max_size=5),
    clock=st.integers(1, 70),
    grace=st.integers(1, 50),
    window=st.integers(1, 9),
    delta=st.sampled_from((0.002, 0.1, 0.9)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_adwin_asked_by_its_clock_signals_where_river_asked_at_every_value_does(
    lengths: list[int], clock: int, grace: int, window: int, delta: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    stream = np.concatenate([rng.normal(3 * rng.normal(), 1, n) for n in lengths]).tolist()
    given_to = {"clock": clock, "grace_period": grace, "min_window_length": window, "delta": delta}
    river, signals = ADWIN(**given_to), []
    for i, value in enumerate(stream):
        river.update(value)
        if river.drift_detected:
            signals.append(i)
    assert detect(stream, "adwin", **given_to).changes == signals


def test_detectors_are_seeded_and_find_a_change() -> None:
    rng = np.random.default_rng(6)
    stream = [*rng.normal(0, 1, 1000), *rng.normal(3, 1, 1000)]
    for name in ("adwin", "kswin"):
        assert any(1000 <= i <= 1300 for i in detect(stream, name).changes)
    assert detect(stream, "kswin", seed=3) == detect(stream, "kswin", seed=3)
    errors = [float(v) for v in [*(rng.random(1000) < 0.1), *(rng.random(1000) < 0.6)]]
    for name in ("ddm", "hddm-a", "hddm-w"):
        assert any(1000 <= i <= 1400 for i in detect(errors, name).changes)


@pytest.mark.parametrize(
    "call",
    [
        lambda: charts.xbar([1.0], [1]),
        lambda: charts.xbar([math.nan, 1], [1, 1]),
        lambda: charts.xbar([1.0, 2.0], [1, 1], sigma_method="mad"),
        lambda: charts.r_chart([1.0, 2.0, 3.0], [1, 1, 2]),
        lambda: charts.individuals([1.0]),
        lambda: charts.p_chart([5], [4]),
        lambda: charts.np_chart([5], 4),
        lambda: charts.c_chart([-1]),
        lambda: charts.u_chart([1], [0]),
        lambda: violations([1.0], "west"),
        lambda: ewma([1.0], target=0, sigma=0),
        lambda: ewma([1.0], target=0, sigma=1, lam=0),
        lambda: cusum([], target=0),
        lambda: run_length.ewma_arl(lam=2),
        lambda: run_length.cusum_arl(h=0),
        lambda: run_length.autocorrelated_arl("ewma", 1.0),
        lambda: capability([1.0, 2.0]),
        lambda: capability([1.0, 1.0], upper=2),
        lambda: sample_ratio_mismatch([1, 2], [1]),
        lambda: sample_ratio_mismatch([0, 0], [1, 1]),
        lambda: detect([1.0], "cusum"),
        lambda: detect([0.5], "ddm"),
        lambda: detect([math.nan]),
        lambda: detect([math.nan], "eddm"),
        lambda: detect([1.0], "adwin", sigma=1),
        lambda: detect([1.0], "adwin", clock=0),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any) -> None:
    with pytest.raises(UsageError):
        call()


def test_degenerate_tables_are_typed_results() -> None:
    constant = Individuals().compute({"value": [1.0] * 5}, seed=0)
    assert any("no spread" in w for w in constant.warnings)
    assert constant.diagnostics["signals"]["individuals"]["beyond_limits"] == []
    assert XbarChart().compute({"value": [1.0], "subgroup": ["a"]}, seed=0).evidence[0].statistic_value is None
    assert PChart().compute({"count": [], "size": []}, seed=0).evidence[0].statistic_value is None
    assert any("fewer than 5" in w for w in PChart().compute({"count": [1, 0], "size": [9, 9]}, seed=0).warnings)
