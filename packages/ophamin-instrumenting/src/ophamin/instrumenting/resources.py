"""Time, CPU, memory and page faults of every cycle, around any substrate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from ophamin.instrumenting._process import OwnProcess, Reading, read_process, tree, waited_for
from ophamin.protocols import CycleResult, Record, RunSpec, SubstrateIdentity, SubstrateProbe

__all__ = ["InstrumentedSubstrate", "ResourceInstrument"]

# Name in resources, field of an account, and by how much two readings of one thing may differ: an ended
# process is told in clock ticks, user and system each cut off, a living one in nanoseconds.
ACCOUNTS = (
    ("cpu_s", "cpu_s", 0.03),
    ("page_faults_minor", "minor_faults", 0),
    ("page_faults_major", "major_faults", 0),
)
STARTED_TOLERANCE_S = 1.5  # start times count from the boot time, which the kernel tells in whole seconds


class ResourceInstrument:
    """Adds ``latency_s``, ``cpu_s``, ``rss_bytes``, ``rss_peak_bytes`` and page faults to every cycle.

    Example:
        >>> ResourceInstrument().name
        'resources'
    """

    name = "resources"

    def wrap(self, substrate: SubstrateProbe) -> SubstrateProbe:
        """The same substrate, whose cycles carry what they cost."""
        return InstrumentedSubstrate(substrate)

    def scenario(self, spec: RunSpec) -> AbstractContextManager[None]:
        """Nothing to set up around a run: each cycle is measured by itself."""
        return nullcontext()

    def verdict(self, record: Mapping[str, Any]) -> None:
        """Not interested in verdicts."""

    def artifacts(self) -> Sequence[Path]:
        """Leaves no files: everything stands in the observations."""
        return ()


class InstrumentedSubstrate:
    """A substrate whose cycles carry ``resources``; every other attribute is the wrapped one's.

    Whose cost it is: that of ``substrate.processes()`` and their descendants; when it lists none, that of
    this process and of the children it waited for. A substrate that computes in both lists ``os.getpid()`` too.

    Each result gains, where the platform gives it:

    - ``latency_s``: the cycle's ``wall_s``; absent when several cycles were in flight.
    - ``cpu_s``: user and system CPU seconds spent in this cycle, of living and of ended processes; absent
      when several cycles were in flight or an ended process could not be accounted for.
    - ``rss_bytes``: resident memory at the end of the cycle, the sum over the processes.
    - ``rss_peak_bytes``: the process's high-water mark *so far* (it never falls); absent for several processes.
    - ``page_faults_minor``, ``page_faults_major``: faults in this cycle.

    What the substrate states itself in ``resources`` is kept: it knows better than an observer.

    Args:
        substrate: Any substrate.

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

    def __init__(self, substrate: SubstrateProbe) -> None:
        self._wrapped = substrate

    def __getattr__(self, name: str) -> Any:
        # Optional attributes (fields, admit, …) are there exactly when the wrapped substrate has them.
        if name == "_wrapped":  # not yet set: while unpickling
            raise AttributeError(name)
        return getattr(self._wrapped, name)

    def identity(self) -> SubstrateIdentity:
        """The wrapped substrate's identity: watching a system does not make it another."""
        return self._wrapped.identity()

    def reset(self, seed: int) -> None:
        """Reset the wrapped substrate."""
        self._wrapped.reset(seed)

    def processes(self) -> list[int]:
        """Pids whose cost counts."""
        return self._wrapped.processes()

    def close(self) -> None:
        """Close the wrapped substrate."""
        self._wrapped.close()

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """Run the batch, measuring only while the wrapped substrate works, not while the caller does.

        Args:
            records: Stimuli, in order.
            seed: As for the wrapped substrate.
            timeout_s: As for the wrapped substrate.

        Yields:
            The wrapped substrate's results with ``resources``.
        """
        own = OwnProcess()
        cycles = self._wrapped.run_batch(records, seed=seed, timeout_s=timeout_s)
        try:
            while True:
                before = _Snapshot(own, self._wrapped.processes())
                try:
                    result = next(cycles)
                except StopIteration:
                    return
                after = _Snapshot(own, self._wrapped.processes())
                measured = _difference(before, after, alone=result.wall_s is not None)
                if result.wall_s is not None:
                    measured["latency_s"] = result.wall_s
                yield replace(result, resources={**measured, **result.resources})
        finally:
            own.close()
            close = getattr(cycles, "close", None)
            if close is not None:
                close()


class _Snapshot:
    """All processes of a substrate at one moment."""

    __slots__ = ("at", "external", "living", "waited")

    def __init__(self, own: OwnProcess, pids: list[int]) -> None:
        self.at = time.time()
        self.external = bool(pids)
        self.living: dict[Any, Reading] = {}
        # The children this process has waited for: an ended child's whole life moves in here.
        self.waited = waited_for()
        if not pids or os.getpid() in pids:
            self.living["own"] = own.read()
        for process in tree(pids):
            reading = read_process(process)
            if reading is not None:
                self.living[process] = reading  # psutil tells a re-used pid from the first by its start

    def ended(self, field: str) -> dict[Any, float | None]:
        """By the process that waited, what its ended children used."""
        accounts = {p: getattr(r.ended, field) for p, r in self.living.items()}
        return {**accounts, "own": getattr(self.waited, field)}


def _difference(before: _Snapshot, after: _Snapshot, *, alone: bool) -> dict[str, float]:
    """What happened between two snapshots; ``alone``: one cycle was in flight, so all of it was its own."""
    if before.external != after.external:
        # Its processes started or all ended in this cycle; what this process did meanwhile was not the system.
        (after if before.external else before).living.pop("own", None)
    measured: dict[str, float] = {}
    now = list(after.living.values())
    if now:
        measured["rss_bytes"] = sum(r.rss_bytes for r in now)
    if len(now) == 1 and now[0].rss_peak_bytes is not None:
        measured["rss_peak_bytes"] = now[0].rss_peak_bytes
    if alone:
        for name, field, tolerance in ACCOUNTS:
            spent = _spent(before, after, field, tolerance)
            if spent is not None:
                measured[name] = spent
    return measured


def _spent(before: _Snapshot, after: _Snapshot, field: str, tolerance: float) -> float | None:
    """Growth of one account over living and ended processes; ``None`` when it has a hole."""
    grown: float = 0
    for process, reading in after.living.items():
        value = getattr(reading.own, field)
        earlier: float | None = 0
        if process in before.living:
            earlier = getattr(before.living[process].own, field)
        elif process.create_time() < before.at - STARTED_TOLERANCE_S:
            return None  # it is older than the cycle: how much of its past belongs here is not known
        if value is None or earlier is None:
            return None
        grown += value - earlier
    gone = [r for p, r in before.living.items() if p not in after.living]
    then, now = before.ended(field), after.ended(field)
    moved: float = 0
    for process, value in now.items():
        earlier = then.get(process, 0)
        if value is None or earlier is None:
            if gone:
                return None
            continue
        moved += value - earlier
    for reading in gone:
        for value in (getattr(reading.own, field), getattr(reading.ended, field)):
            if value is None:
                return None
            moved -= value  # counted in earlier cycles already
    if moved < -tolerance:
        return None  # one ended and nobody of this family waited for it: its last part is lost
    return max(grown + max(moved, 0), 0)
