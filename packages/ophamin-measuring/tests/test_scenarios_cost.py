"""The two claims about cost on rows that are simulated: every outcome, the least that decides, and θ itself."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ophamin import registry
from ophamin.measuring.decision import decide_claim
from ophamin.measuring.estimators.exponent import exponent
from ophamin.measuring.estimators.mean import mean
from ophamin.measuring.scenarios.memory_growth import STEP
from ophamin.proof.decision import outcome
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Threshold
from ophamin.protocols import CycleResult, EstimatorCall, Record, Score

MOST = 595  # 10,000 sets at a rate of exactly 0.05 exceed this once in 100,000
SETS = 10_000


def scenario_of(name, **given):
    scenario = registry.get_scenario(name)()
    return scenario, {**{k: s.default for k, s in scenario.options.items()}, **given}


def decided(scenario, options, columns, alpha=0.05):
    return decide_claim(scenario.claim(options), scenario.score(columns, options), alpha=alpha, seed=0)


def memory(growths, *, cycles=100, warmup=5, base=2e7, step=0, failed=()):
    """Columns of one process per growth, in bytes a cycle."""
    length, rows = cycles + warmup, []
    for process, growth in enumerate(growths):
        for age in range(length):
            position = process * length + age
            rss = base + growth * age + (1e6 if age >= warmup else 0)
            rss = rss // step * step if step else rss
            rows.append((position, None if position in failed else rss, process * length))
    status = ["error" if r is None else "ok" for _, r, _ in rows]
    return {"position": [p for p, _, _ in rows], "rss_bytes": [r for _, r, _ in rows],
            "process": [None if r is None else p for _, r, p in rows], "status": status}  # fmt: skip


def costs(exponent_, *, sizes=10, repeats=5, noise=0.1, seed=0, low=100, decades=2.0, empty=0.0, unit=1e-6):
    rng = np.random.default_rng(seed)
    there = [0, *np.unique(np.round(low * 10 ** np.linspace(0, decades, sizes))).tolist()]
    rows = [(s, (unit * s**exponent_ + empty) * np.exp(rng.normal(0, noise))) for s in there for _ in range(repeats)]
    return {"size": [s for s, _ in rows], "cost": [float(c) for _, c in rows], "status": ["ok"] * len(rows)}


# --- memory-growth


def test_memory_of_known_growth_is_decided_and_a_warm_up_is_left_out():
    scenario, options = scenario_of("memory-growth", cycles=100, warmup=5)
    rng = np.random.default_rng(1)
    for truth, expected in ((512, "VALIDATED"), (1536, "REFUTED"), (65536, "REFUTED"), (0, "VALIDATED")):
        found = Counter(decided(scenario, options, memory(truth + rng.normal(0, 128, 8))).outcome for _ in range(10))
        assert found[expected] >= 9, (truth, found)


def test_memory_that_never_moves_is_validated_not_undecided():
    """Eight slopes of exactly 0 have no spread; within the steps memory is told in they have."""
    scenario, options = scenario_of("memory-growth", cycles=1000, warmup=5)
    part = decided(scenario, options, memory([0.0] * 8, cycles=1000))
    assert part.outcome == "VALIDATED"
    # Evenly within a step: sd step/√12 a reading, so step/cycles^1.5 a slope.
    half = part.parts[0].interval.upper - part.parts[0].estimate.value
    assert half == pytest.approx(1.895 * STEP / 1000**1.5 / np.sqrt(8), rel=0.6)


def test_seven_processes_and_none_do_not_decide():
    scenario, options = scenario_of("memory-growth", cycles=100, warmup=5)
    for growths in ([], [0.0], [50000.0 + i for i in range(7)]):
        verdict = decided(scenario, options, memory(growths))
        assert verdict.outcome == "INCONCLUSIVE"
        assert verdict.decided_by.startswith("none")
    assert "7 units are fewer than 8" in verdict.reasoning


def test_a_failed_cycle_leaves_its_process_without_a_slope_and_the_claim_open():
    scenario, options = scenario_of("memory-growth", cycles=100, warmup=5)
    verdict = decided(scenario, options, memory([0.0] * 9, failed={333}))
    assert verdict.outcome == "INCONCLUSIVE"
    assert verdict.parts[0].n_errors == 1


def test_a_process_that_was_interrupted_counts_by_its_longer_part():
    scenario, options = scenario_of("memory-growth", cycles=100, warmup=5)
    columns = memory([2000.0] * 8)
    # The third process was left after 60 of its 105 cycles; its successor begins 9 MB lower.
    for i in range(270, 315):
        columns["process"][i] = 270
        columns["rss_bytes"][i] -= 9e6
    verdict = decided(scenario, options, columns)
    assert verdict.outcome == "REFUTED"
    assert verdict.parts[0].estimate.value == pytest.approx(2000, abs=150)


def test_blocks_of_one_process_by_their_ends():
    scenario, options = scenario_of("memory-growth", cycles=100, warmup=5, design="blocks")
    position = list(range(1000))
    for growth, expected in ((0, "VALIDATED"), (2000, "REFUTED")):
        columns = {"position": position, "rss_bytes": [2e7 + growth * p for p in position], "process": [None] * 1000,
                   "status": ["ok"] * 1000}  # fmt: skip
        assert decided(scenario, options, columns).outcome == expected
    nine = {name: column[:900] for name, column in columns.items()}
    assert "9 units are fewer than 10" in decided(scenario, options, nine).reasoning


@pytest.mark.slow
def test_memory_at_theta():
    """Growths of 1,024 bytes a cycle, 128 apart between processes: the slopes' law, 10,000 times."""
    rng, noise = np.random.default_rng(2), STEP / 100**1.5
    slopes = 1024 + rng.normal(0, 128, (SETS, 8)) + rng.normal(0, noise, (SETS, 8))
    threshold, found = Threshold("growth_bytes_per_cycle", "<=", 1024.0), Counter()
    for row in slopes.tolist():
        e = mean({"value": row}, confidence=0.95, method="t", least=8)
        found[outcome(threshold, e.lower, e.upper)] += 1
    assert found["VALIDATED"] <= MOST, found
    assert found["REFUTED"] <= MOST, found


