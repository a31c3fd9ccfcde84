"""One run where it is carried out: found by import path, called with data, perhaps in a process with limits."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ophamin.proof.errors import OphaminError, UsageError

__all__ = ["Limits", "Outcome", "call", "execute", "resolve"]

JSON = Any


@dataclass(frozen=True)
class Limits:
    """What one run may use; with any of them it runs in a process of its own.

    Args:
        time_s: Seconds by the clock; then it is killed with all its children.
        cpu_s: Seconds of CPU of each of its processes.
        memory_mb: MiB of address space of each of its processes.

    Example:
        >>> Limits(time_s=60).any
        True
    """

    time_s: float | None = None
    cpu_s: float | None = None
    memory_mb: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return any(value is not None for value in (self.time_s, self.cpu_s, self.memory_mb))


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Args:
        value: What it returned.
        error: Why it failed, "" when it did not.
        kind: Class of the error; ``TimeLimit``, ``CpuLimit``, ``MemoryLimit`` or ``Died`` for what ended a process.
        again: Whether another try could end otherwise.
        exit_code: Of the error.
        wall_s: Seconds it took.
    """

    value: JSON = None
    error: str = ""
    kind: str = ""
    again: bool = True
    exit_code: int = 70
    wall_s: float = 0.0


def resolve(path: str) -> Callable[[JSON], JSON]:
    """The function behind ``package.module:function``.

    Raises:
        UsageError: There is none.
    """
    module, colon, name = path.partition(":")
    try:
        found = getattr(import_module(module), name) if colon else None
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"no function {path!r} on this machine: {error}") from error
    if not callable(found):
        raise UsageError(f"work is named as package.module:function, not {path!r}")
    function: Callable[[JSON], JSON] = found
    return function


def call(path: str, data: JSON) -> Outcome:
    """Run it in this process; whatever it raises becomes data, so that it can cross to another machine."""
    began = time.perf_counter()
    try:
        # What a run prints must not end up in a command's answer.
        with contextlib.redirect_stdout(sys.stderr):
            value = resolve(path)(data)
        return Outcome(value, wall_s=time.perf_counter() - began)
    except MemoryError:
        return Outcome(error="out of memory", kind="MemoryLimit", again=False, exit_code=6)
    except Exception as error:  # noqa: BLE001 - the work is anybody's
        ours = isinstance(error, OphaminError)
        code = error.exit_code if isinstance(error, OphaminError) else 70
        words = str(error) or type(error).__name__
        # A request that makes no sense makes none the second time.
        return Outcome(
            error=words if ours else f"{type(error).__name__}: {words}",
            kind=type(error).__name__,
            again=code not in (2, 5),
            exit_code=code,
            wall_s=time.perf_counter() - began,
        )


def execute(path: str, data: JSON, limits: Limits) -> Outcome:
    """Run it, in a process of its own when it has limits.

    Args:
        path: ``package.module:function``.
        data: Its one argument.
        limits: What it may use.
    """
    return _limited(path, data, limits) if limits.any else call(path, data)


def _limited(path: str, data: JSON, limits: Limits) -> Outcome:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ophamin-run-") as folder:
        answer = Path(folder) / "answer"
        # Nobody writes to it: the child reads its end when this process dies, whatever kills it.
        theirs, ours = os.pipe() if hasattr(os, "killpg") else (-1, -1)
        watch = [theirs] if theirs >= 0 else []
        code = "from ophamin.comparing.orchestration._limited import main; main()"
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(answer), *map(str, watch)],
            pass_fds=watch,
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno() if _has_descriptor() else subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            start_new_session=True,
        )
        try:
            child.communicate(pickle.dumps((path, data, limits)), timeout=limits.time_s)
        except subprocess.TimeoutExpired:
            return _ended(f"it took longer than {limits.time_s:g} s", "TimeLimit", began, again=True)
        except BrokenPipeError:
            child.wait()
        finally:
            _kill_group(child)
            for end in (theirs, ours):
                if end >= 0:
                    os.close(end)
        if answer.is_file():
            found: Outcome = pickle.loads(answer.read_bytes())
            return found
    if child.returncode == -getattr(signal, "SIGXCPU", 0):
        return _ended(f"it used more than {limits.cpu_s:g} s of CPU", "CpuLimit", began, again=False)
    how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
    hint = f"; it may have needed more than {limits.memory_mb} MiB" if limits.memory_mb else ""
    return _ended(f"its process died ({how}){hint}", "Died", began, again=True)


def _ended(error: str, kind: str, began: float, *, again: bool) -> Outcome:
    return Outcome(error=error, kind=kind, again=again, exit_code=6, wall_s=time.perf_counter() - began)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """Also what the run started and left behind."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def _has_descriptor() -> bool:
    try:
        sys.stderr.fileno()
    except (OSError, AttributeError, ValueError):
        return False
    return True
