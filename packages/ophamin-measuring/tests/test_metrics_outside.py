"""Metric tiers, cycle by cycle, against scipy, pandas and river: each number is a standard one, and equals theirs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift
from scipy import integrate, stats

from ophamin.measuring.metrics.bundle import CycleMetrics
from ophamin.measuring.metrics.telemetry import Telemetry
from ophamin.measuring.metrics.validity import Registered, Validity
from ophamin.protocols import CycleResult

ARMS = ("a", "b", "c")


def _followed(registered: Registered, cycles: list[dict[str, Any]]) -> list[dict[str, float]]:
    follow = Validity(registered)
    seen = []
    for cycle in cycles:
        follow.update(**cycle)
        seen.append(follow.snapshot())
    return seen


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), weight=st.sampled_from([2.0, 100.0, 5000.0]))
def test_the_ratio_of_arms_is_a_dirichlet_multinomial_against_the_planned_multinomial(
    seed: int, n: int, weight: float
) -> None:
    rng = np.random.default_rng(seed)
    planned = np.array([3.0, 2.0, 1.0])
    arms = rng.choice(3, n, p=rng.dirichlet([2, 2, 2]))
    registered = Registered(shares=dict(zip(ARMS, planned, strict=True)), concentration=weight)
    seen = _followed(registered, [{"arm": ARMS[i]} for i in arms])
    counts = np.eye(3, dtype=int)[arms].cumsum(axis=0)
    shares = planned / planned.sum()
    logs = [
        stats.dirichlet_multinomial.logpmf(c, weight * shares, int(c.sum()))
        - stats.multinomial.logpmf(c, int(c.sum()), shares)
        for c in counts
    ]
    p = np.minimum.accumulate(np.minimum(1, np.exp(-np.array(logs))))
    assert [s["srm_p"] for s in seen] == pytest.approx(p.tolist(), rel=1e-8)


def test_a_mismatch_that_chi_squared_is_sure_of_is_seen_and_looking_often_costs_nothing() -> None:
    rng = np.random.default_rng(1)
    skewed = rng.random(6000) < 0.55
    seen = _followed(Registered(shares={"a": 1, "b": 1}), [{"arm": "ab"[int(s)]} for s in skewed])
    assert stats.chisquare(np.bincount(skewed)).pvalue < 1e-10
    assert seen[-1]["srm_p"] < 1e-8
    alarms = {"sequential": 0, "chi-squared": 0}
    for _ in range(200):
        fair = rng.random(300) < 0.5
        alarms["sequential"] += _followed(Registered(shares={"a": 1, "b": 1}), [{"arm": "ab"[int(s)]} for s in fair])[-1][
            "srm_p"
        ] <= 0.1  # fmt: skip
        ones, looks = fair.cumsum()[9:], np.arange(10, 301)
        alarms["chi-squared"] += bool((stats.chi2.sf((2 * ones - looks) ** 2 / looks, 1) <= 0.1).any())
    assert alarms["sequential"] <= stats.binom.ppf(1 - 1e-4, 200, 0.1)
    assert alarms["chi-squared"] > 60  # at every look the test of one look


@settings(max_examples=30, deadline=None)
@given(bits=st.lists(st.integers(0, 1), min_size=1, max_size=80), h0=st.floats(0.01, 0.99), h1=st.floats(0.01, 0.99))
def test_the_llr_is_walds(bits: list[int], h0: float, h1: float) -> None:
    seen = _followed(Registered(h0=h0, h1=h1), [{"outcome": float(b)} for b in bits])
    one, zero = (stats.bernoulli.logpmf(bits, h).cumsum() for h in (h1, h0))
    assert [s["llr"] for s in seen] == pytest.approx((one - zero).tolist(), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), sigma=st.floats(0.1, 10), tau=st.floats(0.05, 5),
       mean=st.floats(-5, 5), shift=st.floats(-2, 2))  # fmt: skip
def test_the_always_valid_p_is_a_mixture_of_normal_likelihoods(
    seed: int, n: int, sigma: float, tau: float, mean: float, shift: float
) -> None:
    x = np.random.default_rng(seed).normal(mean + shift * sigma, sigma, n)
    seen = _followed(Registered(mean=mean, sigma=sigma, tau=tau), [{"value": float(v)} for v in x])
    looks = np.arange(1, n + 1)
    averages = x.cumsum() / looks
    # The mean of n is sufficient: its law under the mixture over its law under H₀.
    log_ratio = stats.norm.logpdf(averages, mean, np.sqrt(sigma**2 / looks + tau**2)) - stats.norm.logpdf(
        averages, mean, sigma / np.sqrt(looks)
    )
    p = np.minimum.accumulate(np.minimum(1, np.exp(-log_ratio)))
    assert [s["always_valid_p"] for s in seen] == pytest.approx(p.tolist(), rel=1e-7)


def test_the_mixture_is_an_integral_over_shifts() -> None:
    x, mean, sigma, tau = np.array([0.4, 1.9, -0.3, 1.1, 2.2]), 0.2, 1.3, 0.8

    def both(theta: float) -> float:
        ratio = float(np.prod(stats.norm.pdf(x, theta, sigma) / stats.norm.pdf(x, mean, sigma)))
        return ratio * float(stats.norm.pdf(theta, mean, tau))

    whole, _ = integrate.quad(both, -20, 20)
    seen = _followed(Registered(mean=mean, sigma=sigma, tau=tau), [{"value": float(v)} for v in x])
    assert seen[-1]["always_valid_p"] == pytest.approx(min(1 / whole, min(s["always_valid_p"] for s in seen[:-1])))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 80), weight=st.floats(0.02, 1.0), mean=st.floats(-100, 100))
def test_the_drift_score_is_an_ewma_in_its_standard_deviations(seed: int, n: int, weight: float, mean: float) -> None:
    x = np.random.default_rng(seed).normal(mean, 2, n)
    seen = _followed(Registered(mean=mean, sigma=2.0, weight=weight), [{"value": float(v)} for v in x])
    smooth = pd.Series([mean, *x]).ewm(alpha=weight, adjust=False).mean().to_numpy()[1:]
    # Its variance, by the weights of each value, not by the closed form.
    weights = [weight * (1 - weight) ** np.arange(t) for t in range(1, n + 1)]
    sd = 2 * np.array([math.sqrt(float((w**2).sum())) for w in weights])
    assert [s["drift_score"] for s in seen] == pytest.approx(((smooth - mean) / sd).tolist(), rel=1e-7, abs=1e-9)


def test_drift_changes_are_those_of_rivers_adwin() -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(m, 1, 250) for m in (0, 2, 2, -1)])
    seen = _followed(Registered(), [{"value": float(v)} for v in x])
    bare, changes, counted = drift.ADWIN(), 0, []
    for value in x:
        bare.update(float(value))
        changes += bare.drift_detected
        counted.append(float(changes))
    assert [s["drift_changes"] for s in seen] == counted
    assert counted[-1] >= 2


@settings(max_examples=30, deadline=None)
@given(times=st.lists(st.floats(0, 1e6), min_size=1, max_size=40), steps=st.lists(st.integers(0, 9), max_size=20))
def test_telemetry_is_sums_counts_and_maxima(times: list[float], steps: list[int]) -> None:
    telemetry = Telemetry()
    for t in times:
        telemetry.observe("call", t)
    for step in steps:
        telemetry.count("hits", step)
        telemetry.gauge("level", step)
    seen, table = telemetry.snapshot(), pd.Series(times).agg(["sum", "count", "max"])
    assert [seen[f"call_s_{k}"] for k in ("sum", "count", "max")] == pytest.approx(table.tolist())
    assert seen.get("hits_total") == (float(sum(steps)) if steps else None)
    assert seen.get("level") == (float(steps[-1]) if steps else None)


def test_a_run_as_a_table() -> None:
    """Every cumulative number of every bundle from the table of cycles, by pandas."""
    rng = np.random.default_rng(6)
    rows = pd.DataFrame({
        "arm": rng.choice(["a", "b"], 80), "status": rng.choice(["ok", "error", "unmeasured"], 80, p=[0.7, 0.2, 0.1]),
        "wall": rng.exponential(size=80), "blocked": rng.random(80) < 0.4,
    })  # fmt: skip
    metrics = CycleMetrics(Registered(shares={"a": 1, "b": 1}, h0=0.3, h1=0.5), outcome="blocked")
    seen = [
        metrics.cycle(
            CycleResult(i, f"r{i}", arm=r.arm, status=r.status, wall_s=r.wall), {"blocked": bool(r.blocked)}
        ).values
        for i, r in enumerate(rows.itertuples())
    ]
    ok = rows["status"] == "ok"
    llr = np.where(ok, np.where(rows["blocked"], math.log(0.5 / 0.3), math.log(0.5 / 0.7)), 0.0).cumsum()
    assert [s["validity_llr"] for s in seen] == pytest.approx(llr.tolist())
    assert [s["telemetry_cycles_total"] for s in seen] == list(range(1, 81))
    assert seen[-1]["telemetry_cycles_error_total"] == (rows["status"] == "error").sum()
    assert [s["telemetry_cycle_s_sum"] for s in seen] == pytest.approx(rows["wall"].cumsum().tolist())
    assert [s["telemetry_cycle_s_max"] for s in seen] == pytest.approx(rows["wall"].cummax().tolist())
    assert [s.get("output_blocked") for s in seen] == [
        float(b) if o else None for b, o in zip(rows["blocked"], ok, strict=True)
    ]
