"""A sampling CPU profiler inside the process: no privileges, no other program.

A thread looks at every other thread's stack at a steady rate. Each look weighs as much as the thread used the
CPU since the last look, which the kernel counts, so a look that came late (a long call that holds the
interpreter's lock) loses nothing, a thread that waits weighs nothing, and one that works a little weighs a little.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import CodeType, FrameType, TracebackType
from typing import Self

from ophamin.instrumenting.flame._labels import label
from ophamin.instrumenting.flame._stacks import DEEPEST, Stacks
from ophamin.proof.errors import UsageError

__all__ = ["CpuSampler"]

# A thread at one look: its name, its native id, its functions from the outermost on.
_Seen = tuple[str, int | None, tuple[CodeType, ...]]
# Where a thread without a clock of its own is taken to wait: the innermost Python function's file.
_WAITING = ("threading.py", "selectors.py", "queue.py", "socket.py", "subprocess.py", "ssl.py")


class CpuSampler:
    """Samples the Python stacks of this process while it is entered; may be entered once.

    Only this process is seen, and of native code only the Python function that called it. The looking thread
    itself is left out.

    Args:
        rate: Looks a second, 1 to 1000.
        idle: Weigh wall time instead of CPU time, so that threads that wait show too.
        below: Keep only what this function called, and of other threads everything; a look that does not
            find it in any thread is dropped. For watching one part of a program.
        name: What is captured.

    Raises:
        UsageError: The rate is out of range.

    Example:
        >>> with CpuSampler(rate=200) as sampler:
        ...     total = sum(i * i for i in range(300_000))
        >>> sampler.stacks().unit
        'microseconds'
    """

    def __init__(
        self, *, rate: float = 100.0, idle: bool = False, below: CodeType | None = None, name: str = ""
    ) -> None:
        if not 1 <= rate <= 1000:
            raise UsageError(f"a sampling rate is 1 to 1000 looks a second, not {rate:g}")
        self._period, self._idle, self._below, self._name = 1 / rate, idle, below, name
        self._weights: dict[tuple[str, tuple[CodeType, ...]], int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = self._lasted = 0.0
        self._looks = 0

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise UsageError("a sampler is entered once; make another")
        self._began = time.perf_counter()
        # Measured from here, not from when the new thread gets its first turn.
        self._meter = _meter(self._idle)
        self._thread = threading.Thread(target=self._run, name="ophamin-cpu-sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()
        self._lasted = time.perf_counter() - self._began

    def stacks(self) -> Stacks:
        """What was seen so far, in microseconds; root frames are the threads' names."""
        names: dict[CodeType, str] = {}

        def named(code: CodeType) -> str:
            if code not in names:
                names[code] = label(code.co_qualname, code.co_filename, code.co_firstlineno)
            return names[code]

        weights: dict[tuple[str, ...], int] = {}
        for (thread, codes), nanoseconds in list(self._weights.items()):
            stack = (f"thread {thread}", *map(named, codes))
            weights[stack] = weights.get(stack, 0) + nanoseconds
        lasted = self._lasted or time.perf_counter() - self._began
        details = {
            "sampler": "in-process",
            "rate": f"{1 / self._period:g} a second",
            "looks": f"{self._looks:,}",
            "over": f"{lasted:.2f} s",
        }
        note = ""
        if not weights:
            note = (
                f"The system used too little CPU in {lasted:.2f} s for any of {self._looks:,} looks to find it working."
            )
        return Stacks({s: round(ns / 1000) for s, ns in weights.items()}, "microseconds", self._name, note, details)

    def _run(self) -> None:
        due = time.perf_counter() + self._period
        while not self._stop.wait(max(due - time.perf_counter(), 0.0)):
            self._look()
            # From now on, not from when it was due: a machine that cannot keep up is not asked for more.
            due = max(due + self._period, time.perf_counter() + self._period / 2)
        self._look()

    def _look(self) -> None:
        own = threading.get_ident()
        frames = sys._current_frames()
        threads = {thread.ident: thread for thread in threading.enumerate()}
        self._looks += 1
        seen: list[_Seen] = []
        found = self._below is None
        for ident, frame in frames.items():
            if ident == own:
                continue
            codes, inside = self._codes(frame)
            found = found or inside
            if self._below is None or inside or threads.get(ident) is not threading.main_thread():
                thread = threads.get(ident)
                # A thread that Python did not start has no Thread object, so no name.
                name = thread.name if thread is not None else "not started by Python"
                seen.append((name, thread.native_id if thread is not None else None, codes))
        del frames
        used = self._meter(seen)
        if found:
            for (name, _, codes), nanoseconds in zip(seen, used, strict=True):
                if nanoseconds > 0 and codes:
                    self._weights[name, codes] = self._weights.get((name, codes), 0) + nanoseconds

    def _codes(self, frame: FrameType | None) -> tuple[tuple[CodeType, ...], bool]:
        """Functions from the outermost, or from below ``below``, to the innermost; and whether that was found."""
        codes: list[CodeType] = []
        while frame is not None and len(codes) < DEEPEST:
            code = frame.f_code
            if code is self._below:
                return tuple(reversed(codes)), True
            codes.append(code)
            frame = frame.f_back
        return tuple(reversed(codes)), False


class _WallClock:
    """Every thread weighs as much as the time since the last look."""

    def __init__(self) -> None:
        self._last = time.perf_counter_ns()

    def __call__(self, seen: Sequence[_Seen]) -> list[int]:
        last, self._last = self._last, time.perf_counter_ns()
        return [self._last - last] * len(seen)


class _ThreadClocks:
    """Every thread weighs as much CPU time as the kernel counted for it since the last look (Linux)."""

    def __init__(self) -> None:
        self._last = {t.native_id: _thread_clock(t.native_id) for t in threading.enumerate() if t.native_id}

    def __call__(self, seen: Sequence[_Seen]) -> list[int]:
        # A thread that is new began its clock at 0 after the last look.
        last, self._last = self._last, {native: _thread_clock(native) for _, native, _ in seen if native}
        return [(self._last[n] - last.get(n, 0)) if n else 0 for _, n, _ in seen]


class _ProcessClock:
    """The process's CPU time since the last look, split over the threads that do not seem to wait."""

    def __init__(self) -> None:
        self._last = time.process_time_ns()

    def __call__(self, seen: Sequence[_Seen]) -> list[int]:
        last, self._last = self._last, time.process_time_ns()
        working = [bool(codes) and not codes[-1].co_filename.endswith(_WAITING) for _, _, codes in seen]
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


def _meter(idle: bool) -> Callable[[Sequence[_Seen]], list[int]]:
    if idle:
        return _WallClock()
    if sys.platform.startswith("linux") and _thread_clock(threading.get_native_id()):
        return _ThreadClocks()
    return _ProcessClock()
