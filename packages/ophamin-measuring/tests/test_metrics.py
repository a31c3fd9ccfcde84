"""Metric tiers: equal to the pillars on the cycles so far, flat, and by role."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.measuring.metrics.bundle import CycleMetrics, outputs
from ophamin.measuring.metrics.telemetry import Telemetry
from ophamin.measuring.metrics.validity import Registered, Validity
from ophamin.measuring.pillars.adaptive.mixture import mixture_test
from ophamin.measuring.pillars.adaptive.ratio_mismatch import sequential_ratio_mismatch
from ophamin.measuring.pillars.adaptive.sprt import run_bernoulli
from ophamin.measuring.pillars.observability.drift import detect
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 120))
def test_every_step_equals_the_pillars(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    arms, bits, x = rng.integers(0, 2, n), rng.integers(0, 2, n), rng.normal(1, 2, n)
    follow = Validity(Registered(shares={"a": 2, "b": 1}, h0=0.3, h1=0.6, mean=1.0, sigma=2.0, tau=0.7))
    seen = []
    for arm, bit, value in zip(arms, bits, x, strict=True):
        follow.update(arm="ab"[arm], outcome=float(bit), value=float(value))
        seen.append(follow.snapshot())
    table = np.eye(2)[arms]
    assert [s["srm_p"] for s in seen] == pytest.approx(sequential_ratio_mismatch(table, [2, 1]).p_value.tolist())
    whole = mixture_test(x, variance=4.0, tau=0.7, theta0=1.0)
    assert [s["always_valid_p"] for s in seen] == pytest.approx(whole.p_value.tolist())
    run = run_bernoulli(bits, 0.3, 0.6, 0.05, 0.1)
    assert [s["llr"] for s in seen[: run.stop_n]] == pytest.approx(run.path.tolist(), abs=1e-12)
    weights = 0.2 * 0.8 ** np.arange(n)[::-1]
    ewma = weights @ (x - 1)
    sd = 2 * math.sqrt(0.2 / 1.8 * (1 - 0.8 ** (2 * n)))
    assert seen[-1]["drift_score"] == pytest.approx(ewma / sd)
    assert seen[-1]["drift_changes"] == len(detect(x.tolist()).changes)


def test_drift_shows_in_score_and_count() -> None:
    rng = np.random.default_rng(1)
    follow = Validity(Registered(mean=0.0, sigma=1.0))
    for value in rng.normal(0, 1, 300):
        follow.update(value=float(value))
    before = follow.snapshot()
    for value in rng.normal(3, 1, 300):
        follow.update(value=float(value))
    after = follow.snapshot()
    assert abs(before["drift_score"]) < 4 < after["drift_score"]
    assert before["drift_changes"] == 0 < after["drift_changes"]
    assert after["always_valid_p"] < 1e-6


def test_what_is_not_registered_is_not_followed() -> None:
    follow = Validity(Registered())
    assert follow.snapshot() == {}
    follow.update(arm="anything", outcome=1.0, value=2.0)
    assert follow.snapshot() == {"drift_changes": 0.0}


@pytest.mark.parametrize(
    "wrong", [{"h0": 0.5}, {"mean": 1.0}, {"h0": 0.0, "h1": 0.5}, {"mean": 0.0, "sigma": 0.0}, {"shares": {"a": 1.0}}]
)
def test_half_a_registration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Registered(**wrong)


def test_bad_cycles_are_refused_before_anything_counts() -> None:
    follow = Validity(Registered(shares={"a": 1, "b": 1}, h0=0.4, h1=0.6))
    for bad in ({"arm": "c"}, {"arm": "a", "outcome": 0.5}, {"arm": "a", "value": math.nan}):
        with pytest.raises(UsageError):
            follow.update(**bad)
    assert "srm_p" not in follow.snapshot()


def test_telemetry_counts_gauges_and_times() -> None:
    ticks = iter([0.0, 1.5, 2.0, 2.25])
    t = Telemetry(clock=lambda: next(ticks))
    with t.timer("call"):
        pass
    with pytest.raises(RuntimeError), t.timer("call"):
        raise RuntimeError
    t.gauge("queue", 4)
    t.gauge("queue", 2)
    t.count("hits", 0)
    assert t.snapshot() == {
        "call_s_count": 2.0, "call_s_max": 1.5, "call_s_sum": 1.75, "hits_total": 0.0, "queue": 2.0,
    }  # fmt: skip
    for wrong in (
        lambda: t.count("hits", -1), lambda: t.gauge("hits", 1), lambda: t.gauge("a.b", 1),
        lambda: t.observe("call", -1), lambda: t.gauge("queue", math.inf),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            wrong()


def test_a_bundle_is_flat_and_by_role() -> None:
    metrics = CycleMetrics(Registered(shares={"a": 1, "b": 1}, h0=0.5, h1=0.9), outcome="blocked", value="score")
    one = metrics.cycle(
        CycleResult(0, "r0", arm="a", wall_s=0.5, resources={"cpu_s": 0.1}),
        {"blocked": True, "score": 3, "answer": "no", "confidence": math.nan},
    )
    assert one.skipped == ("answer", "confidence")
    assert one.values["output_blocked"] == 1.0
    assert one.values["validity_llr"] == pytest.approx(math.log(0.9 / 0.5))
    assert one.values["telemetry_cpu_s"] == 0.1
    assert all(isinstance(v, float) for v in one.values.values())
    failed = metrics.cycle(CycleResult(1, "r1", arm="b", status="error", error="it broke"), {"blocked": True})
    assert not [k for k in failed.values if k.startswith("output_")]
    assert failed.values["validity_llr"] == one.values["validity_llr"]
    assert failed.values["telemetry_cycles_total"] == 2
    assert failed.values["telemetry_cycles_error_total"] == 1
    assert outputs({}) == ({}, ())
    assert outputs({"Scores[0]": 1, "a.b": True, "né": None}) == ({"scores_0": 1.0, "a_b": 1.0}, ("né",))
    with pytest.raises(UsageError, match="two roles"):
        outputs({"a.b": 1, "a-b": 2})
    with pytest.raises(UsageError, match="not planned"):
        metrics.cycle(CycleResult(2, "r2", arm="c"))
