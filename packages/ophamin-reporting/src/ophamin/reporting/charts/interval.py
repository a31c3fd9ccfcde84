"""The interval against its threshold: one row per threshold, as SVG.

Nothing here imports matplotlib; only drawing does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.reporting._text import clip, measured, number, percent, visible

__all__ = ["IntervalPart", "describe", "interval_chart"]

JSON = Any
_SIGNS = {"<=": "≤", ">=": "≥"}
# Beyond this no axis has room for the difference between the interval and its threshold.
_LARGEST = 1e100


@dataclass(frozen=True)
class IntervalPart:
    """One threshold with what was observed.

    Args:
        metric: Name of the metric.
        comparator: One of ``>= <= > < ==``.
        theta: θ.
        value: Observed value, ``None`` when there is none.
        lower: One-sided lower bound, ``None`` when it is missing.
        upper: One-sided upper bound, ``None`` when it is missing.
        lower_confidence: One-sided confidence of ``lower``, in (0, 1).
        upper_confidence: One-sided confidence of ``upper``.
        units: Units of the metric.
        outcome: VALIDATED, REFUTED or INCONCLUSIVE; "" when this part has none of its own.
        has_interval: False where the value alone decides (rules ``exact`` and ``point``), so that no
            side counts as missing.
    """

    metric: str
    comparator: str
    theta: JSON
    value: JSON = None
    lower: JSON = None
    upper: JSON = None
    lower_confidence: JSON = None
    upper_confidence: JSON = None
    units: str = ""
    outcome: str = ""
    has_interval: bool = True

    @property
    def name(self) -> str:
        """The threshold in words, e.g. ``accuracy ≥ 0.9``."""
        sign = _SIGNS.get(self.comparator, self.comparator)
        units = f" {self.units}" if self.units else ""
        return clip(f"{self.metric} {sign} {number(self.theta)}{units}", 200)

    @property
    def drawable(self) -> bool:
        """Whether there is a finite θ and something finite to show beside it."""
        return plottable(self.theta) and any(map(plottable, (self.value, self.lower, self.upper)))


def plottable(value: JSON) -> bool:
    """Whether an axis can show it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _LARGEST  # not so for NaN, and no conversion that a huge integer would overflow


def describe(part: IntervalPart) -> str:
    """The row in words, for whoever does not see the picture.

    Example:
        >>> describe(IntervalPart("accuracy", ">=", 0.9, 0.95, 0.92, None, 0.95, 0.95, outcome="VALIDATED"))
        'accuracy ≥ 0.9: observed 0.95, lower bound 0.92 (95 %), no upper bound: VALIDATED.'
    """
    said = [f"observed {measured(part.value, part.theta)}" if part.value is not None else "no observed value"]
    if part.has_interval:
        for side, bound, confidence in (
            ("lower", part.lower, part.lower_confidence),
            ("upper", part.upper, part.upper_confidence),
        ):
            at = f" ({percent(confidence)})" if confidence is not None else ""
            said.append(f"no {side} bound" if bound is None else f"{side} bound {measured(bound, part.theta)}{at}")
    outcome = f": {part.outcome}" if part.outcome else ""
    return visible(f"{part.name}: {', '.join(said)}{outcome}.")


def interval_chart(
    parts: Sequence[IntervalPart], *, name: str = "chart", title: str = "Interval against threshold"
) -> str:
    """Draw the parts below each other, each on an axis of its own.

    The dashed line is θ, the hatched side is where the claim holds, the bar reaches from one one-sided
    bound to the other, each labelled with its confidence; an arrow stands for a missing bound. Reads
    without colour. The bytes depend on the arguments and the installed matplotlib only.

    Args:
        parts: Those that are not ``drawable`` are left to the text alternative.
        name: Prefix of every id, unique on the page it will stand on; letters, digits and ``-``.
        title: Title of the picture, read out by screen readers, followed by ``describe`` of each part.

    Returns:
        An ``<svg role="img">`` element, without size: it fills its container.

    Raises:
        MissingDependency: matplotlib is not installed.
        UsageError: No part is drawable.

    Example:
        >>> svg = interval_chart([IntervalPart("accuracy", ">=", 0.9, 0.95, 0.92, 0.97, 0.95, 0.95)])
        >>> svg.startswith("<svg")
        True
    """
    shown = [part for part in parts if part.drawable]
    if not shown:
        raise UsageError("no part has a finite threshold and a finite value or bound, so there is nothing to draw")
    try:
        from ophamin.reporting.charts._figure import draw
    except ImportError as error:
        raise MissingDependency("the interval chart", "matplotlib", "ophamin-reporting[plots]") from error
    return draw(shown, name=name, title=visible(title), description=" ".join(map(describe, parts)))
