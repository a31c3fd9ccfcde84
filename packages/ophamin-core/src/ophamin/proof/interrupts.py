"""Ctrl-C while workers start: it is the parent's, and it waits until they have all been begun."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

__all__ = ["interrupts_held"]


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends; processes started in it never get one, not even while they import.

    An initializer that ignores the signal comes too late for that: a spawned worker first imports what it will run.
    Where a platform cannot block signals, nothing is held.

    Example:
        >>> with interrupts_held():
        ...     pass  # submit the first tasks to a pool here
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
