"""A time limit on calls in this process, at the price of one assignment per call.

One interval timer serves all calls: it is armed when a batch begins, and its handler looks whether the call in flight
is past its deadline. Arming a timer for every call would cost two system calls each.

Limits: signals exist only on the main thread of a POSIX system, and Python delivers them between bytecodes, so a call
that blocks inside C code is interrupted when it returns. Everywhere the caller also measures the overrun.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Overrun", "Watchdog", "watchdog"]


class Overrun(BaseException):
    """Raised inside the call; not an ``Exception``, so that a callable's own handler does not swallow it."""


class Watchdog:
    """Set ``deadline`` of what ``armed()`` gives (``time.perf_counter`` seconds) before a call, ``None`` after it."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self._limits: list[float] = []
        self._previous: Any = None

    @contextmanager
    def armed(self, limit_s: float) -> Iterator[Watchdog]:
        """While open, calls past their deadline are interrupted where signals allow it; may be nested.

        Yields:
            Where to set deadlines: this watchdog, or one that does nothing (a thread's deadline must never raise in the
            main thread).
        """
        usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
        if not usable or not 0 < limit_s < 1e8:
            yield Watchdog()
            return
        if not self._limits:
            self._previous = signal.signal(signal.SIGALRM, self._tick)
        self._limits.append(limit_s)
        signal.setitimer(signal.ITIMER_REAL, min(self._limits))
        try:
            yield self
        finally:
            self._limits.remove(limit_s)
            # A generator abandoned elsewhere may be closed by another thread, which may not touch handlers.
            if not self._limits and threading.current_thread() is threading.main_thread():
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, self._previous if self._previous is not None else signal.SIG_DFL)

    def _tick(self, signum: int, frame: FrameType | None) -> None:
        wait = min(self._limits, default=0.0)
        late = False
        if self._limits and self.deadline is not None:
            left = self.deadline - time.perf_counter()
            late = left <= 0
            wait = wait if late else left
        signal.setitimer(signal.ITIMER_REAL, max(wait, 1e-4) if self._limits else 0)
        if late:
            raise Overrun


watchdog = Watchdog()
