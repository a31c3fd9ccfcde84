"""A mistake that can be known is told before the ledger hears of the run; what taught nobody anything is no attempt."""

from __future__ import annotations

import contextlib

import pytest

from ophamin import registry
from ophamin.proof.errors import UsageError


def unregistered(road):
    return not (road.folder / ".ophamin").exists() or not road.entries("registration")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"claim": "rate(answer) >= 0.8", "method": "foo"}, "no interval for a proportion is called 'foo'"),
        ({"claim": "mean(noise) >= 0.2", "method": "foo", "support": "0,1"}, "no interval for a mean"),
        ({"claim": "mean(noise) >= 0.2", "method": "betting", "delta": "0.1"}, "support=LOW,HIGH"),
        ({"claim": "p95(noise) <= 0.2", "method": "foo"}, "no bound for a quantile"),
        ({"claim": "rate(answer) >= 0.8", "blocks": -5}, "at least 20"),
        ({"claim": "mean(noise) >= 0.2", "support": "0,inf"}, "both finite"),
        ({"claim": "mean(noise) >= 0.2", "delta": "inf"}, "greater than 0"),
    ],
)
def test_options_that_make_no_sense_cost_no_attempt(road, options, message):
    with pytest.raises(UsageError, match=message):
        road.run("metric", corpus="tiny:300", options=options)
    assert unregistered(road)


@pytest.mark.parametrize("options", [{"limit_s": float("nan")}, {"limit_s": -1.0}, {"warmup": -1}, {"blocks": 2}])
def test_options_of_throughput_are_numbers_that_make_sense(road, options):
    with pytest.raises(UsageError, match=r"limit_s|warmup|blocks"):
        road.run("throughput-ceiling", corpus="tiny:300", options=options)
    assert unregistered(road)


def test_a_scenario_that_does_not_score_its_claim_is_found_out_on_no_rows(road):
    with pytest.raises(UsageError, match="asks for accuracy and the scenario scored precision"):
        road.run(options={"broken": "metric"})
    assert unregistered(road)


class Breaking:
    """An instrument that cannot start."""

    name = "breaking"

    def wrap(self, substrate):
        return substrate

    @contextlib.contextmanager
    def scenario(self, spec):
        raise UsageError("the meter is not plugged in")
        yield

    def verdict(self, body):
        pass

    def artifacts(self):
        return []


def test_an_instrument_that_cannot_start_costs_no_attempt(road):
    registry.instruments.register("breaking", Breaking)
    try:
        with pytest.raises(UsageError, match="plugged in"):
            road.run(instruments=["breaking"])
    finally:
        registry.instruments.unregister("breaking")
    assert road.entries("outcome")[-1]["cycles"] == 0
    assert road.journals() == []
    assert road.run().record["preregistration"]["attempt"] == 1


def test_interrupted_before_its_first_row_it_was_no_attempt_and_is_not_resumed(road):
    with pytest.raises(KeyboardInterrupt):
        road.run(substrate="tiny?fault=interrupt&at=0")
    assert road.journals() == []
    with pytest.raises(KeyboardInterrupt):
        road.run(substrate="tiny?fault=interrupt&at=0", n=50)
    assert [e["attempt"] for e in road.entries("registration")] == [1, 1]


@pytest.mark.parametrize("more", [{"fresh": True}, {"n": 40}])
def test_without_fresh_records_an_interrupted_attempt_is_offered_and_not_lost(road, more):
    given = {"substrate": "tiny?fault=interrupt&at=10", "corpus": "tiny:100"}
    with pytest.raises(KeyboardInterrupt):
        road.run(**given)
    with pytest.raises(UsageError, match=r"100 were selected by earlier attempts.*run the same command to resume it"):
        road.run(**given, **more)
    assert len(road.journals()) == 1
    with pytest.raises(KeyboardInterrupt):
        road.run(**given)
    assert len(road.entries("registration")) == 1
