"""A lock that dies with its process, so that nobody has to guess whether a journal is still in use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["FileLock"]


class FileLock:
    """An exclusive lock on a file; the operating system lets go of it when the process ends, however it ends.

    Args:
        path: The file, created when absent; its folder must exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, FileLock(Path(folder) / "lock") as lock:
        ...     lock.held
        True
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, *, wait: bool) -> bool:
        """Take the lock; without ``wait`` answer ``False`` at once when another holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, wait)
        except OSError:
            os.close(descriptor)
            if wait:
                raise
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> FileLock:
        self.acquire(wait=True)
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


if sys.platform == "win32":

    def _lock(descriptor: int, wait: bool) -> None:
        import msvcrt

        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:
                # LK_LOCK gives up after ten tries of a second each; waiting means trying on.
                if not wait:
                    raise
            else:
                return

else:

    def _lock(descriptor: int, wait: bool) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
