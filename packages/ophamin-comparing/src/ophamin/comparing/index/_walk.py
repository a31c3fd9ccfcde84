"""Which files of a tree changed since the last look, without reading any of them.

A folder that was not changed still has the same names; a file that was not changed still has the same size, times and
inode. What is being changed right now, within the grain of the file system's clock, is not remembered as settled, so
it is looked at again.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Group", "Problem", "walk"]

RECORD = "record.json"
SETTLED_NS = 2_000_000_000
"""The coarsest clock of a file system in use, FAT's."""

_lstat = os.lstat
Folder = tuple[
    int, int, int, tuple[str, ...], tuple[tuple[str, int, int, int, int], ...], tuple[tuple[str, str, str], ...]
]
"""mtime, ctime, inode of a folder; its folders; its files (name, mtime, ctime, size, inode); what is odd in it."""

Problem = tuple[str, str, str]
"""Path in the tree, state and reason of something that is not even read."""


@dataclass
class Group:
    """The folders that lie in one folder.

    Args:
        parent: Path of that folder in the tree, "" for the top; ``None`` for the top itself.
        folders: What to remember of each, by name.
        read: Files to read again.
        gone: Files that are there no longer, or are read no longer.
        gone_folders: Folders that are there no longer.
        emptied: Folders that hold no folders any more.
        odd: What is reported without being read.
        changed: Whether anything is to be written.
    """

    parent: str | None
    folders: dict[str, Folder] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    gone_folders: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    odd: list[Problem] = field(default_factory=list)
    changed: bool = False


def walk(root: str, known: Callable[[str | None], Mapping[str, Folder]]) -> Iterator[Group]:
    """Look at every folder and file below ``root``.

    Hidden names are left out. A folder with a ``record.json`` is one record, and all else in it, folders too, belongs
    to that: its artifacts. Links are reported and not followed, whatever they lead to.

    Args:
        root: The folder to look at, absolute.
        known: What was remembered of the folders in one folder: ``folders`` of the group with that ``parent``.
    """
    # What changes while we look is looked at again next time.
    settled = time.time_ns() - SETTLED_NS
    real = os.path.realpath(root)
    waiting: list[tuple[str | None, tuple[str, ...]]] = [(None, ("",))]
    while waiting:
        parent, names = waiting.pop()
        before = known(parent)
        group = Group(parent)
        prefix = f"{parent}/" if parent else ""
        below = []
        base = f"{root}/{prefix}"
        for name in names:
            old = before.get(name)
            if old is not None and _unchanged(base + name if parent is not None else root, old):
                group.folders[name] = old
                if old[3]:
                    below.append((prefix + name, old[3]))
                continue
            path = prefix + name
            new = _look(root, real, path, settled)
            if new is None:
                continue
            group.folders[name] = new
            if new[3]:
                below.append((path, new[3]))
            _note(group, path, old, new)
        for name in before.keys() - group.folders.keys():
            group.gone_folders.append(prefix + name)
            group.changed = True
        yield group
        waiting.extend(reversed(below))


def _unchanged(here: str, old: Folder) -> bool:
    """Whether a folder and the files in it are what they were.

    What was not settled has -1 for its time, so it is never the same. A folder is a record's as long as it has a
    ``record.json``, whatever else comes and goes.
    """
    files = old[4]
    try:
        if len(files) != 1 or files[0][0] != RECORD:
            found = _lstat(here)
            if found.st_mtime_ns != old[0] or found.st_ctime_ns != old[1] or found.st_ino != old[2]:
                return False
        for name, mtime, ctime, size, inode in files:
            found = _lstat(f"{here}/{name}")
            if (
                found.st_mtime_ns != mtime
                or found.st_ctime_ns != ctime
                or found.st_size != size
                or found.st_ino != inode
            ):
                return False
    except OSError:
        return False
    return True


def _look(root: str, real: str, path: str, settled: int) -> Folder | None:
    """What there is to remember of a folder; ``None`` where it is none, or gone."""
    here = f"{root}/{path}" if path else root
    try:
        # The top itself may be a link: it was named.
        found = _lstat(here) if path else os.stat(here)
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    mtime, ctime = found.st_mtime_ns, found.st_ctime_ns
    folders, names, odd, whole = _list(here, real)
    if not whole or mtime > settled or ctime > settled:
        mtime = -1
    return (mtime, ctime, found.st_ino, folders, _files(here, names, settled), odd)


def _files(here: str, names: list[str], settled: int) -> tuple[tuple[str, int, int, int, int], ...]:
    found = []
    for name in names:
        try:
            seen = _lstat(f"{here}/{name}")
        except OSError:
            continue
        mtime, ctime = seen.st_mtime_ns, seen.st_ctime_ns
        if mtime > settled or ctime > settled:
            mtime = -1
        found.append((name, mtime, ctime, seen.st_size, seen.st_ino))
    return tuple(found)


def _note(group: Group, path: str, old: Folder | None, new: Folder) -> None:
    """What a changed folder means for the records in it."""
    group.changed = True
    prefix = f"{path}/" if path else ""
    before = {} if old is None else {item[0]: item for item in old[4]}
    for item in new[4]:
        if before.pop(item[0], None) != item or item[1] == -1:
            group.read.append(prefix + item[0])
    group.gone += [prefix + name for name in before]
    group.odd += [(prefix + name if name else path, state, reason) for name, state, reason in new[5]]
    if old is not None:
        still = {name for name, _, _ in new[5]} | {item[0] for item in new[4]}
        group.gone += [prefix + name if name else path for name, _, _ in old[5] if name not in still]
        there = set(new[3])
        group.gone_folders += [prefix + name for name in old[3] if name not in there]
        if old[3] and not new[3]:
            group.emptied.append(path)


def _list(here: str, real: str) -> tuple[tuple[str, ...], list[str], tuple[tuple[str, str, str], ...], bool]:
    """Folders, files to read and what is odd in a folder; and whether it could be listed at all."""
    folders, files, odd = [], [], []
    try:
        with os.scandir(here) as entries:
            for entry in entries:
                name = entry.name
                if name == RECORD and entry.is_file(follow_symlinks=False):
                    # Whatever else lies here belongs to the record.
                    return (), [RECORD], (), True
                if name.startswith("."):
                    continue
                if entry.is_symlink():
                    if name.endswith(".json") or entry.is_dir():
                        odd.append((name, "symlinked", _why(entry.path, real)))
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif name.endswith(".json"):
                    if entry.is_file(follow_symlinks=False):
                        files.append(name)
                    else:
                        odd.append((name, "unreadable", "it is not a regular file"))
    except OSError as error:
        return (), [], (("", "unreadable", error.strerror or "it cannot be listed"),), False
    if any(name == RECORD for name, _, _ in odd):
        return (), [], tuple(item for item in odd if item[0] == RECORD), True
    return tuple(sorted(folders)), sorted(files), tuple(sorted(odd)), True


def _why(path: str, real: str) -> str:
    """Where a link leads, as the reason not to follow it."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "it is a link that leads back to itself"
        return "it is a link to something that cannot be reached"
    target = os.path.realpath(path)
    folder = os.path.realpath(os.path.dirname(path))
    if folder == target or folder.startswith(target + os.sep):
        return "it is a link to a folder it lies in; links are not followed"
    if target == real or target.startswith(real + os.sep):
        return "it is a link inside the store; what it leads to is read where it lies"
    return "it is a link out of the store; links are not followed"
