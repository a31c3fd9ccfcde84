"""Merkle trees as Certificate Transparency builds them.

Source: RFC 6962 §2.1 (hashes, audit paths, consistency proofs); verification as in RFC 9162
§2.1.3.2 and §2.1.4.2. Hashes cross this module's border as 64 lower-case hex digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "Tree",
    "consistency_path",
    "inclusion_path",
    "leaf_hash",
    "node_hash",
    "root_hash",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT = hashlib.sha256(b"").hexdigest()
"""Root of the tree without leaves."""


def _leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def leaf_hash(data: bytes) -> str:
    """Hash of one leaf; the prefix 0x00 keeps it apart from inner nodes."""
    return _leaf(data).hex()


def node_hash(left: str, right: str) -> str:
    """Hash of an inner node from its children."""
    return _node(bytes.fromhex(left), bytes.fromhex(right)).hex()


class Frontier:
    """The roots of the perfect subtrees of a growing tree: all that appending needs, O(log n).

    Args:
        leaves: Leaf hashes to begin with.

    Example:
        >>> tree = Frontier([leaf_hash(b"a")])
        >>> tree.append(leaf_hash(b"b"))
        ['022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c']
        >>> tree.root == node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
        True
    """

    def __init__(self, leaves: Iterable[str] = ()) -> None:
        self.size = 0
        self._roots: list[bytes] = []  # of perfect subtrees, largest first: the set bits of size
        for leaf in leaves:
            self.push(leaf)

    def push(self, leaf: str) -> None:
        """Add a leaf hash; amortised one inner hash."""
        node, size = bytes.fromhex(leaf), self.size
        while size & 1:
            node, size = _node(self._roots.pop(), node), size >> 1
        self._roots.append(node)
        self.size += 1

    def copy(self) -> Frontier:
        """A tree that grows on its own from here."""
        other = Frontier()
        other.size, other._roots = self.size, list(self._roots)
        return other

    def append(self, leaf: str) -> list[str]:
        """Add a leaf hash and return its inclusion path in the tree that ends with it."""
        path = [root.hex() for root in reversed(self._roots)]
        self.push(leaf)
        return path

    @property
    def root(self) -> str:
        """Root over all leaves so far."""
        if not self._roots:
            return EMPTY_ROOT
        node = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            node = _node(left, node)
        return node.hex()


def root_hash(leaves: Sequence[str]) -> str:
    """Root of the tree over these leaf hashes, in this order."""
    return Frontier(leaves).root


def _split(size: int) -> int:
    """The largest power of two below ``size`` (which is at least 2)."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_path(leaves: Sequence[str], index: int) -> list[str]:
    """Siblings from leaf ``index`` up to the root, bottom first (RFC 6962 §2.1.1).

    Args:
        leaves: All leaf hashes of the tree.
        index: 0 ≤ index < len(leaves).

    Raises:
        IndexError: No such leaf.
    """
    return _inclusion(lambda begin, end: root_hash(leaves[begin:end]), index, len(leaves))


def consistency_path(leaves: Sequence[str], old_size: int) -> list[str]:
    """Nodes that show the first ``old_size`` leaves to be a prefix of ``leaves`` (RFC 6962 §2.1.2).

    Args:
        leaves: All leaf hashes of the newer tree.
        old_size: 0 ≤ old_size ≤ len(leaves); 0 and len(leaves) need no nodes.

    Raises:
        IndexError: The older tree is larger than the newer.
    """
    return _consistency(lambda begin, end: root_hash(leaves[begin:end]), old_size, len(leaves))


