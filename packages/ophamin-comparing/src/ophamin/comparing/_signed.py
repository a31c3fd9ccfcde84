"""What the records of this wheel share; all but which code made them is core's."""

from __future__ import annotations

from typing import Any

from ophamin.proof import keeping
from ophamin.proof.keeping import Kept, keep, reproduction, signer_of, time_problems

__all__ = ["Kept", "identity", "keep", "reproduction", "signer_of", "time_problems"]

JSON = Any


def identity() -> dict[str, JSON]:
    """Section ``identity``: which code, and when."""
    return keeping.identity("ophamin-comparing")
