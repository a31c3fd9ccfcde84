"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

__all__ = ["sync_directory", "write_all", "write_atomic"]


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``; a short write (a full pipe, a signal) is continued."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(directory: Path) -> None:
    """Make a rename inside ``directory`` survive a power cut, where the system can (not Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write ``data`` to ``path``: a temporary file beside it, fsync, rename.

    A reader sees the old content or the new, never a mixture; after a kill at most a temporary file
    ``.NAME.<random>.tmp`` is left over.

    Args:
        path: Target; its folder must exist.
        data: The whole content.
        mode: Permissions of the new file, before the umask.

    Raises:
        OSError: The folder is missing, full or not writable.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    # O_BINARY is 0 everywhere but on Windows, where without it line ends would be rewritten.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, mode)
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)
