"""Checking a whole log from its file, trusting nothing that was read before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import canonical_bytes
from ophamin.proof.errors import LedgerError, RecordError
from ophamin.proof.ledger import _frame
from ophamin.proof.ledger._types import LedgerReport
from ophamin.proof.merkle import EMPTY_ROOT, Frontier, leaf_hash

__all__ = ["verify_file"]

JSON = Any


def verify_file(path: Path, heads: Iterable[Mapping[str, JSON]] = ()) -> LedgerReport:
    """Recompute every leaf hash and every head of a log, and compare older heads with it.

    Args:
        path: The log's file; a missing one is an empty log.
        heads: Heads of this log kept elsewhere (``Ledger.head`` or a record's ``preregistration.ledger``).

    Returns:
        The report; this function raises only what opening a file raises.
    """
    expected: dict[int, list[Mapping[str, JSON]]] = {}
    for head in heads:
        expected.setdefault(head.get("tree_size", -1), []).append(head)
    tree, log_id = Frontier(), ""

    def bad(problem: str, first: int | None = None) -> LedgerReport:
        return LedgerReport(log_id, tree.size, tree.root, first, problem)

    try:
        file = open(path, "rb")  # noqa: SIM115 (entered below, once it is there)
    except FileNotFoundError:
        if expected:
            return bad(f"there is no ledger at {path}, but a head of one was kept")
        return LedgerReport("", 0, EMPTY_ROOT)
    with file:
        header = file.readline()
        if not header.endswith(b"\n"):
            if _frame.HEADER_START.startswith(header[: len(_frame.HEADER_START)]) and not expected:
                return LedgerReport("", 0, EMPTY_ROOT, torn_bytes=len(header))
            return bad("the first line is not the header of a ledger")
        try:
            log_id, _ = _frame.decode_header(header[:-1])
        except LedgerError as error:
            return bad(str(error))
        for size, some in expected.items():
            for head in some:
                if head.get("log_id") != log_id:
                    return bad(f"a kept head belongs to log {head.get('log_id')}, and this is log {log_id}")
                if size == 0 and head.get("root_hash") != EMPTY_ROOT:
                    return bad("a kept head of size 0 has a root other than that of the empty tree")
        torn = 0
        for line in file:
            index = tree.size
            if not line.endswith(b"\n"):
                if _frame.is_complete(line):
                    return bad("there are bytes after the last entry", index)
                torn = len(line)
                break
            problem = _problem(line[:-1], tree)
            if problem:
                return bad(f"entry {index} {problem}", index)
            for head in expected.pop(tree.size, ()):
                if head.get("root_hash") != tree.root:
                    return bad(f"the first {tree.size} entries are not those of a head kept elsewhere")
        expected.pop(0, None)
        if expected:
            return bad(f"a kept head has {max(expected)} entries, and the log has {tree.size}: it was cut short")
        return LedgerReport(log_id, tree.size, tree.root, torn_bytes=torn)


def _problem(line: bytes, tree: Frontier) -> str:
    """Take one line into the tree; what is wrong with it, "" when nothing."""
    try:
        leaf, size, root = _frame.decode(line)
    except LedgerError:
        return "is not a leaf with its head"
    if size != tree.size + 1:
        return f"says it is number {size}: an entry was dropped, added or moved"
    grown = tree.copy()
    grown.push(leaf_hash(leaf))
    if grown.root != root:
        return "does not lead to its head: it was rewritten, dropped or moved"
    try:
        value = json.loads(leaf)
        if not isinstance(value, dict) or canonical_bytes(value) != leaf:
            return "is not canonical JSON"
    except (ValueError, RecursionError, RecordError):
        return "is not canonical JSON"
    tree.push(leaf_hash(leaf))
    return ""
