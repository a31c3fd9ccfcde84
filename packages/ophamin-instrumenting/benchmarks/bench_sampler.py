"""The in-process CPU sampler at 100 Hz on a CPU-bound loop: interleaved runs with and without it, in one process."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from ophamin.instrumenting.flame import CpuSampler

PAIRS = 101
WORK = 60_000
DEPTH = 25


def _work(depth: int = DEPTH) -> int:
    """A loop under a stack as deep as programs have."""
    if depth:
        return _work(depth - 1)
    total = 0
    for i in range(WORK):
        total += _step(i)
    return total


def _step(i: int) -> int:
    return i * i % 7


def _cost(clock: Callable[[], float], sampled: bool) -> float:
    with CpuSampler(rate=100) if sampled else nullcontext():
        _work()
        begin = clock()
        for _ in range(4):
            _work()
        return clock() - begin


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
    rows = []
    for name, clock in (("CPU time", time.process_time), ("wall time", time.perf_counter)):
        ratios = []
        for pair in range(PAIRS):
            # Which comes first alternates, so that a drift of the machine falls on both.
            order = (True, False) if pair % 2 else (False, True)
            cost = {sampled: _cost(clock, sampled) for sampled in order}
            ratios.append(cost[True] / cost[False])
        lower, median, upper = _interval(ratios)
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
