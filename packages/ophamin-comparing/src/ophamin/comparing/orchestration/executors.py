"""Where runs are carried out: this process, a pool, or a dask cluster; one interface, ``concurrent.futures``."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from ophamin.comparing._output import to_standard_error
from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.proof.interrupts import interrupts_held

__all__ = ["Pool", "check_executor", "open_executor"]

KINDS = "serial, process, dask, dask=tcp://host:port"


def _nothing_to_check() -> None:
    """A pool of this machine tells itself when it breaks."""


@dataclass
class Pool:
    """An executor and how much it takes at once.

    Args:
        executor: Takes ``submit(function, *arguments)``.
        ahead: Runs to have submitted at a time.
        check: Asked now and then while runs are out; raises when none of them can ever come back.
    """

    executor: Executor
    ahead: int
    check: Callable[[], None] = _nothing_to_check


class _Processes(ProcessPoolExecutor):
    """A pool that starts a worker with a run, when none is free: Ctrl-C waits so long."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand a run to a worker.

        Raises:
            BrokenProcessPool: A worker died; also when the pool is just about to find that out, and has closed its
                queue already, of which a new worker cannot be given a copy.
        """
        try:
            with interrupts_held():
                return super().submit(fn, *args, **kwargs)
        except OSError as error:
            if error.errno is not None:  # the system's own: no memory, no process, no file
                raise
            raise BrokenProcessPool(f"a worker died ({error})") from error


class _Serial(Executor):
    """Runs at once, in this process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is the future's to raise
            future.set_exception(error)
        return future


def check_executor(words: str, workers: int | None = None) -> None:
    """Refuse an executor that does not exist, without opening one that does.

    Raises:
        UsageError: There is none of that name, or it would have no worker.

    Example:
        >>> check_executor("dask=tcp://head:8786")
    """
    if workers is not None and workers < 1:
        raise UsageError(f"a pool has at least one worker, not {workers}")
    kind, _, address = words.partition("=")
    if words not in ("serial", "process", "dask") and (kind != "dask" or "://" not in address):
        raise UsageError(f"no executor is called {words!r}; executors: {KINDS}")


def open_executor(words: str, workers: int | None = None) -> AbstractContextManager[Pool]:
    """Open an executor by name; leaving the context ends its processes.

    While one of this machine is open, whatever writes to standard output, be it a C library or a child process of a
    run, writes to standard error: standard output is for the answer of a command.

    Args:
        words: ``serial``, ``process``, ``dask`` (a cluster on this machine) or ``dask=tcp://host:port``.
        workers: Processes; ``None``: as many as CPUs.

    Raises:
        UsageError: No such executor, or nobody answers at the address.
        MissingDependency: dask is not installed.
        SubstrateFailure: A cluster on this machine does not start, or nobody works in one.

    Example:
        >>> with open_executor("serial") as pool:
        ...     pool.executor.submit(abs, -2).result()
        2
    """
    check_executor(words, workers)
    count = workers or os.cpu_count() or 1
    if words == "serial":
        return _serial()
    if words == "process":
        return _processes(count)
    try:
        from ophamin.comparing.orchestration.dask_executor import open_dask
    except ImportError as error:
        raise MissingDependency("the executor dask", "dask.distributed", "ophamin-comparing[dask]") from error
    return open_dask(words.partition("=")[2], count)


@contextmanager
def _serial() -> Iterator[Pool]:
    with to_standard_error():
        yield Pool(_Serial(), 1)


@contextmanager
def _processes(count: int) -> Iterator[Pool]:
    others = set(multiprocessing.active_children())
    executor = _Processes(count, multiprocessing.get_context("spawn"), initializer=_deaf)
    with to_standard_error():
        try:
            yield Pool(executor, 2 * count)
        except BaseException:
            # Interrupted or broken: nobody waits for what still runs.
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        executor.shutdown(wait=True, cancel_futures=True)


def _deaf() -> None:
    """In a worker: Ctrl-C is the parent's business.

    Until here it was blocked. What a run starts in its turn finds it ignored, which it can change, and not blocked.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
