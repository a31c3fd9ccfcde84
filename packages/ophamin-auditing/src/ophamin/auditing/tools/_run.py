"""Running a tool: found in this interpreter's environment first, in a process group of its own, never for ever."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

__all__ = ["Completed", "Running", "in_environment", "library", "locate", "pattern", "run", "running"]

NOWHERE = Path(__file__).parent.parent / "schema"
"""A folder without modules or settings of any tool: where a tool works that would believe those around it."""
MAX_OUTPUT = 128 << 20
"""Bytes of output a tool may write to either stream: more is a flood, and parsing it would exhaust the memory."""
STDERR_KEPT = 1 << 20
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Completed:
    """How one run of a tool ended.

    Args:
        argv: What was run.
        exit_code: Its exit status, negative for a signal; ``None`` when it was stopped or never started.
        stdout: Its standard output; whole, unless it was stopped.
        stderr: Its standard error: the first and the last ``STDERR_KEPT`` bytes of a longer one.
        wall_s: Seconds it took.
        stopped: "" when it ended by itself, else ``timeout``, ``interrupted`` or ``flood``.
        failure: Why it could not be started, "" when it was.
        written: Bytes it wrote to standard output and to standard error, kept or not.
    """

    argv: Sequence[str]
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    wall_s: float
    stopped: str = ""
    failure: str = ""
    written: tuple[int, int] = (0, 0)


class Running:
    """The processes of one audit, so that whoever is interrupted can stop them.

    Tools live in process groups of their own and never see the terminal's Ctrl-C.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[bytes]] = set()
        self.interrupted = False

    def start(self, process: subprocess.Popen[bytes]) -> None:
        """Remember a process; one that starts after the interruption is stopped at once."""
        with self._lock:
            self._alive.add(process)
            if self.interrupted:
                _kill(process)

    def ended(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a process that was waited for."""
        with self._lock:
            self._alive.discard(process)

    def stop(self) -> None:
        """Stop all processes, and those still to come."""
        with self._lock:
            self.interrupted = True
            for process in self._alive:
                _kill(process)


running: ContextVar[Running | None] = ContextVar("running", default=None)
"""The audit this thread works for."""


def locate(name: str) -> list[str] | None:
    """The words that start a tool, or ``None``.

    This interpreter's environment comes before PATH: its version is the one that was locked with us.

    Args:
        name: Name of the program and of its Python package.
    """
    if found := shutil.which(name, path=str(_scripts())):
        return [found]
    if find_spec(name) is not None:
        # -P: a file of the audited tree called like a module must never be run in its place.
        return [sys.executable, "-P", "-m", name]
    if found := shutil.which(name):
        return [os.path.abspath(found)]
    return None


def library(name: str, module: str) -> list[str] | None:
    """The words that start a module of ours around a library, or ``None`` when the library is not installed."""
    return [sys.executable, "-P", "-m", module] if find_spec(name) is not None else None


def in_environment(program: Sequence[str]) -> bool:
    """Whether a program that was located comes from this interpreter's environment."""
    return program[0] == sys.executable or Path(program[0]).parent == _scripts()


def pattern(path: str | Path) -> str:
    """A pattern of the shell's kind, in a list separated by commas, that a path fits; few others do.

    Example:
        >>> pattern("a[1], b/c.py")
        'a?1?? b/c.py'
    """
    return re.sub(r"[,*?\[\]{}!\\]", "?", str(path))


def _scripts() -> Path:
    return Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin")


def run(
    argv: Sequence[str], *, cwd: Path, timeout_s: float, env: Mapping[str, str] | None = None, most: int = MAX_OUTPUT
) -> Completed:
    """Run a tool to its end.

    Output goes to files, so neither its size nor a grandchild that keeps it open can block. Past the
    timeout, or past ``most`` bytes of output, the whole process group is killed.

    Args:
        argv: Program and arguments; no shell.
        cwd: Working folder.
        timeout_s: Longest it may take, seconds.
        env: Variables to set besides those we have.
        most: Bytes it may write to either stream.
    """
    began = time.perf_counter()
    group = {"process_group": 0} if os.name == "posix" else {"creationflags": 0x200}  # CREATE_NEW_PROCESS_GROUP
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]
                list(argv), cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**_environment(), **(env or {})}, **group,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            return Completed(argv, None, b"", b"", time.perf_counter() - began, failure=str(error))
        audit = running.get() or Running()
        stopped = ""
        try:
            audit.start(process)
            stopped = _wait(process, began + timeout_s, (out.fileno(), err.fileno()), most)
        finally:
            if process.returncode is None:
                _kill(process)
                process.wait()
            audit.ended(process)
        if audit.interrupted:
            stopped = "interrupted"
        wall = time.perf_counter() - began
        written = (_size(out.fileno()), _size(err.fileno()))
        said = b"" if stopped else _all(out)
        return Completed(
            argv, None if stopped else process.returncode, said, _ends(err, written[1]), wall, stopped, written=written
        )


def _wait(process: subprocess.Popen[bytes], deadline: float, outputs: Sequence[int], most: int) -> str:
    """Wait for the end; why it did not come, else ""."""
    while True:
        left = deadline - time.perf_counter()
        try:
            process.wait(max(0.0, min(left, POLL_S)))
        except subprocess.TimeoutExpired:
            if any(_size(output) > most for output in outputs):
                return "flood"
            if left <= 0:
                return "timeout"
        else:
            return "flood" if any(_size(output) > most for output in outputs) else ""


def _size(descriptor: int) -> int:
    return os.fstat(descriptor).st_size


def _environment() -> dict[str, str]:
    # These would change what and where a tool reports; colours would end up in messages.
    dropped = ("RUFF_", "MYPY", "RADON", "FORCE_COLOR", "CLICOLOR_FORCE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "NO_COLOR": "1"}


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _ends(file: IO[bytes], size: int) -> bytes:
    """All of a short output, the two ends of a long one."""
    if size <= 2 * STDERR_KEPT:
        return _all(file)
    file.seek(0)
    first = file.read(STDERR_KEPT)
    file.seek(size - STDERR_KEPT)
    return first + b"\n[...]\n" + file.read(STDERR_KEPT)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the group; only ever before its leader was waited for, so the number cannot be another's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
