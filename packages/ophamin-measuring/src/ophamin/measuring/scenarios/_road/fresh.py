"""A system that is started afresh, in a process of its own, whenever the design says so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.measuring.scenarios._road.worker import Worker, WorkerDied
from ophamin.protocols import CycleResult, Record, SubstrateIdentity, SubstrateProbe

__all__ = ["FreshProcesses"]


class FreshProcesses:
    """A substrate whose ``renew`` leaves the old process behind and starts another.

    A system that has processes of its own (``command:``) is made anew; one that works in this process is made anew in
    a worker, a process of this interpreter that does nothing else. Each result's resources name the ``process``: the
    number of the first cycle it answered.

    Args:
        spec: Substrate spec.
        data_root: Where corpora lie.
    """

    def __init__(self, spec: str, data_root: Path | None = None) -> None:
        self._spec, self._data_root = spec, data_root
        self._known = registry.make_substrate(spec, data_root)
        self._outside: bool | None = None
        self._system: SubstrateProbe | Worker | None = None
        self._seed, self._process, self._answered = 0, 0, 0

    def __getattr__(self, name: str) -> Any:
        if name in ("fields", "admit"):  # optional attributes, there when the system's own are
            return getattr(self._known, name)
        raise AttributeError(name)

    def identity(self) -> SubstrateIdentity:
        """That of the system: where it runs does not make it another."""
        return self._known.identity()

    def reset(self, seed: int) -> None:
        """Remember the seed; the process that is seeded comes with ``renew``."""
        self._seed = seed

    def renew(self, seed: int, first: int) -> None:
        """Leave the old process and start another.

        Args:
            seed: The new process's seed.
            first: Number of the first cycle it will answer.
        """
        self._leave()
        self._seed, self._process, self._answered = seed, first, 0
        if self._outside is None:
            self._known.reset(seed)
            self._outside = bool(set(self._known.processes()) - {os.getpid()})
            if self._outside:
                self._known.close()
        self._system = self._made() if self._outside else Worker(self._spec, self._data_root)
        self._system.reset(seed)

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order; a process that died is an error of its cycle."""
        if isinstance(self._system, Worker):
            results = self._work(self._system, records, timeout_s)
        else:
            assert self._system is not None
            results = self._system.run_batch(records, seed=self._seed, timeout_s=timeout_s)
        for result in results:
            self._answered += 1
            yield replace(result, resources={"process": self._process, **result.resources})

    def _work(self, worker: Worker, records: Sequence[Record], timeout_s: float) -> Iterator[CycleResult]:
        for index, record in enumerate(records):
            try:
                yield replace(worker.ask(record, self._seed, timeout_s), index=index)
            except WorkerDied as died:
                yield CycleResult(index, record.id, "", "error", None, str(died))
                self.renew(self._seed, self._process + self._answered)
                assert isinstance(self._system, Worker)
                worker = self._system

    def processes(self) -> list[int]:
        """The process in which the system works."""
        return [] if self._system is None else self._system.processes()

    def close(self) -> None:
        """End the process; may be called twice."""
        self._leave()
        self._known.close()

    def _made(self) -> SubstrateProbe:
        return registry.make_substrate(self._spec, self._data_root)

    def _leave(self) -> None:
        if self._system is not None:
            self._system.close()
            self._system = None
