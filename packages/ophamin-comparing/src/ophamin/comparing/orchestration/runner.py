"""The parent of a sweep: dispatches runs, retries by rule, journals each end, and starts a new pool when one breaks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

from ophamin.comparing.orchestration.executors import Pool, open_executor
from ophamin.comparing.orchestration.journal import SweepJournal
from ophamin.comparing.orchestration.work import Limits, Outcome, execute
from ophamin.proof.errors import SubstrateFailure
from ophamin.protocols import Progress

__all__ = ["Cell", "CellResult", "ExperimentRunner"]

JSON = Any


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Args:
        key: Hash of all it depends on.
        data: What its work is called with.
    """

    key: str
    data: JSON


@dataclass(frozen=True)
class CellResult:
    """How a run ended.

    Args:
        key: Of its cell.
        state: ``done`` or ``failed``.
        value: What was kept of a finished one.
        tries: Times it was tried, in all sweeps.
        reused: Whether it was finished before this sweep began.
        error: Why it failed.
        exit_code: Of that error.
    """

    key: str
    state: str
    value: JSON = None
    tries: int = 0
    reused: bool = False
    error: str = ""
    exit_code: int = 0


def _as_it_is(_: Cell, value: JSON) -> JSON:
    return value


def _nothing(_: Cell, __: Outcome) -> None:
    return None


