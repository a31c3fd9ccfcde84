"""A dask cluster as an executor."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker

from distributed import Client, LocalCluster

from ophamin.comparing._output import to_standard_error
from ophamin.comparing.orchestration.executors import Pool
from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.proof.interrupts import interrupts_held

__all__ = ["WORKERLESS_S", "open_dask"]

WORKERLESS_S = 60.0
"""Seconds a cluster may be without any worker, at the beginning or later, before a sweep gives it up."""


@contextmanager
def open_dask(address: str, workers: int) -> Iterator[Pool]:
    """Connect to a scheduler, or start a cluster of processes on this machine.

    Args:
        address: ``tcp://host:port``; "" starts one.
        workers: Processes of a cluster that is started.

    Raises:
        UsageError: Nobody answers at the address.
        SubstrateFailure: The cluster of this machine does not start, or nobody works in a cluster.
    """
    with ExitStack() as stack:
        target = address or stack.enter_context(_local(workers))
        try:
            client = Client(target, timeout="10s", set_as_default=False)
            stack.enter_context(client)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(
                f"no dask scheduler answers at {address}: {error}; start one, or give its address"
            ) from error
        where = address or "this machine"
        try:
            client.wait_for_workers(1, timeout=WORKERLESS_S)
        except TimeoutError:
            raise _workerless(where) from None
        threads = sum(client.nthreads().values())
        # dask takes equal calls for one call and would run it once.
        executor = client.get_executor(pure=False)
        yield Pool(executor, 4 * max(threads, 1), check=_Watch(client, where).look)


@contextmanager
def _local(workers: int) -> Iterator[LocalCluster]:
    # Whatever its processes print, also those it starts later in place of dead ones.
    with to_standard_error(), ExitStack() as stack:
        if os.name == "posix":
            # The first process of multiprocessing starts this one before, and that would let Ctrl-C through again.
            resource_tracker.ensure_running()
        try:
            # The cluster's thread starts the workers, now and later: Ctrl-C is blocked in whatever begins here.
            with interrupts_held():
                cluster = LocalCluster(  # dask is not annotated
                    n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
                )
                stack.enter_context(cluster)
        except (OSError, RuntimeError, TimeoutError, ValueError) as error:
            raise SubstrateFailure(
                f"a dask cluster on this machine does not start: {' '.join(str(error).split())[:300]}; see what it "
                "says on standard error, or use --executor process"
            ) from error
        yield cluster


class _Watch:
    """Notices that a cluster has had no worker for so long that nobody will take up its runs."""

    def __init__(self, client: Client, where: str) -> None:
        self._client, self._where, self._seen = client, where, time.monotonic()

    def look(self) -> None:
        """Raise ``SubstrateFailure`` when the last worker was seen too long ago."""
        now = time.monotonic()
        try:
            present = bool(self._client.nthreads())
        except OSError:  # the scheduler itself is away
            present = False
        if present:
            self._seen = now
        elif now - self._seen > WORKERLESS_S:
            raise _workerless(self._where)


def _workerless(where: str) -> SubstrateFailure:
    return SubstrateFailure(
        f"the dask cluster at {where} has had no worker for {WORKERLESS_S:g} s; start some (dask worker ADDRESS) and "
        "give the same command again: what is finished is kept"
    )
