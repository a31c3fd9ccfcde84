"""How much a thread used since one last looked, on each kind of system."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import CodeType

__all__ = ["Codes", "Seen", "clock"]

# A thread's functions, from the innermost on.
Codes = list[CodeType]
# A thread at one look: its name, its native id, its functions.
Seen = tuple[str, int | None, Codes]
# Where a thread without a clock of its own is taken to wait: the innermost Python function's file.
_WAITING = ("threading.py", "selectors.py", "queue.py", "socket.py", "subprocess.py", "ssl.py")


class _WallClock:
    """Every thread weighs as much as the time since the last look."""

    def __init__(self) -> None:
        self._last = time.perf_counter_ns()

    def __call__(self, seen: Sequence[Seen]) -> list[int]:
        last, self._last = self._last, time.perf_counter_ns()
        return [self._last - last] * len(seen)


class _ThreadClocks:
    """Every thread weighs as much CPU time as the kernel counted for it since the last look (Linux)."""

    def __init__(self) -> None:
        self._last = {t.native_id: _thread_clock(t.native_id) for t in threading.enumerate() if t.native_id}

    def __call__(self, seen: Sequence[Seen]) -> list[int]:
        # A thread that is new began its clock at 0 after the last look.
        last, self._last = self._last, {native: _thread_clock(native) for _, native, _ in seen if native}
        return [(self._last[n] - last.get(n, 0)) if n else 0 for _, n, _ in seen]


class _ProcessClock:
    """The process's CPU time since the last look, split over the threads that do not seem to wait."""

    def __init__(self) -> None:
        self._last = time.process_time_ns()

    def __call__(self, seen: Sequence[Seen]) -> list[int]:
        last, self._last = self._last, time.process_time_ns()
        working = [bool(codes) and not codes[0].co_filename.endswith(_WAITING) for _, _, codes in seen]
        share = (self._last - last) // max(sum(working), 1)
        return [share if works else 0 for works in working]


def _thread_clock(native: int) -> int:
    """CPU nanoseconds of a thread of this process; 0 when it is gone."""
    try:
        # The clock id that pthread_getcpuclockid(3) makes of a thread id: its complement, shifted,
        # CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED. Of a thread that is gone it is refused, not followed.
        return time.clock_gettime_ns((~native << 3) | 6)
    except OSError:
        return 0


def clock(idle: bool) -> Callable[[Sequence[Seen]], list[int]]:
    """Called at each look with the threads seen, says what each used since the last, in nanoseconds.

    Args:
        idle: Wall time instead of CPU time.
    """
    if idle:
        return _WallClock()
    if sys.platform.startswith("linux") and _thread_clock(threading.get_native_id()):
        return _ThreadClocks()
    return _ProcessClock()
