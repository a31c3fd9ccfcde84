"""What all cycles of a run cost, by name: counts and order statistics, not the cycles."""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Mapping

__all__ = ["Tally"]


class Tally:
    """Every cycle's resources, eight bytes a number.

    Example:
        >>> tally = Tally()
        >>> tally.add({"cpu_s": 1.0})
        >>> tally.add({"cpu_s": 3.0, "threads": 2})
        >>> tally.summary()["cpu_s"]
        {'n': 2, 'total': 4.0, 'min': 1.0, 'median': 2.0, 'max': 3.0}
    """

    def __init__(self) -> None:
        self._values: dict[str, array[float]] = {}
        self.cycles = 0

    def add(self, resources: Mapping[str, float]) -> None:
        """One cycle."""
        self.cycles += 1
        for name, value in resources.items():
            try:
                self._values[name].append(value)
            except KeyError:
                self._values[name] = array("d", (value,))

    def summary(self) -> dict[str, dict[str, float]]:
        """Per name: cycles that had it, their total, least, median and greatest."""
        return {
            name: {
                "n": len(values),
                "total": float(sum(values)),
                "min": min(values),
                "median": float(statistics.median(values)),
                "max": max(values),
            }
            for name, values in sorted(self._values.items())
        }
