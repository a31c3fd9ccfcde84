"""An alarm budget: making a detector just strict enough, and checking on fresh points that it is.

The budget is a claim: the rate of false alarms is at most so many per point. It is decided like any other, by a bound
with a known error rate: the exact Poisson upper bound of the rate on points the calibration never saw (Garwood 1936,
Biometrika 28:437).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophamin.comparing.drift_detection.detectors import Detector, alarms
from ophamin.comparing.drift_detection.reference import Reference
from ophamin.proof.decision import outcome
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Threshold

__all__ = ["Budget", "Tried", "calibrate", "points_needed", "upper_rate"]

ALPHA = 0.05
# With ten false alarms to be expected at the budget's rate, four or fewer put the 95 % bound below it.
_EXPECTED = 10
_TO_BEGIN_WITH = 2
MAX_POINTS = 10_000_000


@dataclass(frozen=True)
class Tried:
    """One value of the knob, and how it did on fresh points.

    Args:
        value: Of the knob.
        alarms: False alarms counted; the count stops at one more than can pass.
        points: Points read until then.
        upper: 95 % upper bound of the rate per point.
        fresh: Whether no choice was made on these points.
    """

    value: float
    alarms: int
    points: int
    upper: float
    fresh: bool


@dataclass(frozen=True)
class Budget:
    """A calibrated detector.

    Args:
        rate: The budget: false alarms per point, at most.
        outcome: VALIDATED when the bound on fresh points keeps it, else INCONCLUSIVE.
        config: Parameters of the detector, the knob among them.
        tried: What was tried, in order.
        error_bound: How often a detector over budget would pass: α for each check on fresh points.
        mean, scale: What the stream is standardised by before it is read; 0 and 1 for errors.
    """

    rate: float
    outcome: str
    config: Mapping[str, Any]
    tried: tuple[Tried, ...]
    error_bound: float
    mean: float
    scale: float


def upper_rate(count: int, points: int) -> float:
    """Exact upper bound of a Poisson rate per point, one-sided at 95 %.

    Example:
        >>> upper_rate(4, 1_000_000) < 1e-5 < upper_rate(5, 1_000_000)
        True
    """
    from scipy.special import gammaincinv

    return float(gammaincinv(count + 1, 1 - ALPHA)) / points


def points_needed(rate: float) -> int:
    """Simulated points on which a budget is checked: ten times its inverse."""
    return round(_EXPECTED / rate)


def calibrate(
    detector: Detector,
    reference: Reference,
    rate: float,
    *,
    seed: int,
    config: Mapping[str, Any] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Budget:
    """Find the loosest value of the knob that keeps the budget.

    Values go from loose to strict. One that gives few alarms on a first simulated stream is checked on a fresh one;
    when the check fails, the next value is tried, on fresh points again, and the error bound grows by α.

    Args:
        detector: Which.
        reference: What points look like while nothing drifts.
        rate: False alarms per point, at most; at least 1e-6.
        seed: Of the simulation.
        config: Further parameters of the detector, fixed.
        progress: Told what is tried and the share of the grid that is done.

    Raises:
        UsageError: A rate that cannot be checked, or a parameter the detector does not take.
    """
    if not 1 / MAX_POINTS * _EXPECTED <= rate < 1:
        raise UsageError(f"an alarm budget lies between 1/{MAX_POINTS // _EXPECTED:,} and 1 per point, not {rate:g}")
    points = points_needed(rate)
    streams = iter(np.random.SeedSequence(seed).spawn(2 * len(detector.grid) + 1))
    mean, scale = (0.0, 1.0) if reference.binary else (float(reference.values.mean()), float(reference.values.std()))

    def stream() -> NDArray[np.float64]:
        return (reference.simulate(points, np.random.default_rng(next(streams))) - mean) / scale

    fixed = {**detector.settings, **(config or {})}
    grid = (fixed[detector.knob],) if detector.knob in fixed else detector.grid
    first = stream()
    tried: list[Tried] = []
    checks = 0
    for step, value in enumerate(grid):
        chosen = {**fixed, detector.knob: value}
        if progress is not None:
            progress(f"{detector.knob} {value:g}", step / len(grid))
        found = _count(first, detector, chosen, seed, _TO_BEGIN_WITH)
        tried.append(_tried(value, *found, fresh=False))
        if found[0] > _TO_BEGIN_WITH and len(grid) > 1:
            continue
        checks += 1
        found = _count(stream(), detector, chosen, seed, 4)
        tried.append(_tried(value, *found, fresh=True))
        if outcome(Threshold("false_alarm_rate", "<=", rate), None, tried[-1].upper) == "VALIDATED":
            return Budget(rate, "VALIDATED", chosen, tuple(tried), checks * ALPHA, mean, scale)
    return Budget(rate, "INCONCLUSIVE", chosen, tuple(tried), checks * ALPHA, mean, scale)


def _tried(value: float, count: int, points: int, *, fresh: bool) -> Tried:
    return Tried(value, count, points, upper_rate(count, points), fresh)


def _count(
    values: NDArray[np.float64], detector: Detector, config: Mapping[str, Any], seed: int, allowed: int
) -> tuple[int, int]:
    """Alarms and the points read; reading stops at the first alarm that is too many."""
    if detector.name == "kswin":
        from ophamin.comparing.drift_detection.kswin import kswin_alarms

        found = kswin_alarms(values, {"seed": seed, **config}, at_most=allowed + 1)
    else:
        found = alarms(values.tolist(), detector, config, at_most=allowed + 1)
    return len(found), len(values) if len(found) <= allowed else found[-1] + 1
