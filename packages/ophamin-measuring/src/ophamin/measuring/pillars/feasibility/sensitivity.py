"""The E-value: how strong an unmeasured confounder must be to explain an effect away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.stats import norm

from ophamin.proof.errors import UsageError

__all__ = ["MEASURES", "EValue", "e_value", "e_value_of_difference"]

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


def e_value(
    estimate: float,
    lower: float | None = None,
    upper: float | None = None,
    *,
    measure: str = "RR",
    null: float | None = None,
) -> EValue:
    """E-value of a ratio or a standardised difference.

    Args:
        estimate: Ratio (not its logarithm), or standardised mean difference.
        lower: Lower confidence bound.
        upper: Upper confidence bound.
        measure: ``RR``; ``OR`` or ``HR`` of a rare outcome, ``OR-common`` or ``HR-common`` of one above 15 %; ``SMD``.
        null: What the confounder is to move the estimate to, in the units of the measure; default: no effect.

    Raises:
        UsageError: An unknown measure, a ratio that is not above 0, or bounds that do not hold the estimate.

    Source: VanderWeele & Ding (2017), Annals of Internal Medicine 167:268, table 2. Bounds of an SMD are transformed
    as they are given; the paper's 1.78 standard errors are 0.91 · 1.96 rounded.

    Example:
        >>> found = e_value(3.9, 1.8, 8.7)
        >>> round(found.point, 2), found.bound
        (7.26, 3.0)
    """
    if measure not in MEASURES:
        raise UsageError(f"a measure is one of {', '.join(MEASURES)}, not {measure!r}")
    given = [v for v in (estimate, lower, upper, null) if v is not None]
    if not all(math.isfinite(v) for v in given) or (measure != "SMD" and min(given) <= 0):
        raise UsageError("an E-value needs a finite estimate and bounds; ratios lie above 0")
    if (lower is not None and lower > estimate) or (upper is not None and upper < estimate):
        raise UsageError("the bounds of an E-value hold the estimate between them")
    ratio, truth = _ratio(estimate, measure), 1.0 if null is None else _ratio(null, measure)
    near = lower if ratio >= truth else upper
    bound = math.nan
    if near is not None:
        edge = _ratio(near, measure)
        bound = 1.0 if (edge - truth) * (ratio - truth) <= 0 else _e(edge / truth)
    return EValue(_e(ratio / truth), bound, ratio)


def e_value_of_difference(table: Sequence[Sequence[int]], *, null: float = 0.0, level: float = 0.95) -> EValue:
    """E-value of a risk difference from a 2 × 2 table, and of its lower bound.

    Args:
        table: ``[[ill, well], [ill, well]]``: counts of the exposed, then of the unexposed; the exposed have the
            greater risk.
        null: Difference the confounder is to move the estimate to, below the estimate.
        level: Two-sided confidence.

    Raises:
        UsageError: Counts that are not from 0 up or leave a group or the unexposed risk empty, or a difference that
            is not above ``null``.

    Source: Ding & VanderWeele (2016), Epidemiology 27:368, as R's ``EValue::evalues.RD`` (which searches the bound on
    a grid of 0.0001).

    Example:
        >>> found = e_value_of_difference([[397, 78557], [51, 108778]])
        >>> round(found.point, 2), round(found.bound, 2)
        (20.95, 15.96)
    """
    if [len(row) for row in table] != [2, 2]:
        raise UsageError("a risk difference needs a table of two rows, exposed and unexposed, of two counts each")
    (a, b), (c, d) = ((float(v) for v in row) for row in table)
    if not all(math.isfinite(v) and v >= 0 for v in (a, b, c, d)) or not 0 < level < 1 or c == 0 or a + b == 0:
        raise UsageError("a risk difference needs counts from 0 up, exposed people, and cases among the unexposed")
    n, share, one, zero = a + b + c + d, (a + b) / (a + b + c + d), a / (a + b), c / (c + d)
    if not one - zero > null:
        raise UsageError("the risk difference lies above the null; call the other group the exposed one")
    gap = null + zero * (1 - share) - one * share
    factor = (math.sqrt(gap**2 + 4 * one * zero * share * (1 - share)) - gap) / (2 * zero * share)
    z = float(norm.ppf((1 + level) / 2))
    own, other = one * (1 - one) / (a + b), zero * (1 - zero) / (c + d)

    def lower(bias: float) -> float:
        """Lower bound of the difference once a bias of this factor is taken away."""
        left, weight = one - zero * bias, share + (1 - share) / bias
        spread = (own + other * bias**2) * weight**2 + left**2 * (1 - 1 / bias) ** 2 * share * (1 - share) / n
        return left * weight - z * math.sqrt(spread)

    if lower(1.0) <= null:
        return EValue(_e(factor), 1.0, one / zero)
    return EValue(_e(factor), _e(float(brentq(lambda bias: lower(bias) - null, 1.0, factor, xtol=1e-12))), one / zero)


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
