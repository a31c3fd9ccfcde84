"""The cycles themselves: one stimulus, one arm, one row.

This is the only part of the road that runs once per cycle, so it does nothing twice: rows are encoded by
one encoder made beforehand and written by one system call each.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

from ophamin.measuring.scenarios._road.fresh import FreshProcesses
from ophamin.measuring.scenarios._road.journal import encode
from ophamin.measuring.scenarios._road.selection import Selection
from ophamin.measuring.scenarios._road.setup import Arm, Setup, check_applicable
from ophamin.proof.canonical import canonical_bytes
from ophamin.proof.errors import NotApplicable, OphaminError, ProtocolViolation, RecordError, SubstrateFailure
from ophamin.protocols import CycleResult, Progress, Record

__all__ = ["ADDED_COLUMNS", "BLOCKS", "Ticker", "cycle_count", "observe_cycles", "values_digest_of"]

JSON = Any

BLOCKS = 20
"""Contiguous blocks a run is cut into, for claims about dependent cycles."""
BATCH = 64
"""Records handed to a substrate at a time when it is alone; a batch lets it keep a model warm."""
TRIES = 3
"""Cycles that succeed and lack an observable before the scenario counts as not applicable."""
UNMEASURED_RETRIES = 1
"""How often a cycle we failed to look at is tried again; registered with the plan."""
LONGEST_ERROR = 400
ADDED_COLUMNS = ("record_id", "group", "arm", "status", "block", "wall_s")
_STATUSES = ("ok", "error", "unmeasured")
# What an observable of the wrong type makes a scenario raise; anything else is the scenario's own fault.
_UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


class Ticker:
    """Reports counts and time, at most ten times a second; never a running result.

    Args:
        report: Told of each tick; ``None`` for silence.
        phase: What is being done.
        total: Cycles there will be.
    """

    def __init__(self, report: Callable[[Progress], None] | None, phase: str, total: int) -> None:
        self._report, self._phase, self._total = report, phase, total
        self._started = self._last = time.perf_counter()

    def tick(self, done: int) -> None:
        """Say how far it is, if the last time was long enough ago."""
        if self._report is not None:
            now = time.perf_counter()
            if done >= self._total or now - self._last >= 0.1:
                self._last = now
                self._report(Progress(self._phase, done, self._total, now - self._started))

    def stop(self, done: int) -> None:
        """Say that no more is done, before the end: nothing is told but the count."""
        self._total = done
        self.tick(done)


def cycle_count(setup: Setup, selection: Selection) -> int:
    """How many cycles the selection makes."""
    return len(selection.records) * len(setup.arms)


def observe_cycles(
    setup: Setup,
    selection: Selection,
    seed: int,
    emit: Callable[[bytes], None],
    ticker: Ticker,
    *,
    done: int = 0,
    established: bool = False,
    system_seed: int | None = None,
    stop: Callable[[bytes], bool] | None = None,
) -> None:
    """Run every cycle from number ``done`` on and hand each row to ``emit``.

    Args:
        setup: The prepared run.
        selection: The records, in order.
        seed: Seed of the attempt.
        emit: Takes one encoded row, newline included.
        ticker: Told after each cycle.
        done: Cycles already in the journal.
        established: Whether an earlier part of this attempt already showed every observable.
        system_seed: What the systems are seeded with, where it is not the attempt's.
        stop: Told of each row; whether it was the last one that is needed.

    Raises:
        NotApplicable: The first cycles that succeed all lack an observable.
        SubstrateFailure: A substrate broke its protocol or died.
    """
    given = seed if system_seed is None else system_seed
    for arm in setup.arms:
        _guard(arm, lambda arm=arm: arm.substrate.reset(given))  # type: ignore[misc]
    rows = _Rows(setup, cycle_count(setup, selection), established)
    stream = _alone if len(setup.arms) == 1 else _interleaved
    index = done
    cycles = stream(setup, selection.records, seed, given, done)
    for arm, position, result in cycles:
        row = rows.row(index, arm, selection.records[position], selection.units[position], result)
        emit(row)
        index += 1
        if stop is not None and stop(row):
            cycles.close()  # what a system had begun of its batch is not looked at
            ticker.stop(index)
            break
        ticker.tick(index)
    rows.finish()


def values_digest_of(rows: Sequence[Mapping[str, JSON]]) -> str:
    """Digest of what the cycles showed, without when and how fast: equal runs have it equal.

    It is the digest of the list of ``[index, record, arm, status, values]``.
    """
    shown = [[row["index"], row["record"], row["arm"], row["status"], row["values"]] for row in rows]
    return "sha256:" + hashlib.sha256(encode(shown).encode("ascii")).hexdigest()


# --- the order of cycles


def _alone(
    setup: Setup, records: Sequence[Record], seed: int, given: int, done: int
) -> Generator[tuple[Arm, int, CycleResult]]:
    arm, position = setup.arms[0], done
    while position < len(records):
        _begin_process(setup, position, done, given)
        batch = records[position : min(position + BATCH, setup.design.end_of_process(position))]
        for result in _batch(setup, arm, batch, given):
            yield arm, position, result
            position += 1


def _interleaved(
    setup: Setup, records: Sequence[Record], seed: int, given: int, done: int
) -> Generator[tuple[Arm, int, CycleResult]]:
    skip = done
    for position, record in enumerate(records):
        order = list(setup.arms)
        if position * len(order) + len(order) > done:
            _begin_process(setup, position, done // len(order), given)
        # By record, so that a resumed run meets the same order.
        random.Random(f"{seed}:{record.id}:arms").shuffle(order)
        for arm in order:
            if skip:
                skip -= 1
                continue
            for result in _batch(setup, arm, [record], given):
                yield arm, position, result


def _begin_process(setup: Setup, position: int, first: int, seed: int) -> None:
    """Where the design asks for fresh processes: one for every so many cycles, and one after a resumption."""
    if setup.design.fresh and (position == first or setup.design.begins_process(position)):
        for arm in setup.arms:
            assert isinstance(arm.bare, FreshProcesses)
            # Each process has a seed of its own, or one that is unlucky would be so every time.
            _guard(arm, lambda arm=arm: arm.bare.renew((seed + position) % 2**32, position))  # type: ignore[misc]


def _batch(setup: Setup, arm: Arm, batch: Sequence[Record], seed: int) -> Iterator[CycleResult]:
    """Results of one batch, in order; stops after a cycle that had to be tried again."""
    timeout = setup.spec.timeout_s
    results = _guarded(arm, arm.substrate.run_batch(batch, seed=seed, timeout_s=timeout))
    given = 0
    for result in results:
        if given == len(batch):
            raise SubstrateFailure(f"arm {arm.name!r} ({arm.spec}) gave more results than it got records")
        record = batch[given]
        if result.__class__ is not CycleResult or result.record_id != record.id or result.status not in _STATUSES:
            raise SubstrateFailure(
                f"arm {arm.name!r} ({arm.spec}) answered record {record.id!r} with {_named(result)}; "
                "run_batch yields one CycleResult per record, in order"
            )
        given += 1
        if result.status == "unmeasured":
            # The rest of the batch is asked for anew, so that rows stay in order.
            results.close()
            for again in _guarded(arm, arm.substrate.run_batch([record], seed=seed, timeout_s=timeout)):
                if again.__class__ is CycleResult and again.record_id == record.id and again.status in _STATUSES:
                    result = again
            yield result
            return
        yield result
    if given < len(batch):
        raise SubstrateFailure(
            f"arm {arm.name!r} ({arm.spec}) stopped after {given} of {len(batch)} records without a word"
        )


def _named(result: object) -> str:
    if isinstance(result, CycleResult):
        return f"a result for {result.record_id!r}, status {result.status!r}"
    return f"a {type(result).__name__}"


def _guarded(arm: Arm, results: Iterator[CycleResult]) -> _Guarded:
    return _Guarded(arm, results)


class _Guarded:
    """An iterator of results that turns whatever a substrate raises into ``SubstrateFailure``."""

    __slots__ = ("_arm", "_next", "_results")

    def __init__(self, arm: Arm, results: Iterator[CycleResult]) -> None:
        self._arm, self._results = arm, iter(results)
        self._next = self._results.__next__

    def __iter__(self) -> _Guarded:
        return self

    def __next__(self) -> CycleResult:
        try:
            return self._next()
        except (StopIteration, OphaminError):
            raise
        except Exception as error:  # foreign code: whatever it raises, the substrate failed
            raise _failure(self._arm, error) from error

    def close(self) -> None:
        close = getattr(self._results, "close", None)
        if close is not None:
            _guard(self._arm, close)


def _guard(arm: Arm, act: Callable[[], JSON]) -> None:
    try:
        act()
    except OphaminError:
        raise
    except Exception as error:  # foreign code: whatever it raises, the substrate failed
        raise _failure(arm, error) from error


def _failure(arm: Arm, error: Exception) -> SubstrateFailure:
    return SubstrateFailure(f"arm {arm.name!r} ({arm.spec}) failed: {type(error).__name__}: {error}")


# --- one row


class _Rows:
    """Turns results into encoded rows, and finds out early when an observable is missing."""

    def __init__(self, setup: Setup, total: int, established: bool) -> None:
        self._observe = setup.scenario.observe
        self._scenario = setup.scenario.name
        self._total = max(total, 1)
        # Per arm that has not shown every observable yet: the reasons why not, so far.
        self._open: dict[str, list[NotApplicable]] = {} if established else {arm.name: [] for arm in setup.arms}
        self._nothing = setup.arms[0].reader.nothing

    def row(self, index: int, arm: Arm, record: Record, unit: str, given: CycleResult) -> bytes:
        name, error = arm.name, given.error
        result = CycleResult(index, record.id, name, given.status, given.output, error, given.wall_s, given.resources)
        values: JSON = None
        unusable: NotApplicable | None = None
        if given.status == "ok":
            roles, missing = arm.reader.read(result)
            if missing is not None:
                unusable = check_applicable(*missing, name, given.output)
            else:
                try:
                    values = self._observe(record, result, roles)
                    line = self._encode(index, name, record.id, unit, result, None, values)
                except (*_UNUSABLE, RecordError) as problem:
                    unusable = NotApplicable(
                        f"not applicable: scenario {self._scenario!r} cannot use what arm {name!r} gives: "
                        f"{type(problem).__name__}: {problem}; point at the right values with --field ROLE=PATH"
                    )
                else:
                    if self._open:
                        self._settle(name, values)
                    return line
            if name in self._open:
                self._lacking(name, unusable)
            error = str(unusable)
        # A cycle that gave no observable is an error of the system: data, and never a made-up value.
        status = "error" if unusable is not None else given.status
        failed = CycleResult(index, record.id, name, status, None, _clean(error), _finite(given.wall_s))
        try:
            values = self._observe(record, failed, self._nothing)
            return self._encode(index, name, record.id, unit, failed, failed.error or status, values)
        except Exception as problem:
            raise ProtocolViolation(
                f"scenario {self._scenario!r} has no row for a cycle that gave nothing: "
                f"{type(problem).__name__}: {problem}; observe() must accept roles that are all None"
            ) from problem

    def _encode(
        self, index: int, arm: str, record: str, unit: str, result: CycleResult, error: str | None, values: JSON
    ) -> bytes:
        row = {
            "arm": arm,
            "block": index * BLOCKS // self._total,
            "error": error,
            "index": index,
            "record": record,
            "status": result.status,
            "unit": unit,
            "values": values,
            "wall_s": result.wall_s,
        }
        if result.resources:
            row["resources"] = dict(result.resources)
        text = encode(row)
        if "\\ud" in text:
            canonical_bytes(values)  # refuses half a surrogate pair, which no reader of JSON takes back
        return (text + "\n").encode("ascii")

    def _settle(self, arm: str, values: Mapping[str, JSON] | None) -> None:
        if values is not None:
            taken = set(values).intersection(ADDED_COLUMNS)
            if taken:
                raise ProtocolViolation(
                    f"scenario {self._scenario!r} observes {', '.join(sorted(taken))}, which the engine adds itself; "
                    "rename those columns"
                )
        self._open.pop(arm, None)

    def _lacking(self, arm: str, why: NotApplicable) -> None:
        self._open[arm].append(why)
        if len(self._open[arm]) >= TRIES:
            raise why

    def finish(self) -> None:
        """A run too short for three tries: no observable in any cycle that succeeded is not applicable either."""
        for reasons in self._open.values():
            if reasons:
                raise reasons[0]


def _clean(text: str | None) -> str | None:
    if text is None:
        return None
    return str(text)[:LONGEST_ERROR].encode("utf-8", "backslashreplace").decode("utf-8")


def _finite(value: float | None) -> float | None:
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None
