"""All scenarios, the interval substrate and the simulated corpus keep to their contracts."""

from __future__ import annotations

import pytest

from ophamin import registry
from ophamin.measuring.decision import check_claim, decide_claim
from ophamin.measuring.planning import plan_claim
from ophamin.proof.errors import UnknownPlugin, UsageError
from ophamin.protocols import Record
from ophamin.testing import RECORDS, check_scenario, check_substrate

BOUNDS = {"lower": 0.1, "upper": 0.9}
CASES = [
    ("metric", RECORDS, {"claim": "accuracy >= 0.9"}, {}),
    ("metric", RECORDS, {"claim": "rate(blocked) <= 2% and error_rate <= 0.01", "error_policy": "exclude"}, {}),
    ("metric", RECORDS, {"claim": "mean(value) <= 0.5", "support": "0,2", "group": "block"}, {}),
    ("metric", RECORDS, {"claim": "p95(latency_s) <= 0.2"}, {}),
    ("metric", RECORDS, {"claim": "accuracy_difference >= 0"}, {}),
    ("metric", RECORDS, {"claim": "mean_difference(value) >= 0", "delta": 0.1}, {}),
    ("concentrated-immune-siege", RECORDS, {}, {}),
    ("throughput-ceiling", RECORDS, {"warmup": 2}, {}),
    ("calibrated-confidence", RECORDS, {}, {}),
    ("interval-coverage", tuple(registry.make_corpus("simulated?family=binomial&sizes=3").records()), {}, BOUNDS),
    (
        "interval-coverage",
        tuple(registry.make_corpus("simulated?family=normal&n=3&runs=12").records()),
        {"design": "simulated"},
        BOUNDS,
    ),
    ("interface-contract", RECORDS, {}, {}),
    ("memory-growth", RECORDS, {}, {"process": 0}),
    ("memory-growth", RECORDS, {"design": "blocks"}, {"process": 0}),
    ("cost-scaling", tuple(registry.make_corpus("simulated?family=sizes&repeats=1").records()), {}, {}),
    ("cost-scaling", RECORDS, {"cost": "page_faults"}, {}),
]


@pytest.mark.parametrize(("name", "records", "options", "roles"), CASES)
def test_scenario(name, records, options, roles):
    check_scenario(registry.get_scenario(name), records=records, options=options, roles=roles)


@pytest.mark.parametrize(("name", "records", "options", "roles"), CASES)
def test_claims_can_be_decided_and_planned(name, records, options, roles):
    scenario = registry.get_scenario(name)()
    claim = scenario.claim({**{k: s.default for k, s in scenario.options.items()}, **options})
    check_claim(claim)
    if options.get("claim", "").startswith("mean_difference"):
        return  # nobody knows the spread of a mean without a support
    design = scenario.design({k: s.default for k, s in scenario.options.items()}) if hasattr(scenario, "design") else {}
    plan = plan_claim(claim, assumptions=design.get("assumptions"))
    assert not plan.underpowered
    # What the samples hold: 1,250 templates of a kind, 10,000 simulated data sets.
    assert (plan.n or 0) <= {"concentrated-immune-siege": 1250, "interval-coverage": 10_000}.get(name, 5000)


def test_the_scenarios_cover_the_five_tiers():
    names = [n for n in registry.list_scenarios() if registry.scenarios.origin(n).startswith("ophamin-measuring")]
    assert {registry.get_scenario(n).tier for n in names} == {
        "scientific",
        "engineering",
        "philosophical",
        "measurement-machinery",
        "structural",
    }


TABLES = [Record(f"r{i}", {"value": [1, 0, 1, 1, 0] * (i + 1)}) for i in range(12)]


@pytest.mark.parametrize("spec", ["estimator:proportion", "estimator:mean?support=0,1", "estimator:wrong?fault=random"])
def test_estimator_substrate(spec):
    check_substrate(lambda: registry.make_substrate(spec), records=TABLES)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("estimator", "name an estimator"),
        ("estimator:wrong", "fault="),
        ("estimator:wrong?fault=unlucky", "lopsided"),
        ("estimator:proportion?fault=lopsided", "estimator:wrong"),
        ("estimator:proportion?confidence=95", "between 0.5 and 1"),
        ("estimator:proportion?confidence=high", "a number"),
        ("simulated?family=cauchy", "binomial"),
        ("simulated?family=normal&n=0", "at least 1"),
        ("simulated?family=normal&runs=many", "whole number"),
        ("simulated:file.csv", "no argument"),
    ],
)
def test_slips_are_usage_errors(spec, words):
    make = registry.make_substrate if spec.startswith("estimator") else registry.make_corpus
    with pytest.raises(UsageError, match=words):
        make(spec)


