"""Ctrl-C while workers start: it is the parent's, and it waits until they have all been begun."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["interrupts_held"]


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the block ends; processes started in it never get one, not even while they import.

    An initializer that ignores the signal comes too late for that: a spawned worker first imports what it will run.
    Where a platform cannot block signals, Ctrl-C is held back here only.

    Example:
        >>> with interrupts_held():
        ...     pass  # submit the first tasks to a pool here
    """
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    # A mask is a thread's own, and what is started inherits it. But the signal then finds another thread, of a library
    # for linear algebra perhaps, and Python would interrupt the main thread all the same: so it is noted meanwhile.
    handler = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    blocks = hasattr(signal, "pthread_sigmask")
    if handler is not None:
        signal.signal(signal.SIGINT, note)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if blocks else None
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if came:
            signal.raise_signal(signal.SIGINT)
