"""Which power model answers to the interval a threshold registered."""

from __future__ import annotations

from typing import Any, Protocol

from ophamin.measuring.decision._stopping import looks_of
from ophamin.measuring.planning._assume import Floats, Part
from ophamin.measuring.planning._calibration import BrierPower, CalibrationPower
from ophamin.measuring.planning._differences import MODELS
from ophamin.measuring.planning._exponent import ExponentPower
from ophamin.measuring.planning._mean import mean_power
from ophamin.measuring.planning._sequential import LooksPower, SequentialPower
from ophamin.measuring.planning._share import SharePower
from ophamin.proof.errors import UsageError

__all__ = ["Model", "model_of"]


class Model(Protocol):
    """Power as a function of n, for a truth δ away from θ."""

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each planned n."""
        ...

    def guess(self, power: float) -> float:
        """Where to begin the search for n."""
        ...

    def reachable(self) -> bool:
        """Whether any n has power."""
        ...

    def notes(self) -> list[str]:
        """What was assumed."""
        ...


def model_of(part: Part, delta: float) -> Model:
    """The power model of one threshold.

    Raises:
        UsageError: No model for this estimator.
    """
    estimator = part.decision.estimator
    if part.decision.rule == "sequential":
        looks = looks_of(part.decision)
        return SequentialPower(part, delta) if looks is None else LooksPower(part, delta, looks)
    if estimator in ("proportion", "quantile"):
        return SharePower(part, delta)
    if estimator == "mean":
        return mean_power(part, delta)
    if estimator == "exponent":
        return ExponentPower(part, delta)
    if estimator == "calibration-error":
        return CalibrationPower(part, delta)
    if estimator == "brier-skill":
        return BrierPower(part, delta)
    if estimator in MODELS:
        return MODELS[estimator](part, delta)
    if estimator == "holm":
        raise UsageError(
            "the rows of 'holm' are the p-values of a family, which has the size it has; plan the tests behind them: "
            "ophamin plan --family M, or plan_family"
        )
    raise UsageError(f"there is no plan for the estimator {estimator!r}; give n yourself")
