"""Content hashes, remembered by file state so that a large corpus is read once."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from ophamin.proof.atomic import write_atomic
from ophamin.seeing._home import cache_folder

__all__ = ["file_sha256", "manifest_hash"]

_RACY_NS = 2_000_000_000


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's content; of ``*.gz`` the uncompressed content, whatever the compression level.

    Remembered in the user's cache by path, size, mtime, ctime and inode. A file changed within the last two seconds is
    not remembered: a second change in the same tick of its clock would go unseen.

    Raises:
        OSError: The file cannot be read.
    """
    stat = path.stat()
    state = [str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]
    folder = cache_folder("hashes")
    entry = folder / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.json" if folder else None
    if entry is not None:
        try:
            known = json.loads(entry.read_bytes())
            if known["state"] == state:
                return str(known["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not remembered, or a damaged entry: hash again
    digest = hashlib.sha256()
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    after = path.stat()
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _RACY_NS
    if entry is not None and settled and (after.st_size, after.st_mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(entry, json.dumps({"state": state, "sha256": digest.hexdigest()}).encode())
        except OSError:
            pass  # a read-only home costs time, not correctness
    return digest.hexdigest()


def manifest_hash(root: Path, files: Iterable[Path]) -> str:
    """``sha256:…`` over the sorted lines ``<sha256>  <name relative to root>``, as ``sha256sum`` prints them."""
    lines = sorted(f"{file_sha256(path)}  {path.relative_to(root).as_posix()}\n" for path in files)
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
