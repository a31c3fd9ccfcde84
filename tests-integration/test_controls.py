"""The controls of all scenarios through the real engine: registry, corpus, substrate, journal, ledger, proof."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from ophamin import registry
from ophamin.protocols import RunSpec

SCENARIOS = (
    "metric",
    "concentrated-immune-siege",
    "throughput-ceiling",
    "calibrated-confidence",
    "interval-coverage",
    "interface-contract",
    "memory-growth",
    "cost-scaling",
)


def controls_of(*kinds):
    return [
        pytest.param(name, control, id=f"{name}-{control.name}")
        for name in SCENARIOS
        for control in registry.get_scenario(name)().controls()
        if control.kind in kinds
    ]


def seeds_of(name, control):
    """Seeds 0–9; fewer where ten would show the same, or where a run is long."""
    if name == "memory-growth":
        return range(2)  # eight processes a run
    if name == "interval-coverage" or "{seed}" not in control.substrate:
        return range(1)  # no noise, or 10,000 samples a run; a constant, an echo, a leak that never ends
    return range(2) if control.name.endswith("-mean") else range(10)


def run(project, name, control, seed, corpus="", data_root=""):
    spec = RunSpec(
        scenario=name,
        arms={"main": control.substrate.replace("{seed}", str(seed))},
        corpus=corpus or control.corpus.replace("{seed}", str(seed)),
        options=control.options,
        n=control.n,
        seed=seed,
        project=str(project / str(seed)),
        data_root=data_root,
    )
    return registry.runners.get("scenario")(spec)


@pytest.mark.parametrize(("name", "control"), controls_of("inside"))
def test_truth_inside_is_validated(project, name, control):
    seeds = seeds_of(name, control)
    found = Counter(run(project, name, control, seed).outcome for seed in seeds)
    assert found["REFUTED"] == 0
    assert found["VALIDATED"] >= 0.9 * len(seeds), found


@pytest.mark.parametrize(("name", "control"), controls_of("outside"))
def test_truth_outside_is_refuted(project, name, control):
    seeds = seeds_of(name, control)
    found = Counter(run(project, name, control, seed).outcome for seed in seeds)
    assert found["VALIDATED"] == 0
    assert found["REFUTED"] >= 0.9 * len(seeds), found


@pytest.mark.parametrize(("name", "control"), controls_of("dumb"))
def test_dumb_systems_get_what_is_literally_true_of_them(project, name, control):
    for seed in seeds_of(name, control):
        assert run(project, name, control, seed).outcome in control.expect


@pytest.fixture(scope="module")
def payloads(tmp_path_factory):
    """The generated sample of cyber-payloads, in the genuine layout."""
    return registry.make_corpus("cyber-payloads").write_sample(tmp_path_factory.mktemp("payloads"), 7)


SIEGE = [c for c in registry.get_scenario("concentrated-immune-siege")().controls() if c.kind in ("inside", "outside")]


@pytest.mark.parametrize("control", SIEGE, ids=lambda c: c.name)
def test_siege_on_the_generated_payloads(project, payloads, control):
    for seed in range(3):
        result = run(project, "concentrated-immune-siege", control, seed, "cyber-payloads?split=test", str(payloads))
        assert result.outcome in control.expect
        assert result.record["preregistration"]["plan"]["n_planned"] == 2000


@pytest.mark.data
@pytest.mark.parametrize("control", SIEGE, ids=lambda c: c.name)
def test_siege_on_real_payloads(project, control):
    root = os.environ.get("OPHAMIN_DATA_ROOT")
    if not root:
        pytest.skip("OPHAMIN_DATA_ROOT is not set")
    assert Path(root).is_dir(), f"OPHAMIN_DATA_ROOT={root} is missing"
    result = run(project, "concentrated-immune-siege", control, 0, "cyber-payloads?split=test", root)
    assert result.outcome in control.expect
