"""A scan of one stream: the detector, made as strict as the budget asks, and where it signalled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ophamin.comparing.drift_detection.budget import Budget, calibrate
from ophamin.comparing.drift_detection.detectors import Detector, alarms
from ophamin.comparing.drift_detection.reference import Reference
from ophamin.proof.errors import UsageError

__all__ = ["Scan", "scan", "stream_hash"]


@dataclass(frozen=True)
class Scan:
    """What a detector said of a stream.

    Args:
        detector: Its name.
        config: Its parameters.
        events: Positions in the stream (from 0) at which it signalled.
        budget: How it was calibrated; ``None`` when no budget was asked for.
        reference: What it was calibrated on.
    """

    detector: str
    config: Mapping[str, Any]
    events: Sequence[int]
    budget: Budget | None = None
    reference: Reference | None = None


def stream_hash(values: Sequence[float]) -> str:
    """SHA-256 of the compact JSON array, lower hex."""
    return hashlib.sha256(json.dumps([float(v) for v in values], separators=(",", ":")).encode()).hexdigest()


def scan(
    values: Sequence[float],
    detector: Detector,
    *,
    seed: int = 0,
    config: Mapping[str, Any] | None = None,
    rate: float | None = None,
    reference: Sequence[float] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Scan:
    """Watch a stream for drift.

    Args:
        values: The stream, in order; finite, and 0 or 1 for a binary detector.
        detector: One of ``detectors.DETECTORS``.
        seed: Of the calibration's simulation, and of KSWIN.
        config: Parameters of the detector; what is named here is not calibrated.
        rate: Alarm budget: false alarms per point, at most. Needs ``reference``.
        reference: Points in which nothing drifted.
        progress: Told how far the calibration is.

    Raises:
        UsageError: Values the detector cannot read, a budget without a reference, or an unknown parameter.

    Example:
        >>> from ophamin.comparing.drift_detection.detectors import detector_named
        >>> scan([0.0] * 300 + [1.0] * 300, detector_named("adwin")).events
        [319]
    """
    for what, part in (("stream", values), ("reference", reference or ())):
        if detector.binary and not set(part) <= {0, 1}:
            raise UsageError(f"{detector.name.replace('_', '-')} reads errors 0 and 1, and the {what} has other values")
    seeded = {"seed": seed} if detector.name == "kswin" else {}
    if rate is None:
        chosen = {**seeded, **(config or {})}
        return Scan(detector.name, chosen, alarms(values, detector, chosen))
    if reference is None:
        raise UsageError("an alarm budget is calibrated on a reference: give points in which nothing drifted")
    known = Reference.of(reference, binary=detector.binary)
    budget = calibrate(detector, known, rate, seed=seed, config=config, progress=progress)
    chosen = {**seeded, **budget.config}
    standard = [(v - budget.mean) / budget.scale for v in values]
    return Scan(detector.name, chosen, alarms(standard, detector, chosen), budget, known)
