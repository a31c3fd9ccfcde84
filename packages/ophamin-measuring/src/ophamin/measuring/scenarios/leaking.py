"""A system that never forgets, and therefore gets slower: the dumb substrate of claims about cost."""

from __future__ import annotations

from typing import Any

__all__ = ["answer"]

_kept: list[Any] = []
_READS = 40


def answer(payload: Any) -> bool:
    """Keep the payload, and look through everything kept so far before answering.

    The time of a cycle grows with the number of cycles, without bound, as that of a leak does.
    """
    _kept.append(payload)
    return any(kept is answer for _ in range(_READS) for kept in _kept)
