"""A substrate that is another one, for instruments to build on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ophamin.protocols import CycleResult, Record, SubstrateIdentity, SubstrateProbe

__all__ = ["WatchedSubstrate"]


class WatchedSubstrate:
    """Behaves as the substrate it wraps, whose optional attributes it has too; subclasses watch.

    Args:
        substrate: Any substrate.
    """

    def __init__(self, substrate: SubstrateProbe) -> None:
        self._wrapped = substrate

    def __getattr__(self, name: str) -> Any:
        # Optional attributes (fields, admit, …) are there exactly when the wrapped substrate has them.
        if name == "_wrapped":  # not yet set: while unpickling
            raise AttributeError(name)
        return getattr(self._wrapped, name)

    def identity(self) -> SubstrateIdentity:
        """The wrapped substrate's identity: watching a system does not make it another."""
        return self._wrapped.identity()

    def reset(self, seed: int) -> None:
        """Reset the wrapped substrate."""
        self._wrapped.reset(seed)

    def processes(self) -> list[int]:
        """Pids whose cost counts."""
        return self._wrapped.processes()

    def close(self) -> None:
        """Close the wrapped substrate."""
        self._wrapped.close()

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """Run the batch."""
        return self._wrapped.run_batch(records, seed=seed, timeout_s=timeout_s)
