"""Pieces counted by worker processes; a worker that is killed costs the piece it was at, not the run."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from ophamin.measuring.selftest._pieces import Counted, Piece, count
from ophamin.proof.errors import UsageError
from ophamin.proof.interrupts import interrupts_held

__all__ = ["DEATHS", "counted"]

DEATHS = 3
"""Deaths in a row, without one piece done between them, after which it is given up."""
_AHEAD = 2
"""Pieces given out for each worker: one it is at, one that waits."""


def _uninterrupted() -> None:
    """Ctrl-C is for the parent, which then lets its workers go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def counted(
    pieces: Sequence[Piece], seed: int, jobs: int, lost: Callable[[], None] = lambda: None
) -> Iterator[tuple[Piece, Counted]]:
    """Count pieces, in whatever order they are done.

    Args:
        pieces: What to count.
        seed: Seed of every simulation.
        jobs: Worker processes; 1 counts here. After a worker was killed, perhaps for its memory, there is one fewer.
        lost: Called when a worker was killed and what it had at hand is given out again.

    Raises:
        UsageError: Workers are killed again and again.
    """
    if jobs == 1:
        for piece in pieces:
            yield piece, count(piece, seed)
        return
    left, deaths = list(reversed(pieces)), 0
    while left:
        try:
            for done in _by_pool(left, seed, jobs):
                deaths = 0
                yield done
        except BrokenProcessPool:
            deaths, jobs = deaths + 1, max(1, jobs - 1)
            lost()
            if deaths == DEATHS:
                raise UsageError(
                    f"{DEATHS} workers were killed one after the other, perhaps for their memory; what is done is "
                    "kept: run the same again with --jobs 1, or where there is more memory"
                ) from None


def _by_pool(left: list[Piece], seed: int, jobs: int) -> Iterator[tuple[Piece, Counted]]:
    """Take pieces from the end of ``left``; those a killed worker had at hand are put back."""
    # Spawned, not forked: a worker holds what is installed, whatever threads run here.
    context, before = multiprocessing.get_context("spawn"), set(multiprocessing.active_children())
    at_hand: dict[Future[Counted], Piece] = {}
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_uninterrupted) as pool:
        try:
            while left or at_hand:
                with interrupts_held():
                    while left and len(at_hand) < _AHEAD * jobs:
                        at_hand[pool.submit(count, left[-1], seed)] = left[-1]
                        left.pop()
                done, _ = wait(at_hand, return_when=FIRST_COMPLETED)
                for future in done:
                    found = future.result()
                    yield at_hand.pop(future), found
        except BrokenProcessPool:
            left.extend(at_hand.values())
            raise
        except BaseException:
            # Cancelling alone may leave the pool waiting for ever; its workers hold nothing worth waiting for.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - before:
                worker.terminate()
            raise
