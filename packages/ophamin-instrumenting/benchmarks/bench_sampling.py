"""Per-cycle sampling against psutil's ``cpu_times`` and ``memory_info``, interleaved in one process.

Both sides read at the beginning and at the end of every cycle, because a cycle's cost is a difference.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil

from ophamin.instrumenting.resources import InstrumentedSubstrate
from ophamin.protocols import CycleResult, Record, SubstrateIdentity

ROUNDS = 31
CYCLES = 200


class _Empty:
    """Does nothing; what a cycle takes is what watches it."""

    def __init__(self, pids: Sequence[int] = ()) -> None:
        self._pids = list(pids)

    def identity(self) -> SubstrateIdentity:
        return SubstrateIdentity("bench", "empty", "sha256:" + "0" * 64)

    def reset(self, seed: int) -> None: ...

    def processes(self) -> list[int]:
        return self._pids

    def close(self) -> None: ...

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        for index, record in enumerate(records):
            yield CycleResult(index, record.id, wall_s=0.0)


class _ByPsutil(_Empty):
    """The baseline: the same cycles, with psutil's pair before and after each, for every process."""

    def __init__(self, pids: Sequence[int] = ()) -> None:
        super().__init__(pids)
        self._seen = [psutil.Process(pid) for pid in pids] or [psutil.Process()]

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        cycles = super().run_batch(records, seed=seed, timeout_s=timeout_s)
        while True:
            before = [(p.cpu_times(), p.memory_info()) for p in self._seen]
            result = next(cycles, None)
            after = [(p.cpu_times(), p.memory_info()) for p in self._seen]
            if result is None or not before or not after:
                return
            yield result


RECORDS = [Record(str(i), "") for i in range(CYCLES)]


def _per_cycle(substrate: Any) -> float:
    cycles = substrate.run_batch(RECORDS, seed=0, timeout_s=1.0)
    next(cycles)
    began = time.perf_counter()
    for _ in cycles:
        pass
    return (time.perf_counter() - began) / (CYCLES - 1)


def _ratio(ours: Any, baseline: Any, bare: Any) -> tuple[float, float, float]:
    """Median over rounds of what each adds to a bare cycle, ours over the baseline's."""
    times: dict[str, list[float]] = {"ours": [], "baseline": [], "bare": []}
    order: list[tuple[str, Callable[[], float]]] = [
        ("ours", lambda: _per_cycle(ours)), ("baseline", lambda: _per_cycle(baseline)), ("bare", lambda: _per_cycle(bare)),
    ]  # fmt: skip
    for round_ in range(ROUNDS):
        for k in range(3):
            name, measure = order[(round_ + k) % 3]
            times[name].append(measure())
    added, base = (
        [t - b for t, b in zip(times[side], times["bare"], strict=True)] for side in ("ours", "baseline")
    )  # fmt: skip
    ratios = [a / b for a, b in zip(added, base, strict=True)]
    return statistics.median(ratios), statistics.median(added), statistics.median(base)


def run() -> list[dict[str, Any]]:
    """Two rows: a substrate of this process without children, and one with a child process."""
    rows = []
    watched = InstrumentedSubstrate(_Empty())
    ratio, ours, base = _ratio(watched, _ByPsutil(), _Empty())
    watched.close()
    rows.append({
        "name": "per-cycle sampling in-process, against psutil cpu_times + memory_info",
        "ratio": ratio, "bar": "<= 0.5", "ok": ratio <= 0.5,
        "detail": f"{ours * 1e6:.1f} µs a cycle against {base * 1e6:.1f} µs (both read twice a cycle)",
    })  # fmt: skip
    command = [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        time.sleep(0.3)
        watched = InstrumentedSubstrate(_Empty([child.pid]))
        ratio, ours, base = _ratio(watched, _ByPsutil([child.pid]), _Empty())
        watched.close()
        assert child.stdin is not None
        child.stdin.close()
    rows.append({
        "name": "per-cycle sampling of one child, against psutil cpu_times + memory_info of that child",
        "ratio": ratio, "bar": "<= 2", "ok": ratio <= 2,
        "detail": f"{ours * 1e6:.1f} µs a cycle against {base * 1e6:.1f} µs (both read twice a cycle)",
    })  # fmt: skip
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{'ok  ' if row['ok'] else 'MISS'} {row['name']}: {row['ratio']:.2f} {row['bar']}  ({row['detail']})")
