"""Capturing other programs: CPU by py-spy, memory by memray."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ophamin.instrumenting.flame import _launch
from ophamin.instrumenting.flame._pyspy import NOTHING, PySpy, Refused
from ophamin.instrumenting.flame._stacks import Stacks
from ophamin.proof.errors import OphaminError, SubstrateFailure, UsageError

__all__ = ["Captured", "PySpy", "Refused", "capture_cpu", "capture_memory"]


@dataclass(frozen=True)
class Captured:
    """What a program did and how it ended.

    Args:
        stacks: The capture.
        returncode: Its exit code, negative for a signal; ``None`` where it goes on.
    """

    stacks: Stacks
    returncode: int | None = None


def capture_cpu(
    argv: Sequence[str] = (),
    *,
    pid: int | None = None,
    duration: float | None = None,
    rate: float = 100.0,
    idle: bool = False,
    name: str = "",
) -> Captured:
    """Sample a running Python process, or a program that is started for it, its children included, with py-spy.

    Args:
        argv: The program to start; its input and output are left alone.
        pid: Or the process to attach to, which goes on afterwards.
        duration: Seconds, whole ones; a started program is ended then. ``None``: until it ends.
        rate: Looks a second, 1 to 1000.
        idle: Count threads that wait too.
        name: What is captured; default the command.

    Raises:
        UsageError: Neither or both of argv and pid, or not a Python program.
        MissingDependency: py-spy is not installed.
        Refused: The system forbids it; says what helps.
        SubstrateFailure: The program cannot be started.
    """
    if bool(argv) == (pid is not None):
        raise UsageError("name either a program to start or a process to attach to")
    if not 1 <= rate <= 1000:
        raise UsageError(f"a sampling rate is 1 to 1000 looks a second, not {rate:g}")
    if pid is not None:
        stacks = PySpy(pid, rate=rate, duration=duration, idle=idle).wait()
        return Captured(_titled(stacks, name or f"process {pid}"))
    return _started(argv, rate, duration, idle, name or " ".join(argv))


def _titled(stacks: Stacks, name: str) -> Stacks:
    return Stacks(stacks.weights, stacks.unit, name, stacks.note, stacks.details)


def _started(argv: Sequence[str], rate: float, duration: float | None, idle: bool, name: str) -> Captured:
    if shutil.which(argv[0]) is None:
        raise SubstrateFailure(f"{argv[0]} cannot be started: there is no such program")
    folder = Path(tempfile.mkdtemp(prefix="ophamin-launch-"))
    # Copies that stay open in the program; py-spy's own words go elsewhere.
    streams = (os.dup(1), os.dup(2))
    try:
        report = folder / "report"
        # -S -E: the launcher needs no site, and nothing in the environment is meant for it.
        command = [sys.executable, "-S", "-E", _launch.__file__, str(report), *map(str, streams), *argv]
        spy = PySpy.launch(command, rate=rate, duration=duration, idle=idle, pass_fds=streams)
        try:
            stacks = spy.wait()
        except OphaminError as error:
            if _reported(report)[1] is None:
                raise
            # It did run; what it left behind is not thrown away because nobody saw it.
            stacks = Stacks({}, "samples", "", f"{error}.")
        except BaseException:
            if spy.process.poll() is None:
                spy.abandon()
            raise
        finally:
            pid, code, why = _reported(report)
            if pid and code is None:
                # The time was over, or py-spy is gone: what it started does not stay behind.
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                code = -signal.SIGKILL
        if why:
            raise SubstrateFailure(f"{argv[0]} cannot be started: {why}")
        weights = {}
        for stack, weight in stacks.weights.items():
            # The launcher is ours; what it started begins at the second process.
            if len(stack) > 1 and stack[1].startswith("process "):
                weights[stack[1:]] = weight
        seen = Stacks(weights, stacks.unit, name, stacks.note, stacks.details)
        if not weights and not stacks.note:
            seen = Stacks({}, stacks.unit, name, NOTHING, stacks.details)
        return Captured(seen, code)
    finally:
        for stream in streams:
            os.close(stream)
        shutil.rmtree(folder, ignore_errors=True)


def _reported(report: Path) -> tuple[int, int | None, str]:
    """Pid of the program, its exit code once it has ended, and why it could not start."""
    try:
        lines = report.read_text("utf-8").splitlines()
        return int(lines[0]), int(lines[1]) if len(lines) > 1 else None, lines[2] if len(lines) > 2 else ""
    except (OSError, ValueError, IndexError):
        return 0, None, ""


def capture_memory(argv: Sequence[str], *, timeout_s: float | None = None, name: str = "") -> Captured:
    """Run a Python program under memray and take what it held at its high-water mark, in bytes.

    Watching every allocation makes the program slower, so nothing else should be measured in the same run.

    Args:
        argv: The program, ``python script.py …`` or a Python script.
        timeout_s: Ended after this time.
        name: What is captured; default the command.

    Raises:
        MissingDependency: memray is not installed.
        UsageError: It is not a Python program.
        SubstrateFailure: It cannot be started, or its interpreter has no memray.
    """
    from ophamin.instrumenting.flame._memray import run_under_memray

    stacks, code = run_under_memray(argv, timeout_s=timeout_s, name=name or " ".join(argv))
    return Captured(stacks, code)
