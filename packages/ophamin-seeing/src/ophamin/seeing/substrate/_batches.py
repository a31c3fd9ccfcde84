"""Models in this process that answer many stimuli at once: chunks, their time limit, who is to blame for a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

from ophamin.protocols import CycleResult, Record
from ophamin.seeing.substrate._json import UnsuitableOutput, as_output
from ophamin.seeing.substrate._stdout import prints_aside
from ophamin.seeing.substrate._watchdog import Overrun, watchdog

__all__ = ["run_batches", "told"]


def run_batches(
    records: Sequence[Record],
    size: int,
    timeout_s: float,
    answer: Callable[[Sequence[Record], float], Sequence[Any]],
    *,
    plain: bool = False,
) -> Iterator[CycleResult]:
    """One result per record, in order.

    A chunk that fails or overruns is asked again one by one, so that the right cycle gets the blame.

    Args:
        records: The stimuli.
        size: How many are answered by one call; above 1 no cycle has a ``wall_s`` of its own.
        timeout_s: Longest a cycle may take; a chunk has as many.
        answer: From a chunk and its time limit to as many outputs.
        plain: The outputs are objects of plain JSON already, as the rules have it.
    """
    for begin in range(0, len(records), size):
        chunk = records[begin : begin + size]
        limit_s = timeout_s * len(chunk)
        outputs, failed, wall_s = _answered(chunk, limit_s, answer)
        if failed and len(chunk) > 1:
            for offset, record in enumerate(chunk):
                alone, why, _ = _answered([record], timeout_s, answer)
                yield _settled(begin + offset, record, alone[0] if alone else None, why, None)
            continue
        shown = wall_s if size == 1 else None
        if plain and not failed:
            for index, (record, output) in enumerate(zip(chunk, outputs, strict=True), begin):
                yield CycleResult(index, record.id, "", "ok", output, None, shown)
            continue
        for offset, record in enumerate(chunk):
            yield _settled(begin + offset, record, None if failed else outputs[offset], failed, shown)


def _answered(
    chunk: Sequence[Record], limit_s: float, answer: Callable[[Sequence[Record], float], Sequence[Any]]
) -> tuple[Sequence[Any], str, float]:
    started = perf_counter()
    with watchdog.armed(limit_s) as guard:
        try:
            with prints_aside:
                started = perf_counter()
                try:
                    guard.deadline = started + limit_s
                    outputs = answer(chunk, limit_s)
                finally:
                    guard.deadline = None
            if (wall_s := perf_counter() - started) > limit_s:
                raise Overrun
        except Overrun:
            return [], f"timeout after {limit_s:g} s", perf_counter() - started
        except (Exception, SystemExit) as error:  # noqa: BLE001
            # Whatever the model raises is its behaviour, and therefore data; one that was broken off ran out of time.
            wall_s = perf_counter() - started
            return [], f"timeout after {limit_s:g} s" if wall_s >= limit_s else told(error), wall_s
    if len(outputs) != len(chunk):
        return [], f"{len(outputs)} answers for {len(chunk)} inputs", wall_s
    return outputs, "", wall_s


def _settled(index: int, record: Record, output: Any, failed: str, wall_s: float | None) -> CycleResult:
    if not failed:
        try:
            return CycleResult(index, record.id, "", "ok", as_output(output), None, wall_s)
        except UnsuitableOutput as error:
            failed = str(error)
    return CycleResult(index, record.id, "", "error", None, failed, wall_s)


def told(error: BaseException) -> str:
    """Type and message of an exception in one line of at most 2,000 characters."""
    text = " ".join(f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode("utf-8").split())
    return text if len(text) <= 2000 else f"{text[:2000]}…"
