"""This process, read cheaply: ``getrusage`` and open files of ``/proc`` where they exist, else psutil."""

from __future__ import annotations

import gc
import os

import psutil

try:
    import resource
except ImportError:  # not POSIX
    resource = None  # type: ignore[assignment]

from ophamin.instrumenting._account import NOTHING, Account, Reading

__all__ = ["OwnProcess", "account_of", "collections", "peak_of", "waited_for"]

LINUX = psutil.LINUX
_CAN_ASK = hasattr(os, "waitid")
_ONLY_ASKING = os.WEXITED | os.WNOHANG | os.WNOWAIT if _CAN_ASK else 0
SECTOR = 512  # the unit of ru_inblock and ru_oublock on Linux; elsewhere they count operations, not bytes


def account_of(usage: tuple[float, ...]) -> Account:
    """What a ``struct_rusage`` says."""
    # A struct_rusage by position, getrusage(2): 0 utime, 1 stime, 6 minflt, 7 majflt, 9 inblock, 10 oublock,
    # 14 nvcsw, 15 nivcsw. By position because this runs four times a cycle.
    user, system = usage[0], usage[1]
    read = written = None
    if LINUX:
        read, written = int(usage[9]) * SECTOR, int(usage[10]) * SECTOR
    return Account(user + system, user, system, usage[6], usage[7], usage[14], usage[15], read, written)  # type: ignore[arg-type]


def peak_of(usage: tuple[float, ...]) -> int:
    """The most resident memory of a ``struct_rusage``, bytes: Linux counts it in KiB, macOS in bytes."""
    return int(usage[2]) * (1 if psutil.MACOS else 1024)


def waited_for() -> Account:
    """What all children this process has waited for used in their lives."""
    if resource is None:
        return NOTHING
    return account_of(resource.getrusage(resource.RUSAGE_CHILDREN))


def collections() -> int:
    """Collections of the garbage collector of this interpreter so far, all generations."""
    return sum([generation["collections"] for generation in gc.get_stats()])


class OwnProcess:
    """This process.

    Make one per run, in the process that is measured: after a fork the open files are still the parent's.
    """

    def __init__(self) -> None:
        self._statm = self._task = -1
        self._most = 0
        try:
            # Reading one open file again costs a fraction of opening it.
            self._statm = os.open("/proc/self/statm", os.O_RDONLY)
            self._task = os.open("/proc/self/task", os.O_RDONLY)
        except OSError:
            self.close()
        self._page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

    def close(self) -> None:
        """Close the files; may be called twice."""
        for fd in (self._statm, self._task):
            if fd >= 0:
                os.close(fd)
        self._statm = self._task = -1

    def rss(self) -> int:
        """Resident memory now, bytes."""
        if self._statm >= 0:
            return int(os.pread(self._statm, 128, 0).split(None, 2)[1]) * self._page
        return int(psutil.Process().memory_info().rss)

    def read(self, *, threads: bool = True) -> Reading:
        """Its use so far; what its ended children used is told by :func:`waited_for`.

        Args:
            threads: Whether to count its threads; who does not need them saves a third.
        """
        rss, count = self.rss(), self._threads() if threads else None
        if resource is None:
            return self._by_psutil(rss, count)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        # The kernel's peak may lag behind what was seen here.
        self._most = max(self._most, rss, peak_of(usage))
        return Reading(rss, self._most, count, account_of(usage))

    def _threads(self) -> int:
        # The number of links of a task folder is that of the threads, and two.
        return os.fstat(self._task).st_nlink - 2 if self._task >= 0 else psutil.Process().num_threads()

    def _by_psutil(self, rss: int, threads: int | None) -> Reading:
        process = psutil.Process()
        times, memory, switches = process.cpu_times(), process.memory_info(), process.num_ctx_switches()
        own = Account(
            times.user + times.system, times.user, times.system, None, None, switches.voluntary, switches.involuntary
        )
        return Reading(rss, getattr(memory, "peak_wset", None), threads, own)

    def children(self) -> list[int]:
        """Pids of its living children, those of all its threads; cheap when there are none."""
        if _CAN_ASK:
            try:
                # Only asks whether there is any; nothing is waited for, no exit status is taken.
                os.waitid(os.P_ALL, 0, _ONLY_ASKING)
            except ChildProcessError:
                return []
        pids: list[int] = []
        try:
            for task in os.listdir("/proc/self/task"):
                with open(f"/proc/self/task/{task}/children", "rb") as line:
                    pids += map(int, line.read().split())
        except OSError:
            return [child.pid for child in psutil.Process().children()]
        return pids
