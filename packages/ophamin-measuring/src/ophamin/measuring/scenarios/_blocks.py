"""Contiguous blocks: the independent units of cycles that follow one another in one process."""

from __future__ import annotations

from ophamin.proof.errors import UsageError

__all__ = ["FEWEST", "SHORTEST", "blocks_of", "check_blocks"]

FEWEST = 20
"""Least blocks an interval over blocks can be had from."""

SHORTEST = 10
"""Least cycles of a block; shorter ones would be as dependent as the cycles are."""


def check_blocks(blocks: int) -> None:
    """Refuse a number of blocks no run could be decided with.

    Raises:
        UsageError: Fewer than ``FEWEST``.
    """
    if blocks < FEWEST:
        raise UsageError(f"blocks is a whole number, at least {FEWEST}, not {blocks}")


def blocks_of(n: int, blocks: int) -> list[int]:
    """Block number of each of ``n`` cycles in the order they ran.

    Args:
        n: Cycles.
        blocks: Blocks wanted; fewer where one would have less than ``SHORTEST`` cycles, and then
            the estimator refuses fewer than 20.

    Example:
        >>> blocks_of(40, 3)[::10]
        [0, 0, 1, 2]
    """
    count = max(1, min(blocks, n // SHORTEST))
    return [i * count // n for i in range(n)]
