"""What watching costs, measured by watching and not watching in turn."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ophamin import registry
from ophamin.instrumenting._family import Family
from ophamin.instrumenting._sampler import PeakSampler
from ophamin.instrumenting.resources import InstrumentedSubstrate
from ophamin.proof.errors import PluginError
from ophamin.protocols import CycleResult, Record, SubstrateProbe

__all__ = ["Overhead", "interleaved", "of_cycles", "of_sampling"]

PAIRS = 100
CONFIDENCE = 0.95
NO_INTERVAL = "the estimator 'mean' is not installed: pip install 'ophamin[measuring]' gives an interval"


@dataclass(frozen=True)
class Overhead:
    """What watching adds.

    Args:
        unit: ``s`` a cycle, or ``fraction`` of the time without it.
        value: Mean of the paired differences.
        lower: Bound with one-sided confidence ``confidence``; ``None`` where no interval can be had.
        upper: Likewise.
        confidence: Of each bound.
        n: Pairs.
        method: Interval method.
        library: Distribution that computed the interval.
        version: Its version.
        problem: Why there is no interval, or "".
        what: What was compared, one sentence.
    """

    unit: str
    value: float
    lower: float | None
    upper: float | None
    confidence: float
    n: int
    method: str
    library: str
    version: str
    problem: str
    what: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def interleaved(
    on: Callable[[], float], off: Callable[[], float], *, pairs: int, seed: int
) -> list[tuple[float, float]]:
    """Seconds with and without, pair by pair, in seeded order within each pair.

    Args:
        on: One cycle that is watched; gives its seconds.
        off: The same unwatched.
        pairs: How many of each.
        seed: Of the order.
    """
    rng = random.Random(seed)
    measured = []
    for _ in range(pairs):
        if rng.random() < 0.5:
            first, second = on(), off()
        else:
            second, first = off(), on()
        measured.append((first, second))
    return measured


def estimate(pairs: Sequence[tuple[float, float]], *, unit: str, what: str) -> Overhead:
    """Mean and interval of the paired differences, by the registered estimator ``mean`` (Student's t).

    Args:
        pairs: Seconds with and without.
        unit: ``s`` or ``fraction``, of the mean without.
        what: What was compared.
    """
    scale = statistics.fmean(off for _, off in pairs) if unit == "fraction" else 1.0
    values = [(on - off) / scale for on, off in pairs]
    mean = statistics.fmean(values)
    try:
        found = registry.estimators.get("mean")({"value": values}, confidence=CONFIDENCE, seed=0, method="t")
    except (PluginError, LookupError):
        return Overhead(unit, mean, None, None, CONFIDENCE, len(values), "", "", "", NO_INTERVAL, what)
    return Overhead(
        unit, mean, found.lower, found.upper, CONFIDENCE, len(values), found.method, found.library, found.version,
        found.problem, what,
    )  # fmt: skip


class _Empty:
    """A substrate that does nothing, with somebody else's processes: what is left is the watching."""

    def __init__(self, substrate: SubstrateProbe) -> None:
        self.identity, self.processes = substrate.identity, substrate.processes

    def reset(self, seed: int) -> None:
        """Nothing to return to."""

    def close(self) -> None:
        """Nothing to release."""

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, at once."""
        for index, record in enumerate(records):
            yield CycleResult(index, record.id, wall_s=0.0)


def of_cycles(substrate: SubstrateProbe, *, pairs: int = PAIRS, seed: int = 0) -> Overhead:
    """Seconds that resources add to a cycle of this substrate, with the processes it has now.

    Args:
        substrate: The system; it is not asked anything but its processes.
        pairs: Pairs of an empty cycle that is watched and one that is not.
        seed: Of the order.
    """
    empty = _Empty(substrate)
    records = [Record(str(i), "") for i in range(2 * pairs + 2)]
    watched = InstrumentedSubstrate(empty)
    with_, without = (s.run_batch(records, seed=0, timeout_s=1.0) for s in (watched, empty))

    def timed(cycles: Iterator[CycleResult]) -> float:
        began = time.perf_counter()
        next(cycles)
        return time.perf_counter() - began

    try:
        for cycles in (with_, without):
            next(cycles)  # the first opens files and starts the thread
        measured = interleaved(lambda: timed(with_), lambda: timed(without), pairs=pairs, seed=seed)
    finally:
        for cycles in (with_, without):
            cycles.close()  # type: ignore[attr-defined]  # both are generators
        watched.close()
    return estimate(measured, unit="s", what="an empty cycle with the system's processes, watched and not, in turn")


# Answers each line with the seconds that a fixed piece of work took.
_WORK = """
import sys, time
for line in sys.stdin:
    began = time.perf_counter()
    sum(i * i for i in range(60000))
    print(time.perf_counter() - began, flush=True)
"""


def of_sampling(period_s: float, *, pairs: int = 30, seed: int = 0) -> Overhead:
    """Share by which a program of another process gets slower while it is sampled.

    Args:
        period_s: Seconds between two looks.
        pairs: Pairs of a fixed piece of work in a process of its own, sampled and not.
        seed: Of the order.
    """
    command = [sys.executable, "-S", "-c", _WORK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        family, pids = Family(), [program.pid]

        def work() -> float:
            assert program.stdin is not None
            assert program.stdout is not None
            print(file=program.stdin, flush=True)
            return float(program.stdout.readline())

        def look() -> int | None:
            return family.look(pids).rss()

        with PeakSampler(look, period_s) as sampler:

            def on() -> float:
                sampler.begin()
                took = work()
                sampler.end()
                return took

            try:
                on(), work()
                measured = interleaved(on, work, pairs=pairs, seed=seed)
            finally:
                program.stdin.close()
        family.close()
    return estimate(measured, unit="fraction", what="a piece of work in another process, sampled and not, in turn")
