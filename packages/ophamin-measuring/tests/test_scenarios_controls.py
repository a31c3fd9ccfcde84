"""Every claim must be able to fail: the controls of all six scenarios, on rows that are simulated, not run.

The engine is not in the way here: records go through ``observe`` and ``score`` into ``decide_claim``. What the
engine adds is tested by the same controls in tests-integration.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import gammaln, ndtri

from ophamin import registry
from ophamin.measuring.decision import decide, decide_claim
from ophamin.measuring.estimators.calibration import brier_skill, calibration_error
from ophamin.measuring.estimators.mean import mean
from ophamin.measuring.estimators.proportion import beta_bounds, proportion
from ophamin.measuring.estimators.quantile import quantile
from ophamin.measuring.scenarios import leaking
from ophamin.measuring.scenarios._blocks import blocks_of
from ophamin.measuring.scenarios._templates import template_of
from ophamin.proof.decision import outcome
from ophamin.proof.types import Threshold
from ophamin.protocols import CycleResult, EstimatorCall

SCENARIOS = (
    "metric",
    "concentrated-immune-siege",
    "throughput-ceiling",
    "calibrated-confidence",
    "interval-coverage",
    "interface-contract",
)
SEEDS = range(10)
# 10,000 sets at a rate of exactly 0.05 exceed this once in 100,000.
MOST = 595
SETS = 10_000


class Mock:
    """As much of seeing's mock as the controls ask for; wheels are tested without each other."""

    def __init__(self, params):
        self.p = params

    def number(self, name, default):
        return float(self.p.get(name, default))

    def run(self, record, rng):
        mode = self.p.get("mode", "model")
        if mode == "error":
            return None
        text, kind = str(record.payload), record.labels.get("kind")
        out = {"blocked": False, "answer": "constant", "confidence": 0.9, "value": 0.0}
        if mode == "random":
            out = {
                "blocked": rng.random() < 0.5,
                "answer": rng.choice(("attack", "benign")),
                "confidence": rng.random(),
                "value": rng.gauss(0, 1),
            }
        elif mode == "echo":
            out = {"blocked": bool(text), "answer": text, "confidence": 1.0, "value": 0.0}
        elif mode == "model":
            detect, alarm = self.number("detect", 0.95), self.number("false_positive", 0.05)
            right, stated = self.number("correct", 0.9), self.p.get("confidence", "0.9")
            if stated == "overconfident":
                stated = rng.uniform(0.5, 1)
                right = stated - self.number("gap", 0.1)
            out = {
                "blocked": rng.random() < (detect if kind == "attack" else alarm),
                "answer": record.labels.get("label") if rng.random() < right else "wrong",
                "confidence": float(stated),
                "value": float(rng.random() < self.number("bernoulli", 0.5)),
            }
        for key in ("drop", "retype"):
            if key in self.p and rng.random() < self.number("fault_rate", 1):
                name = self.p[key]
                out[name] = str(out[name])
                if key == "drop":
                    del out[name]
        return out

    def latency(self, rng):
        if rng.random() < self.number("latency_p", 0):
            return self.number("latency_high_s", 0)
        return self.number("latency_s", 0)


@cache
def corpus_of(spec):
    return list(registry.make_corpus(spec).records())


def drawn(scenario, options, spec, n, seed):
    records, strata = corpus_of(spec), {"": lambda r: True}
    if hasattr(scenario, "strata"):
        strata = scenario.strata(options) or strata
    chosen = []
    for inside in strata.values():
        pool = [r for r in records if inside(r)]
        chosen += random.Random(seed).sample(pool, len(pool) if n is None else min(n, len(pool)))
    return chosen


def results_of(spec, records, seed):
    """One CycleResult per record from a substrate spec."""
    parsed = registry.Spec.parse(spec.replace("{seed}", str(seed)))
    if parsed.name == "estimator":
        yield from registry.make_substrate(str(parsed)).run_batch(records, seed=seed, timeout_s=60)
        return
    mock = Mock(parsed.params)
    for i, record in enumerate(records):
        rng = random.Random(f"{seed}:{record.id}")
        if parsed.name == "python":
            # The leak, on a clock of its own: each cycle takes 1 µs longer.
            yield CycleResult(i, record.id, "main", "ok", {"output": False}, None, i * 1e-6)
            continue
        output = mock.run(record, rng)
        status = "error" if output is None else "ok"
        yield CycleResult(i, record.id, "main", status, output, None if output else "failed", mock.latency(rng))


