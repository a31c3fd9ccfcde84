"""py-spy, which looks into other Python processes from outside."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ophamin.instrumenting.flame._stacks import Stacks
from ophamin.proof.errors import MissingDependency, OphaminError, SubstrateFailure, UsageError

__all__ = ["PySpy", "Refused", "find_py_spy"]

_RECORD = re.compile(r'\n(?=process \d+:"|thread \()')
_PROCESS = re.compile(r'process \d+:"(.*?)";(?=process \d+:"|thread \()', re.DOTALL)
_ALREADY_SHORT = re.compile(r"^(.*) \((.*?)(?::(\d+))?\)$")
_PERMISSION = re.compile(r"permission denied|operation not permitted|EPERM|os error 1\b|os error 13", re.IGNORECASE)
_GONE = re.compile(r"no such process|process doesn't exist|no child process|os error (3|10)\b", re.IGNORECASE)
_FOREIGN = re.compile(r"failed to find (a )?python|is this a python program|no python processes found", re.IGNORECASE)


NOTHING = "py-spy saw no Python thread at work: the program ended at once, only waited, or is not Python."


class Refused(OphaminError, PermissionError):
    """The system does not let py-spy look into a process; the message says what lets it."""

    exit_code = 5


def find_py_spy() -> str:
    """The py-spy program: of this environment, else on PATH.

    Raises:
        MissingDependency: There is none.
    """
    beside = Path(sysconfig.get_path("scripts")) / ("py-spy.exe" if sys.platform == "win32" else "py-spy")
    found = str(beside) if beside.is_file() else shutil.which("py-spy")
    if found is None:
        raise MissingDependency("a CPU flame graph of another process", "py-spy", "ophamin-instrumenting[tools]")
    return found


class PySpy:
    """One py-spy that watches a running Python process until that ends, a time is over, or it is told to stop.

    Args:
        pid: The process.
        rate: Looks a second.
        duration: Whole seconds; ``None``: until the process ends or ``stop``.
        subprocesses: Watch the children it starts too.
        idle: Count threads that wait too.

    Raises:
        MissingDependency: py-spy is not installed.
    """

    def __init__(
        self,
        pid: int,
        *,
        rate: float = 100.0,
        duration: float | None = None,
        subprocesses: bool = True,
        idle: bool = False,
    ) -> None:
        self._start(["--pid", str(pid)], pid, rate, duration, subprocesses, idle)

    @classmethod
    def launch(
        cls, command: Sequence[str], *, rate: float, duration: float | None, idle: bool, pass_fds: Sequence[int] = ()
    ) -> PySpy:
        """Start a Python program under py-spy, as which it needs the fewest rights."""
        spy = cls.__new__(cls)
        spy._start(["--", *command], None, rate, duration, True, idle, pass_fds)
        return spy

    def _start(
        self,
        whom: Sequence[str],
        pid: int | None,
        rate: float,
        duration: float | None,
        subprocesses: bool,
        idle: bool,
        pass_fds: Sequence[int] = (),
    ) -> None:
        program = find_py_spy()
        self._folder = tempfile.mkdtemp(prefix="ophamin-py-spy-")
        self._out, self._err = Path(self._folder) / "stacks", Path(self._folder) / "stderr"
        command = [program, "record", "--format", "raw", "--function", "--threads", "--full-filenames"]
        command += ["--rate", str(max(1, round(rate))), "--output", str(self._out)]
        command += ["--subprocesses"] if subprocesses else []
        command += ["--idle"] if idle else []
        command += [] if duration is None else ["--duration", str(max(1, round(duration)))]
        self.pid, self.rate, self._began = pid, rate, time.perf_counter()
        try:
            with open(self._err, "wb") as err:
                # Attached, its group is its own: an interrupt of the terminal is the run's, which then stops it.
                self.process = subprocess.Popen(
                    [*command, *whom],
                    stdin=subprocess.DEVNULL if pid is not None else None,
                    stdout=subprocess.DEVNULL,
                    stderr=err,
                    start_new_session=pid is not None,
                    pass_fds=pass_fds,
                )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def stop(self, *, patience_s: float = 10.0) -> Stacks:
        """End watching and read what was seen; the watched process goes on.

        Raises:
            Refused: The system forbids it.
            SubstrateFailure: py-spy failed otherwise.
        """
        if self.process.poll() is None:
            self._interrupt()
        return self.wait(patience_s)

    def wait(self, timeout_s: float | None = None) -> Stacks:
        """Wait until it ends by itself and read what was seen; ended for good when that takes too long.

        Raises:
            Refused: The system forbids it.
            SubstrateFailure: py-spy failed otherwise.
        """
        try:
            try:
                code = self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise SubstrateFailure("py-spy did not stop when asked; what it saw is lost") from None
            err = self._err.read_text("utf-8", "replace")
            text = self._out.read_text("utf-8", "replace") if self._out.exists() else ""
            if code != 0 and not text:
                raise explained(err, self.pid)
            return self._read(text)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def abandon(self) -> None:
        """End it and throw away what it saw."""
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _interrupt(self) -> None:
        with contextlib.suppress(OSError):
            # Windows knows no gentle end for it: what it saw is then lost, and wait() says so.
            self.process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)

    def _read(self, text: str) -> Stacks:
        weights: dict[tuple[str, ...], int] = {}
        for stack, weight in _records(text):
            weights[stack] = weights.get(stack, 0) + weight
        details = {
            "sampler": "py-spy",
            "rate": f"{self.rate:g} a second",
            "over": f"{time.perf_counter() - self._began:.2f} s",
        }
        note = "" if weights else NOTHING
        return Stacks(weights, "samples", "", note, details)


def _records(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Stacks of py-spy's raw output, in which a command line may hold line ends and semicolons."""
    for record in _RECORD.split(text.strip("\n")):
        rest, _, count = record.rpartition(" ")
        if not count.isdecimal():
            continue
        frames = []
        while process := _PROCESS.match(rest):
            # Pids and folders differ from run to run; what was started is what a reader compares.
            words = [w.rpartition("/")[2] if w.startswith("/") else w for w in process[1].split()]
            command = " ".join(words)
            frames.append(f"process {command if len(command) <= 100 else command[:99] + '…'}")
            rest = rest[process.end() :]
        yield (*frames, *map(_named, rest.split(";"))), int(count)


