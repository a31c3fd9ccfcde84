"""``memory-growth``: a system's memory does not grow with the number of cycles."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, Decision, Threshold
from ophamin.protocols import Columns, Control, CycleResult, EstimatorCall, OptionSpec, Record, Score

__all__ = ["MemoryGrowth"]

JSON = Any
FEWEST_PROCESSES = 8
FEWEST_BLOCKS = 10
SHORTEST = 10
"""Least cycles after the warm-up that a slope is taken over."""
STEP = 128 * 1024
"""Bytes in which a kernel may tell resident memory: Linux keeps 32 pages a processor uncounted."""


class MemoryGrowth:
    """Growth of resident memory at most a limit, in bytes per cycle.

    Readings of one process depend on each other: a regression on one series is wrong far more often than it says. So
    ``design=processes`` starts 8 fresh processes or more, takes one slope of each after a registered warm-up, and
    Student's t over the slopes. ``design=blocks`` stays in one process and takes the increments from block end to
    block end (10 blocks or more), for a system that cannot be started afresh.

    The kernel tells memory in steps, so equal slopes of exactly 0 are common and show no spread to be judged by. Every
    reading is therefore moved to a place drawn evenly from its step, where the true value may lie anywhere; that adds a
    known noise of mean 0, about step / cycles^1.5 bytes a cycle in a slope. A growth that stays below one step over all
    the cycles of a process can go unseen: choose ``cycles`` so that ``limit`` · ``cycles`` is several steps.

    Example:
        >>> str(MemoryGrowth().claim({k: o.default for k, o in MemoryGrowth.options.items()}).threshold)
        'growth_bytes_per_cycle <= 1024.0 B/cycle'
    """

    name = "memory-growth"
    tier = "engineering"
    goal = "A system keeps nothing of what it has answered."
    options = {
        "limit": OptionSpec(1024.0, "largest growth", "B/cycle"),
        "delta": OptionSpec(256.0, "smallest difference worth knowing", "B/cycle"),
        "design": OptionSpec("processes", "processes: a slope each of fresh processes; blocks: increments in one"),
        "cycles": OptionSpec(1000, "cycles after the warm-up, of a process or of a block", "cycles"),
        "warmup": OptionSpec(200, "first cycles of a process, out of scope", "cycles"),
        "sd": OptionSpec(128.0, "spread between processes that the plan assumes", "B/cycle"),
    }
    observables = {
        "rss_bytes": "resident memory of the system after the cycle",
        "process": "which process answered; the engine says it",
    }
    default_corpus = "simulated?family=stimuli&n=100000"
    instruments = ("resources",)

    def roles(self, options: Mapping[str, JSON]) -> Mapping[str, str]:
        """In one process nobody asks which."""
        wanted = ("rss_bytes", "process") if options["design"] == "processes" else ("rss_bytes",)
        return {role: self.observables[role] for role in wanted}

    def kinds(self, options: Mapping[str, JSON]) -> Mapping[str, str]:
        """Both are numbers."""
        return dict.fromkeys(self.roles(options), "number")

    def design(self, options: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """A unit is a process, or a block of one."""
        fresh = options["design"] == "processes"
        assumed = {"sd": options["sd"], "least": FEWEST_PROCESSES if fresh else FEWEST_BLOCKS}
        return {
            "cycles_per_unit": options["cycles"] + (options["warmup"] if fresh else 0),
            "fresh": fresh,
            "assumptions": {"growth_bytes_per_cycle": assumed},
        }

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """Memory grows by the limit at most.

        Raises:
            UsageError: A limit, a length or the design makes no sense.
        """
        limit, delta, cycles, warmup = (options[k] for k in ("limit", "delta", "cycles", "warmup"))
        if options["design"] not in ("processes", "blocks"):
            raise UsageError(f"design is processes or blocks, not {options['design']!r}")
        if not (math.isfinite(limit) and limit >= 0 and math.isfinite(delta) and delta > 0):
            raise UsageError("limit and delta are numbers of bytes per cycle, 0 or more, and delta is above 0")
        if not (math.isfinite(options["sd"]) and options["sd"] > 0):
            raise UsageError(f"sd is a number of bytes per cycle above 0, not {options['sd']:g}")
        if warmup < 0 or cycles < SHORTEST:
            raise UsageError(f"warmup is 0 or more and cycles is at least {SHORTEST}, not {warmup} and {cycles}")
        fresh = options["design"] == "processes"
        how = (
            f"slope of rss_bytes on the cycle, least squares over {cycles} cycles after {warmup} of warm-up, one for "
            "each fresh process"
            if fresh
            else f"growth of rss_bytes from block end to block end over the cycles of a block ({cycles}), in one "
            f"process, the first {warmup} cycles left out"
        )
        return Claim(
            statement=f"Memory grows by at most {limit:g} bytes a cycle.",
            operationalization=f"mean {how}; each reading moved evenly within the {STEP} bytes in which memory is told",
            h0=f"growth > {limit:g} B/cycle",
            h1=f"growth <= {limit:g} B/cycle",
            threshold=Threshold("growth_bytes_per_cycle", "<=", limit, "B/cycle"),
            decision=Decision(
                rule="interval",
                method="t",
                estimator="mean",
                smallest_difference=delta,
                target=f"{'fresh processes' if fresh else 'blocks of one process'} on the registered corpus",
                group="process" if fresh else "block",
            ),
        )

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """One system."""
        return ("main",)

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """When the cycle ran, in which process, and what memory there was then."""
        return {"position": result.index, "rss_bytes": roles["rss_bytes"], "process": roles.get("process")}

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """One slope a process, or one increment a block; a unit with a failed cycle has none."""
        fresh = options["design"] == "processes"
        length = options["cycles"] + (options["warmup"] if fresh else 0)
        units: dict[int, list[int]] = {}
        for i, position in enumerate(columns["position"]):
            units.setdefault(position // length, []).append(i)
        values: list[float | None] = []
        end: tuple[int, float] | None = None
        for unit in sorted(units):
            rows = sorted(units[unit], key=lambda i: columns["position"][i])
            whole = all(columns["status"][i] == "ok" and columns["rss_bytes"][i] is not None for i in rows)
            if fresh:
                values.append(_slope(columns, rows, options["warmup"]) if whole else None)
                continue
            value, end = _increment(columns, rows, options["warmup"], end) if whole else (None, None)
            values.append(value)
        table: dict[str, Sequence[JSON]] = {"value": values, "status": ["error" if v is None else "ok" for v in values]}
        least = FEWEST_PROCESSES if fresh else FEWEST_BLOCKS
        return Score([EstimatorCall("growth_bytes_per_cycle", "mean", table, {"least": least})])

    def controls(self) -> Sequence[Control]:
        """Systems that keep a known number of bytes, on simulated memory; one that leaks real memory."""
        good, bad = frozenset({"VALIDATED"}), frozenset({"REFUTED"})
        never = frozenset({"REFUTED", "INCONCLUSIVE"})
        options = {"cycles": 100, "warmup": 5}
        corpus, n = "simulated?family=stimuli&n=2400", FEWEST_PROCESSES
        blocks = FEWEST_BLOCKS

        def control(name: str, kind: Any, system: str, expect: frozenset[str], why: str = "", **more: JSON) -> Control:
            return Control(name, kind, system, expect, {**options, **more}, corpus, blocks if more else n, why)

        def simulated(leak: float, more: str = "") -> str:
            return f"costs?leak_bytes={leak:g}&leak_sd=128&clock=virtual{more}"

        nothing = "it keeps nothing, so the claim is literally true of it: it speaks of memory, not of sense"
        leaking = "python:ophamin.measuring.scenarios.leaking:hoard"
        return (
            control("inside", "inside", simulated(512), good),
            control("inside-blocks", "inside", simulated(512), good, design="blocks"),
            control("outside", "outside", simulated(1536), bad),
            control("outside-blocks", "outside", simulated(1536), bad, design="blocks"),
            control("dumb-leaking", "dumb", leaking, bad),
            control("dumb-error", "dumb", "costs?mode=error&clock=virtual", never),
            control("dumb-constant", "dumb", "costs?mode=constant&clock=virtual", good, nothing),
            control("dumb-random", "dumb", "costs?mode=random&clock=virtual", good, nothing),
            control("dumb-echo", "dumb", "costs?mode=echo&clock=virtual", good, nothing),
            control("dumb-slow", "dumb", "costs?unit_s=0.001&clock=virtual", good, nothing),
            control("boundary", "boundary", simulated(1024), good | never),
        )


def _moved(columns: Columns, i: int) -> float:
    """A reading at a place within its step: by the row, so that scoring again gives the same."""
    return float(columns["rss_bytes"][i]) + random.Random(f"step:{columns['position'][i]}").uniform(-STEP, STEP) / 2


def _slope(columns: Columns, rows: Sequence[int], warmup: int) -> float | None:
    """Least squares over one process's cycles after the warm-up; ``None`` when too few are left.

    A process that was left in the middle (the run was interrupted) counts by its longer part.
    """
    [(process, _)] = Counter(columns["process"][i] for i in rows).most_common(1)
    x, y = [], []
    for i in rows:
        age = columns["position"][i] - process
        if columns["process"][i] == process and age >= warmup:
            x.append(float(age))
            y.append(_moved(columns, i))
    if len(x) < SHORTEST:
        return None
    middle, level = math.fsum(x) / len(x), math.fsum(y) / len(y)
    return math.fsum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / math.fsum(
        (a - middle) ** 2 for a in x
    )


def _increment(
    columns: Columns, rows: Sequence[int], warmup: int, end: tuple[int, float] | None
) -> tuple[float | None, tuple[int, float]]:
    """Growth per cycle since the last block's end, and this one's end."""
    last = columns["position"][rows[-1]], _moved(columns, rows[-1])
    if end is None:
        first = next((i for i in rows if columns["position"][i] >= warmup), rows[-1])
        end = columns["position"][first], _moved(columns, first)
    cycles = last[0] - end[0]
    return (None if cycles < SHORTEST - 1 else (last[1] - end[1]) / cycles), last