def exact_outcome(spec):
    scenario = registry.get_scenario("interval-coverage")()
    options = {k: s.default for k, s in scenario.options.items()}
    records = list(registry.make_corpus(scenario.default_corpus).records())
    columns = {"lower": [], "upper": [], "n": [], "k": [], "status": []}
    for record, result in zip(
        records, registry.make_substrate(spec).run_batch(records, seed=0, timeout_s=1), strict=True
    ):
        row = scenario.observe(record, result, result.output or dict.fromkeys(("lower", "upper")))
        for name in columns:
            columns[name].append(result.status if name == "status" else row[name])
    return decide_claim(scenario.claim(options), scenario.score(columns, options), alpha=0.05, seed=0).outcome


@pytest.mark.parametrize(
    ("spec", "outcome"),
    [
        ("estimator:proportion", "VALIDATED"),
        ("estimator:proportion?method=clopper-pearson&confidence=0.99", "VALIDATED"),
        ("estimator:proportion?confidence=0.94", "REFUTED"),
        # Right only two-sided, and therefore never used to decide.
        ("estimator:proportion?method=wilson", "REFUTED"),
        ("estimator:proportion?method=jeffreys", "REFUTED"),
        ("estimator:proportion?method=agresti-coull", "REFUTED"),
        ("estimator:mean?support=0,1&method=empirical-bernstein", "VALIDATED"),
        ("estimator:mean?method=t", "INCONCLUSIVE"),
    ],
)
def test_each_side_of_an_interval_is_held_to_alpha(spec, outcome):
    assert exact_outcome(spec) == outcome


def test_an_unknown_estimator_names_the_known_ones():
    with pytest.raises(UnknownPlugin, match="proportion"):
        registry.make_substrate("estimator:proportoin")


SPECS = [
    "simulated?family=binomial&sizes=3,5",
    "simulated?family=normal&n=4&runs=30",
    "simulated?family=exponential&n=4&runs=30",
    "simulated?family=uniform&n=4&runs=30",
    "simulated?family=stimuli&n=40",
]


@pytest.mark.parametrize("spec", SPECS)
def test_simulated_corpus(spec, tmp_path):
    corpus = registry.make_corpus(spec)
    records = list(corpus.records())
    assert corpus.availability().state == "ok"
    assert corpus.count() == len(records) == len({r.id for r in records})
    assert [r.payload for r in corpus.records()] == [r.payload for r in records]
    assert corpus.content_hash() == registry.make_corpus(spec).content_hash()
    assert corpus.content_hash() not in {registry.make_corpus(other).content_hash() for other in SPECS if other != spec}
    drawn = [r.id for r in corpus.sample(5, 3)]
    assert drawn == [r.id for r in corpus.sample(5, 3)] != [r.id for r in corpus.sample(5, 4)]
    assert {r.id for r in corpus.sample(99, 3)} == {r.id for r in records}
    chosen = {records[1].id, records[2].id}
    assert {r.id for r in corpus.sample(9, 3, lambda r: r.id in chosen)} == chosen
    assert (corpus.write_sample(tmp_path / "made", 1) / "simulated.jsonl").read_text(encoding="utf-8").count("\n") > 5


def test_simulated_data_do_not_change_between_versions():
    [first] = registry.make_corpus("simulated?family=normal&n=2&runs=1").records()
    assert first.payload["value"] == pytest.approx([-0.8204045518164184, -1.1440013270864744], rel=1e-12)
    [stimulus] = registry.make_corpus("simulated?family=stimuli&n=1").records()
    assert stimulus.payload == "mopulu fehano belovu regisi a"
    assert stimulus.labels == {"kind": "benign", "label": "benign"}
