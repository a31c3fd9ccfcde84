"""One line of the log: a leaf and the head of the tree that ends with it.

``{"leaf":<canonical JSON>,"root":"<64 hex>","size":<n>}``: each line is canonical JSON itself, so any
tool reads it, and the leaf's own bytes stand in it verbatim.
"""

from __future__ import annotations

import json
import re

from ophamin.proof.errors import LedgerError

__all__ = ["HEADER_START", "Header", "decode", "decode_header", "encode", "encode_header", "is_complete"]

Header = tuple[str, str]
"""``(log_id, created_at)``."""

_START = b'{"leaf":'
_END = re.compile(rb',"root":"([0-9a-f]{64})","size":([1-9][0-9]{0,17})\}')
_HEADER = re.compile(rb'\{"created_at":"([0-9T:.+Z-]+)","format":"ophamin-ledger/1","log_id":"([0-9a-f]{32})"\}')
HEADER_START = b'{"created_at":"'


def encode_header(log_id: str, created_at: str) -> bytes:
    """The first line of a log, with its newline."""
    return f'{{"created_at":"{created_at}","format":"ophamin-ledger/1","log_id":"{log_id}"}}\n'.encode("ascii")


def decode_header(line: bytes) -> Header:
    """Parse the first line, without its newline.

    Raises:
        LedgerError: It is not the first line of a ledger this version reads.
    """
    match = _HEADER.fullmatch(line)
    if not match:
        raise LedgerError("the first line is not the header of a ledger of format ophamin-ledger/1")
    return match.group(2).decode(), match.group(1).decode()


def encode(leaf: bytes, size: int, root: str) -> bytes:
    """A line with its newline."""
    return b'%b%b,"root":"%b","size":%d}\n' % (_START, leaf, root.encode("ascii"), size)


def decode(line: bytes) -> tuple[bytes, int, str]:
    """``(leaf, size, root)`` of a line without its newline.

    Raises:
        LedgerError: It is not a leaf with its head.
    """
    # The head has a fixed shape but for the digits of its size, so it is looked for from the end.
    at = line.rfind(b',"root":"')
    match = _END.fullmatch(line, at) if at > 0 else None
    if not match or not line.startswith(_START):
        raise LedgerError("a line is not a leaf with its head")
    return line[len(_START) : at], int(match.group(2)), match.group(1).decode()


def is_complete(tail: bytes) -> bool:
    """Whether an unterminated last line holds a whole leaf and head, with bytes after it.

    A killed writer leaves the beginning of a line; more than a line was put there by someone else.
    """
    if not tail.startswith(_START):
        return False
    ends = (m for m in _END.finditer(tail) if m.end() < len(tail))
    return any(_is_object(tail[len(_START) : m.start()]) for m in ends)


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False
