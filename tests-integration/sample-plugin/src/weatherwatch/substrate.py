"""A forecaster that says tomorrow will be as today."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from ophamin.proof.canonical import digest
from ophamin.protocols import CycleResult, Record, SubstrateIdentity

__all__ = ["PersistenceForecast"]


class PersistenceForecast:
    """Forecasts tomorrow's temperature as today's, plus an offset.

    Args:
        arg: Unused.
        offset: Degrees added to every forecast, as text.
    """

    fields = {"forecast": "forecast"}

    def __init__(self, arg: str = "", offset: str = "0") -> None:
        self._offset = float(offset)

    def identity(self) -> SubstrateIdentity:
        """Which forecaster this is."""
        return SubstrateIdentity(
            "persistence-forecast", "persistence", digest({"offset": self._offset}), version("weatherwatch"), False
        )

    def reset(self, seed: int) -> None:
        """Nothing to reset: a forecast depends on its stimulus alone."""

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """Forecast one day after the other; a payload that is no number is an error of that cycle."""
        for index, record in enumerate(records):
            begin = time.perf_counter()
            try:
                output = {"forecast": float(record.payload) + self._offset}
            except (TypeError, ValueError) as error:
                yield CycleResult(index, record.id, status="error", error=str(error))
                continue
            yield CycleResult(index, record.id, output=output, wall_s=time.perf_counter() - begin)

    def processes(self) -> list[int]:
        """It has no children."""
        return []

    def close(self) -> None:
        """Nothing to release."""
