"""Content hashes, remembered by file state so that a large corpus is read once."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ophamin.seeing.corpus._remembered import recall, remember

__all__ = ["file_sha256", "manifest_hash", "tree_hash"]

_WORTH_REMEMBERING = 1 << 20
"""Bytes; below that, hashing a file costs no more than looking its hash up."""


def file_sha256(path: Path, *, inflate: bool = True) -> str:
    """SHA-256 (hex) of a file's content.

    From 1 MiB on it is remembered in the user's cache by path, size, mtime, ctime, inode and device; see
    ``_remembered`` for when a memory is not to be trusted and therefore not made.

    Args:
        path: The file.
        inflate: Of ``*.gz`` hash the uncompressed content, whatever the compression level; else the bytes as they lie.

    Raises:
        OSError: The file cannot be read.
    """
    inflate = inflate and path.suffix == ".gz"
    began = time.time_ns()
    state = _state(path.stat())
    if state[0] < _WORTH_REMEMBERING:
        return _digest(path, inflate)
    key = ["file", os.fspath(path.resolve()), inflate]
    known = recall(key, state)
    if known is not None:
        return known
    digest = _digest(path, inflate)
    if _state(path.stat()) == state:
        remember(key, state, digest, newest_ns=max(state[1], state[2]), began_ns=began)
    return digest


def manifest_hash(root: Path, files: Iterable[Path]) -> str:
    """``sha256:…`` over the sorted lines ``<sha256>  <name relative to root>``, as ``sha256sum`` prints them."""
    lines = sorted(f"{file_sha256(path)}  {path.relative_to(root).as_posix()}\n" for path in files)
    return f"sha256:{hashlib.sha256(''.join(lines).encode('utf-8', 'surrogatepass')).hexdigest()}"


def tree_hash(root: Path, walk: Callable[[], Iterable[os.DirEntry[str] | Path]]) -> str:
    """Like ``manifest_hash`` for very many small files: in the order of ``walk``, holding none of them.

    One memory stands for the whole tree: it is trusted when every file still has the size, times and inode it had.

    Args:
        root: Folder the names are relative to.
        walk: Yields the files, in an order that depends on their names only. Called up to three times.

    Raises:
        OSError: A file cannot be read.
    """
    began = time.time_ns()
    key = ["tree", os.fspath(root.resolve())]
    state, newest = _tree_state(walk)
    known = recall(key, state)
    if known is None:
        digest, base = hashlib.sha256(), os.path.join(root, "")
        for entry in walk():
            path = os.fspath(entry)
            with open(path, "rb") as file:
                inner = hashlib.sha256(file.read()).hexdigest()
            name = path.removeprefix(base).replace(os.sep, "/")
            digest.update(f"{inner}  {name}\n".encode("utf-8", "surrogateescape"))
        known = digest.hexdigest()
        if _tree_state(walk)[0] == state:
            remember(key, state, known, newest_ns=newest, began_ns=began)
    return f"sha256:{known}"


def _tree_state(walk: Callable[[], Iterable[os.DirEntry[str] | Path]]) -> tuple[list[int | str], int]:
    digest, newest, files = hashlib.sha256(), 0, 0
    for entry in walk():
        state = _state(os.stat(entry))
        digest.update(repr((os.fspath(entry), state)).encode("utf-8", "surrogatepass"))
        newest, files = max(newest, state[1], state[2]), files + 1
    return [files, digest.hexdigest()], newest


def _state(stat: os.stat_result) -> list[int]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]


def _digest(path: Path, inflate: bool) -> str:
    with gzip.open(path, "rb") if inflate else path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
