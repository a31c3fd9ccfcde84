"""The instruments prove themselves: each side's misses, type-I error and power, simulated on this machine.

A check is one interval, test or stopping rule on one law, with the error it is said to have and exact binomial limits
for what may be counted. ``catalogue`` lists them, ``running`` counts, ``record`` is the signed record about it.
Nothing is imported here: a test of everything loads everything, and only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ophamin.measuring.selftest.recording import Recorded, selftest

__all__ = ["Recorded", "selftest"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from ophamin.measuring.selftest import recording

        return getattr(recording, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
