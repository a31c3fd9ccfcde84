"""What a process has used so far: CPU seconds, memory, page faults.

Every reading is cumulative or a state; the caller takes differences. What a platform cannot give is
``None``, never 0. POSIX modules and ``/proc`` are looked for on use, so every platform can import this.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

__all__ = ["Account", "OwnProcess", "Reading", "read_process", "tree", "waited_for"]


@dataclass(frozen=True, slots=True)
class Account:
    """What was used up to a moment; it only grows.

    Args:
        cpu_s: User and system CPU seconds.
        minor_faults: Page faults served without disk.
        major_faults: Page faults that read from disk.
    """

    cpu_s: float | None = None
    minor_faults: int | None = None
    major_faults: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one moment.

    Args:
        rss_bytes: Resident memory now.
        rss_peak_bytes: The most resident memory it ever had.
        own: What it used itself.
        ended: What children it has waited for used in their lives.
    """

    rss_bytes: int
    rss_peak_bytes: int | None
    own: Account
    ended: Account = Account()


def waited_for() -> Account:
    """What all children this process has waited for used in their lives."""
    try:
        import resource
    except ImportError:
        return Account()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Account(usage.ru_utime + usage.ru_stime, usage.ru_minflt, usage.ru_majflt)


class OwnProcess:
    """This process, read cheaply: ``getrusage`` and an open ``/proc/self/statm`` where they exist, else psutil.

    Make one per run, in the process that is measured: after a fork the open file is still the parent's.
    """

    def __init__(self) -> None:
        self._rss, self.close = self._rss_reader()
        self._most = 0

    @staticmethod
    def _rss_reader() -> tuple[Callable[[], int], Callable[[], None]]:
        try:
            # Reading one open file again costs a fraction of opening it.
            statm = open("/proc/self/statm", "rb", buffering=0)  # noqa: SIM115 - closed by close()
        except OSError:
            process = psutil.Process()
            return lambda: int(process.memory_info().rss), lambda: None
        page = os.sysconf("SC_PAGE_SIZE")

        def read() -> int:
            return int(os.pread(statm.fileno(), 128, 0).split()[1]) * page

        return read, statm.close

    def read(self) -> Reading:
        """Its use so far; what its ended children used is told by ``waited_for``."""
        rss = self._rss()
        try:
            import resource
        except ImportError:
            process = psutil.Process()
            times, memory = process.cpu_times(), process.memory_info()
            own = Account(times.user + times.system)
            return Reading(rss, getattr(memory, "peak_wset", None), own)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        # Linux counts the peak in KiB, macOS in bytes; the kernel's peak may lag behind what was seen here.
        self._most = max(self._most, rss, usage.ru_maxrss * (1 if psutil.MACOS else 1024))
        own = Account(usage.ru_utime + usage.ru_stime, usage.ru_minflt, usage.ru_majflt)
        return Reading(rss, self._most, own)


def tree(pids: list[int]) -> list[psutil.Process]:
    """The living processes of these pids and all their descendants, each once, without this process."""
    found: dict[int, psutil.Process] = {}
    waiting = [pid for pid in pids if pid != os.getpid()]
    while waiting:
        pid = waiting.pop()
        if pid in found:
            continue
        try:
            process = psutil.Process(pid)
            below = _children(process)
        except psutil.Error:
            continue  # it ended meanwhile: the account of ended children has it
        found[pid] = process
        waiting += below
    return list(found.values())


def _children(process: psutil.Process) -> list[int]:
    pids: list[int] = []
    try:
        # The kernel's own list, without looking at every process of the machine.
        for task in os.listdir(f"/proc/{process.pid}/task"):
            with open(f"/proc/{process.pid}/task/{task}/children", "rb") as lines:
                pids += map(int, lines.read().split())
    except OSError:
        return [child.pid for child in process.children()]
    return pids


def read_process(process: psutil.Process) -> Reading | None:
    """One other process now; ``None`` when it is gone.

    CPU time has the resolution of the kernel's process clock where that can be read (Linux), else
    psutil's (the clock tick, usually 10 ms); its ended children always have the tick's.
    """
    try:
        with process.oneshot():
            times, memory = process.cpu_times(), process.memory_info()
            peak = getattr(memory, "peak_wset", None) or _peak(process.pid)
    except psutil.Error:
        return None
    ended_s = None
    if psutil.LINUX:
        ended_s = times.children_user + times.children_system
    minor, ended_minor, major, ended_major = _faults(process.pid)
    own = Account(_process_clock(process.pid, times.user + times.system), minor, major)
    return Reading(memory.rss, peak, own, Account(ended_s, ended_minor, ended_major))


def _process_clock(pid: int, otherwise: float) -> float:
    if not psutil.LINUX:
        return otherwise
    try:
        # The clock id that clock_getcpuclockid(3) makes of a pid: its complement, shifted, CPUCLOCK_SCHED.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return otherwise


def _peak(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/status", "rb") as lines:
            for line in lines:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None


def _faults(pid: int) -> tuple[int | None, int | None, int | None, int | None]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The name, in parentheses, may hold anything; count from behind it: fields 10 … 13 of proc(5).
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None, None, None, None
    minor, ended_minor, major, ended_major = map(int, fields[7:11])
    return minor, ended_minor, major, ended_major
