"""The likest of many series, without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from itertools import combinations

from ophamin.comparing.drift.proofs import Proof, SeriesKey

__all__ = ["Nearest"]

_MOST = 2
_FIELDS = len(SeriesKey.__dataclass_fields__)


class Nearest:
    """Finds the proof whose series differs in the fewest fields, in two at most; of several the first.

    Two stores without a common series would otherwise be compared product by product, to say why nothing is.

    Args:
        proofs: Among which it is looked for, in order.

    Example:
        >>> Nearest([]).of(SeriesKey("claim", "metric", "mock", "rows")) is None
        True
    """

    def __init__(self, proofs: Iterable[Proof]) -> None:
        self._first: dict[tuple[tuple[int, ...], tuple[str, ...]], tuple[int, Proof]] = {}
        for place, proof in enumerate(proofs):
            fields = astuple(proof.key)
            for kept in range(_FIELDS, _FIELDS - _MOST - 1, -1):
                for which in combinations(range(_FIELDS), kept):
                    self._first.setdefault((which, tuple(fields[i] for i in which)), (place, proof))

    def of(self, key: SeriesKey) -> tuple[Proof, Mapping[str, tuple[str, str]]] | None:
        """That proof, and what differs; ``None`` where all differ in more."""
        fields = astuple(key)
        for kept in range(_FIELDS, _FIELDS - _MOST - 1, -1):
            found = [
                self._first[shared]
                for which in combinations(range(_FIELDS), kept)
                if (shared := (which, tuple(fields[i] for i in which))) in self._first
            ]
            if found:
                _, proof = min(found, key=lambda item: item[0])
                return proof, key.differences(proof.key)
        return None
