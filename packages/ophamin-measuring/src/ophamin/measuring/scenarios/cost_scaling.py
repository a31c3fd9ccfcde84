"""``cost-scaling``: what a system costs grows no faster than a power of the size of its input."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["CostScaling"]

JSON = Any
COSTS = {
    "latency_s": "seconds a cycle takes",
    "cpu_s": "CPU seconds of a cycle, children included",
    "rss_peak_bytes": "most resident memory in a cycle",
    "page_faults": "page faults of a cycle",
}


class CostScaling:
    """Exponent of the cost in the size at most a limit, over a registered range of sizes.

    Sizes lie in geometric steps over two decades or more, 8 of them at least; the median cost of each size is one
    observation, because what repeats of one size have in common (a cache, an allocator) does not average out. The
    claim must hold for the whole range *and* for its top half, and speaks of that range only. Records of size 0 are the
    empty call: the smallest size costs ten of them, or they are subtracted.

    A record's size is its label ``size``, or, without one, the length of its payload.

    Example:
        >>> claim = CostScaling().claim({k: o.default for k, o in CostScaling.options.items()})
        >>> [str(t) for t, _ in claim.parts()]
        ['cost_exponent <= 1.5', 'cost_exponent_top_half <= 1.5']
    """

    name = "cost-scaling"
    tier = "engineering"
    goal = "A system stays affordable when its input grows."
    options = {
        "limit": OptionSpec(1.5, "largest exponent: 1 is linear, 2 quadratic"),
        "delta": OptionSpec(0.25, "smallest difference worth knowing, in the exponent"),
        "cost": OptionSpec("latency_s", f"what is paid: {', '.join(COSTS)}"),
        "sd": OptionSpec(0.05, "noise of the logarithm of a size's median that the plan assumes"),
    }
    observables = COSTS
    default_corpus = "simulated?family=sizes"
    instruments = ("resources",)

    def roles(self, options: Mapping[str, JSON]) -> Mapping[str, str]:
        """The cost asked for."""
        cost = options["cost"]
        return {cost: COSTS[cost]} if cost in COSTS else {}

    def kinds(self, options: Mapping[str, JSON]) -> Mapping[str, str]:
        """It is a number."""
        return dict.fromkeys(self.roles(options), "number")

    def design(self, options: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """All sizes are measured."""
        sd = options["sd"]
        return {
            "whole": True,
            "assumptions": {"cost_exponent": {"sd": sd}, "cost_exponent_top_half": {"sd": sd, "top": True}},
        }

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """The exponent of the whole range and of its top half.

        Raises:
            UsageError: An unknown cost, or a limit that makes no sense.
        """
        limit, cost = options["limit"], options["cost"]
        if cost not in COSTS:
            raise UsageError(f"cost is one of {', '.join(COSTS)}, not {cost!r}")
        if not math.isfinite(limit):
            raise UsageError(f"limit is an exponent, such as 1.5, not {limit:g}")
        if not (math.isfinite(options["sd"]) and options["sd"] > 0):
            raise UsageError(f"sd is a number above 0, such as 0.05, not {options['sd']:g}")
        decision = Decision(
            rule="interval",
            method="ols-t",
            estimator="exponent",
            smallest_difference=options["delta"],
            target="the range of sizes of the registered corpus",
            group="size",
        )
        return Claim(
            statement=f"{cost} grows no faster than the size to the power of {limit:g}, over the sizes measured.",
            operationalization=f"slope of the logarithm of the median {cost} of a size on the logarithm of the size, "
            "over all sizes and over the upper half of them; the median at size 0 subtracted unless the smallest "
            "size costs ten times that",
            h0=f"exponent > {limit:g} over the whole range or over its top half",
            h1=f"exponent <= {limit:g} over the whole range and over its top half",
            threshold=Threshold("cost_exponent", "<=", limit, ""),
            decision=decision,
            co_primary=[CoPrimary(Threshold("cost_exponent_top_half", "<=", limit, ""), decision)],
        )

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """One system."""
        return ("main",)

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """The size and what it cost; a record without a size is out of scope."""
        size = _size(record)
        return None if size is None else {"size": size, "cost": next(iter(roles.values()), None)}

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """One median a size; a size with a failed cycle has none."""
        costs: dict[float, list[float | None]] = {}
        for size, cost, status in zip(columns["size"], columns["cost"], columns["status"], strict=True):
            costs.setdefault(size, []).append(cost if status == "ok" else None)
        sizes = sorted(costs)
        medians: list[float | None] = []
        for size in sizes:
            there = [c for c in costs[size] if c is not None]
            medians.append(float(statistics.median(there)) if len(there) == len(costs[size]) else None)
        table: dict[str, Sequence[JSON]] = {
            "value": medians,
            "size": sizes,
            "status": ["error" if m is None else "ok" for m in medians],
        }
        return Score(
            [
                EstimatorCall("cost_exponent", "exponent", table, {"part": "whole"}),
                EstimatorCall("cost_exponent_top_half", "exponent", table, {"part": "top"}),
            ]
        )

    def controls(self) -> Sequence[Control]:
        """Systems whose time is a known power of the size, on a virtual clock; one that is really quadratic."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        never = frozenset({"REFUTED", "INCONCLUSIVE"})
        corpus = "simulated?family=sizes&repeats=5"

        def costs(more: str) -> str:
            return f"costs?seed={{seed}}&clock=virtual&unit_s=1e-8&noise=0.1{more}"

        def control(name: str, kind: Any, system: str, expect: frozenset[str], why: str = "") -> Control:
            return Control(name, kind, system, expect, {}, corpus, None, why)

        flat = "its time does not depend on the size, so the claim is literally true of it"
        older = "its time grows with the number of calls, not with the size; memory-growth refutes it"
        leaking = "python:ophamin.measuring.scenarios.leaking:answer"
        slow = "python:ophamin.measuring.scenarios.leaking:quadratic"
        return (
            control("inside", "inside", costs("&exponent=1"), good),
            control("outside", "outside", costs("&exponent=2"), bad),
            # Linear at first, quadratic above the middle: only the top half tells soon enough.
            control("outside-top-half", "outside", costs("&exponent=1&top_exponent=2.2&knee=1000"), bad),
            Control(
                "dumb-slow", "dumb", slow, bad, {}, "simulated?family=sizes&smallest=20&largest=2000&repeats=3", None
            ),
            control("dumb-leaking", "dumb", leaking, good | never, older),
            control("dumb-error", "dumb", "costs?mode=error&clock=virtual", never),
            control("dumb-constant", "dumb", "costs?mode=constant&clock=virtual", never),
            control("dumb-random", "dumb", "costs?seed={seed}&mode=random&clock=virtual&noise=0.1", good, flat),
            control("dumb-echo", "dumb", "costs?mode=echo&clock=virtual", never),
            control("boundary", "boundary", costs("&exponent=1.5"), good | never),
        )


def _size(record: Record) -> float | None:
    size = record.labels.get("size")
    if size is None:
        try:
            size = len(record.payload)
        except TypeError:
            return None
    try:
        size = float(size)
    except (TypeError, ValueError):
        return None
    return size if math.isfinite(size) and size >= 0 else None
