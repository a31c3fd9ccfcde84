"""``interface-contract``: every output has the fields and types that were agreed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ophamin.measuring.scenarios._contract_grammar import Contract, shape_of
from ophamin.proof.types import Claim, Decision, PillarEvidence, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["InterfaceContract"]

JSON = Any


class InterfaceContract:
    """No output violates a registered contract of fields and types; the whole corpus is measured, twice.

    A contract is a JSON object: a field name (with ``?`` when it may be absent) and its type, such as
    ``{"blocked": "boolean", "confidence": "number 0..1", "answer?": "string|null", "verdict": {"reason": "string"}}``.

    Example:
        >>> claim = InterfaceContract().claim({"contract": '{"blocked": "boolean"}', "extra": True})
        >>> str(claim.threshold), claim.decision.rule
        ('violations == 0', 'exact')
    """

    name = "interface-contract"
    tier = "structural"
    goal = "A system keeps to the interface it promised."
    options = {
        "contract": OptionSpec(
            '{"blocked": "boolean", "confidence": "number 0..1"}', "the contract, as JSON or as the path of a JSON file"
        ),
        "extra": OptionSpec(True, "whether fields beside those of the contract are allowed"),
    }
    observables: Mapping[str, str] = {}
    default_corpus = "cyber-payloads?split=test"

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """No violation in any output.

        Raises:
            UsageError: The contract cannot be read.
        """
        contract = Contract.read(options["contract"], extra=options["extra"])
        text = json.dumps(contract.fields, ensure_ascii=False, sort_keys=True)
        others = "allowed" if contract.extra else "not allowed"
        return Claim(
            statement="Every output keeps to its contract of fields and types.",
            operationalization=f"violations of the contract {text}, summed over all outputs; other fields are {others}",
            h0="violations > 0",
            h1="violations == 0",
            threshold=Threshold("violations", "==", 0),
            decision=Decision(
                rule="exact",
                method="exact",
                estimator="value",
                # What one failed cycle may hide: nothing, or every violation there is.
                support=(0, contract.most),
                smallest_difference=1,
                target="the registered corpus",
                group="record",
            ),
        )

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """One system."""
        return ("main",)

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """The types of the output, and its numbers, without its text."""
        return {"shape": shape_of(result.output) if result.status == "ok" else None}

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """Violations per output, and which fields they concern."""
        contract = Contract.read(options["contract"], extra=options["extra"])
        found = [
            contract.violations(shape) if status == "ok" else None
            for shape, status in zip(columns["shape"], columns["status"], strict=True)
        ]
        table = {"value": [None if f is None else len(f) for f in found], "status": columns["status"]}
        by_field = Counter(violation for f in found if f for violation in f)
        evidence = PillarEvidence(
            "scenario:interface-contract",
            "outputs_with_violations",
            sum(1 for f in found if f),
            "ophamin-measuring",
            version("ophamin-measuring"),
            detail={"violations": dict(sorted(by_field.items()))},
            n=sum(1 for f in found if f is not None),
            role="secondary",
        )
        return Score([EstimatorCall("violations", "value", table, {"statistic": "sum"})], [evidence])

    def controls(self) -> Sequence[Control]:
        """A system that drops or retypes a field now and then. The rule is exact: nothing lies near θ."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        open_ = frozenset({"INCONCLUSIVE"})
        corpus = "simulated?family=stimuli&n=300"
        literally = "it gives every field with its type, so the claim is literally true of it: form is not sense"

        def control(name: str, kind: Any, substrate: str, expect: frozenset[str], why: str = "") -> Control:
            return Control(name, kind, substrate, expect, corpus=corpus, why=why)

        return (
            control("inside", "inside", "mock?seed={seed}", good),
            control("outside-dropped", "outside", "mock?seed={seed}&drop=blocked&fault_rate=0.05", bad),
            control("outside-retyped", "outside", "mock?seed={seed}&retype=confidence&fault_rate=0.05", bad),
            control("dumb-constant", "dumb", "mock?mode=constant", good, literally),
            control("dumb-random", "dumb", "mock?seed={seed}&mode=random", good, literally),
            control("dumb-echo", "dumb", "mock?mode=echo", good, literally),
            control("dumb-error", "dumb", "mock?mode=error", open_),
        )
