"""The append-only file under the ledger: lines, locks, and the tree they grow.

The file is opened for each operation and never kept open: nothing to close, nothing shared by a
fork. Between operations the tree is kept in memory and only what others appended is read.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ophamin.proof._process import lock, unlock
from ophamin.proof.atomic import sync_directory, write_all
from ophamin.proof.errors import LedgerError
from ophamin.proof.ledger import _frame
from ophamin.proof.merkle import Frontier, Tree, leaf_hash

__all__ = ["Appended", "Log", "now"]

_BINARY = getattr(os, "O_BINARY", 0)
Appended = tuple[int, str, int, str, list[str]]
"""``(index, leaf hash, tree size, root, inclusion path)``."""


def now() -> str:
    """The time as ISO-8601 UTC, to the microsecond."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")


@dataclass
class _State:
    """What has been read so far."""

    log_id: str = ""
    created_at: str = ""
    end: int = 0  # bytes consumed, always at the end of a line
    inode: tuple[int, int] | None = None
    tree: Frontier = field(default_factory=Frontier)
    nodes: Tree = field(default_factory=Tree)
    offsets: list[int] = field(default_factory=list)
    hashed: hashlib._Hash = field(default_factory=hashlib.sha256)  # of the bytes consumed


class Log:
    """Leaves in a file, one line each, with the head of the tree after it.

    Args:
        path: The file.
        writable: Whether it may be created, repaired and appended to.
        seen: Called with the index and bytes of every leaf that is read, once, in order; not with those
            appended through this object.
    """

    def __init__(self, path: Path, *, writable: bool, seen: Callable[[int, bytes], None]) -> None:
        self.path, self.writable = path, writable
        self._seen = seen
        self._state = _State()
        self._turn = threading.RLock()
        self._descriptor: int | None = None
        self._broken = ""

    # --- reading

    @property
    def state(self) -> _State:
        """What has been read; call ``sync`` first to see what others appended."""
        return self._state

    def sync(self) -> _State:
        """Read what others appended; a missing file is an empty log.

        Raises:
            LedgerError: The file was rewritten, or cannot be locked.
        """
        with self._turn:
            if self._descriptor is None:
                with self._open(exclusive=False):
                    pass
            return self._state

    def leaf(self, index: int) -> bytes:
        """The bytes of one leaf, as they were hashed.

        Raises:
            IndexError: No such leaf.
            LedgerError: It is not what it was when the log was opened.
        """
        state = self.sync()
        if not 0 <= index < len(state.offsets):
            raise IndexError(f"the ledger has {len(state.offsets)} entries, so none of index {index}")
        with open(self.path, "rb") as file:
            file.seek(state.offsets[index])
            return self._checked(index, file.readline())

    def leaves(self) -> Iterator[bytes]:
        """The bytes of all leaves there are now, in order.

        Raises:
            LedgerError: One is not what it was when the log was opened.
        """
        state = self.sync()
        size = len(state.offsets)
        if not size:
            return
        with open(self.path, "rb") as file:  # without a lock: what is appended is never changed
            file.seek(state.offsets[0])
            for index in range(size):
                yield self._checked(index, file.readline())

    @contextlib.contextmanager
    def synced(self) -> Iterator[_State]:
        """What there is now; no other thread reads or appends through this object meanwhile."""
        with self._turn:
            yield self.sync()

    def check(self) -> None:
        """Read all that was read before again, byte by byte.

        Raises:
            LedgerError: It is not what it was, or the file is gone.
        """
        with self.synced() as state:
            if not state.end:
                return
            again, left = hashlib.sha256(), state.end
            with open(self.path, "rb", buffering=0) as file:
                while left and (part := file.read(min(left, 1 << 20))):
                    again.update(part)
                    left -= len(part)
            if again.digest() == state.hashed.digest():
                return
            for _ in self.leaves():
                pass  # names the entry, unless it was a head that was changed
            raise LedgerError(f"{self.path} was rewritten since it was read; run 'ophamin log verify'")

    def _checked(self, index: int, line: bytes) -> bytes:
        leaf, _, _ = _frame.decode(line.removesuffix(b"\n"))
        if leaf_hash(leaf) != self._state.nodes.leaf(index):
            raise LedgerError(f"entry {index} of {self.path} was rewritten; restore the ledger from a copy")
        return leaf

    # --- writing

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep all other writers out; may be nested by the same thread."""
        if not self.writable:
            raise LedgerError(f"{self.path} was opened for reading only")
        with self._turn:
            if self._descriptor is not None:
                yield
                return
            with self._open(exclusive=True) as descriptor:
                self._descriptor = descriptor
                try:
                    yield
                finally:
                    self._descriptor = None

    def append(self, leaves: Sequence[bytes]) -> list[Appended]:
        """Append leaves inside ``exclusive()``, all in one write and one fsync.

        Raises:
            LedgerError: The file was rewritten, or cannot be locked.
            OSError: It cannot be written; then nothing was appended.
        """
        descriptor, state = self._descriptor, self._state
        assert descriptor is not None, "append inside exclusive()"
        lines, added = [], []
        tree = state.tree.copy()
        for leaf in leaves:
            hashed = leaf_hash(leaf)
            path, root = tree.append(hashed), tree.root
            lines.append(_frame.encode(leaf, tree.size, root))
            added.append((tree.size - 1, hashed, tree.size, root, path))
        data = b"".join(lines)
        try:
            os.lseek(descriptor, state.end, os.SEEK_SET)
            write_all(descriptor, data)
            os.fsync(descriptor)
        except BaseException:
            # Whoever asked is told that it failed, so it must not be found there later.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, state.end)
            raise
        state.tree = tree
        state.hashed.update(data)
        for line, (_, hashed, *_) in zip(lines, added, strict=True):
            state.nodes.push(hashed)
            state.offsets.append(state.end)
            state.end += len(line)
        return added

    # --- the file

    @contextlib.contextmanager
    def _open(self, *, exclusive: bool) -> Iterator[int]:
        if self._broken:
            raise LedgerError(self._broken)
        flags = (os.O_RDWR if exclusive else os.O_RDONLY) | _BINARY
        if exclusive and not self._state.log_id:  # a log that was there and is gone is not begun anew
            flags |= os.O_CREAT
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            if self._state.log_id:
                raise LedgerError(f"{self.path} is gone; restore the ledger from a copy") from None
            yield -1
            return
        try:
            try:
                lock(descriptor, exclusive=exclusive)
            except OSError as error:
                raise LedgerError(f"{self.path} cannot be locked ({error}); use a local file system") from error
            try:
                self._catch_up(descriptor, repair=exclusive)
                yield descriptor
            finally:
                unlock(descriptor)
        finally:
            os.close(descriptor)

    def _catch_up(self, descriptor: int, *, repair: bool) -> None:
        state, status = self._state, os.fstat(descriptor)
        inode = (status.st_dev, status.st_ino)
        if state.inode not in (None, inode) or status.st_size < state.end:
            raise LedgerError(f"{self.path} was replaced by an older or another log while it was in use")
        state.inode = inode
        if status.st_size == state.end and state.log_id:
            return
        os.lseek(descriptor, state.end, os.SEEK_SET)
        data = _read(descriptor, status.st_size - state.end)
        whole = data.rfind(b"\n") + 1
        if not state.log_id and not whole:
            if not _frame.HEADER_START.startswith(data[: len(_frame.HEADER_START)]):
                raise LedgerError(f"{self.path} is not a ledger; move it away")
            if repair:
                self._begin(descriptor)
            return
        try:
            self._take(data[:whole])
        except LedgerError as error:
            self._broken = str(error)  # half of it was taken in: this object knows nothing certain any more
            raise
        tail = data[whole:]
        if _frame.is_complete(tail):
            raise LedgerError(f"{self.path} has bytes after its last entry; run 'ophamin log verify'")
        if tail and repair:
            os.ftruncate(descriptor, state.end)  # what a killed writer left: it was told to nobody

    def _begin(self, descriptor: int) -> None:
        header = _frame.encode_header(secrets.token_hex(16), now())
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        write_all(descriptor, header)
        os.fsync(descriptor)
        sync_directory(self.path.parent)
        self._take(header)

    def _take(self, data: bytes) -> None:
        state = self._state
        state.hashed.update(data)
        lines = data.split(b"\n")[:-1]
        if not state.log_id:
            header = lines.pop(0)
            state.log_id, state.created_at = _frame.decode_header(header)
            state.end = len(header) + 1
        root = ""
        for line in lines:
            leaf, size, root = _frame.decode(line)
            index = state.tree.size
            if size != index + 1:
                raise LedgerError(f"{self.path}: entry {index} says it is number {size}; run 'ophamin log verify'")
            hashed = leaf_hash(leaf)
            state.tree.push(hashed)
            state.nodes.push(hashed)
            state.offsets.append(state.end)
            state.end += len(line) + 1
            self._seen(index, leaf)
        # The last head covers every leaf; the heads between are checked by verify().
        if lines and root != state.tree.root:
            raise LedgerError(
                f"{self.path} was rewritten: its leaves do not lead to its head; run 'ophamin log verify'"
            )


def _read(descriptor: int, size: int) -> bytes:
    parts = []
    while size > 0 and (part := os.read(descriptor, min(size, 1 << 24))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
