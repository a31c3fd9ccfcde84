"""The processes whose cost is a substrate's, found anew at every look and told apart for good."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ophamin.instrumenting._account import Account, Reading
from ophamin.instrumenting._other import Gone, Other, open_process
from ophamin.instrumenting._own import OwnProcess, collections, waited_for

__all__ = ["Family", "Snapshot"]

T = TypeVar("T")
NOBODY: frozenset[int] = frozenset()


class Snapshot:
    """All processes of a family at one moment.

    Args:
        at: Seconds since the epoch.
        own: This process, when it belongs to the family.
        waited: What the children this process has waited for used: an ended child's whole life moves in here.
        others: The living others.
        external: Whether the substrate listed processes of its own.
        collections: Of this interpreter's garbage collector, when this process belongs to the family.
        foreign: Children of this process that are not the family's.
    """

    __slots__ = ("at", "collections", "external", "foreign", "others", "own", "waited")

    def __init__(
        self,
        at: float,
        own: Reading | None,
        waited: Account,
        others: dict[Other, Reading],
        external: bool,
        collections: int | None,
        foreign: frozenset[int],
    ) -> None:
        self.at, self.own, self.waited, self.others = at, own, waited, others
        self.external, self.collections, self.foreign = external, collections, foreign

    @property
    def pids(self) -> set[int]:
        """Of every living process."""
        found = {process.pid for process in self.others}
        return found | {os.getpid()} if self.own is not None else found

    def readings(self) -> Iterator[Reading]:
        """Of every living process."""
        if self.own is not None:
            yield self.own
        yield from self.others.values()

    def rss(self) -> int | None:
        """Resident memory of all of them, bytes; ``None`` when none is alive."""
        sizes = [r.rss_bytes for r in self.readings() if r.rss_bytes is not None]
        return sum(sizes) if sizes else None


class Family:
    """What belongs to a substrate: the processes it lists and their descendants.

    When it lists none: this process, the children that appeared while it worked, and their descendants; children
    that were there before belong to somebody else. A descendant whose parent has ended is still followed.
    Every method may be called from another thread.

    Example:
        >>> family = Family()
        >>> family.look([]).own.rss_bytes > 0
        True
        >>> family.close()
    """

    def __init__(self) -> None:
        self._own = OwnProcess()
        self._handles: dict[int, Other] = {}
        self._adopted: set[int] = set()
        self._lock = threading.Lock()

    def __del__(self) -> None:
        """Its files are not left open by whoever forgot to close it."""
        self.close()

    def close(self) -> None:
        """Let go of all processes; may be called twice."""
        with self._lock:
            for handle in self._handles.values():
                handle.close()
            self._handles.clear()
            self._own.close()

    @contextmanager
    def adopting(self) -> Iterator[None]:
        """Children that appear meanwhile belong to the family."""
        there = frozenset(self._own.children())
        try:
            yield
        finally:
            with self._lock:
                self._adopted.update(set(self._own.children()) - there)

    def look(self, pids: list[int], foreign: frozenset[int] | None = None, *, threads: bool = True) -> Snapshot:
        """Read every process of the family.

        Args:
            pids: What the substrate lists.
            foreign: From the look before, where that listed none either: children of this process that are not
                among them are adopted; ``None``: nobody is.
            threads: Whether to count this process's threads.
        """

        def read(handle: Other) -> tuple[Reading, list[int]]:
            reading = handle.read()
            return reading, handle.children(reading.threads)

        with self._lock:
            roots, strangers = self._roots(pids, foreign)
            others = self._each(roots, read) if roots or self._handles else {}
            own = gc = None
            if not pids or os.getpid() in pids:
                own, gc = self._own.read(threads=threads), collections()
            return Snapshot(time.time(), own, waited_for(), others, bool(pids), gc, strangers)

    def rss(self, pids: list[int], foreign: frozenset[int] | None = None) -> int:
        """Resident memory of the family now, bytes; cheaper than a look."""
        with self._lock:
            total = self._own.rss() if not pids or os.getpid() in pids else 0
            roots, _ = self._roots(pids, foreign)
            sizes = self._each(roots, lambda handle: (handle.rss(), handle.children()))
            return total + sum(sizes.values())

    def _roots(self, pids: list[int], foreign: frozenset[int] | None) -> tuple[list[int], frozenset[int]]:
        """Where the family begins, and the children of this process that are not of it."""
        if pids:
            me = os.getpid()
            return [pid for pid in pids if pid != me], NOBODY
        children = self._own.children()
        if not children:
            return [], NOBODY
        if foreign is not None:
            self._adopted.update(pid for pid in children if pid not in foreign)
        mine = [pid for pid in children if pid in self._adopted]
        return mine, frozenset(children).difference(mine)

    def _each(self, roots: list[int], read: Callable[[Other], tuple[T, list[int]]]) -> dict[Other, T]:
        """What ``read`` says of each member, where it also names the member's children."""
        found: dict[Other, T] = {}
        seen: set[int] = set()
        waiting, remembered = list(roots), list(self._handles)
        while waiting or remembered:
            # What was a member stays one while it lives, whoever has become its parent.
            known = not waiting
            pid = (remembered if known else waiting).pop()
            if pid in seen:
                continue
            seen.add(pid)
            handle = self._handles.get(pid)
            if handle is not None:
                try:
                    found[handle], below = read(handle)
                    waiting += below
                    continue
                except Gone:
                    self._drop(handle)
            # Of a pid only remembered the next owner is a stranger.
            handle = None if known else open_process(pid, len(self._handles))
            if handle is None:
                continue
            self._handles[pid] = handle
            try:
                found[handle], below = read(handle)
                waiting += below
            except Gone:
                self._drop(handle)
        return found

    def _drop(self, handle: Other) -> None:
        handle.close()
        self._handles.pop(handle.pid, None)
        self._adopted.discard(handle.pid)
