"""A child process that is spoken to in lines, and that can neither block us nor outlive us."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

__all__ = ["MAX_LINE", "LineProcess", "StreamEnded"]

MAX_LINE = 10_000_000
_STDERR_KEPT = 65_536
_CHUNK = 65_536
_QUEUED_CHUNKS = 64
_GRACE_S = 1.0
# Never handed to a system under test.
_SECRETS = ("OPHAMIN_SIGN_KEY",)


class StreamEnded(Exception):
    """The child will say nothing more; the message says why.

    Args:
        reason: In words.
        dying: It closed its output itself, and is probably about to exit; what it does after we closed it is our doing.
    """

    def __init__(self, reason: str, *, dying: bool) -> None:
        super().__init__(reason)
        self.dying = dying


class LineProcess:
    """A program in its own process group, with a thread for each of its three pipes.

    Nothing the child does blocks the caller: writes are queued, standard error is drained (its last 64 KiB are kept),
    and reading waits no longer than asked. Standard output is read ahead by at most 64 chunks of 64 KiB.

    Args:
        argv: Program and arguments; no shell.
        cwd: Its working folder, or ours.
        environment: Its environment, or ours; the signing key is taken out of either.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(
        self, argv: Sequence[str], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        given = os.environ if environment is None else environment
        passed = {name: value for name, value in given.items() if name not in _SECRETS}
        self._popen = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=passed,
            cwd=cwd,
            start_new_session=True,
        )
        assert self._popen.stdin is not None
        self._in = _Inlet(self._popen.stdin)
        self._stopped = threading.Event()
        # Also when the owner is forgotten, and at the interpreter's exit.
        self._finalizer = weakref.finalize(self, _end, self._popen, self._in, self._stopped)
        self._out: queue.Queue[tuple[list[bytes] | None, float]] = queue.Queue(_QUEUED_CHUNKS)
        self.answers: deque[bytes] = deque()
        """Lines that came and were not taken yet, without their newlines; taken from the left."""
        self._arrived = 0.0
        self._stderr: deque[bytes] = deque()
        self._ended_by_us = False
        self._threads = [
            _thread(self._in.work_off),
            _thread(_read_lines, self._popen.stdout, self._out, self._stopped),
            _thread(_drain, self._popen.stderr, self._stderr),
        ]

    @property
    def pid(self) -> int:
        """Its process id, which is its group's id too."""
        return self._popen.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def send(self, line: bytes) -> None:
        """Give it one line or more, with their newlines; what it does not take now is queued. Never blocks or fails."""
        self._in.write(line)

    def wait(self, deadline: float) -> None:
        """Wait until there is an answer.

        Args:
            deadline: ``time.perf_counter`` seconds until which to wait.

        Raises:
            TimeoutError: Nothing came in time.
            StreamEnded: It closed its output or sent more than 10 MB without a newline.
        """
        if self.answers:
            return
        try:
            left = deadline - time.perf_counter()
            lines, self._arrived = self._out.get(timeout=min(max(0.0, left), threading.TIMEOUT_MAX))
        except queue.Empty:
            raise TimeoutError from None
        if lines is None:
            raise StreamEnded("it closed its standard output", dying=True)
        if len(lines[0]) > MAX_LINE:  # the only one that may have begun before what was read at once
            self._ended_by_us = True  # nobody listens any more, of which it may die before it is stopped
            raise StreamEnded(f"it sent a line of more than {MAX_LINE // 1_000_000} MB", dying=False)
        self.answers.extend(lines)

    def unasked(self) -> bool:
        """Whether it has said something already; asked when nothing is in flight.

        Raises:
            StreamEnded: As for ``wait``.
        """
        if not self.answers and not self._out.empty():
            self.wait(0.0)
        return bool(self.answers)

    def receive(self, deadline: float) -> tuple[bytes, float]:
        """The next line and when it came; see ``wait``."""
        self.wait(deadline)
        return self.answers.popleft(), self._arrived

    def stop(self, grace_s: float = 0.0) -> None:
        """End it and its whole process group, and reap it; may be called twice.

        Args:
            grace_s: How long to let it end by itself once its standard input is closed.
        """
        # Without a moment of grace even a tidy exit is our doing: we close its standard input.
        self._ended_by_us |= not grace_s and self.alive()
        self._in.close()
        if grace_s:
            with contextlib.suppress(subprocess.TimeoutExpired):  # killed below
                self._popen.wait(grace_s)
        self._ended_by_us |= self.alive()
        self._finalizer()
        limit = time.monotonic() + _GRACE_S
        for thread in self._threads:
            # A grandchild that left the group may hold a pipe open; its thread is a daemon and owns the pipe.
            thread.join(max(0.0, limit - time.monotonic()))

    def epitaph(self) -> str:
        """How it ended by itself and the last it said on standard error, in one line; "" when there is neither."""
        code = self._popen.poll()
        if self._ended_by_us:
            state = ""  # the signal was ours and says nothing about it
        elif code is None:
            state = "still running"
        elif code >= 0:
            state = f"exit status {code}"
        else:
            try:
                state = f"killed by {signal.Signals(-code).name}"
            except ValueError:
                state = f"killed by signal {-code}"
        lines = b"".join(self._stderr).decode("utf-8", "replace").split("\n")
        last = " | ".join([line.strip() for line in lines if line.strip()][-3:])[-600:]
        return "; ".join(filter(None, (state, f"stderr: {last}" if last else "")))


