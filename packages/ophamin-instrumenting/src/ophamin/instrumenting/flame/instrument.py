"""The instruments that leave flame graphs beside a proof."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ophamin.instrumenting._watched import WatchedSubstrate
from ophamin.instrumenting.flame._pyspy import PySpy
from ophamin.instrumenting.flame._stacks import Stacks
from ophamin.instrumenting.flame.files import write_graph
from ophamin.instrumenting.flame.sampler import CpuSampler
from ophamin.proof.errors import MissingDependency, OphaminError
from ophamin.protocols import CycleResult, Record, RunSpec, SubstrateProbe

__all__ = ["CpuFlameGraph", "MemoryFlameGraph"]

RATE = 100.0
MOST_PROCESSES = 8
"""Processes of a system that are watched from outside; watching each costs a process more."""
MOST_RECORDS = 256
LONGEST_PASS_S = 10.0


class _Files:
    """A folder for what an instrument leaves, until the record has its copy."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ophamin-flame-"))
        self._gone = weakref.finalize(self, shutil.rmtree, self.folder, True)
        self.paths: list[Path] = []


class CpuFlameGraph:
    """Leaves a CPU flame graph of a run: what the system did, not what the engine did around it.

    This process is sampled from inside, at 100 Hz, no privileges needed. A system that lives in other Python
    processes is watched from outside by py-spy; where the system forbids that, or py-spy is not there, it is
    said once, and stands in the picture.

    Example:
        >>> CpuFlameGraph().name
        'flamegraph-cpu'
    """

    name = "flamegraph-cpu"

    def __init__(self) -> None:
        self._files = _Files()
        self._spies: dict[int, PySpy] = {}
        self._problems: dict[str, None] = {}

    def wrap(self, substrate: SubstrateProbe) -> SubstrateProbe:
        """The same substrate, whose cycles can be told from the engine's work."""
        return _Sampled(substrate, self)

    @contextmanager
    def scenario(self, spec: RunSpec) -> Iterator[None]:
        """Sample while the run goes on, and draw it once it ended, well or not."""
        sampler = CpuSampler(rate=RATE, below=_step.__code__, name=f"CPU time of {spec.scenario}")
        try:
            with sampler:
                yield
        finally:
            self._write(sampler.stacks())

    def verdict(self, record: Mapping[str, Any]) -> None:
        """Not interested in verdicts."""

    def artifacts(self) -> Sequence[Path]:
        """The picture, the collapsed stacks and the speedscope file."""
        return tuple(self._files.paths)

    def attach(self, pids: Sequence[int]) -> None:
        """Watch these processes of the system too, each once."""
        for pid in pids:
            if pid == os.getpid() or pid in self._spies:
                continue
            if len(self._spies) >= MOST_PROCESSES:
                self._problem(f"only {MOST_PROCESSES} processes of the system were watched")
                return
            try:
                self._spies[pid] = PySpy(pid, rate=RATE)
            except (MissingDependency, OSError) as error:
                self._problem(f"the system's own processes were not seen: {error}")
                return

    def _problem(self, words: str) -> None:
        if words not in self._problems:
            self._problems[words] = None
            print(f"ophamin: {self.name}: {words}", file=sys.stderr)

    def _write(self, stacks: Stacks) -> None:
        for spy in self._spies.values():
            try:
                stacks += _in_microseconds(spy.stop())
            except OphaminError as error:
                self._problem(f"the system's own processes were not seen: {error}")
        notes = [stacks.note] if stacks.note else []
        notes += [f"{words[0].upper()}{words[1:]}." for words in self._problems]
        if stacks.total:
            notes = notes[bool(stacks.note) :]  # it says why there is nothing, and there is something
        drawn = Stacks(stacks.weights, stacks.unit, stacks.name, " ".join(notes), stacks.details)
        self._files.paths = write_graph(drawn, self._files.folder, self.name)


def _in_microseconds(stacks: Stacks) -> Stacks:
    """Looks of py-spy at threads that were at work, as the CPU time they stand for."""
    weights = {stack: round(weight * 1e6 / RATE) for stack, weight in stacks.weights.items()}
    return Stacks(weights, "microseconds", "", "", {"other processes": "py-spy"})


class _Sampled(WatchedSubstrate):
    def __init__(self, substrate: SubstrateProbe, graph: CpuFlameGraph) -> None:
        super().__init__(substrate)
        self._graph = graph

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        self._graph.attach(self._wrapped.processes())
        cycles = iter(self._wrapped.run_batch(records, seed=seed, timeout_s=timeout_s))
        first = True
        try:
            while (result := _step(cycles)) is not None:
                if first:
                    # Many systems start their process with the first record.
                    self._graph.attach(self._wrapped.processes())
                    first = False
                yield result
        finally:
            close = getattr(cycles, "close", None)
            if close is not None:
                close()


