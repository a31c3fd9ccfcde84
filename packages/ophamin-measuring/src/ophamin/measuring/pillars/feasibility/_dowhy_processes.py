"""dowhy's simulations in processes of their own, which the budget of time can interrupt.

Run as a module this is the worker: it reads the study, and then the number of one simulation after the other, and
answers each with its estimate. The parent alone talks to it, so that pickles are safe; a worker whose parent is gone
reads the end of its input, and ends.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Callable
from subprocess import DEVNULL, PIPE, Popen
from threading import Event, Thread
from typing import Any

import numpy as np

from ophamin.measuring.pillars._columns import Floats

__all__ = ["spread_over_processes"]

_LOOK = 0.05
"""Seconds between looks at the clock while workers are at work."""


def spread_over_processes(
    study: Any, one: Callable[[int], float], simulations: int, workers: int, *, budget: float, patient: bool
) -> Floats:
    """Results of ``one(0)``, ``one(1)`` … in order; those up to the first that the budget left undone.

    Args:
        study: What a worker makes its own ``one`` of: the arguments of ``dowhy_refuters.Simulated``.
        one: Simulates here, while no worker is ready yet, or where all of them were killed.
        simulations: How many.
        workers: Processes.
        budget: Seconds, after which a simulation that has begun is interrupted, but for one begun here.
        patient: Whether one simulation is so short that it may be begun here.
    """
    out, done = np.full(simulations, np.nan), np.zeros(simulations, dtype=bool)
    left, ready, told, end = deque(range(simulations)), Event(), Event(), time.monotonic() + budget
    given = pickle.dumps(study)

    def serve(process: Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        at = None
        try:
            process.stdin.write(given)
            process.stdin.flush()
            pickle.load(process.stdout)
            ready.set()
            while left:
                at = left.popleft()
                pickle.dump(at, process.stdin)
                process.stdin.flush()
                out[at] = pickle.load(process.stdout)
                done[at] = True
                told.set()
        except IndexError:  # another took the last one
            pass
        except (OSError, EOFError, pickle.UnpicklingError):  # killed, or failed: its simulation is given out again
            if at is not None and not done[at]:
                left.appendleft(at)
        finally:
            told.set()

    command = [sys.executable, "-P", "-m", __spec__.name if __spec__ else __name__]
    # A session of its own: Ctrl-C is for the parent, which then ends its workers.
    # What fails there is done again here, and tells its error here.
    running = [Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True) for _ in range(workers)]
    threads = [Thread(target=serve, args=(process,), daemon=True) for process in running]
    try:
        for thread in threads:
            thread.start()
        while not done.all() and time.monotonic() < end:
            alive = any(thread.is_alive() for thread in threads)
            if left and (not alive or (patient and not ready.is_set())):
                at = left.popleft()
                out[at] = one(at)
                done[at] = True
            else:
                told.wait(max(0.0, min(_LOOK, end - time.monotonic())))
                told.clear()
    finally:
        for process in running:
            process.kill()
        for thread, process in zip(threads, running, strict=True):
            if thread.ident is not None:
                thread.join()
            process.communicate()
    return out[: simulations if done.all() else int(np.argmin(done))]


def _work() -> None:
    """Answer the parent."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    from ophamin.measuring.pillars.feasibility.dowhy_refuters import Simulated

    with Simulated(*pickle.load(questions)) as one:
        pickle.dump(True, answers)
        answers.flush()
        while True:
            try:
                at = pickle.load(questions)
            except EOFError:
                return
            pickle.dump(one(at), answers)
            answers.flush()


if __name__ == "__main__":
    _work()
