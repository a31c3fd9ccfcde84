"""Running a tool: found in this interpreter's environment first, in a process group of its own, never for ever."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Completed", "Running", "locate", "run", "running"]


@dataclass(frozen=True, slots=True)
class Completed:
    """How one run of a tool ended.

    Args:
        argv: What was run.
        exit_code: Its exit status, negative for a signal; ``None`` when it was stopped or never started.
        stdout: All of its standard output.
        stderr: All of its standard error.
        wall_s: Seconds it took.
        stopped: "" when it ended by itself, else ``timeout`` or ``interrupted``.
        failure: Why it could not be started, "" when it was.
    """

    argv: Sequence[str]
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    wall_s: float
    stopped: str = ""
    failure: str = ""


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
    scripts = Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin")
    if found := shutil.which(name, path=str(scripts)):
        return [found]
    if find_spec(name) is not None:
        # -P: a file of the audited tree called like a module must never be run in its place.
        return [sys.executable, "-P", "-m", name]
    if found := shutil.which(name):
        return [os.path.abspath(found)]
    return None


def run(argv: Sequence[str], *, cwd: Path, timeout_s: float) -> Completed:
    """Run a tool to its end.

    Output goes to files, so neither its size nor a grandchild that keeps it open can block. Past the
    timeout the whole process group is killed.

    Args:
        argv: Program and arguments; no shell.
        cwd: Working folder.
        timeout_s: Longest it may take, seconds.
    """
    began = time.perf_counter()
    group = {"process_group": 0} if os.name == "posix" else {"creationflags": 0x200}  # CREATE_NEW_PROCESS_GROUP
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]
                list(argv), cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=_environment(), **group
            )
        except (OSError, ValueError) as error:
            return Completed(argv, None, b"", b"", time.perf_counter() - began, failure=str(error))
        audit = running.get() or Running()
        stopped = ""
        try:
            audit.start(process)
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            stopped = "timeout"
        finally:
            if process.returncode is None:
                _kill(process)
                process.wait()
            audit.ended(process)
        if audit.interrupted:
            stopped = "interrupted"
        wall = time.perf_counter() - began
        return Completed(argv, None if stopped else process.returncode, _all(out), _all(err), wall, stopped)


def _environment() -> dict[str, str]:
    # RUFF_* would change what and where ruff reports; colours would end up in messages.
    dropped = ("RUFF_", "FORCE_COLOR", "CLICOLOR_FORCE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "NO_COLOR": "1"}


def _all(file: object) -> bytes:
    file.seek(0)  # type: ignore[attr-defined]
    data: bytes = file.read()  # type: ignore[attr-defined]
    return data


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the group; only ever before its leader was waited for, so the number cannot be another's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
