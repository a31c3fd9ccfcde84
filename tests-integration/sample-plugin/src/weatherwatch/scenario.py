"""A scenario by somebody else: forecasts miss by no more than a limit, most of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.proof.types import Claim, Decision, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["ForecastBias"]


class ForecastBias:
    """The share of days on which the forecast misses by more than ``tolerance`` degrees stays below a limit."""

    name = "forecast-bias"
    tier = "scientific"
    goal = "a forecaster that misses rarely"
    options = {
        "tolerance": OptionSpec(3.0, "a miss is an error beyond this", "K"),
        "limit": OptionSpec(0.2, "largest share of misses"),
    }
    observables = {"forecast": "tomorrow's temperature in degrees"}
    default_corpus = ""

    def claim(self, options: Mapping[str, Any]) -> Claim:
        """Misses are rare: P(|forecast − truth| > tolerance) <= limit."""
        limit = options["limit"]
        return Claim(
            statement=f"At most {limit:.0%} of forecasts miss by more than {options['tolerance']} K.",
            operationalization="share of days with |forecast − truth| > tolerance",
            h0=f"miss rate > {limit}",
            h1=f"miss rate <= {limit}",
            threshold=Threshold("miss_rate", "<=", limit, "fraction"),
            decision=Decision(
                method="clopper-pearson",
                estimator="proportion",
                smallest_difference=0.1,
                target="the registered corpus",
                group="record",
            ),
        )

    def arms(self, options: Mapping[str, Any]) -> Sequence[str]:
        """One forecaster."""
        return ("main",)

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, Any]) -> dict[str, Any] | None:
        """The signed error of one day."""
        forecast = roles["forecast"]
        truth = float(record.labels["tomorrow"])
        return {"error": None if forecast is None else forecast - truth}

    def score(self, columns: Columns, options: Mapping[str, Any]) -> Score:
        """Misses as 0/1."""
        value = [None if e is None else int(abs(e) > options["tolerance"]) for e in columns["error"]]
        rows = {"value": value, "status": columns["status"]}
        return Score([EstimatorCall("miss_rate", "proportion", rows)])

    def controls(self) -> Sequence[Control]:
        """Truths dialled in by an offset on a corpus whose truth is exact."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        never = frozenset({"REFUTED", "INCONCLUSIVE"})
        return (
            Control("inside", "inside", "persistence-forecast", good),
            Control("outside", "outside", "persistence-forecast?offset=50", bad),
            Control("dumb-constant", "dumb", "mock?mode=constant", never),
            Control("dumb-random", "dumb", "mock?mode=random", never),
            Control("dumb-echo", "dumb", "mock?mode=echo", never),
            Control("dumb-error", "dumb", "mock?mode=error", never),
        )
