"""Time, CPU, memory, page faults, switches and I/O of every cycle, around any substrate."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ophamin.instrumenting._difference import difference
from ophamin.instrumenting._family import Family
from ophamin.instrumenting._sampler import PERIOD_S, PeakSampler
from ophamin.instrumenting._tally import Tally
from ophamin.instrumenting.gpu import Gpus
from ophamin.protocols import CycleResult, Record, RunSpec, SubstrateIdentity, SubstrateProbe

__all__ = ["InstrumentedSubstrate", "ResourceInstrument"]


class ResourceInstrument:
    """Adds what a cycle costs to every cycle, and leaves a signed profile of the run beside the proof.

    The profile says, for each resource, its total and order statistics over the cycles, and what the watching itself
    added to a cycle, measured after the last one with the system's processes still there.

    Example:
        >>> ResourceInstrument().name
        'resources'
    """

    name = "resources"

    def __init__(self) -> None:
        self._wrapped: list[SubstrateProbe] = []
        self._tally = Tally()
        self._profile: Path | None = None

    def wrap(self, substrate: SubstrateProbe) -> SubstrateProbe:
        """The same substrate, whose cycles carry what they cost."""
        self._wrapped.append(substrate)
        return InstrumentedSubstrate(substrate, tally=self._tally)

    @contextmanager
    def scenario(self, spec: RunSpec) -> Iterator[None]:
        """Around the run: when it has ended well, its profile is written."""
        yield
        if self._tally.cycles and self._wrapped:
            from ophamin.instrumenting.runprofile import write_run_profile

            self._profile = write_run_profile(spec, self._wrapped, self._tally)

    def verdict(self, record: Mapping[str, Any]) -> None:
        """Not interested in verdicts."""

    def artifacts(self) -> Sequence[Path]:
        """The profile, when there was a run."""
        return () if self._profile is None else (self._profile,)


class InstrumentedSubstrate:
    """A substrate whose cycles carry ``resources``; every other attribute is the wrapped one's.

    Whose cost it is: that of ``substrate.processes()`` and their descendants; when it lists none, that of
    this process, of the children that appear while the substrate works, and of their descendants. A substrate that
    computes in this process and in others lists ``os.getpid()`` too.

    Each result gains, where the platform gives it:

    - ``latency_s``: the cycle's ``wall_s``; absent when several cycles were in flight.
    - ``cpu_s``, ``cpu_user_s``, ``cpu_system_s``: CPU seconds spent in this cycle, of living and of ended processes.
    - ``rss_bytes``: resident memory at the end of the cycle, the sum over the processes.
    - ``rss_peak_bytes``: the most that sum was seen to be in this cycle: at its ends, by a thread that looks every
      ``period_s`` seconds, and by the kernel's high-water mark where that rose.
    - ``page_faults``, ``page_faults_minor``, ``page_faults_major``: faults in this cycle.
    - ``context_switches_voluntary``, ``context_switches_involuntary``, ``io_read_bytes``, ``io_written_bytes`` (of
      storage: what a cache serves is not read): of this cycle.
    - ``threads``: at the end of the cycle; ``gc_collections``: of this interpreter, in this cycle.
    - ``gpu_memory_bytes``, ``gpu_utilization``: see :class:`~ophamin.instrumenting.gpu.Gpus`.

    What counts over a cycle is absent when several were in flight, or when a process ended and nobody of the family
    waited for it, for then its last part is lost.

    What the substrate states itself in ``resources`` is kept: it knows better than an observer.

    Args:
        substrate: Any substrate.
        period_s: Seconds between two looks of the thread.
        tally: Told of every cycle's resources.

    Example:
        >>> from ophamin.protocols import CycleResult, Record, SubstrateIdentity
        >>> class Upper:
        ...     def identity(self): return SubstrateIdentity("demo", "upper", "sha256:0")
        ...     def reset(self, seed): pass
        ...     def run_batch(self, records, *, seed, timeout_s):
        ...         for i, r in enumerate(records):
        ...             yield CycleResult(i, r.id, output=r.payload.upper(), wall_s=0.001)
        ...     def processes(self): return []
        ...     def close(self): pass
        >>> (cycle,) = InstrumentedSubstrate(Upper()).run_batch([Record("a", "hi")], seed=0, timeout_s=1.0)
        >>> cycle.output, cycle.resources["latency_s"], cycle.resources["rss_bytes"] > 0
        ('HI', 0.001, True)
    """

    def __init__(self, substrate: SubstrateProbe, *, period_s: float = PERIOD_S, tally: Tally | None = None) -> None:
        self._wrapped = substrate
        self._period_s, self._tally = period_s, tally
        self._family: Family | None = None
        self._maker = 0
        self._gpus: Gpus | None = None

    def __getattr__(self, name: str) -> Any:
        # Optional attributes (fields, admit, …) are there exactly when the wrapped substrate has them.
        if name == "_wrapped":  # not yet set: while unpickling
            raise AttributeError(name)
        return getattr(self._wrapped, name)

    def __getstate__(self) -> dict[str, Any]:
        """Open files and devices stay behind."""
        return {**self.__dict__, "_family": None, "_gpus": None}

    def identity(self) -> SubstrateIdentity:
        """The wrapped substrate's identity: watching a system does not make it another."""
        return self._wrapped.identity()

    def reset(self, seed: int) -> None:
        """Reset the wrapped substrate; processes it starts then are its own."""
        with self._watching().adopting():
            self._wrapped.reset(seed)

    def processes(self) -> list[int]:
        """Pids whose cost counts."""
        return self._wrapped.processes()

    def close(self) -> None:
        """Close the wrapped substrate."""
        try:
            self._wrapped.close()
        finally:
            if self._family is not None:
                self._family.close()
                self._family = None
            if self._gpus is not None:
                self._gpus.close()
                self._gpus = None

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """Run the batch, measuring only while the wrapped substrate works, not while the caller does.

        Args:
            records: Stimuli, in order.
            seed: As for the wrapped substrate.
            timeout_s: As for the wrapped substrate.

        Yields:
            The wrapped substrate's results with ``resources``.
        """
        family, listed = self._watching(), self._wrapped.processes
        watched: tuple[list[int], frozenset[int]] = [], frozenset()
        cycles = self._wrapped.run_batch(records, seed=seed, timeout_s=timeout_s)
        with PeakSampler(lambda: family.rss(*watched), self._period_s) as sampler:
            try:
                while True:
                    pids = listed()
                    before = family.look(pids, threads=False)  # they are told as they stand at the end
                    watched = pids, before.foreign
                    sampler.begin()
                    try:
                        result = next(cycles)
                    except StopIteration:
                        return
                    seen = sampler.end()
                    after = family.look(listed(), None if pids else before.foreign)
                    measured = difference(before, after, seen, alone=result.wall_s is not None)
                    if "threads" in measured and after.own is not None and before.external == after.external:
                        measured["threads"] -= 1  # the one that looks is ours
                    if result.wall_s is not None:
                        measured["latency_s"] = result.wall_s
                    if self._gpus:
                        measured.update(self._gpus.read(after.pids))
                    resources = {**measured, **result.resources}
                    if self._tally is not None:
                        self._tally.add(resources)
                    yield CycleResult(
                        result.index, result.record_id, result.arm, result.status, result.output, result.error,
                        result.wall_s, resources,
                    )  # fmt: skip
            finally:
                close = getattr(cycles, "close", None)
                if close is not None:
                    close()

    def _watching(self) -> Family:
        # Open files of /proc are of the process that opened them: a fork needs its own.
        if self._family is None or self._maker != os.getpid():
            self._family, self._maker = Family(), os.getpid()
            self._gpus = Gpus()
        return self._family
