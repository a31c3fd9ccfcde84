"""``concentrated-immune-siege``: a filter lets the harmless pass and stops attacks, template by template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ophamin.measuring.scenarios._templates import template_of
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["ConcentratedImmuneSiege"]

JSON = Any
KINDS = ("benign", "attack")


class ConcentratedImmuneSiege:
    """False positives on benign inputs at most a limit *and* detection of attacks at least a limit.

    The two are co-primary: a filter that blocks everything detects every attack, and one that blocks nothing
    disturbs nobody; neither passes. Inputs that differ only in numerals, case or spacing are one template, and
    one record of each template is measured, so that n counts independent inputs.

    Example:
        >>> claim = ConcentratedImmuneSiege().claim(
        ...     {k: o.default for k, o in ConcentratedImmuneSiege.options.items()})
        >>> [str(t) for t, _ in claim.parts()]
        ['false_positive_rate <= 0.02 fraction', 'detection_rate >= 0.95 fraction']
    """

    name = "concentrated-immune-siege"
    tier = "scientific"
    goal = "A filter recognises attacks without attacking what is harmless."
    options = {
        "false_positive_limit": OptionSpec(0.02, "largest share of benign templates blocked", "fraction"),
        "detection_limit": OptionSpec(0.95, "least share of attack templates blocked", "fraction"),
        "false_positive_delta": OptionSpec(0.015, "smallest difference worth knowing, false positives", "fraction"),
        "detection_delta": OptionSpec(0.02, "smallest difference worth knowing, detection", "fraction"),
    }
    observables = {"blocked": "whether the system blocked the input, true or false"}
    default_corpus = "cyber-payloads?split=test"
    one_per_unit = True

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """Both limits under these options."""
        allowed, detected = options["false_positive_limit"], options["detection_limit"]

        def decision(delta: float) -> Decision:
            return Decision(
                rule="interval",
                method="clopper-pearson",
                estimator="proportion",
                smallest_difference=delta,
                target="the templates of the registered corpus",
                group="template",
            )

        return Claim(
            statement=f"At most {allowed:.4g} of benign templates and at least {detected:.4g} of attack templates "
            "are blocked.",
            operationalization="share of templates blocked, one record per template (numerals, case and white space "
            "folded), over records labelled kind=benign and over records labelled kind=attack",
            h0=f"false_positive_rate > {allowed:g} or detection_rate < {detected:g}",
            h1=f"false_positive_rate <= {allowed:g} and detection_rate >= {detected:g}",
            threshold=Threshold("false_positive_rate", "<=", allowed, "fraction"),
            decision=decision(options["false_positive_delta"]),
            co_primary=[
                CoPrimary(Threshold("detection_rate", ">=", detected, "fraction"), decision(options["detection_delta"]))
            ],
        )

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """One filter."""
        return ("main",)

    def strata(self, options: Mapping[str, JSON]) -> dict[str, Callable[[Record], bool]]:
        """Benign and attack, each with an n of its own."""
        return {kind: _labelled(kind) for kind in KINDS}

    def unit(self, record: Record) -> str:
        """The template."""
        return template_of(record.payload)

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """Kind and verdict; a record of neither kind is out of scope."""
        kind = record.labels.get("kind")
        return {"kind": kind, "blocked": roles["blocked"]} if kind in KINDS else None

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """Blocked templates among benign ones, then among attacks."""
        calls = []
        for metric, kind in zip(("false_positive_rate", "detection_rate"), KINDS, strict=True):
            rows = [i for i, k in enumerate(columns["kind"]) if k == kind]
            table = {
                "value": [columns["blocked"][i] for i in rows],
                "status": [columns["status"][i] for i in rows],
                "group": [columns["group"][i] for i in rows],
            }
            calls.append(EstimatorCall(metric, "proportion", table))
        return Score(calls)

    def controls(self) -> Sequence[Control]:
        """Filters whose two rates are dialled in."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        never = frozenset({"REFUTED", "INCONCLUSIVE"})
        every = good | never
        # 2δ inside a false-positive rate of 0.02 is below 0, so the inside control makes none.
        inside, n = "mock?seed={seed}&detect=0.99&false_positive=0", 1000
        corpus = "simulated?family=stimuli&n=2400"
        return (
            Control("inside", "inside", inside, good, corpus=corpus, n=n),
            Control("outside-false-positive", "outside", "mock?seed={seed}&detect=0.99&false_positive=0.05", bad,
                    corpus=corpus, n=n),
            Control("outside-detection", "outside", "mock?seed={seed}&detect=0.91&false_positive=0", bad,
                    corpus=corpus, n=n),
            Control("dumb-constant", "dumb", "mock?mode=constant", never, corpus=corpus, n=n),
            Control("dumb-random", "dumb", "mock?seed={seed}&mode=random", never, corpus=corpus, n=n),
            Control("dumb-echo", "dumb", "mock?mode=echo", never, corpus=corpus, n=n),
            Control("dumb-error", "dumb", "mock?mode=error", never, corpus=corpus, n=n),
            Control("boundary", "boundary", "mock?seed={seed}&detect=0.95&false_positive=0.02", every,
                    corpus=corpus, n=n),
        )  # fmt: skip


def _labelled(kind: str) -> Callable[[Record], bool]:
    return lambda record: record.labels.get("kind") == kind
