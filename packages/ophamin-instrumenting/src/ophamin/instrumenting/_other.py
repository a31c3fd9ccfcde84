"""Another process: open files of ``/proc`` where they exist, else psutil.

A file of ``/proc`` that is open stays that process's: once it has gone, reading fails, also when its pid has been
given to another. So a handle is an identity, and cheaper than asking by pid.
"""

from __future__ import annotations

import os
import time
from typing import Protocol

import psutil

from ophamin.instrumenting._account import NOTHING, Account, Reading

__all__ = ["MOST_OPEN", "Gone", "Other", "open_process"]

MOST_OPEN = 64
"""Handles that keep files open, five each; the processes beyond are asked through psutil."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Gone(Exception):
    """The process has ended and somebody has waited for it."""


class Other(Protocol):
    """One process that is not this one."""

    pid: int
    started: float

    def read(self) -> Reading:
        """What it has used so far; raises :class:`Gone`."""
        ...

    def rss(self) -> int:
        """Resident memory now, bytes; raises :class:`Gone`."""
        ...

    def children(self, threads: int | None = None) -> list[int]:
        """Pids of its living children; raises :class:`Gone`. ``threads``: how many it is known to have now."""
        ...

    def close(self) -> None:
        """Let go of it; may be called twice."""
        ...


def open_process(pid: int, kept: int = 0) -> Other | None:
    """A handle on a process; ``None`` when there is none of that pid.

    Args:
        pid: Its pid.
        kept: Handles that are open already.
    """
    if psutil.LINUX and kept < MOST_OPEN:
        try:
            return ProcFiles(pid)
        except ProcessLookupError:
            return None
        except OSError:
            if not os.path.isdir(f"/proc/{pid}"):
                return None
    try:
        return ByPsutil(pid)
    except psutil.Error:
        return None


class ProcFiles:
    """A process of Linux through its open files.

    CPU time has the resolution of the kernel's process clock; user and system time, and those of its ended
    children, that of the clock tick, usually 10 ms. Context switches are told by thread, so they are absent for a
    process with several; bytes of storage include those of children it has waited for.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fds: dict[str, int] = {}
        try:
            for name in ("stat", "statm", "status"):
                self._fds[name] = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
            for name in ("io", f"task/{pid}/children"):
                try:
                    self._fds[name.rpartition("/")[2]] = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
                except OSError:  # another user's process, or a kernel without it
                    continue
            self.started = psutil.boot_time() + int(self._stat()[19]) * _TICK_S
        except Gone:
            self.close()
            raise ProcessLookupError from None
        except OSError:
            self.close()
            raise

    def _take(self, name: str, most: int = 4096) -> bytes:
        try:
            text = os.pread(self._fds[name], most, 0)
        except (OSError, KeyError):
            raise Gone from None
        return text

    def _stat(self) -> list[bytes]:
        # The name, in parentheses, may hold anything; count from behind it: [0] is field 3 of proc(5).
        fields = self._take("stat", 1024).rpartition(b")")[2].split()
        if len(fields) < 20:
            raise Gone
        return fields

    def read(self) -> Reading:
        """What it has used so far."""
        stat = self._stat()
        parent, threads = int(stat[1]), int(stat[17])
        minor, ended_minor, major, ended_major = map(int, stat[7:11])
        user, system, ended_user, ended_system = (int(ticks) * _TICK_S for ticks in stat[11:15])
        peak, switches = self._status()
        if threads != 1:
            switches = None, None
        cpu = self._clock(user + system)
        own = Account(cpu, user, system, minor, major, *switches, *self._io())
        ended = Account(
            ended_user + ended_system, ended_user, ended_system, ended_minor, ended_major, None, None, None, None
        )
        rss = None if stat[0] == b"Z" else self.rss()
        return Reading(rss, peak, threads, own, ended, parent)

    def rss(self) -> int:
        """Resident memory now, bytes."""
        fields = self._take("statm", 128).split(None, 2)
        if len(fields) < 2:
            raise Gone
        return int(fields[1]) * _PAGE

    def _status(self) -> tuple[int | None, tuple[int | None, int | None]]:
        text = self._take("status")
        peak = _number(text, b"\nVmHWM:")
        switches = _number(text, b"\nvoluntary_ctxt_switches:"), _number(text, b"\nnonvoluntary_ctxt_switches:")
        return None if peak is None else peak * 1024, switches

    def _io(self) -> tuple[int | None, int | None]:
        if "io" not in self._fds:
            return None, None
        try:
            text = os.pread(self._fds["io"], 512, 0)
        except OSError:  # a zombie has none, and others' is not ours to see
            return None, None
        return _number(text, b"\nread_bytes:"), _number(text, b"\nwrite_bytes:")

    def _clock(self, otherwise: float) -> float:
        try:
            # The clock id that clock_getcpuclockid(3) makes of a pid: its complement, shifted, CPUCLOCK_SCHED.
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return otherwise

    def children(self, threads: int | None = None) -> list[int]:
        """Pids of its living children, those of all its threads."""
        if "children" not in self._fds:
            try:
                return [child.pid for child in psutil.Process(self.pid).children()]
            except psutil.Error:
                raise Gone from None
        if (int(self._stat()[17]) if threads is None else threads) == 1:
            return list(map(int, self._take("children", 1 << 16).split()))
        pids: list[int] = []
        try:
            for task in os.listdir(f"/proc/{self.pid}/task"):
                with open(f"/proc/{self.pid}/task/{task}/children", "rb") as line:
                    pids += map(int, line.read().split())
        except OSError:  # a thread, or all of it, ended meanwhile: the next look sees what is left
            return pids
        return pids

    def close(self) -> None:
        """Close the files."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds = {}


def _number(text: bytes, name: bytes) -> int | None:
    at = text.find(name)
    return None if at < 0 else int(text[at + len(name) :].split(None, 1)[0])


class ByPsutil:
    """A process through psutil, on every platform; what psutil cannot say there is absent."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._process = psutil.Process(pid)
        self.started = self._process.create_time()

    def read(self) -> Reading:
        """What it has used so far."""
        try:
            if not self._process.is_running():
                raise Gone
            with self._process.oneshot():
                times, memory = self._process.cpu_times(), self._process.memory_info()
                threads, parent = self._process.num_threads(), self._process.ppid()
        except psutil.Error:
            raise Gone from None
        own = Account(times.user + times.system, times.user, times.system)
        ended = NOTHING
        if hasattr(times, "children_user"):
            waited = times.children_user, times.children_system
            ended = Account(sum(waited), *waited)
        return Reading(memory.rss, getattr(memory, "peak_wset", None), threads, own, ended, parent)

    def rss(self) -> int:
        """Resident memory now, bytes."""
        try:
            return int(self._process.memory_info().rss)
        except psutil.Error:
            raise Gone from None

    def children(self, threads: int | None = None) -> list[int]:
        """Pids of its living children."""
        try:
            return [child.pid for child in self._process.children()]
        except psutil.Error:
            raise Gone from None

    def close(self) -> None:
        """Nothing to let go of."""
