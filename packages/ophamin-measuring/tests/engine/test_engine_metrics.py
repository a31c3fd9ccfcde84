"""One bundle per cycle: from the signed rows, by role, and with tier 2 equal to the pillars on the claim's own values."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

from ophamin import registry
from ophamin.measuring._command.metrics import metrics
from ophamin.measuring.pillars.adaptive.mixture import mixture_test
from ophamin.measuring.scenarios.cycle_metrics import metrics_of
from ophamin.proof.errors import IntegrityError, UsageError
from ophamin.protocols import EstimatorCall, Score, Settings


@pytest.fixture
def ask(road):
    def ask(*words):
        settings = Settings(str(road.folder), str(road.folder / "proofs"))
        result = CliRunner().invoke(metrics, list(words), obj=settings)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return ask


def test_every_cycle_has_its_bundle(road):
    path = road.run(substrate="tiny?p=0.9&fault=error&at=10").path
    rows, found = road.rows(path), metrics_of(path)
    assert [(b.index, b.arm, b.status) for b in found.bundles] == [(r["index"], r["arm"], r["status"]) for r in rows]
    assert [b.values.get("output_value") for b in found.bundles] == [r["values"]["value"] for r in rows]
    assert found.to_dict()["skipped"] == ["label"]
    errors = np.cumsum([r["status"] == "error" for r in rows])
    assert errors[-1] == 10
    assert [b.values.get("telemetry_cycles_error_total", 0) for b in found.bundles] == errors.tolist()
    times = [r["wall_s"] for r in rows]
    assert found.bundles[-1].values["telemetry_cycle_s_sum"] == pytest.approx(sum(times))
    assert found.bundles[-1].values["telemetry_cycle_s_max"] == max(times)


def test_tier_2_follows_what_the_claim_registered(road):
    path = road.run(substrate="tiny?p=0.9&fault=error&at=10").path
    found = metrics_of(path)
    assert found.metric == "accuracy"
    assert found.registered == {"h0": 0.8, "h1": 0.9, "mean": 0.8, "sigma": 0.5, "weight": 0.2}
    seen, llr = [], 0.0
    for row, bundle in zip(road.rows(path), found.bundles, strict=True):
        if row["status"] == "ok":
            seen.append(row["values"]["value"])
            llr += math.log(0.9 / 0.8) if seen[-1] else math.log(0.1 / 0.2)
        assert bundle.values["validity_llr"] == pytest.approx(llr)
    whole = mixture_test(np.array(seen), variance=0.25, tau=0.5, theta0=0.8)
    assert found.bundles[-1].values["validity_always_valid_p"] == pytest.approx(whole.p_value[-1])
    moved = metrics_of(path, {"h0": 0.5, "h1": 0.7})
    assert moved.registered["h1"] == 0.7
    ones = sum(seen)
    expected = ones * math.log(0.7 / 0.5) + (len(seen) - ones) * math.log(0.3 / 0.5)
    assert moved.bundles[-1].values["validity_llr"] == pytest.approx(expected)


def test_an_error_that_has_a_value_in_the_claim_is_followed(road):
    claim = {"claim": "error_rate <= 0.3"}
    path = road.run("metric", "tiny?fault=error&at=5", corpus="tiny:300", options=claim).path
    errors, n = 20, 100
    expected = errors * math.log(0.25 / 0.3) + (n - errors) * math.log(0.75 / 0.7)
    assert metrics_of(path).bundles[-1].values["validity_llr"] == pytest.approx(expected)


def test_the_valid_p_of_a_share_seldom_errs_at_its_null():
    """θ true, looked at after each of 300 cycles: at most α, although the values are not normal."""
    from ophamin.measuring.metrics.validity import Registered, Validity

    rng, wrong = np.random.default_rng(4), 0
    for _ in range(400):
        follow = Validity(Registered(mean=0.8, sigma=0.5))
        for value in (rng.random(300) < 0.8).tolist():
            follow.update(value=float(value))
        wrong += follow.snapshot()["always_valid_p"] <= 0.05
    assert wrong <= 36  # a test that errs 5 % of the time exceeds it once in 1,000


def test_arms_are_counted_and_no_value_of_two_systems_is_pooled(road):
    arms = {"arm0": "tiny:a?p=0.9", "arm1": "tiny:b?p=0.5"}
    found = metrics_of(road.run(substrate=arms, options={"arms": 2, "theta": 0.5}, n=40).path)
    assert (found.metric, found.registered["shares"]) == ("", {"arm0": 1.0, "arm1": 1.0})
    assert len(found.bundles) == 80
    last = found.bundles[-1].values
    assert last["validity_srm_p"] == 1.0
    assert "validity_llr" not in last


def test_a_claim_on_some_rows_follows_those(road):
    path = road.run("tiny-pair", "tiny?p=0.9", n=30).path
    found = metrics_of(path)
    attacks = [row["values"]["value"] for row in road.rows(path) if row["values"]["label"] == "attack"]
    ones = sum(attacks)
    expected = ones * math.log(0.9 / 0.8) + (len(attacks) - ones) * math.log(0.1 / 0.2)
    assert len(attacks) == 30 < len(found.bundles)
    assert found.bundles[-1].values["validity_llr"] == pytest.approx(expected)


def test_values_made_of_several_cycles_are_no_cycles_own(road, world, request):
    class Blocks(world.Tiny):
        """The claim is on blocks of ten cycles; of one cycle alone it would make a value all the same."""

        name = "tiny-blocks"

        def score(self, columns, options):
            value = columns["value"]
            blocks = [sum(value[i : i + 10]) >= 5 for i in range(0, len(value), 10)]
            table = {"value": blocks, "status": ["ok"] * len(blocks)}
            return Score([EstimatorCall("accuracy", "proportion", table)])

    registry.register_scenario("tiny-blocks", Blocks)
    request.addfinalizer(lambda: registry.scenarios.unregister("tiny-blocks"))
    found = metrics_of(road.run("tiny-blocks", n=200).path)
    assert found.metric == ""
    assert not [name for name in found.bundles[-1].values if name.startswith("validity_")]
    assert metrics_of(road.run(n=200).path).metric == "accuracy"


def test_the_command_tells_and_writes(road, ask):
    run = road.run(substrate="tiny?p=0.9", n=30)
    words = ask(run.proof_id[:12])
    assert words.exit_code == 0
    assert "30 cycles, one bundle each" in words.stdout
    assert "validity_llr" in words.stdout
    out = road.folder / "metrics.jsonl"
    found = json.loads(ask(run.path, "--out", str(out), "--json").stdout)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines == found["bundles"]
    assert found["proof_id"] == run.proof_id
    assert json.loads(ask(run.path, "--set", "mean=0.5", "--json").stdout)["registered"]["mean"] == 0.5
    for wrong, message in (("foo=1", "not foo"), ("mean=x", "takes a number"), ("h0=2", "between 0 and 1")):
        with pytest.raises(UsageError, match=message):
            ask(run.path, "--set", wrong)


def test_rows_that_are_not_those_signed_make_no_metrics(road):
    path = road.run(n=30).path
    beside = path.replace("record.json", "observations.jsonl.gz")
    rows = road.rows(path)
    rows[0]["values"]["value"] ^= 1
    with open(beside, "wb") as file:
        file.write(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    with pytest.raises(IntegrityError, match="no metrics were made"):
        metrics_of(path)
