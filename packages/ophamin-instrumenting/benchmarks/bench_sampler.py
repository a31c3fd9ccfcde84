"""The in-process CPU sampler at 100 Hz on a CPU-bound loop: interleaved runs with and without it, in one process."""

from __future__ import annotations

import math
import resource
import statistics
import time
from contextlib import nullcontext
from typing import Any

from ophamin.instrumenting.flame import CpuSampler

PAIRS = 201
DEPTH = 25
# Numbers that Python keeps for good. With others, each of which is an object made and freed, the loop's own speed hangs on
# how full the allocator's pools happen to be: what a look leaves behind then made it faster by a tenth.
NUMBERS = tuple(range(16)) * 4_000


def _work(depth: int = DEPTH) -> int:
    """A loop under a stack as deep as programs have."""
    if depth:
        return _work(depth - 1)
    total = 0
    for number in NUMBERS:
        total = (total + _step(number)) % 13
    return total


def _step(number: int) -> int:
    return number * number % 7


def _cost(sampled: bool) -> tuple[float, float]:
    """CPU and wall seconds of the same work, a fifteenth of a second under a sampler that has been at it as long."""
    with CpuSampler(rate=100) if sampled else nullcontext():
        for _ in range(10):
            _work()
        cpu, wall = _cpu(), time.perf_counter()
        for _ in range(10):
            _work()
        return _cpu() - cpu, time.perf_counter() - wall


def _cpu() -> float:
    """Of the whole process, as the kernel keeps it for good: its process clock reads otherwise while a timer of it runs."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _interval(ratios: list[float]) -> tuple[float, float, float]:
    """Median with its exact 95 % interval from order statistics (David & Nagaraja 2003, §7.1)."""
    ordered, n = sorted(ratios), len(ratios)
    tail, below = 0.0, 0
    while tail + math.comb(n, below) / 2**n <= 0.025:
        tail += math.comb(n, below) / 2**n
        below += 1
    return ordered[below - 1], statistics.median(ordered), ordered[n - below]


def run() -> list[dict[str, Any]]:
    """Overhead as the upper bound of an interval over interleaved pairs, by CPU time and by wall time."""
    ratios: list[tuple[float, float]] = []
    for pair in range(PAIRS):
        # Which comes first alternates, so that a drift of the machine falls on both.
        order = (True, False) if pair % 2 else (False, True)
        cost = {sampled: _cost(sampled) for sampled in order}
        (cpu, wall), (bare_cpu, bare_wall) = cost[True], cost[False]
        ratios.append((cpu / bare_cpu, wall / bare_wall))
    rows = []
    for name, found in zip(("CPU time", "wall time"), zip(*ratios, strict=True), strict=True):
        lower, median, upper = _interval(list(found))
        rows.append(
            {
                "name": f"CPU-bound loop sampled at 100 Hz / not sampled, {name}, upper bound",
                "ratio": upper,
                "bar": "<= 1.05",
                "ok": upper <= 1.05,
                "detail": f"median {100 * (median - 1):+.2f} %, 95 % interval {100 * (lower - 1):+.2f} … {100 * (upper - 1):+.2f} %, {PAIRS} pairs",
            }
        )
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