class ExperimentRunner:
    """Runs cells on an executor and keeps a journal of them.

    A failed run is tried again ``retries`` times, unless it would fail the same way: a request that makes no sense, or
    more CPU or memory than it may have. When a worker dies and takes its pool along, nobody knows which of the runs
    in flight did it: each of them goes on alone, and only a death while alone counts as a failure of its own.

    Args:
        journal: Of the project.
        executor: ``serial``, ``process``, ``dask`` or ``dask=tcp://…``.
        workers: Processes; ``None``: as many as CPUs.
        retries: Further tries of a failed run.
        limits: Of each run.
        progress: Told of counts and time.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> cells = [Cell(f"{i}", -i) for i in range(3)]
        >>> with SweepJournal(Path(tempfile.mkdtemp())) as journal:
        ...     runner = ExperimentRunner(journal, executor="serial")
        ...     [r.value for r in runner.run(cells, "builtins:abs")]
        [0, 1, 2]
    """

    def __init__(
        self,
        journal: SweepJournal,
        *,
        executor: str = "process",
        workers: int | None = None,
        retries: int = 1,
        limits: Limits | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._journal, self._executor, self._workers = journal, executor, workers
        self._retries, self._limits, self._progress = retries, limits or Limits(), progress
        self._began, self._done, self._told = 0.0, 0, 0.0

    def finished(self, cell: Cell) -> CellResult | None:
        """The result of a run that is finished already."""
        known = self._journal.cells.get(cell.key)
        if known is None or known.get("state") != "done":
            return None
        return CellResult(cell.key, "done", known.get("value"), known.get("tries", 1), reused=True)

    def run(
        self,
        cells: Sequence[Cell],
        work: str,
        *,
        finish: Callable[[Cell, JSON], JSON] = _as_it_is,
        abandon: Callable[[Cell, Outcome], None] = _nothing,
    ) -> list[CellResult]:
        """Run what is not finished yet.

        Args:
            cells: In the order of dispatch.
            work: ``package.module:function`` of the workers.
            finish: Called here with what a run returned, before it counts as finished; returns what the journal keeps.
                What it raises as ``ValueError`` is a failure of that run.
            abandon: Called here when a run is given up.

        Returns:
            One result a cell, in the same order.
        """
        results = {cell.key: found for cell in cells if (found := self.finished(cell)) is not None}
        left = {cell.key: cell for cell in cells if cell.key not in results}
        self._began, self._done, self._total = time.monotonic(), 0, len(left)
        queue, suspects, tries = deque(left.values()), deque[Cell](), dict.fromkeys(left, 0)

        def settle(cell: Cell, outcome: Outcome) -> None:
            tries[cell.key] += 1
            value = None
            if not outcome.error:
                try:
                    value = finish(cell, outcome.value)
                except ValueError as error:
                    code = getattr(error, "exit_code", 70)
                    outcome = Outcome(error=str(error), kind=type(error).__name__, exit_code=code)
            if outcome.error and outcome.again and tries[cell.key] <= self._retries:
                queue.append(cell)
                return
            before = self._journal.cells.get(cell.key, {}).get("tries", 0)
            total = before + tries[cell.key]
            if outcome.error:
                abandon(cell, outcome)
                result = CellResult(cell.key, "failed", None, total, error=outcome.error, exit_code=outcome.exit_code)
                entry = {"cell": cell.key, "state": "failed", "tries": total, "error": outcome.error}
            else:
                result = CellResult(cell.key, "done", value, total)
                entry = {"cell": cell.key, "state": "done", "tries": total, "value": value}
            self._journal.write(entry)
            results[cell.key] = result
            self._done += 1
            self._tell(last=self._done == self._total)

        idle = 0
        while queue or suspects:
            try:
                with open_executor(self._executor, self._workers) as pool:
                    self._dispatch(pool, work, queue, suspects, settle)
            except _Broken as broken:
                # A pool that breaks before it has taken anything would break for ever.
                idle = idle + 1 if broken.idle else 0
                if idle > 3:
                    raise SubstrateFailure(
                        "workers die before they begin; see what they say on standard error"
                    ) from None
                if broken.alone is not None:
                    settle(broken.alone, Outcome(error="its worker died", kind="Died", exit_code=6))
        return [results[cell.key] for cell in cells]

    def _dispatch(
        self,
        pool: Pool,
        work: str,
        queue: deque[Cell],
        suspects: deque[Cell],
        settle: Callable[[Cell, Outcome], None],
    ) -> None:
        flying: dict[Future[Outcome], Cell] = {}
        alone = False
        while queue or suspects or flying:
            alone = bool(suspects) or (alone and bool(flying))
            ahead, source = (1, suspects) if alone else (pool.ahead, queue)
            try:
                while source and len(flying) < ahead:
                    cell = source.popleft()
                    try:
                        flying[pool.executor.submit(execute, work, cell.data, self._limits)] = cell
                    except BaseException:
                        source.appendleft(cell)
                        raise
                done, _ = wait(flying, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in done:
                    try:
                        outcome = future.result()
                    except BrokenProcessPool:
                        raise
                    except CancelledError:
                        outcome = Outcome(error="the cluster let go of it", kind="Died", exit_code=6)
                    except Exception as error:  # noqa: BLE001 - the executor's own, such as KilledWorker
                        outcome = Outcome(error=f"{type(error).__name__}: {error}", kind="Died", exit_code=6)
                    settle(flying.pop(future), outcome)
                if not done:
                    pool.check()
                self._tell()
            except BrokenProcessPool:
                lost = [flying[f] for f in flying if not _has_outcome(f)]
                for future in [f for f in flying if _has_outcome(f)]:
                    settle(flying.pop(future), future.result())
                # A pool that runs one suspect after another has one process; any other may have lost an idle one.
                if not alone:
                    suspects.extend(lost)
                raise _Broken(lost[0] if alone and lost else None, idle=not lost) from None

    def _tell(self, *, last: bool = False) -> None:
        if self._progress is None:
            return
        now = time.monotonic()
        if last or now - self._told >= 0.1:
            self._told = now
            self._progress(Progress("cells", self._done, self._total, now - self._began))


class _Broken(Exception):
    """A worker died and took the pool along; ``alone`` is the run that can only have done it."""

    def __init__(self, alone: Cell | None, *, idle: bool) -> None:
        super().__init__("the pool broke")
        self.alone, self.idle = alone, idle


def _has_outcome(future: Future[Outcome]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
