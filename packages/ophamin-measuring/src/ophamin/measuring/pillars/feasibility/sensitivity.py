"""The E-value: how strong an unmeasured confounder must be to explain an effect away."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ophamin.proof.errors import UsageError

__all__ = ["MEASURES", "EValue", "e_value"]

MEASURES = ("RR", "OR", "OR-common", "HR", "HR-common", "SMD")


@dataclass(frozen=True)
class EValue:
    """E-values of an estimate.

    Args:
        point: Least risk ratio of a confounder with both treatment and outcome that explains the estimate away.
        bound: The same for the confidence bound nearest to no effect; 1 where the interval holds it; NaN without one.
        risk_ratio: The estimate as a risk ratio.
    """

    point: float
    bound: float
    risk_ratio: float


def e_value(estimate: float, lower: float | None = None, upper: float | None = None, *, measure: str = "RR") -> EValue:
    """E-value of a ratio or a standardised difference.

    Args:
        estimate: Ratio (not its logarithm), or standardised mean difference.
        lower: Lower confidence bound.
        upper: Upper confidence bound.
        measure: ``RR``; ``OR`` or ``HR`` of a rare outcome, ``OR-common`` or ``HR-common`` of one above 15 %; ``SMD``.

    Raises:
        UsageError: An unknown measure, a ratio that is not above 0, or bounds that do not hold the estimate.

    Source: VanderWeele & Ding (2017), Annals of Internal Medicine 167:268, table 2.

    Example:
        >>> found = e_value(3.9, 1.8, 8.7)
        >>> round(found.point, 2), found.bound
        (7.26, 3.0)
    """
    if measure not in MEASURES:
        raise UsageError(f"a measure is one of {', '.join(MEASURES)}, not {measure!r}")
    given = [v for v in (estimate, lower, upper) if v is not None]
    if not all(math.isfinite(v) for v in given) or (measure != "SMD" and min(given) <= 0):
        raise UsageError("an E-value needs a finite estimate and bounds; ratios lie above 0")
    if (lower is not None and lower > estimate) or (upper is not None and upper < estimate):
        raise UsageError("the bounds of an E-value hold the estimate between them")
    ratio = _ratio(estimate, measure)
    near = lower if ratio >= 1 else upper
    bound = math.nan
    if near is not None:
        edge = _ratio(near, measure)
        bound = 1.0 if (edge - 1) * (ratio - 1) <= 0 else _e(edge)
    return EValue(_e(ratio), bound, ratio)


def _ratio(value: float, measure: str) -> float:
    """As a risk ratio."""
    if measure == "OR-common":
        return math.sqrt(value)
    if measure == "HR-common":
        return float((1 - 0.5 ** math.sqrt(value)) / (1 - 0.5 ** math.sqrt(1 / value)))
    if measure == "SMD":
        return math.exp(0.91 * value)
    return value


def _e(ratio: float) -> float:
    above = ratio if ratio >= 1 else 1 / ratio
    return above + math.sqrt(above * (above - 1))
