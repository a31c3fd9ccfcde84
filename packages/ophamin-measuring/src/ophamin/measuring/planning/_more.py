"""After INCONCLUSIVE: the n of a new registration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ophamin.measuring.planning._assume import Assumptions, Part
from ophamin.measuring.planning._models import model_of
from ophamin.measuring.planning._plan import needed
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Decision, Interval, Threshold

__all__ = ["More", "how_many_more"]


@dataclass(frozen=True)
class More:
    """How large a new registration would have to be.

    Args:
        low: n if the truth lies at the far end of the interval; ``None`` when no n helps.
        high: n if it lies as near to θ as is worth knowing.
        note: The same in one sentence.
    """

    low: int | None
    high: int | None
    note: str


def how_many_more(
    threshold: Threshold,
    decision: Decision,
    interval: Interval,
    *,
    alpha: float,
    power: float = 0.8,
    alpha_refute: float | None = None,
    **assumptions: Any,
) -> More:
    """n of a *new* registration that would decide, as a range over where the truth may lie.

    The rows already seen are not pooled: they have been looked at.

    Args:
        threshold: The threshold that stayed open.
        decision: Its decision, δ registered.
        interval: Its interval.
        alpha: One-sided α the new attempt will have (:func:`ophamin.measuring.decision.alpha_for`).
        power: Power to decide.
        alpha_refute: α of the refuting bound, when smaller.
        **assumptions: As for :func:`ophamin.measuring.planning.plan`.

    Raises:
        UsageError: No smallest difference is registered.
    """
    delta = decision.smallest_difference
    if delta is None:
        raise UsageError(f"'{threshold}' registers no smallest difference, so no n is enough to be told")
    part = Part(
        threshold, decision, alpha, alpha if alpha_refute is None else alpha_refute, 0.0, Assumptions(**assumptions)
    )
    theta, upwards = threshold.value, part.upwards
    most = needed(model_of(part, delta), power, power)
    if decision.estimator == "quantile":
        # The interval is in units of the value and δ a share, so only the n at δ can be told.
        return _told(most, most, threshold)
    lower, upper = interval.lower, interval.upper
    if lower is not None and upper is not None and theta - delta <= lower and upper <= theta + delta:
        return More(None, None, f"the truth lies nearer to {theta:g} than worth knowing; no n is advised")
    sizes = [] if most is None else [most]
    for end in (lower, upper):
        if end is None or abs(end - theta) <= delta:
            continue
        inside = (end > theta) is upwards
        size = needed(model_of(part, abs(end - theta)), power if inside else 0.0, 0.0 if inside else power)
        if size is not None:
            sizes.append(size)
    return _told(min(sizes, default=None), most, threshold)


def _told(low: int | None, high: int | None, threshold: Threshold) -> More:
    if low is None or high is None:
        return More(low, high, f"no n decides '{threshold}' at this smallest difference")
    span = f"{low}" if low == high else f"{low} to {high}"
    return More(low, high, f"a new registration of {span} rows would decide '{threshold}'")
