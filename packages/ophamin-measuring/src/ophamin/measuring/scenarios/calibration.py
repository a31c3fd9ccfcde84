"""``calibrated-confidence``: what a system says of its certainty is worth believing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.measuring.scenarios._answers import same_answer, truth_of
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["CalibratedConfidence"]

JSON = Any


class CalibratedConfidence:
    """Stated confidence lies near the hit rate *and* says more than the base rate does.

    Co-primary, because a system that always states its base rate is calibrated and knows nothing. The
    calibration error is taken over fixed equal bins; the skill is the Brier score of the base rate minus that of
    the stated confidence.

    Example:
        >>> claim = CalibratedConfidence().claim({k: o.default for k, o in CalibratedConfidence.options.items()})
        >>> [str(t) for t, _ in claim.parts()]
        ['calibration_error <= 0.1', 'brier_skill > 0.0']
    """

    name = "calibrated-confidence"
    tier = "philosophical"
    goal = "A system knows what it knows."
    options = {
        "limit": OptionSpec(0.1, "largest expected calibration error"),
        "bins": OptionSpec(10, "equal bins of confidence"),
        "delta": OptionSpec(0.04, "smallest difference worth knowing, calibration error"),
        "skill_delta": OptionSpec(0.01, "smallest difference worth knowing, Brier skill"),
    }
    observables = {
        "answer": "what the system answers, compared with the record's label",
        "confidence": "how sure it says it is that this answer is right, 0 to 1",
    }
    default_corpus = "cyber-payloads?split=test"

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """Error at most the limit, skill above 0."""
        limit, bins = options["limit"], options["bins"]
        return Claim(
            statement=f"Stated confidence misses the hit rate by at most {limit:g} on average, and says more than the "
            "base rate.",
            operationalization=f"calibration_error: sum over {bins} equal bins of |hits − stated confidence| / n; "
            "brier_skill: Brier score of the base rate minus that of the stated confidence",
            h0=f"calibration_error > {limit:g} or brier_skill <= 0",
            h1=f"calibration_error <= {limit:g} and brier_skill > 0",
            threshold=Threshold("calibration_error", "<=", limit),
            decision=_decision("calibration-error", "sign-vectors", options["delta"]),
            co_primary=[
                CoPrimary(
                    Threshold("brier_skill", ">", 0.0), _decision("brier-skill", "paired-t", options["skill_delta"])
                )
            ],
        )

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """One system."""
        return ("main",)

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """Stated confidence and whether the answer was right; a record without a label is out of scope."""
        truth, answer = truth_of(record.labels), roles["answer"]
        if truth is None:
            return None
        return {"confidence": roles["confidence"], "correct": None if answer is None else same_answer(answer, truth)}

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """The same rows for both."""
        table = {name: columns[name] for name in ("confidence", "correct", "status", "group")}
        table["value"] = columns["correct"]
        bins = {"bins": int(options["bins"])}
        return Score(
            [
                EstimatorCall("calibration_error", "calibration-error", table, bins),
                EstimatorCall("brier_skill", "brier-skill", table),
            ]
        )

    def controls(self) -> Sequence[Control]:
        """Systems whose confidence is off by a known gap."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        never = frozenset({"REFUTED", "INCONCLUSIVE"})
        corpus, n = "simulated?family=stimuli&n=2400", 1500
        over = "mock?seed={seed}&confidence=overconfident"

        def control(name: str, kind: Any, substrate: str, expect: frozenset[str], **options: JSON) -> Control:
            return Control(name, kind, substrate, expect, options, corpus, n)

        return (
            control("inside", "inside", f"{over}&gap=0.02", good),
            control("outside-error", "outside", f"{over}&gap=0.18", bad),
            # Confidence 0.7 and 0.5 right: skill −0.04; the error, 0.2, is 2δ inside the limit of this control.
            control("outside-skill", "outside", "mock?seed={seed}&confidence=0.7&correct=0.5", bad, limit=0.3),
            control("dumb-base-rate", "dumb", "mock?seed={seed}&confidence=0.7&correct=0.7", never),
            control("dumb-constant", "dumb", "mock?mode=constant", never),
            control("dumb-random", "dumb", "mock?seed={seed}&mode=random", never),
            control("dumb-echo", "dumb", "mock?mode=echo", never),
            control("dumb-error", "dumb", "mock?mode=error", never),
            control("boundary", "boundary", f"{over}&gap=0.1", good | never),
        )


def _decision(estimator: str, method: str, delta: float) -> Decision:
    return Decision(
        rule="interval",
        method=method,
        estimator=estimator,
        smallest_difference=delta,
        target="the labelled records of the registered corpus",
        group="record",
    )