# --- cost-scaling


@pytest.mark.parametrize(("truth", "expected"), [(1.0, "VALIDATED"), (2.0, "REFUTED")])
def test_cost_of_known_exponent_is_decided(truth, expected):
    scenario, options = scenario_of("cost-scaling")
    found = Counter(decided(scenario, options, costs(truth, seed=seed)).outcome for seed in range(10))
    assert found[expected] >= 9, found


def test_a_knee_in_the_upper_half_is_found_there():
    scenario, options = scenario_of("cost-scaling", limit=1.5)
    columns = costs(1.0)
    columns["cost"] = [
        c * max(1.0, s / 1000) ** 1.2 for s, c in zip(columns["size"], columns["cost"], strict=True)
    ]  # fmt: skip
    verdict = decided(scenario, options, columns)
    assert verdict.outcome == "REFUTED"
    assert verdict.parts[1].outcome == "REFUTED"
    assert verdict.parts[0].outcome == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (costs(1.0, sizes=7), "7 sizes are fewer than 8"),
        (costs(1.0, decades=1.9), "less than two decades"),
        ({k: v[5:] for k, v in costs(1.0).items()}, "no empty call"),
        (costs(0.0, unit=0.0, empty=1e-3, noise=0.0), "costs no more than an empty call"),
        (costs(1.0, noise=0.0), "all costs lie on one line"),
        ({"size": [], "cost": [], "status": []}, "no observations"),
    ],
)
def test_what_cannot_be_decided_says_why(columns, why):
    scenario, options = scenario_of("cost-scaling")
    verdict = decided(scenario, options, columns)
    assert verdict.outcome == "INCONCLUSIVE"
    assert why in verdict.reasoning


