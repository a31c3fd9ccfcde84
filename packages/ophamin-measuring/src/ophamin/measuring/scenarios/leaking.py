"""Systems that cost more than they should: the dumb substrates of claims about cost."""

from __future__ import annotations

from typing import Any

__all__ = ["answer", "hoard", "quadratic"]

_kept: list[Any] = []
_READS = 40
_HOARDED = 64 * 1024


def answer(payload: Any) -> bool:
    """Keep the payload, and look through everything kept so far before answering.

    The time of a cycle grows with the number of cycles, without bound, as that of a leak does.
    """
    _kept.append(payload)
    return any(kept is answer for _ in range(_READS) for kept in _kept)


def hoard(payload: Any) -> int:
    """Keep 64 KiB at every call, each page of them touched."""
    _kept.append(b"x" * _HOARDED)
    return len(_kept)


def quadratic(payload: Any) -> int:
    """Compare everything with everything: the time is the square of the size."""
    return sum(a == b for a in payload for b in payload)
