"""What all tests share: examples of property tests without a time limit, and a real cluster for whoever sweeps."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("hypothesis"):  # core's tests also run without it
    from hypothesis import settings

    # Whatever profile is the default (hypothesis takes another one under CI), but untimed: no test here is a timed one.
    settings.register_profile("untimed", settings(deadline=None))
    settings.load_profile("untimed")

Cluster = tuple[str, list["subprocess.Popen[bytes]"]]


@pytest.fixture
def dask_cluster() -> Callable[[Path], AbstractContextManager[Cluster]]:
    """Starts a real dask scheduler and two workers over TCP in a folder; gives its address and the workers.

    They import what a new Python there does, so PYTHONPATH is set before it is called.
    """
    return _cluster


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[Cluster]:
    from distributed import Client

    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> "subprocess.Popen[bytes]":
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, stdout=quiet, stderr=quiet, start_new_session=True
        )
        started.append(process)
        return process

    where, limit, address = folder / "scheduler.json", time.monotonic() + 60, ""
    try:
        start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
              "--scheduler-file", str(where))  # fmt: skip
        while not address:
            assert time.monotonic() < limit
            # The scheduler makes the file before it writes it.
            with contextlib.suppress(OSError, ValueError):
                address = json.loads(where.read_text())["address"]
            time.sleep(0.05)
        words = ("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        workers = [start(*words), start(*words)]
        with Client(address, timeout="30s", set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield address, workers
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()