def columns_of(scenario, records, results, roles):
    rows = []
    for position, (record, result) in enumerate(zip(records, results, strict=True)):
        ok = result.status == "ok"
        given = {r: (result.wall_s if r == "latency_s" else result.output[r]) if ok else None for r in roles}
        seen = CycleResult(position, record.id, "main", result.status, result.output, result.error, result.wall_s)
        values = scenario.observe(record, seen, given)
        if values is not None:
            rows.append({**values, "record_id": record.id, "group": record.id, "arm": "main", "status": result.status,
                         "block": 0, "wall_s": result.wall_s})  # fmt: skip
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def sequentially(control, seed):
    """The outcome of a control where its claim may stop early, its whole corpus being the maximum."""
    scenario = registry.get_scenario("metric")()
    options = {**{k: s.default for k, s in scenario.options.items()}, **control.options}
    records = drawn(scenario, options, control.corpus, None, seed)
    columns = columns_of(scenario, records, results_of(control.substrate, records, seed), scenario.roles(options))
    claim = scenario.claim(options)
    claim = replace(claim, decision=replace(claim.decision, rule="sequential"))
    return decide_claim(claim, scenario.score(columns, options), alpha=0.05, seed=seed).outcome


METRIC = [pytest.param(c, id=c.name) for c in registry.get_scenario("metric")().controls() if c.kind != "boundary"]


@pytest.mark.parametrize("control", METRIC)
def test_the_controls_of_metric_hold_where_it_may_stop_early(control):
    found = Counter(sequentially(control, seed) for seed in SEEDS)
    wanted = {"inside": "VALIDATED", "outside": "REFUTED"}.get(control.kind)
    if wanted is None:
        assert set(found) <= control.expect
        return
    assert found[wanted] >= 9, found
    assert found["REFUTED" if wanted == "VALIDATED" else "VALIDATED"] == 0


def decided(name, control, seed, n=None):
    scenario = registry.get_scenario(name)()
    options = {**{k: s.default for k, s in scenario.options.items()}, **control.options}
    spec = (control.corpus or scenario.default_corpus).replace("{seed}", str(seed))
    records = drawn(scenario, options, spec, control.n if n is None else n, seed)
    roles = scenario.roles(options) if hasattr(scenario, "roles") else scenario.observables
    columns = columns_of(scenario, records, results_of(control.substrate, records, seed), roles)
    claim = scenario.claim(options)
    return decide_claim(claim, scenario.score(columns, options), alpha=0.05, seed=seed)


def controls_of(*kinds):
    found = []
    for name in SCENARIOS:
        for control in registry.get_scenario(name)().controls():
            if control.kind in kinds:
                found.append(pytest.param(name, control, id=f"{name}-{control.name}"))
    return found


def seeds_for(name, control):
    if name != "interval-coverage":
        return SEEDS
    # Enumerated controls have no noise. Simulated ones cost 10,000 samples each; `inside` runs on all seeds below.
    return range(1) if control.options.get("design") != "simulated" else range(2)


# --- controls 1, 2, 4


@pytest.mark.parametrize(("name", "control"), controls_of("inside"))
def test_truth_inside_is_validated(name, control):
    seeds = seeds_for(name, control)
    found = Counter(decided(name, control, seed).outcome for seed in seeds)
    assert found["REFUTED"] == 0
    assert found["VALIDATED"] >= 0.9 * len(seeds), found


@pytest.mark.parametrize(("name", "control"), controls_of("outside"))
def test_truth_outside_is_refuted(name, control):
    seeds = seeds_for(name, control)
    found = Counter(decided(name, control, seed).outcome for seed in seeds)
    assert found["VALIDATED"] == 0
    assert found["REFUTED"] >= 0.9 * len(seeds), found


@pytest.mark.parametrize(("name", "control"), controls_of("dumb"))
def test_dumb_systems_get_what_is_literally_true_of_them(name, control):
    for seed in seeds_for(name, control):
        assert decided(name, control, seed).outcome in control.expect
    if "VALIDATED" in control.expect:
        assert control.why


