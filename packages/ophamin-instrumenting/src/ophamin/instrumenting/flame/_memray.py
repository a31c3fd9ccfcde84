"""memray, which sees every allocation: in this process, or in a Python program it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType

from ophamin.instrumenting.flame._labels import short_path
from ophamin.instrumenting.flame._stacks import Stacks
from ophamin.proof.errors import MissingDependency, SubstrateFailure, UsageError

try:
    import memray
except ImportError as error:
    raise MissingDependency("a memory flame graph", "memray", "ophamin-instrumenting[tools]") from error

__all__ = ["allocations_of", "run_under_memray", "stacks_of_file"]

# Where memray starts a program.
_OWN = ("(memray/commands/run.py)", "(memray/__main__.py)", "(memray/commands/__init__.py)", "(<frozen runpy>)")
# Options of the interpreter that take the next word with them.
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def allocations_of(work: Callable[[], None], *, name: str = "") -> Stacks:
    """What was allocated by Python and native code at the moment ``work`` held most, by the stack that asked.

    Args:
        work: A Python function.
        name: What is captured.

    Raises:
        UsageError: Another memray already watches this process.
    """
    folder = Path(tempfile.mkdtemp(prefix="ophamin-memray-"))
    try:
        capture = folder / "capture.bin"
        try:
            tracker = memray.Tracker(
                destination=memray.FileDestination(capture, overwrite=True), trace_python_allocators=True
            )
            tracker.__enter__()
        except RuntimeError as error:
            raise UsageError(f"memray cannot watch this process: {error}") from error
        try:
            work()
        finally:
            tracker.__exit__(None, None, None)
        return stacks_of_file(capture, below=getattr(work, "__code__", None), name=name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stacks_of_file(path: Path, *, below: CodeType | None = None, name: str = "") -> Stacks:
    """A memray capture as stacks in bytes at its high-water mark; one that was cut short is read as far as it goes.

    Args:
        path: The capture.
        below: Keep only what this function called.
        name: What was captured.

    Raises:
        UsageError: It is no memray capture.
    """
    weights: dict[tuple[str, ...], int] = {}
    try:
        reader = memray.FileReader(os.fspath(path))
        with reader:
            records = list(reader.get_high_watermark_allocation_records(merge_threads=True))
            for record in records:
                try:
                    frames = record.stack_trace()
                except NotImplementedError:
                    frames = []
                # Innermost first; a frame is a function, wherever in it the line is.
                stack = [f"{function} ({short_path(file)})" for function, file, _ in frames]
                if below is not None:
                    callers = [(function, file) for function, file, _ in frames]
                    if (below.co_name, below.co_filename) not in callers[1:]:
                        continue
                    stack = stack[: callers.index((below.co_name, below.co_filename))]
                while stack and stack[-1].endswith(_OWN):
                    stack.pop()  # memray's own start of the program
                key = tuple(reversed(stack)) or ("outside Python",)
                weights[key] = weights.get(key, 0) + record.size
            allocations = reader.metadata.total_allocations
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path.name} is not a memray capture: {error}") from error
    details = {"tracker": "memray", "at": "the high-water mark", "allocations": f"{allocations:,}"}
    note = "" if weights else "memray saw no allocation."
    return Stacks(weights, "bytes", name, note, details)


def run_under_memray(argv: Sequence[str], *, timeout_s: float | None = None, name: str = "") -> tuple[Stacks, int]:
    """Run a Python program under memray, its children that fork included, its input and output left alone.

    Args:
        argv: ``python [options] script.py …``, ``python -m module …``, ``python -c code …``, or a script of
            Python (by its first line).
        timeout_s: Ended after this time.
        name: What is captured.

    Returns:
        The stacks and the program's exit code, negative for a signal.

    Raises:
        UsageError: It is not a Python program.
        SubstrateFailure: It could not be started, or its interpreter has no memray.
    """
    folder = Path(tempfile.mkdtemp(prefix="ophamin-memray-"))
    try:
        capture = folder / "capture.bin"
        command = memray_command(argv, capture)
        try:
            done = subprocess.run(command, timeout=timeout_s, check=False)
            code = done.returncode
        except subprocess.TimeoutExpired:
            code = -9
        except OSError as error:
            raise SubstrateFailure(f"{command[0]} cannot be started: {error.strerror or error}") from error
        if not capture.exists():
            raise SubstrateFailure(
                f"memray left no capture of {name or argv[0]} (exit code {code}); its interpreter {command[0]} needs "
                "memray too: pip install memray"
            )
        stacks = stacks_of_file(capture, name=name)
        for child in sorted(folder.glob("capture.bin.*")):
            stacks += stacks_of_file(child).under("forked child")
        return stacks, code
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memray_command(argv: Sequence[str], capture: Path) -> list[str]:
    """The command that runs the same program under memray.

    Raises:
        UsageError: It is not a Python program.
    """
    if not argv:
        raise UsageError("name the program to watch")
    how = [
        "-m",
        "memray",
        "run",
        "--quiet",
        "--force",
        "--trace-python-allocators",
        "--follow-fork",
        "-o",
        str(capture),
    ]
    base = Path(argv[0]).name.lower().removesuffix(".exe")
    if base.startswith(("python", "pypy")):
        position = 1
        while position < len(argv) and argv[position].startswith("-") and argv[position] not in ("-m", "-c", "-"):
            position += 2 if argv[position] in _WITH_VALUE else 1
        rest = list(argv[position:])
        if not rest or rest[0] == "-":
            raise UsageError("memray needs a script, -m MODULE or -c CODE; an interpreter at a prompt has none")
        return [*argv[:position], *how, *rest]
    found = shutil.which(argv[0])
    if found is not None:
        with open(found, "rb") as script:
            first = script.readline(300)
        if argv[0].endswith(".py") and not first.startswith(b"#!"):
            return [sys.executable, *how, found, *argv[1:]]
        if first.startswith(b"#!") and b"python" in first:
            words = first[2:].decode("utf-8", "replace").split()
            words = words[1:] if Path(words[0]).name == "env" and len(words) > 1 else words
            return [*words, *how, found, *argv[1:]]
    elif argv[0].endswith(".py"):
        return [sys.executable, *how, *argv]
    raise UsageError(f"memray watches Python programs only, and {argv[0]} is none: give 'python script.py …'")
