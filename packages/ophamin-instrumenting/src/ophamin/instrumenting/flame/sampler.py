"""A sampling CPU profiler inside the process: no privileges, no other program.

It looks at every thread's stack at a steady rate. Each look weighs as much as the thread used the CPU since the last
look, which the kernel counts, so a look that came late (a long call that holds the interpreter's lock) loses
nothing, a thread that waits weighs nothing, and one that works a little weighs a little.

In the main thread a timer of the system (``SIGPROF``, as the process uses CPU time) interrupts the program wherever it
is. Elsewhere, where SIGPROF is taken, and on Windows, a thread looks instead. Such a thread gets its turn when
the program lets go of the interpreter's lock, within 5 ms, so of code that writes or reads often it sees the writing
and reading too often.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Self

from ophamin.instrumenting.flame._clocks import Codes, Seen, clock
from ophamin.instrumenting.flame._labels import label
from ophamin.instrumenting.flame._stacks import DEEPEST, Stacks
from ophamin.proof.errors import UsageError

__all__ = ["CpuSampler"]


OFTEN, RARELY, ALONE = 5, 20, 100
"""Periods between the thread's glances at whether the timer's signals arrive: at first, at most, and where the main
thread is the only one.

Every glance makes the program hand over the interpreter's lock, and on a busy machine it is long in coming back."""


class CpuSampler:
    """Samples the Python stacks of this process while it is entered; may be entered once.

    Only this process is seen, and of native code only the Python function that called it. Entered in the main
    thread it uses ``SIGPROF``, unless that is in use.

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
        # By identity: the hash of a code object is computed from all of it, at every look. The value holds the codes,
        # so that no id of theirs is given to another.
        self._weights: dict[tuple[str, tuple[int, ...]], tuple[Codes, list[int]]] = {}
        self._stop: Callable[[], None] | None = None
        self._lasted: float | None = None
        self._looks = 0
        self._looking = self._alone = False
        self._thread = 0

    def __enter__(self) -> Self:
        if self._stop is not None:
            raise UsageError("a sampler is entered once; make another")
        self._began = time.perf_counter()
        # Measured from here, not from the first look.
        self._used = clock(self._idle)
        usable = not self._idle and _timer_is_free()
        self._how = "timer" if usable else "thread"
        self._stop = self._by_timer() if usable else self._by_thread()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._stop is not None
        self._stop()
        self._lasted = time.perf_counter() - self._began

    def _by_timer(self) -> Callable[[], None]:
        """Look whenever the process has used the CPU for a period; returns what ends it."""
        before = signal.signal(signal.SIGPROF, self._interrupt)
        signal.setitimer(signal.ITIMER_PROF, self._period, self._period)
        # While the main thread waits for others, nobody runs its handlers.
        stop_thread = self._by_thread(unless_busy=True)

        def stop() -> None:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
            stop_thread()

        return stop

    def _by_thread(self, *, unless_busy: bool = False) -> Callable[[], None]:
        """Look from a thread at every period; returns what ends it.

        Args:
            unless_busy: Only while nobody else looks; the longer that goes well, the more rarely it is asked for.
        """
        ending = threading.Event()

        def run() -> None:
            looks, periods = -1, OFTEN if unless_busy else 1
            while not ending.wait(periods * self._period):
                if unless_busy and looks != self._looks:
                    looks, periods = self._looks, ALONE if self._alone else max(OFTEN, min(2 * periods, RARELY))
                else:
                    self._look(None)
                    looks, periods = self._looks, 1
            self._look(None)

        thread = threading.Thread(target=run, name="ophamin-cpu-sampler", daemon=True)
        thread.start()
        self._thread = thread.ident or 0

        def stop() -> None:
            ending.set()
            thread.join()

        return stop

    def stacks(self) -> Stacks:
        """What was seen so far, in microseconds; root frames are the threads' names."""
        names: dict[CodeType, str] = {}

        def named(code: CodeType) -> str:
            if code not in names:
                names[code] = label(code.co_qualname, code.co_filename, code.co_firstlineno)
            return names[code]

        weights: dict[tuple[str, ...], int] = {}
        for (thread, _), (codes, (nanoseconds,)) in list(self._weights.items()):
            stack = (f"thread {thread}", *map(named, reversed(codes)))
            weights[stack] = weights.get(stack, 0) + nanoseconds
        lasted = time.perf_counter() - self._began if self._lasted is None else self._lasted
        details = {
            "sampler": f"in-process, by {self._how}",
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

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._look(frame)

    def _look(self, interrupted: FrameType | None) -> None:
        """See every thread; ``interrupted`` is where this one was, if it is one of those to see."""
        if self._looking:
            return  # it is a look that was interrupted
        self._looking = True
        try:
            self._see(interrupted)
        finally:
            self._looking = False

    def _see(self, interrupted: FrameType | None) -> None:
        frames = sys._current_frames()
        if interrupted is not None:
            frames[threading.get_ident()] = interrupted
        frames.pop(self._thread, None)
        threads = {thread.ident: thread for thread in threading.enumerate()}
        self._looks += 1
        self._alone = len(frames) == 1
        seen: list[Seen] = []
        found = self._below is None
        for ident, frame in frames.items():
            codes, inside = self._codes(frame)
            found = found or inside
            thread = threads.get(ident)
            if self._below is not None and not inside and thread is threading.main_thread():
                codes = []  # the rest of the program, whose clock goes on
            # A thread that Python did not start has no Thread object, so no name.
            name = thread.name if thread is not None else "not started by Python"
            seen.append((name, thread.native_id if thread is not None else None, codes))
        del frames
        used = self._used(seen)
        if found:
            for (name, _, codes), nanoseconds in zip(seen, used, strict=True):
                if nanoseconds > 0 and codes:
                    key = name, tuple(map(id, codes))
                    if (known := self._weights.get(key)) is not None:
                        known[1][0] += nanoseconds
                    else:
                        self._weights[key] = codes, [nanoseconds]

    def _codes(self, frame: FrameType | None) -> tuple[Codes, bool]:
        """Functions from the innermost to the outermost, or to below ``below``; and whether that was found."""
        codes: list[CodeType] = []
        below = self._below
        while frame is not None and len(codes) < DEEPEST:
            code = frame.f_code
            if code is below:
                return codes, True
            if code is _EXIT or code is _INTERRUPT:
                codes.clear()  # what was interrupted is its caller
            else:
                codes.append(code)
            frame = frame.f_back
        return codes, False


_EXIT, _INTERRUPT = CpuSampler.__exit__.__code__, CpuSampler._interrupt.__code__


def _timer_is_free() -> bool:
    """Whether this is the thread that gets signals, and nobody else uses the profiling timer."""
    return (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGPROF) in (signal.SIG_DFL, signal.SIG_IGN)
        and signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    )
