"""The process of one run with limits: reads what to do, binds itself, writes one answer."""

from __future__ import annotations

import math
import os
import pickle
import signal
import sys
import threading
from pathlib import Path

from ophamin.comparing.orchestration.work import Limits, Outcome, call

__all__ = ["main"]


def main() -> None:
    """Standard input: pickled path, data and limits of our own parent.

    Arguments: file for the answer, and a pipe that ends when the parent does (POSIX).
    """
    if len(sys.argv) > 2:
        threading.Thread(target=_end_with, args=(int(sys.argv[2]),), daemon=True).start()
    path, data, limits = pickle.loads(sys.stdin.buffer.read())
    found = bind(limits) or call(path, data)
    target = Path(sys.argv[1])
    part = target.with_suffix(".part")
    part.write_bytes(pickle.dumps(found))
    os.replace(part, target)


def _end_with(pipe: int) -> None:
    """A worker that is killed cannot end what it started: end it here, with all its children."""
    os.read(pipe, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def bind(limits: Limits) -> Outcome | None:
    """Set the limits of this process; the failure where the system has none."""
    if limits.cpu_s is None and limits.memory_mb is None:
        return None
    try:
        import resource
    except ImportError:
        return Outcome(
            error="this system cannot limit CPU or memory of a process; leave cpu_s and memory_mb out",
            kind="UsageError",
            again=False,
            exit_code=2,
        )
    if limits.memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mb * 2**20,) * 2)
    if limits.cpu_s is not None:
        seconds = max(1, math.ceil(limits.cpu_s))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 2))
    return None