def test_a_failed_cycle_leaves_the_claim_open():
    scenario, options = scenario_of("cost-scaling")
    columns = costs(1.0)
    columns["status"][30] = "error"
    columns["cost"][30] = None
    assert decided(scenario, options, columns).outcome == "INCONCLUSIVE"


def test_the_empty_call_is_subtracted_when_it_matters_and_only_then():
    plain = {"size": (made := costs(1.0, noise=0.01, repeats=1))["size"], "value": made["cost"]}
    assert exponent(plain, confidence=0.95).detail["empty_call_subtracted"] is False
    dear = costs(1.0, noise=0.01, repeats=1, empty=5e-5)  # half of what the smallest size costs
    found = exponent({"size": dear["size"], "value": dear["cost"]}, confidence=0.95)
    assert found.detail["empty_call_subtracted"] is True
    assert found.value == pytest.approx(1.0, abs=0.05)
    assert exponent(plain, confidence=0.95, part="top").detail["sizes"] == [1292.0, 10000.0]
    for options in ({"part": "bottom"}, {"method": "bootstrap"}):
        with pytest.raises(UsageError):
            exponent(plain, confidence=0.95, **options)


def test_uneven_sizes_and_sizes_given_twice():
    made = costs(1.0, repeats=1)
    sizes, value = made["size"], made["cost"]
    assert "geometric" in exponent({"size": [0, *range(100, 100_100, 10_000)], "value": value}, confidence=0.9).problem
    assert "twice" in exponent({"size": [*sizes[:-1], sizes[-2]], "value": value}, confidence=0.9).problem


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["equal", "large"])
def test_cost_at_theta(noise):
    """Both parts exactly at θ: each side's error of the whole claim, 10,000 times."""
    scenario, options = scenario_of("cost-scaling")
    claim, rng = scenario.claim(options), np.random.default_rng(3)
    sizes = np.round(100 * 10 ** np.linspace(0, 2, 10))
    scale = {"small": np.linspace(0.25, 0.05, 10), "large": np.linspace(0.05, 0.25, 10)}.get(noise, 0.1)
    draws = rng.standard_t(3, (SETS, 10)) if noise == "heavy" else rng.standard_normal((SETS, 10))
    found = Counter()
    for row in np.exp(1.5 * np.log(sizes) + draws * scale).tolist():
        table = {"size": [0.0, *sizes.tolist()], "value": [0.0, *row], "status": ["ok"] * 11}
        score = Score([EstimatorCall(t.metric, "exponent", table, {"part": part})
                       for (t, _), part in zip(claim.parts(), ("whole", "top"), strict=True)])  # fmt: skip
        found[decide_claim(claim, score, alpha=0.05, seed=0).outcome] += 1
    assert found["VALIDATED"] <= MOST, found
    assert found["REFUTED"] <= MOST, found


def test_sizes_come_from_labels_or_lengths():
    scenario, _ = scenario_of("cost-scaling")
    ok = CycleResult(0, "a", output=1, wall_s=1.0)

    def size(payload, **labels):
        row = scenario.observe(Record("a", payload, labels=labels), ok, {"latency_s": 1.0})
        return row and row["size"]

    assert size("four") == 4
    assert size("four", size=12) == 12
    assert size(5) is None
    assert size("four", size="many") is None
    assert size("four", size=-1) is None


def test_options_that_make_no_sense():
    for name, bad in (
        ("memory-growth", {"design": "threads"}),
        ("memory-growth", {"cycles": 3}),
        ("memory-growth", {"delta": 0.0}),
        ("memory-growth", {"sd": 0.0}),
        ("cost-scaling", {"cost": "joules"}),
        ("cost-scaling", {"limit": float("inf")}),
        ("cost-scaling", {"sd": -1.0}),
    ):
        scenario, options = scenario_of(name, **bad)
        with pytest.raises(UsageError):
            scenario.claim(options)