SIMULATED = [p for p in controls_of("inside", "outside", "dumb") if p.values[1].options.get("design") == "simulated"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 10))
@pytest.mark.parametrize(("name", "control"), SIMULATED)
def test_simulated_controls_on_the_other_seeds(name, control, seed):
    """With seeds 0 and 1 above: all ten."""
    assert decided(name, control, seed).outcome in control.expect


@pytest.mark.slow
def test_a_right_interval_is_validated_on_every_seed():
    scenario = registry.get_scenario("interval-coverage")()
    options = {**{k: s.default for k, s in scenario.options.items()}, "design": "simulated"}
    claim, found = scenario.claim(options), Counter()
    for seed in SEEDS:
        x = np.random.default_rng(seed).standard_normal((10_000, 5))
        half = 2.131846786 * x.std(1, ddof=1) / np.sqrt(5)  # t, 4 degrees of freedom, 0.95
        ids = list(range(10_000))
        columns = {"lower": (x.mean(1) - half).tolist(), "upper": (x.mean(1) + half).tolist(), "truth": [0.0] * 10_000,
                   "status": ["ok"] * 10_000, "group": ids}  # fmt: skip
        found[decide_claim(claim, scenario.score(columns, options), alpha=0.05, seed=seed).outcome] += 1
    assert found["REFUTED"] == 0
    assert found["VALIDATED"] >= 9, found


# --- control 3

LEAST = {
    # n one too few. Siege: 149 at 0.02; metric: 14 at 0.8; throughput: 20 blocks of 10, after 20.
    "metric": 13,
    "concentrated-immune-siege": 148,
    "throughput-ceiling": 219,
    "calibrated-confidence": 3,
}


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("kind", ["inside", "outside"])
def test_too_few_is_inconclusive(name, kind):
    controls = [c for c in registry.get_scenario(name)().controls() if c.kind == kind]
    for control in controls:
        # The detection part alone can be decided from 59 on.
        for n in (1, 58 if control.name == "outside-detection" else LEAST[name]):
            if "mean" in control.name and n > 1:
                continue  # the least n of a bounded mean has no closed form
            assert decided(name, control, 0, n).outcome == "INCONCLUSIVE", (control.name, n)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_measured_is_inconclusive(name):
    scenario = registry.get_scenario(name)()
    control = next(c for c in scenario.controls() if c.kind == "inside")
    options = {**{k: s.default for k, s in scenario.options.items()}, **control.options}
    records = drawn(scenario, options, control.corpus or scenario.default_corpus, 1, 0)
    roles = scenario.roles(options) if hasattr(scenario, "roles") else scenario.observables
    failed = [CycleResult(0, records[0].id, "main", "error", None, "failed", None) for _ in records]
    columns = {k: [] for k in columns_of(scenario, records, failed, roles)}
    result = decide_claim(scenario.claim(options), scenario.score(columns, options), alpha=0.05, seed=0)
    assert result.outcome == "INCONCLUSIVE"
    assert result.decided_by.startswith("none")


# --- control 5: exactly at θ


def binomial(n, p):
    k = np.arange(n + 1)
    return np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + k * np.log(p) + (n - k) * np.log1p(-p))


@pytest.mark.parametrize("n", [149, 200, 300])
def test_siege_at_theta_by_enumeration(n):
    scenario = registry.get_scenario("concentrated-immune-siege")()
    claim = scenario.claim({k: s.default for k, s in scenario.options.items()})
    validated, refuted = [], []
    for threshold, decision in claim.parts():
        probability = binomial(n, threshold.value)
        rates = Counter()
        for k in range(n + 1):
            call = EstimatorCall(threshold.metric, "proportion", {"value": [1] * k + [0] * (n - k)})
            part = decide(threshold, decision, call, alpha_validate=0.05, alpha_refute=0.025, seed=0)
            rates[part.outcome] += probability[k]
        validated.append(rates["VALIDATED"])
        refuted.append(rates["REFUTED"])
    # One threshold exactly at θ and the other far inside, and both at θ.
    assert max(validated) <= 0.05
    assert max(refuted) <= 0.025
    assert 1 - (1 - refuted[0]) * (1 - refuted[1]) <= 0.05


def test_coverage_at_theta_by_enumeration():
    n = 10_000
    for comparator, theta in ((">=", 0.04), ("<=", 0.06)):
        threshold, rates = Threshold("miss_rate", comparator, theta), Counter()
        for k, probability in enumerate(binomial(n, theta)):
            if probability > 1e-12:
                (low, high), (low4, high4) = beta_bounds(k, n, 0.05), beta_bounds(k, n, 0.0125)
                up = comparator == ">="
                rates[outcome(threshold, low if up else low4, high4 if up else high)] += probability
        assert rates["VALIDATED"] <= 0.05
        assert rates["REFUTED"] <= 0.0125


