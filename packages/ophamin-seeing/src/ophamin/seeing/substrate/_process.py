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
    """The child will say nothing more; the message says why."""


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
        self._out: queue.Queue[tuple[list[bytes] | None, float]] = queue.Queue(_QUEUED_CHUNKS)
        self._lines: deque[bytes] = deque()
        self._arrived = 0.0
        self._in: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._stderr: deque[bytes] = deque()
        self._stopped = threading.Event()
        self._ended_by_us = False
        self._threads = [
            _thread(_write_all, self._popen.stdin, self._in),
            _thread(_read_lines, self._popen.stdout, self._out, self._stopped),
            _thread(_drain, self._popen.stderr, self._stderr),
        ]
        # Also when the owner is forgotten, and at the interpreter's exit.
        self._finalizer = weakref.finalize(self, _kill, self._popen)

    @property
    def pid(self) -> int:
        """Its process id, which is its group's id too."""
        return self._popen.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def send(self, line: bytes) -> None:
        """Queue one line or more (with their newlines) for the child; never blocks, never fails."""
        self._in.put(line)

    def pending(self) -> bool:
        """Whether a line has come that was not received yet."""
        return bool(self._lines)

    def receive(self, deadline: float) -> tuple[bytes, float]:
        """The next line without its newline, and when it came.

        Args:
            deadline: ``time.perf_counter`` seconds until which to wait.

        Raises:
            TimeoutError: Nothing came in time.
            StreamEnded: It closed its output or sent more than 10 MB without a newline.
        """
        if not self._lines:
            try:
                lines, self._arrived = self._out.get(timeout=max(0.0, deadline - time.perf_counter()))
            except queue.Empty:
                raise TimeoutError from None
            if lines is None:
                raise StreamEnded("it closed its standard output")
            self._lines.extend(lines)
        line = self._lines.popleft()
        if len(line) > MAX_LINE:
            raise StreamEnded(f"it sent a line of more than {MAX_LINE // 1_000_000} MB")
        return line, self._arrived

    def stop(self, grace_s: float = 0.0) -> None:
        """End it and its whole process group, and reap it; may be called twice.

        Args:
            grace_s: How long to let it end by itself once its standard input is closed.
        """
        # Without a moment of grace even a tidy exit is our doing: we close its standard input.
        self._ended_by_us |= not grace_s and self.alive()
        self._in.put(None)
        if grace_s:
            with contextlib.suppress(subprocess.TimeoutExpired):  # killed below
                self._popen.wait(grace_s)
        self._stopped.set()
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


def _kill(popen: subprocess.Popen[bytes]) -> None:
    # The group is asked first: its leader may be gone while its children are not.
    try:
        if hasattr(os, "killpg"):
            os.killpg(popen.pid, signal.SIGKILL)
        else:
            popen.kill()
    except (ProcessLookupError, PermissionError):
        pass  # nobody left; macOS answers EPERM for a group of zombies
    popen.wait()


def _write_all(pipe: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    try:
        with pipe:
            ended = False
            while not ended and (line := lines.get()) is not None:
                parts = [line]
                size = len(line)
                # What is waiting goes in one write: with many requests in flight most of the time went into waking up.
                while size < _CHUNK and not lines.empty():
                    following = lines.get()
                    if following is None:
                        ended = True
                        break
                    parts.append(following)
                    size += len(following)
                view = memoryview(b"".join(parts))
                while view:
                    view = view[pipe.write(view) :]
    except OSError:
        pass  # it does not listen any more; whoever waits for its answer learns why


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
