"""Streaming drift detectors, by river: what each reads, and the parameter that makes it strict.

Sources: Bifet & Gavaldà (2007), SDM (ADWIN); Raab, Heusinger & Schleif (2020), Neurocomputing 416:340 (KSWIN); Page
(1954), Biometrika 41:100; Gama et al. (2004), SBIA (DDM); Baena-García et al. (2006), IWKDDS (EDDM); Frías-Blanco et
al. (2015), IEEE TKDE 27:810 (HDDM).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ophamin.proof.errors import MissingDependency, UsageError

try:
    from river import drift
    from river.drift import binary
except ImportError as error:
    raise MissingDependency("streaming drift detectors", "river", "ophamin-comparing[drift]") from error

__all__ = ["DETECTORS", "Detector", "alarms", "detector_named"]


@dataclass(frozen=True)
class Detector:
    """A kind of detector and how it is made stricter.

    Args:
        name: As written in a record, e.g. ``page_hinkley``.
        make: The river class.
        knob: Its parameter that trades false alarms against delay.
        grid: Values of the knob from loose to strict, tried in this order.
        binary: Whether it reads errors 0 and 1.
        settings: Our own defaults where river's do not fit a standardised stream.
    """

    name: str
    make: Any
    knob: str
    grid: Sequence[float]
    binary: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


_POWERS = tuple(10.0**-k for k in range(2, 16))

DETECTORS: Mapping[str, Detector] = {
    d.name: d
    for d in (
        Detector("adwin", drift.ADWIN, "delta", _POWERS),
        Detector("kswin", drift.KSWIN, "alpha", _POWERS[1:]),
        # Values come standardised: half a standard deviation is allowed for, as for finding a shift of one. River's
        # own forgetting factor of 0.9999 lets the sum wander by itself: no threshold then keeps a budget.
        Detector(
            "page_hinkley", drift.PageHinkley, "threshold",
            (5.0, 7.0, 10.0, 14.0, 20.0, 28.0, 40.0, 56.0, 80.0, 160.0, 320.0), settings={"delta": 0.5, "alpha": 1.0},
        ),
        Detector("ddm", binary.DDM, "drift_threshold", (3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 10.0), True),
        Detector("eddm", binary.EDDM, "beta", (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2), True),
        Detector("hddm_a", binary.HDDMA, "drift_confidence", _POWERS, True),
        Detector("hddm_w", binary.HDDMW, "drift_confidence", _POWERS, True),
    )
}  # fmt: skip


def detector_named(name: str) -> Detector:
    """The detector of that name, in any case, with ``-`` or ``_``.

    Raises:
        UsageError: There is none.
    """
    found = DETECTORS.get(name.lower().replace("-", "_"))
    if found is None:
        raise UsageError(f"a drift detector is {', '.join(d.replace('_', '-') for d in DETECTORS)}, not {name!r}")
    return found


def alarms(
    values: Iterable[float], detector: Detector, config: Mapping[str, Any], *, at_most: int | None = None
) -> list[int]:
    """Positions (from 0) at which a fresh detector signals.

    Args:
        values: The stream, in order; 0 and 1 for a binary detector.
        detector: One of :data:`DETECTORS`.
        config: Parameters of the river class; KSWIN's ``seed`` is one.
        at_most: Stop after this many.

    Raises:
        UsageError: A parameter the detector does not take.

    Example:
        >>> alarms([0.0] * 300 + [1.0] * 300, detector_named("adwin"), {})
        [319]
    """
    try:
        fresh = detector.make(**config)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the detector {detector.name} does not take {dict(config)}: {error}") from error
    update = fresh.update
    found: list[int] = []
    for i, value in enumerate(map(bool, values) if detector.binary else values):
        update(value)
        if fresh.drift_detected:
            found.append(i)
            if len(found) == at_most:
                break
    return found
