"""A pillar by somebody else: lag-one persistence of a series."""

from __future__ import annotations

import statistics
from importlib.metadata import version
from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.proof.types import PillarEvidence
from ophamin.protocols import Columns, PillarResult

__all__ = ["Persistence"]


class Persistence:
    """Lag-one autocorrelation, by ``statistics.correlation``."""

    name = "W.persistence"
    library = "weatherwatch"
    columns = {"value": "a series of numbers in time order"}

    def compute(self, columns: Columns, *, seed: int, **options: Any) -> PillarResult:
        """Correlate the series with itself one step later; constant or short series have none."""
        if "value" not in columns:
            raise UsageError(f"{self.name} needs the column 'value'")
        values = [float(v) for v in columns["value"] if v is not None]
        if len(values) < 3 or len(set(values[:-1])) == 1 or len(set(values[1:])) == 1:
            return PillarResult((), warnings=("a constant or very short series has no autocorrelation",))
        rho = statistics.correlation(values[:-1], values[1:])
        evidence = PillarEvidence(
            self.name, "lag1_autocorrelation", rho, self.library, version("weatherwatch"), n=len(values)
        )
        return PillarResult((evidence,))
