"""Ctrl-C while workers are being started: the terminal sends it to all of them, and only the parent answers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to a group of processes")

# A worker tells that it has begun, and takes its time before it could ignore anything by itself.
SLOW_START = """
import os, pathlib, sys, time
if "--multiprocessing-fork" in sys.orig_argv:
    folder = pathlib.Path(__file__).parent
    (folder / f"begun-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    (folder / f"started-{os.getpid()}").touch()
"""
PARENT = """
import sys, time
from ophamin.comparing.orchestration.executors import open_executor

if __name__ == "__main__":
    try:
        with open_executor(sys.argv[1], 2) as pool:
            futures = [pool.executor.submit(time.sleep, 60) for _ in range(2)]
            [future.result() for future in futures]
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
"""


@pytest.mark.parametrize(
    "executor",
    ["process", pytest.param("dask", marks=pytest.mark.skipif(not find_spec("distributed"), reason="needs dask"))],
)
def test_workers_that_are_still_starting_say_nothing(tmp_path: Path, executor: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_START)
    (tmp_path / "parent.py").write_text(PARENT)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py"), executor],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        workers = told(tmp_path, "begun", process)
        for worker in workers:
            os.kill(worker, signal.SIGINT)
        (tmp_path / "go").touch()
        assert told(tmp_path, "started", process) == workers, "one was interrupted before it had started"
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=90)
    finally:
        end_group(process.pid)
    assert (process.returncode, out.strip()) == (130, "interrupted")
    assert "KeyboardInterrupt" not in err
    assert "Traceback" not in err


def told(folder: Path, what: str, parent: subprocess.Popen[str]) -> set[int]:
    """The two workers that have come so far; fewer when that takes too long."""
    limit = time.monotonic() + 60
    while len(found := {int(mark.name.split("-")[1]) for mark in folder.glob(f"{what}-*")}) < 2:
        if time.monotonic() > limit or parent.poll() is not None:
            break
        time.sleep(0.01)
    return found


def end_group(number: int) -> None:
    """End whatever is left of a group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)