def _named(frame: str) -> str:
    """py-spy's frame in our spelling: paths from the import root on, threads as ``thread NAME``."""
    from ophamin.instrumenting.flame._labels import short_path

    thread = re.fullmatch(r"thread \((?:0x)?[0-9A-Fa-f]+\)(?:: (.*))?", frame)
    if thread:
        return f"thread {thread[1] or 'unnamed'}"
    match = _ALREADY_SHORT.fullmatch(frame)
    if not match:
        return frame
    name, path, line = match.groups()
    return f"{name} ({short_path(path)}:{line})" if line else f"{name} ({short_path(path)})"


def explained(err: str, pid: int | None) -> OphaminError:
    """What py-spy's words mean for who ran it, and what helps."""
    whom = f"process {pid}" if pid is not None else "the program"
    # With --subprocesses a refusal looks to py-spy as if there were no Python.
    if _PERMISSION.search(err) or (pid is not None and not _readable(pid)):
        return Refused(f"py-spy may not look into {whom}: {permission_advice()}")
    if _GONE.search(err) and pid is None:
        return SubstrateFailure(NOTHING.removesuffix("."))
    if _GONE.search(err) or (pid is not None and not _alive(pid)):
        return UsageError(f"{whom} is not there, or ended before py-spy had looked at it")
    if _FOREIGN.search(err) and pid is None:
        # A program that ended at once and one it may not look into leave it with the same words and exit code.
        if may_look():
            return SubstrateFailure(NOTHING.removesuffix("."))
        return Refused(f"py-spy may not look into {whom}, though it started it: {permission_advice()}")
    if _FOREIGN.search(err):
        return UsageError(f"{whom} is not a Python program that py-spy understands; it samples CPython only")
    told = re.findall(r"^Error: (.+)|^ +\d+: ([^<].* .*)$", err.partition("Stack backtrace")[0], re.MULTILINE)
    words = ": ".join(dict.fromkeys(first or cause for first, cause in told)) or "it said nothing"
    return SubstrateFailure(f"py-spy failed on {whom}: {words[:300]}")


def may_look() -> bool:
    """Whether py-spy can look into what it starts here, tried on a program that is there as long as it looks."""
    # Its only end is that of its input, so that it neither ends before the look nor stays behind.
    program = [sys.executable, "-S", "-E", "-c", "import sys; sys.stdin.read()"]
    options = ["--format", "raw", "--duration", "1", "--output", os.devnull]
    with subprocess.Popen(
        [find_py_spy(), "record", *options, "--", *program],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as trial:  # fmt: skip
        return trial.wait() == 0


def permission_advice() -> str:
    """What would let one process look into another here, from what the system says about itself."""
    if sys.platform == "darwin":
        return "macOS lets only root do that; run it with sudo, or sample in-process"
    advice = []
    with contextlib.suppress(OSError, ValueError):
        if int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text()) > 0:
            advice.append(
                "launch the program through Ophamin instead of attaching, or 'sysctl kernel.yama.ptrace_scope=0'"
            )
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or os.environ.get("KUBERNETES_SERVICE_HOST"):
        advice.append("give the container the capability: docker run --cap-add SYS_PTRACE, or in Kubernetes "
                      "securityContext.capabilities.add: [SYS_PTRACE]")  # fmt: skip
    advice.append("run as the same user as the process, with the capability SYS_PTRACE or as root")
    return "; or ".join(advice) + "; without privileges the in-process sampler does it"


def _readable(pid: int) -> bool:
    """Whether the system would let this process read the other's memory; True where that cannot be asked."""
    try:
        with open(f"/proc/{pid}/mem", "rb"):
            return True
    except PermissionError:
        return False
    except OSError:
        return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
