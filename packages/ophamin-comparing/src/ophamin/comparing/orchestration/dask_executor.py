"""A dask cluster as an executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from distributed import Client, LocalCluster

from ophamin.comparing.orchestration.executors import Pool
from ophamin.proof.errors import UsageError

__all__ = ["open_dask"]


@contextmanager
def open_dask(address: str, workers: int) -> Iterator[Pool]:
    """Connect to a scheduler, or start a cluster of processes on this machine.

    Args:
        address: ``tcp://host:port``; "" starts one.
        workers: Processes of a cluster that is started.

    Raises:
        UsageError: Nobody answers at the address.
    """
    with ExitStack() as stack:
        if not address:
            cluster = LocalCluster(  # dask is not annotated
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
            )
            target = stack.enter_context(cluster)
        else:
            target = address
        try:
            client = Client(target, timeout="10s", set_as_default=False)
            stack.enter_context(client)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(
                f"no dask scheduler answers at {address}: {error}; start one, or give its address"
            ) from error
        threads = sum(client.nthreads().values())
        # dask takes equal calls for one call and would run it once.
        yield Pool(client.get_executor(pure=False), 4 * max(threads, 1))
