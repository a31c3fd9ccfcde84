"""``throughput-ceiling``: 95 % of cycles end within a limit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.measuring.estimators.quantile import quantile
from ophamin.measuring.scenarios._blocks import blocks_of, check_blocks
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, Decision, PillarEvidence, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["ThroughputCeiling"]

JSON = Any
SHARE = 0.05
SHOWN = (0.5, 0.95, 0.99)


class ThroughputCeiling:
    """p95 of the cycle time at most a limit, as P(time > limit) <= 5 %.

    Cycles that follow one another in one process depend on each other, so contiguous blocks are the units
    (Korn–Graubard over blocks). Where no cycle is slow, each block counts as one observation; 59 blocks are then
    the least that validate at α = 0.05, 72 at a second attempt, hence 80 by default, of 10 cycles or more. A
    registered warm-up stays out of scope. Order statistics are shown and do not decide.

    Example:
        >>> str(ThroughputCeiling().claim({k: o.default for k, o in ThroughputCeiling.options.items()}).threshold)
        'slow_cycle_rate <= 0.05 fraction'
    """

    name = "throughput-ceiling"
    tier = "engineering"
    goal = "A system answers in time, nearly always."
    options = {
        "limit_s": OptionSpec(0.1, "longest time of a cycle that is not slow", "s"),
        "delta": OptionSpec(0.02, "smallest difference worth knowing, in share of slow cycles", "fraction"),
        "warmup": OptionSpec(20, "first cycles, out of scope", "cycles"),
        "blocks": OptionSpec(80, "contiguous blocks of cycles, at least 20", "blocks"),
    }
    observables = {"latency_s": "seconds a cycle takes"}
    default_corpus = "cyber-payloads?split=test"

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """At most 5 % of cycles are slower than the limit.

        Raises:
            UsageError: The limit, the warm-up or the number of blocks makes no sense.
        """
        limit = options["limit_s"]
        if not (limit > 0 and math.isfinite(limit)):
            raise UsageError(f"limit_s is a positive number of seconds, such as 0.1, not {limit:g}")
        if options["warmup"] < 0:
            raise UsageError(f"warmup is a number of cycles, 0 or more, not {options['warmup']}")
        check_blocks(options["blocks"])
        return Claim(
            statement=f"95 % of cycles take at most {limit:g} s.",
            operationalization=f"share of cycles with latency_s > {limit:g}, without the first "
            f"{options['warmup']} cycles; independent unit: up to {options['blocks']} contiguous blocks of cycles",
            h0=f"P(latency_s > {limit:g}) > {SHARE}",
            h1=f"P(latency_s > {limit:g}) <= {SHARE}",
            threshold=Threshold("slow_cycle_rate", "<=", SHARE, "fraction"),
            decision=Decision(
                rule="interval",
                method="korn-graubard-adverse",
                estimator="proportion",
                smallest_difference=options["delta"],
                target="cycles on the registered corpus",
                group="block",
            ),
        )

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """One system."""
        return ("main",)

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """When the cycle ran and how long it took."""
        return {"position": result.index, "latency_s": roles["latency_s"]}

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """Slow cycles after the warm-up, by block; quantiles beside them."""
        limit, warmup = options["limit_s"], options["warmup"]
        rows = [i for i, position in enumerate(columns["position"]) if position >= warmup]
        times = [columns["latency_s"][i] for i in rows]
        table = {
            "value": [None if t is None else int(t > limit) for t in times],
            "status": [columns["status"][i] for i in rows],
            "group": blocks_of(len(rows), int(options["blocks"])),
        }
        calls = [EstimatorCall("slow_cycle_rate", "proportion", table)]
        return Score(calls, _shown([t for t in times if t is not None]))

    def controls(self) -> Sequence[Control]:
        """Systems that are slow with a known probability, on a virtual clock; one that leaks, on the real one."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        never = frozenset({"REFUTED", "INCONCLUSIVE"})
        corpus, n = "simulated?family=stimuli&n=2400", 1200

        def mock(share: float) -> str:
            return f"mock?seed={{seed}}&clock=virtual&latency_s=0.01&latency_p={share}&latency_high_s=1"

        def control(name: str, kind: Any, substrate: str, expect: frozenset[str], why: str = "") -> Control:
            return Control(name, kind, substrate, expect, corpus=corpus, n=n, why=why)

        fast = "its cycles take no time, so the claim is literally true of it: it speaks of time, not of sense"
        leaking = "python:ophamin.measuring.scenarios.leaking:answer"
        return (
            control("inside", "inside", mock(0.01), good),
            control("outside", "outside", mock(0.09), bad),
            control("dumb-slow", "dumb", mock(1), never),
            control("dumb-error", "dumb", "mock?mode=error&clock=virtual", never),
            Control("dumb-leaking", "dumb", leaking, never, {"limit_s": 0.0005}, corpus, n),
            control("dumb-constant", "dumb", "mock?mode=constant&clock=virtual", good, fast),
            control("dumb-random", "dumb", "mock?seed={seed}&mode=random&clock=virtual", good, fast),
            control("dumb-echo", "dumb", "mock?mode=echo&clock=virtual", good, fast),
            control("boundary", "boundary", mock(0.05), good | never),
        )


def _shown(times: Sequence[float]) -> list[PillarEvidence]:
    """Quantiles of the measured cycles; their bounds take the cycles for independent, so they never decide."""
    evidence = []
    for q in SHOWN if times else ():
        found = quantile({"value": times}, confidence=0.95, q=q)
        evidence.append(
            PillarEvidence(
                "estimator:quantile",
                f"p{100 * q:g}_latency_s",
                found.value,
                found.library,
                found.version,
                ci_low=found.lower,
                ci_high=found.upper,
                detail={"q": q, "unit": "s", "assumes": "independent cycles"},
                n=found.n,
                interval_method=found.method,
                guarantee="approximate",
                role="secondary",
            )
        )
    return evidence
