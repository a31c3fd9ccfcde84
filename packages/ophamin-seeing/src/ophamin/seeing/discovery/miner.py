"""Mining a schema from JSON values: paths, types, rates, lengths, ranges, examples, enumerations.

Everything kept is bounded: examples and samples are those whose hash is least, so that the same answers give the same
schema. The unit of every rate is the cycle, not the occurrence: items of one list are not independent. Neither are the
cycles of one group (an author, a template), so samples and the counts ``n_groups``, which comparisons stand on, take
one cycle of each group.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

__all__ = ["MAX_DISTINCT", "MAX_FIELDS", "MAX_KEYS", "MAX_SAMPLE", "MAX_SHOWN", "SchemaMiner", "type_of"]

JSON = Any
MAX_FIELDS = 1_000
"""Fields of one document."""
MAX_KEYS = 200
"""Keys of one object; one with more is a map, and all its values are the one field ``{}``."""
MAX_DISTINCT = 20
"""Values of an enumeration."""
MAX_SAMPLE = 200
"""Values kept of a numeric field, and lengths of a text or list, one a group, for comparing two documents."""
MAX_SHOWN = 80
"""Characters shown of an example or a value of an enumeration; a longer one gives its length."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def type_of(value: JSON) -> str:
    """``null``, ``boolean``, ``integer``, ``number``, ``string``, ``array`` or ``object``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:16]


class _Bottom:
    """The ``size`` values whose keys are least, each key once: a uniform sample of the distinct keys."""

    __slots__ = ("_heap", "_values", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._heap: list[int] = []  # keys, negated: the greatest lies on top
        self._values: dict[int, JSON] = {}

    def offer(self, key: bytes, value: JSON) -> None:
        self._offer(-int.from_bytes(key, "big"), value)

    def _offer(self, rank: int, value: JSON) -> None:
        full = len(self._heap) == self.size
        if self.size == 0 or rank in self._values or (full and rank <= self._heap[0]):
            return
        if full:
            del self._values[heapq.heapreplace(self._heap, rank)]
        else:
            heapq.heappush(self._heap, rank)
        self._values[rank] = value

    def values(self) -> list[JSON]:
        return [self._values[rank] for rank in sorted(self._heap, reverse=True)]

    def merge(self, other: _Bottom) -> None:
        for rank, value in other._values.items():
            self._offer(rank, value)


class _Spread:
    """Least, greatest, mean, and a sample with one value a group."""

    __slots__ = ("high", "low", "n", "sample", "total")

    def __init__(self) -> None:
        self.n, self.total = 0, 0.0
        self.low: float | None = None
        self.high: float | None = None
        self.sample = _Bottom(MAX_SAMPLE)

    def add(self, value: float, cycle: str | None) -> None:
        self.n += 1
        self.total += value
        self.low = value if self.low is None else min(self.low, value)
        self.high = value if self.high is None else max(self.high, value)
        if cycle is not None:
            self.sample.offer(_hash(cycle), value)

    def merge(self, other: _Spread) -> None:
        if other.low is None or other.high is None:
            return
        self.n, self.total = self.n + other.n, self.total + other.total
        self.low = other.low if self.low is None else min(self.low, other.low)
        self.high = other.high if self.high is None else max(self.high, other.high)
        self.sample.merge(other.sample)

    def to_dict(self) -> dict[str, JSON] | None:
        if not self.n:
            return None
        mean = self.total / self.n
        low, high = self.low, self.high
        mean = min(max(mean, low), high) if low is not None and high is not None else mean  # rounding, overflow
        return {"n": self.n, "min": low, "max": high, "mean": mean, "sample": sorted(self.sample.values())}


class _Cycles:
    """A set of cycle numbers, one bit each, so that two sets can be joined and counted exactly."""

    __slots__ = ("bits",)

    def __init__(self) -> None:
        self.bits = bytearray()

    def add(self, number: int) -> bool:
        """Put one in; whether it is new."""
        byte, bit = divmod(number, 8)
        if byte >= len(self.bits):
            self.bits.extend(bytes(byte + 1 - len(self.bits)))
        new = not self.bits[byte] & 1 << bit
        self.bits[byte] |= 1 << bit
        return new

    def update(self, other: _Cycles) -> None:
        joined = int.from_bytes(self.bits, "little") | int.from_bytes(other.bits, "little")
        self.bits = bytearray(joined.to_bytes(max(len(self.bits), len(other.bits)), "little"))

    def shared(self, other: _Cycles) -> int:
        """How many are in both."""
        return (int.from_bytes(self.bits, "little") & int.from_bytes(other.bits, "little")).bit_count()

    def __len__(self) -> int:
        return int.from_bytes(self.bits, "little").bit_count()


class _Node:
    """One path."""

    # fmt: off
    __slots__ = ("children", "cycles", "distinct", "examples", "is_map", "items", "lengths", "occurrences",
                 "type_cycles", "types", "values")
    # fmt: on

    def __init__(self, examples: int) -> None:
        self.occurrences = 0
        self.cycles = _Cycles()
        self.types: Counter[str] = Counter()
        self.type_cycles: dict[str, _Cycles] = {}
        self.values, self.lengths = _Spread(), _Spread()
        self.distinct: Counter[str] | None = Counter()
        self.examples = _Bottom(examples)
        self.children: dict[str, _Node] = {}
        self.items: _Node | None = None
        self.is_map = False


class SchemaMiner:
    """Mines the schema of values that come one a cycle.

    A path is written as a field path: ``a.b[].c``; ``[]`` is any item of a list, ``{}`` any value of a map. A key that
    is no plain name stands quoted in brackets, ``["odd key"]``.

    Args:
        examples: Examples kept of each field; 0 keeps no example and no enumeration of texts.

    Example:
        >>> miner = SchemaMiner()
        >>> miner.add("r1", {"label": "spam", "scores": [0.5, 1.0]})
        >>> miner.add("r2", {"label": "ham", "scores": []})
        >>> [(f["path"], sorted(f["types"]), f["missing_rate"]) for f in miner.fields()[0]]
        [('label', ['string'], 0.0), ('scores', ['array'], 0.0), ('scores[]', ['number'], 0.5)]
    """

    def __init__(self, examples: int = 3) -> None:
        self.n = 0
        self._units = _Cycles()
        self._groups: set[str] = set()
        self._examples = examples
        self._root = _Node(examples)

    @property
    def n_groups(self) -> int:
        """How many groups the answers came from; a stimulus without one is a group of its own."""
        return len(self._units)

    def add(self, cycle: str, value: JSON, group: str | None = None) -> None:
        """Take in one answer.

        Args:
            cycle: Id of its stimulus, unique.
            value: Plain JSON values.
            group: What its stimulus shares with others; the first answer of a group stands for it in comparisons, so
                answers should come in a random order.
        """
        stands = group is None or group not in self._groups
        if stands:
            self._units.add(self.n)
            if group is not None:
                self._groups.add(group)
        stack: list[tuple[_Node, JSON]] = [(self._root, value)]
        while stack:
            node, item = stack.pop()
            self._see(node, item, cycle if stands else None)
            if isinstance(item, dict):
                # Decided before any child is taken: a child of an object that becomes a map is no longer in the tree.
                if not node.is_map and len({*node.children, *item}) > MAX_KEYS:
                    _collapse(node)
                stack += [(self._child(node, key), inner) for key, inner in reversed(item.items())]
            elif isinstance(item, list) and item:
                if node.items is None:
                    node.items = _Node(self._examples)
                stack += [(node.items, inner) for inner in reversed(item)]
        self.n += 1

    def _child(self, node: _Node, key: str) -> _Node:
        if node.is_map:
            return node.children["{}"]
        if key not in node.children:
            node.children[key] = _Node(self._examples)
        return node.children[key]

    def _see(self, node: _Node, value: JSON, cycle: str | None) -> None:
        kind = type_of(value)
        node.occurrences += 1
        node.types[kind] += 1
        first = node.cycles.add(self.n)
        node.type_cycles.setdefault(kind, _Cycles()).add(self.n)
        if kind in ("integer", "number"):
            # An integer no float can hold has no place in a range.
            with contextlib.suppress(OverflowError):
                node.values.add(float(value), cycle if first else None)
        elif kind in ("string", "array", "object"):
            node.lengths.add(len(value), cycle if first else None)
        if kind in ("array", "object", "null"):
            return
        spelled = json.dumps(value, ensure_ascii=False)
        if node.distinct is not None:
            node.distinct[spelled] += 1
            if len(node.distinct) > MAX_DISTINCT or len(spelled) > MAX_SHOWN:
                node.distinct = None  # too many, or too long to be a word of a set
        node.examples.offer(_hash(spelled), _shown(value))

    def fields(self) -> tuple[list[dict[str, JSON]], int]:
        """The fields in the order of their paths, at most ``MAX_FIELDS``, and how many were left out."""
        found = [
            self._field(path, node)
            for path, node in sorted(self._paths(), key=lambda pair: pair[0])
            if path or set(node.types) - {"object"}
        ]
        return found[:MAX_FIELDS], max(0, len(found) - MAX_FIELDS)

    def _paths(self) -> Iterator[tuple[str, _Node]]:
        stack: list[tuple[str, _Node]] = [("", self._root)]
        while stack:
            path, node = stack.pop()
            if node.occurrences:
                yield path, node
            if node.items is not None:
                stack.append((f"{path}[]", node.items))
            for key, child in node.children.items():
                stack.append((_join(path, key, node.is_map), child))

    def _field(self, path: str, node: _Node) -> dict[str, JSON]:
        enumeration = None
        seen = sum(node.distinct.values()) if node.distinct else 0
        texts = node.types["string"] > 0
        # A value that came up three times on average is a word of a set rather than a draw from many.
        if node.distinct and seen >= 3 * len(node.distinct) and (self._examples or not texts):
            enumeration = [
                {"value": _shown(json.loads(k))["value"], "n": n}
                for k, n in sorted(node.distinct.items(), key=lambda i: (-i[1], i[0]))
            ]
        return {
            "path": path,
            "n_cycles": len(node.cycles),
            "n_groups": node.cycles.shared(self._units),
            "n_occurrences": node.occurrences,
            "missing_rate": 1 - len(node.cycles) / self.n if self.n else 0.0,
            "types": {
                kind: {
                    "n_cycles": len(node.type_cycles[kind]),
                    "n_groups": node.type_cycles[kind].shared(self._units),
                    "n_occurrences": n,
                    "rate": n / node.occurrences,
                }
                for kind, n in sorted(node.types.items())
            },
            "values": node.values.to_dict(),
            "lengths": node.lengths.to_dict(),
            "enumeration": enumeration,
            "examples": node.examples.values(),
        }


def _shown(value: JSON) -> dict[str, JSON]:
    if isinstance(value, str) and len(value) > MAX_SHOWN:
        return {"value": value[:MAX_SHOWN], "length": len(value)}
    if isinstance(value, int) and value.bit_length() > 1024:
        return {"value": f"{str(value)[:MAX_SHOWN]}…", "length": len(str(value))}
    return {"value": value}


def _join(path: str, key: str, is_map: bool) -> str:
    if is_map:
        return f"{path}{{}}"
    if not _PLAIN.match(key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key


def _collapse(node: _Node) -> None:
    """Make a map of an object: all its values become one field."""
    children = list(node.children.values())
    merged = _Node(node.examples.size)
    for child in children:
        _merge(merged, child)
    node.children, node.is_map = {"{}": merged}, True


def _merge(into: _Node, node: _Node) -> None:
    """Add one node to another; deep, with a stack of its own."""
    stack = [(into, node)]
    while stack:
        left, right = stack.pop()
        left.occurrences += right.occurrences
        left.cycles.update(right.cycles)
        left.types.update(right.types)
        for kind, cycles in right.type_cycles.items():
            left.type_cycles.setdefault(kind, _Cycles()).update(cycles)
        left.values.merge(right.values)
        left.lengths.merge(right.lengths)
        if left.distinct is not None:
            left.distinct = left.distinct + right.distinct if right.distinct is not None else None
            if left.distinct is not None and len(left.distinct) > MAX_DISTINCT:
                left.distinct = None
        left.examples.merge(right.examples)
        if right.items is not None:
            left.items = left.items or _Node(left.examples.size)
            stack.append((left.items, right.items))
        if (right.is_map or len({*left.children, *right.children}) > MAX_KEYS) and not left.is_map:
            _collapse(left)
        for key, child in right.children.items():
            name = "{}" if left.is_map else key
            if name not in left.children:
                left.children[name] = _Node(left.examples.size)
            stack.append((left.children[name], child))
