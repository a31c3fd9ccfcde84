"""Which process wrote something, whether it is still alive, and how two of them take turns.

Everything that only some systems have is imported on use, so this module loads in WebAssembly too.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["UNKNOWN", "is_gone", "lock", "this_process", "unlock"]

UNKNOWN = "unknown"
_LOCK_BYTE = 1 << 62  # Windows locks bytes, and a locked byte cannot be read: lock one no file has


@functools.cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip() or UNKNOWN
    except (OSError, ValueError):
        return UNKNOWN


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on; the second may hold spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _start_time(pid: int) -> str:
    fields = _stat(pid)
    return fields[19] if fields and len(fields) > 19 else UNKNOWN  # field 22, in clock ticks since boot


def this_process() -> dict[str, Any]:
    """Boot id, pid and start time of the calling process; what the system cannot say is "unknown"."""
    pid = os.getpid()
    return {"boot_id": _boot_id(), "pid": pid, "start_time": _own_start_time(pid)}


@functools.lru_cache(maxsize=1)  # by pid, which a fork changes
def _own_start_time(pid: int) -> str:
    return _start_time(pid)


def is_gone(process: Mapping[str, Any]) -> bool:
    """Whether the process is certainly no longer running.

    Certain is: another boot, no such pid, a zombie, or the pid in use by a process that started at
    another time. Where the system cannot say, a pid in use means "perhaps alive", so not gone.
    """
    boot, here = process.get("boot_id", UNKNOWN), _boot_id()
    if UNKNOWN not in (boot, here) and boot != here:
        return True
    pid = process.get("pid")
    if isinstance(pid, bool) or not isinstance(pid, int) or pid <= 0:
        return False
    if not _exists(pid):
        return True
    fields = _stat(pid)
    if fields and fields[0] in ("Z", "X"):
        return True
    start, now = process.get("start_time", UNKNOWN), _start_time(pid)
    return UNKNOWN not in (start, now) and start != now


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill(pid, 0) would send Ctrl-C there
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
        if not handle:
            return bool(ctypes.windll.kernel32.GetLastError() == 5)  # access denied: it exists
        running = ctypes.windll.kernel32.WaitForSingleObject(handle, 0) == 0x102  # WAIT_TIMEOUT
        ctypes.windll.kernel32.CloseHandle(handle)
        return bool(running)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, AttributeError, OverflowError):  # someone else's process, or a system without kill
        return True
    return True


def lock(descriptor: int, *, exclusive: bool) -> None:
    """Take the advisory lock on an open file; waits for others.

    Locks belong to the open file, so two descriptors exclude each other even inside one process. A
    system without locks (WebAssembly) has no second process either: nothing to wait for.

    Raises:
        OSError: The file system cannot lock.
    """
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                os.lseek(descriptor, _LOCK_BYTE, os.SEEK_SET)
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
                return
            except OSError as error:
                if error.errno != errno.EDEADLK:  # which says that ten seconds have passed: wait on
                    raise
    elif sys.platform != "emscripten" and (fcntl := _fcntl()) is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)


def unlock(descriptor: int) -> None:
    """Give the lock back; closing the file is not enough when a child inherited it."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCK_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    elif sys.platform != "emscripten" and (fcntl := _fcntl()) is not None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _fcntl() -> ModuleType | None:
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl
