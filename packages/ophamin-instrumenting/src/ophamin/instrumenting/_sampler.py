"""A background thread that looks at memory while a cycle runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

__all__ = ["PERIOD_S", "PeakSampler"]

PERIOD_S = 0.01
"""Seconds between two looks. What rises and falls in between is seen only through the kernel's high-water mark."""


class PeakSampler:
    """Remembers the most that ``measure`` gave between ``begin`` and ``end``, looking every ``period_s`` seconds.

    The thread lives while the ``with`` block does and no longer, whatever ends it. It needs the interpreter for a
    few microseconds a look: while the main thread is in C code that keeps it, no look takes place.

    Args:
        measure: Called in the thread; whatever it raises counts as no look.
        period_s: Seconds between two looks.

    Example:
        >>> import time
        >>> with PeakSampler(lambda: 7, period_s=0.001) as sampler:
        ...     sampler.begin()
        ...     time.sleep(0.1)
        ...     sampler.end()
        7
    """

    def __init__(self, measure: Callable[[], int | None], period_s: float = PERIOD_S) -> None:
        self._measure, self._period_s = measure, period_s
        self._stop = threading.Event()
        self._running, self._most = False, 0
        self._thread = threading.Thread(target=self._run, name="ophamin-peak-sampler", daemon=True)

    def __enter__(self) -> PeakSampler:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the thread and wait for its end."""
        self._running = False
        self._stop.set()
        self._thread.join()

    def begin(self) -> None:
        """A cycle begins: forget what was seen."""
        self._most = 0
        self._running = True

    def end(self) -> int:
        """The cycle has ended: the most that was seen, 0 when it was over before a look."""
        self._running = False
        return self._most

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            if not self._running:
                continue
            try:
                seen = self._measure()
            except Exception:  # noqa: BLE001 - a look that failed must not end the run that is watched
                continue
            # The cycle may have ended meanwhile; the next one must not inherit this.
            if seen is not None and self._running and seen > self._most:
                self._most = seen