def at_theta(threshold, estimate, sets):
    found = Counter()
    for columns in sets:
        e = estimate(columns)
        found[outcome(threshold, e.lower, e.upper)] += not e.problem
    return found


@pytest.mark.slow
def test_throughput_at_theta():
    """Exceedances of an AR(1) latency, 5 % of them: cycles that depend on those before."""
    rng, n, phi = np.random.default_rng(5), 910, 0.5
    blocks = blocks_of(n, 80)

    def sets():
        for _ in range(SETS // 500):
            noise = rng.standard_normal((500, n + 50)) * np.sqrt(1 - phi**2)
            latency = lfilter([1], [1, -phi], noise, axis=1)[:, 50:]
            for row in (latency > ndtri(0.95)).astype(int).tolist():
                yield {"value": row, "group": blocks}

    found = at_theta(
        Threshold("slow_cycle_rate", "<=", 0.05),
        lambda c: proportion(c, confidence=0.95, method="korn-graubard-adverse"),
        sets(),
    )
    assert found["VALIDATED"] <= MOST, found
    assert found["REFUTED"] <= MOST, found


@pytest.mark.slow
def test_calibration_error_at_theta():
    rng, n = np.random.default_rng(6), 400
    stated = rng.uniform(0.5, 1, (SETS, n))
    correct = rng.random((SETS, n)) < stated - 0.1
    found = at_theta(
        Threshold("calibration_error", "<=", 0.1),
        lambda c: calibration_error(c, confidence=0.95, seed=1),
        ({"confidence": c, "correct": y} for c, y in zip(stated.tolist(), correct.tolist(), strict=True)),
    )
    assert found["VALIDATED"] <= MOST, found
    assert found["REFUTED"] <= MOST, found


@pytest.mark.slow
def test_brier_skill_at_theta():
    """A constant that states the base rate: calibrated, and its skill is exactly 0."""
    rng, n = np.random.default_rng(7), 400
    correct = (rng.random((SETS, n)) < 0.7).tolist()
    found = at_theta(
        Threshold("brier_skill", ">", 0.0),
        lambda c: brier_skill(c, confidence=0.95),
        ({"confidence": [0.7] * n, "correct": y} for y in correct),
    )
    assert found["VALIDATED"] <= MOST, found
    assert found["REFUTED"] <= MOST, found


@pytest.mark.slow
def test_metric_mean_and_quantile_at_theta():
    rng, n = np.random.default_rng(8), 100
    x = rng.standard_normal((SETS, n))
    rows = [{"value": row} for row in x.tolist()]
    cases = [
        (Threshold("mean(value)", ">=", 0.0), lambda c: mean(c, confidence=0.95)),
        (Threshold("p95(value)", "<=", float(ndtri(0.95))), lambda c: quantile(c, confidence=0.95, q=0.95)),
    ]
    for threshold, estimate in cases:
        found = at_theta(threshold, estimate, rows)
        assert found["VALIDATED"] <= MOST, (threshold, found)
        assert found["REFUTED"] <= MOST, (threshold, found)


@pytest.mark.parametrize("n", [29, 100])
def test_metric_accuracy_at_theta_by_enumeration(n):
    for comparator in (">=", "<="):
        threshold, rates = Threshold("accuracy", comparator, 0.9), Counter()
        for k, probability in enumerate(binomial(n, 0.9)):
            rates[outcome(threshold, *beta_bounds(k, n, 0.05))] += probability
        assert rates["VALIDATED"] <= 0.05
        assert rates["REFUTED"] <= 0.05


# --- what the units are


def test_a_leak_gets_slower():
    def took(cycles):
        begin = time.perf_counter()
        for i in range(cycles):
            leaking.answer(f"payload {i}")
        return time.process_time() - begin

    first = took(100)
    took(400)
    assert took(100) > 3 * first


def test_numerals_are_one_template():
    assert len({template_of(str(i)) for i in range(1439)}) == 1
    assert len({template_of(r.payload) for r in corpus_of("simulated?family=stimuli&n=2400")}) == 2400