def _thread(target: object, *args: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def _end(popen: subprocess.Popen[bytes], inlet: _Inlet, stopped: threading.Event) -> None:
    inlet.close()
    stopped.set()
    # The group is asked first: its leader may be gone while its children are not.
    try:
        if hasattr(os, "killpg"):
            os.killpg(popen.pid, signal.SIGKILL)
        else:
            popen.kill()
    except (ProcessLookupError, PermissionError):
        pass  # nobody left; macOS answers EPERM for a group of zombies
    popen.wait()


class _Inlet:
    """The child's standard input: written at once while it takes all, by a thread where it does not.

    A thread alone would wait for the caller to pause: the child would be idle while its answers are worked off.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._left = bytearray()  # what the thread is to write; while there is any, nothing overtakes it
        self._changed = threading.Condition()  # may be entered twice: the collector may close it anywhere
        self._closing = self._broken = False
        self._direct = _set_blocking(pipe, False)

    def write(self, data: bytes) -> None:
        with self._changed:
            if self._closing or self._broken:
                return
            written = 0
            if self._direct and not self._left:
                try:
                    written = os.write(self._pipe.fileno(), data)
                except BlockingIOError:
                    pass
                except OSError:
                    self._broken = True  # it does not listen any more; whoever waits for its answer learns why
                    return
            if written < len(data):
                self._left += memoryview(data)[written:]
                self._changed.notify()

    def close(self) -> None:
        """Close it once what waits is written."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def work_off(self) -> None:
        """The thread."""
        with contextlib.suppress(OSError), self._pipe:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._left or self._closing)
                    if not self._left:
                        return
                    part = bytes(memoryview(self._left)[:_CHUNK])
                    _set_blocking(self._pipe, True)
                try:
                    written = self._pipe.write(part)
                except OSError:
                    with self._changed:
                        self._broken = True
                    raise
                with self._changed:
                    del self._left[:written]
                    if not self._left:
                        _set_blocking(self._pipe, False)


def _set_blocking(pipe: IO[bytes], blocking: bool) -> bool:
    """Whether the platform can."""
    try:
        os.set_blocking(pipe.fileno(), blocking)
    except (AttributeError, OSError):
        return False  # Windows, before Python 3.12
    return True


def _read_lines(pipe: IO[bytes], out: queue.Queue[tuple[list[bytes] | None, float]], stopped: threading.Event) -> None:
    def put(lines: list[bytes] | None) -> bool:
        at = time.perf_counter()
        while not stopped.is_set():
            try:
                out.put((lines, at), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    with pipe:
        parts: list[bytes] = []
        held = 0
        while chunk := _read(pipe):
            *lines, rest = chunk.split(b"\n")
            if lines:
                lines[0] = b"".join((*parts, lines[0]))
                if not put(lines):
                    return
                parts, held = [], 0
            parts.append(rest)
            held += len(rest)
            if held > MAX_LINE:
                put([b"".join(parts)])
                return
        put(None)


def _drain(pipe: IO[bytes], kept: deque[bytes]) -> None:
    size = 0
    with pipe:
        while chunk := _read(pipe):
            kept.append(chunk)
            size += len(chunk)
            while size - len(kept[0]) >= _STDERR_KEPT:
                size -= len(kept.popleft())


def _read(pipe: IO[bytes]) -> bytes:
    try:
        return os.read(pipe.fileno(), _CHUNK)
    except OSError:
        return b""