def _step(cycles: Iterator[CycleResult]) -> CycleResult | None:
    """One cycle; what this function calls is what the system does."""
    return next(cycles, None)


class MemoryFlameGraph:
    """Leaves a memory flame graph: what the system held at its high-water mark, by the stack that asked for it.

    memray sees every allocation, which makes code slower by up to several times, so it does not watch the cycles
    that are measured: once they are over, the system is reset and answers up to 256 of the same records again, for
    at most 10 s, and that pass is drawn. Nothing of it enters the observations. Name this instrument first, so that
    no other one watches that pass.

    Raises:
        MissingDependency: memray is not installed.

    Example:
        >>> MemoryFlameGraph().name
        'flamegraph-memory'
    """

    name = "flamegraph-memory"

    def __init__(self) -> None:
        # Found missing before the claim is registered, not after the run.
        from ophamin.instrumenting.flame import _memray

        self._memray = _memray
        self._files = _Files()
        self._systems: list[_Remembering] = []

    def wrap(self, substrate: SubstrateProbe) -> SubstrateProbe:
        """The same substrate, which remembers the first records it was given."""
        self._systems.append(_Remembering(substrate))
        return self._systems[-1]

    @contextmanager
    def scenario(self, spec: RunSpec) -> Iterator[None]:
        """Once the cycles are over, without an error: the pass under memray."""
        yield
        stacks = Stacks({}, "bytes", f"memory of {spec.scenario}")
        notes: dict[str, None] = {}
        names = list(spec.arms) if len(spec.arms) == len(self._systems) > 1 else [""] * len(self._systems)
        for system, arm in zip(self._systems, names, strict=True):
            seen, note = self._pass(system)
            stacks += seen.under(f"arm {arm}") if arm else seen
            if note:
                notes[note] = None
                print(f"ophamin: {self.name}: {note[0].lower()}{note[1:].rstrip('.')}", file=sys.stderr)
        note = " ".join(filter(None, ("" if stacks.total else stacks.note, *notes)))
        drawn = Stacks(stacks.weights, "bytes", stacks.name, note, stacks.details)
        self._files.paths = write_graph(drawn, self._files.folder, self.name)

    def verdict(self, record: Mapping[str, Any]) -> None:
        """Not interested in verdicts."""

    def artifacts(self) -> Sequence[Path]:
        """The picture, the collapsed stacks and the speedscope file."""
        return tuple(self._files.paths)

    def _pass(self, system: _Remembering) -> tuple[Stacks, str]:
        nothing = Stacks({}, "bytes")
        if not system.records or system.closed:
            return nothing, ""
        if any(pid != os.getpid() for pid in system.processes()):
            return nothing, (
                "The system lives in other processes, into which memray cannot look from here: profile its program "
                "by itself with 'ophamin instrument --flamegraph -- COMMAND'."
            )
        answered = 0

        def memory_pass() -> None:
            nonlocal answered
            for _ in system.again():
                answered += 1

        try:
            stacks = self._memray.allocations_of(memory_pass)
        except Exception as error:  # noqa: BLE001 - foreign code: whatever it raises, the run is over and kept
            return nothing, f"The pass under memray failed: {type(error).__name__}: {error}."
        cycles = {"cycles": f"{answered:,} answered again after the run"}
        return Stacks(stacks.weights, "bytes", "", stacks.note, {**stacks.details, **cycles}), ""


class _Remembering(WatchedSubstrate):
    def __init__(self, substrate: SubstrateProbe) -> None:
        super().__init__(substrate)
        self.records: list[Record] = []
        self.closed = False
        self._seed, self._timeout_s = 0, 1.0

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        self.records += records[: MOST_RECORDS - len(self.records)]
        self._seed, self._timeout_s = seed, timeout_s
        return self._wrapped.run_batch(records, seed=seed, timeout_s=timeout_s)

    def close(self) -> None:
        self.closed = True
        super().close()

    def again(self) -> Iterator[CycleResult]:
        """Answer the remembered records once more, until the time is over."""
        until = time.perf_counter() + LONGEST_PASS_S
        self._wrapped.reset(self._seed)
        for result in self._wrapped.run_batch(self.records, seed=self._seed, timeout_s=self._timeout_s):
            yield result
            if time.perf_counter() > until:
                return