class Tree:
    """A growing tree that remembers the root of every perfect subtree: paths cost O(log² n), not O(n).

    Args:
        leaves: Leaf hashes to begin with.

    Example:
        >>> leaves = [leaf_hash(bytes([i])) for i in range(5)]
        >>> Tree(leaves).inclusion(1, 4) == inclusion_path(leaves[:4], 1)
        True
    """

    def __init__(self, leaves: Iterable[str] = ()) -> None:
        # Row h holds the roots of the subtrees of 2**h leaves, from the left.
        self._rows: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.push(leaf)

    @property
    def size(self) -> int:
        """Leaves so far."""
        return len(self._rows[0])

    def push(self, leaf: str) -> None:
        """Add a leaf hash; amortised one inner hash."""
        node = bytes.fromhex(leaf)
        for height in range(len(self._rows) + 1):
            if height == len(self._rows):
                self._rows.append([])
            row = self._rows[height]
            row.append(node)
            if len(row) & 1:
                return
            node = _node(row[-2], node)

    def leaf(self, index: int) -> str:
        """The hash of one leaf.

        Raises:
            IndexError: No such leaf.
        """
        return self._rows[0][index].hex()

    def inclusion(self, index: int, size: int) -> list[str]:
        """``inclusion_path`` in the tree of the first ``size`` leaves.

        Raises:
            IndexError: No such leaf, or the tree is smaller.
        """
        self._has(size)
        return _inclusion(self._root, index, size)

    def consistency(self, old_size: int, size: int) -> list[str]:
        """``consistency_path`` to the tree of the first ``size`` leaves.

        Raises:
            IndexError: The older tree is larger than the newer, or this one is smaller.
        """
        self._has(size)
        return _consistency(self._root, old_size, size)

    def _has(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise IndexError(f"a tree of {self.size} leaves never had {size}")

    def _root(self, begin: int, end: int) -> str:
        return self._subtree(begin, end).hex()

    def _subtree(self, begin: int, end: int) -> bytes:
        # Every subtree of RFC 6962 begins at a multiple of the power of two that it fills or almost fills.
        size = end - begin
        if size & (size - 1) == 0:
            height = size.bit_length() - 1
            return self._rows[height][begin >> height]
        middle = begin + _split(size)
        return _node(self._subtree(begin, middle), self._subtree(middle, end))


_Root = Callable[[int, int], str]
"""The root over the leaves from ``begin`` up to ``end``."""


def _inclusion(root: _Root, index: int, size: int) -> list[str]:
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} is not in a tree of {size}")
    path: list[str] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(root(middle, end))
            end = middle
        else:
            path.append(root(begin, middle))
            begin = middle
    return path[::-1]


def _consistency(root: _Root, old_size: int, size: int) -> list[str]:
    if not 0 <= old_size <= size:
        raise IndexError(f"a tree of {size} leaves has no earlier size {old_size}")
    if old_size in (0, size):
        return []
    path: list[str] = []
    begin, end, known = 0, size, True  # known: the verifier holds the root of this subtree
    while old_size != end:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            path.append(root(middle, end))
            end = middle
        else:
            path.append(root(begin, middle))
            begin, known = middle, False
    if not known:
        path.append(root(begin, end))
    return path[::-1]


def _digest(value: object) -> bytes | None:
    if not isinstance(value, str) or len(value) != 64:
        return None
    try:
        digest = bytes.fromhex(value)
    except ValueError:
        return None
    return digest if len(digest) == 32 else None  # fromhex skips white space


def _digests(values: Sequence[object]) -> list[bytes] | None:
    found = [_digest(v) for v in values]
    return None if None in found else [d for d in found if d is not None]


def verify_inclusion(leaf_hash: str, index: int, tree_size: int, path: Sequence[str], root_hash: str) -> bool:
    """Whether ``path`` leads from the leaf at ``index`` to the root of a tree of ``tree_size`` leaves.

    Malformed input (bad hex, an index outside the tree) is False, never an exception.
    """
    node, root, siblings = _digest(leaf_hash), _digest(root_hash), _digests(path)
    if node is None or root is None or siblings is None or not 0 <= index < tree_size:
        return False
    first, last = index, tree_size - 1
    for sibling in siblings:
        if last == 0:
            return False
        if first & 1 or first == last:
            node = _node(sibling, node)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            node = _node(node, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(old_size: int, new_size: int, old_root: str, new_root: str, path: Sequence[str]) -> bool:
    """Whether the tree of ``new_size`` leaves only appended to the one of ``old_size``.

    Malformed input is False, never an exception. An empty older tree is a prefix of every tree.
    """
    old, new, nodes = _digest(old_root), _digest(new_root), _digests(path)
    if old is None or new is None or nodes is None or not 0 <= old_size <= new_size:
        return False
    if old_size == 0:
        return not nodes and old_root == EMPTY_ROOT and (new_size > 0 or new_root == EMPTY_ROOT)
    if old_size == new_size:
        return not nodes and old == new
    if old_size & (old_size - 1) == 0:
        nodes = [old, *nodes]
    if not nodes:
        return False
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    from_old = from_new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            from_old, from_new = _node(node, from_old), _node(node, from_new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            from_new = _node(from_new, node)
        first, last = first >> 1, last >> 1
    return last == 0 and from_old == old and from_new == new
