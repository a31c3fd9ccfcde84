"""Sweeps: dispatch and speed-up against a bare pool of processes, and going on with a finished one."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ophamin.comparing.orchestration import Cell, ExperimentRunner, SweepJournal
from ophamin.proof.canonical import digest

ROUNDS, CELLS, SLEEP, SPIN, MANY = 5, 300, 0.01, "len('ab')", 1000


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _sweep(work: str, data: list[Any], workers: int, folder: str, executor: str = "process") -> None:
    cells = [Cell(digest([work, i, value]), value) for i, value in enumerate(data)]
    with SweepJournal(Path(folder)) as journal:
        ExperimentRunner(journal, executor=executor, workers=workers).run(cells, work)


def _ours(work: str, data: list[Any], workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _sweep(work, data, workers, folder)


def _bare(function: Callable[[Any], Any], data: list[Any], workers: int) -> None:
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(function, value) for value in data]:
            future.result()


def _dispatch() -> dict[str, Any]:
    data = [SLEEP] * CELLS
    pairs = [
        (_seconds(lambda: _bare(time.sleep, data, 2)), _seconds(lambda: _ours("time:sleep", data, 2)))
        for _ in range(ROUNDS)
    ]
    ratio = statistics.median(bare / ours for bare, ours in pairs)
    bare, ours = (CELLS / statistics.median(p[i] for p in pairs) for i in (0, 1))
    return {
        "name": "sweep: dispatch of 10 ms cells, rate against a bare pool", "ratio": ratio, "bar": ">= 0.7",
        "ok": ratio >= 0.7, "detail": f"{ours:.0f} cells/s against {bare:.0f}",
    }  # fmt: skip


def _speed_up() -> dict[str, Any]:
    """Two workers against one, ours and bare, alternated; the work is CPU."""
    data = [SPIN] * 60
    found = []
    for _ in range(ROUNDS):
        bare = [_seconds(lambda w=w: _bare(timeit.timeit, data, w)) for w in (1, 2)]  # type: ignore[misc]
        ours = [_seconds(lambda w=w: _ours("timeit:timeit", data, w)) for w in (1, 2)]  # type: ignore[misc]
        found.append((ours[0] / ours[1], bare[0] / bare[1]))
    ratio = statistics.median(o / b for o, b in found)
    own, theirs = (statistics.median(f[i] for f in found) for i in (0, 1))
    return {
        "name": "sweep: speed-up by two workers, against the bare pool's own", "ratio": ratio, "bar": ">= 0.95",
        "ok": ratio >= 0.95, "detail": f"{own:.2f} against {theirs:.2f}",
    }  # fmt: skip


def _resume() -> dict[str, Any]:
    ratios, first, second = [], 0.0, 0.0
    data = list(range(MANY))
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            first, second = (_seconds(lambda at=folder: _sweep("builtins:abs", data, 2, at)) for _ in range(2))  # type: ignore[misc]
            ratios.append(second / first)
    ratio = statistics.median(ratios)
    return {
        "name": f"sweep: going on with {MANY} finished cells, against running no-op cells", "ratio": ratio,
        "bar": "<= 0.05", "ok": ratio <= 0.05, "detail": f"{1000 * second:.1f} ms against {1000 * first:.0f} ms",
    }  # fmt: skip


def run() -> list[dict[str, Any]]:
    """The rows."""
    return [_dispatch(), _speed_up(), _resume()]


if __name__ == "__main__":
    for row in run():
        print(row)
