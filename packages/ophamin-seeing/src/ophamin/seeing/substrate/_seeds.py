"""Seeds per cycle."""

from __future__ import annotations

import hashlib

__all__ = ["cycle_seed"]


def cycle_seed(seed: int, record_id: str) -> int:
    """Seed of one cycle, 0 ≤ value < 2**32, from the run's seed and the record alone.

    Neither order nor resuming changes it.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}:{record_id}".encode("utf-8", "surrogatepass")).digest()[:4], "big")
