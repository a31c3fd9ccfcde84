"""Streaming drift detectors, by river.

Conventions of river worth knowing: ADWIN drops its whole window after a detection (the original drops old buckets) and
signals in both directions; Page–Hinkley follows the sum less its minimum (MOA the greater of 0 and the sum) and alarms
on stationary data, with its default threshold of 50 on noise of standard deviation 1 every few thousand values; KSWIN
subsamples, so it takes a seed; EDDM signals elsewhere than MOA's, while the others' first signals agree; DDM, EDDM and
HDDM read a stream of errors 0 and 1.

Sources: Bifet & Gavaldà (2007), SDM (ADWIN); Raab, Heusinger & Schleif (2020), Neurocomputing 416:340 (KSWIN); Page
(1954), Biometrika 41:100; Gama et al. (2004), SBIA (DDM); Baena-García et al. (2006), IWKDDS (EDDM); Frías-Blanco et
al. (2015), IEEE TKDE 27:810 (HDDM).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from river import drift
from river.drift import binary

from ophamin.proof.errors import UsageError

__all__ = ["BINARY", "DETECTORS", "Drift", "detect", "make_detector"]

DETECTORS: Mapping[str, Any] = {
    "adwin": drift.ADWIN,
    "kswin": drift.KSWIN,
    "page-hinkley": drift.PageHinkley,
    "ddm": binary.DDM,
    "eddm": binary.EDDM,
    "hddm-a": binary.HDDMA,
    "hddm-w": binary.HDDMW,
}
BINARY = frozenset({"ddm", "eddm", "hddm-a", "hddm-w"})
"""Detectors that read errors 0 and 1."""


@dataclass(frozen=True)
class Drift:
    """What a detector said of a stream.

    Args:
        changes: Positions (from 0) at which it signalled.
        warnings: Positions at which it warned, for detectors that do.
        n: Values seen.
    """

    changes: list[int]
    warnings: list[int]
    n: int


def make_detector(name: str, *, seed: int = 0, **parameters: Any) -> Any:
    """A fresh detector of river.

    Args:
        name: One of :data:`DETECTORS`.
        seed: For KSWIN.
        **parameters: Of the river class.

    Raises:
        UsageError: No such detector or parameter.
    """
    if name not in DETECTORS:
        raise UsageError(f"a drift detector is {', '.join(DETECTORS)}, not {name!r}")
    if name == "kswin":
        parameters.setdefault("seed", seed)
    try:
        detector = DETECTORS[name](**parameters)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the detector {name} does not take {parameters}: {error}") from error
    if name == "adwin" and detector.clock < 1:  # river divides by it
        raise UsageError(f"ADWIN's clock is a number of values from 1, not {detector.clock}")
    return detector


def detect(values: Iterable[float], name: str = "adwin", *, seed: int = 0, **parameters: Any) -> Drift:
    """Run a detector over a stream.

    Args:
        values: The stream, in order; 0 and 1 for :data:`BINARY` ones. A list is read fastest.
        name: One of :data:`DETECTORS`.
        seed: For KSWIN.
        **parameters: Of the river class, e.g. ``delta`` of ADWIN.

    Raises:
        UsageError: No such detector or parameter, a value that is not finite, or not 0 or 1 where it must be.

    Example:
        >>> detect([0.0] * 300 + [1.0] * 300).changes
        [319]
    """
    detector = make_detector(name, seed=seed, **parameters)
    stream = values if isinstance(values, list) else list(values)
    if name in BINARY:
        return _binary(detector, stream, name)
    # A sum that is finite has no part that is not; one that overflows is looked at closely.
    if not math.isfinite(sum(stream)) and not all(map(math.isfinite, stream)):
        raise UsageError("a stream holds finite numbers")
    if name == "adwin":
        return Drift(_adwin_changes(detector, stream), [], len(stream))
    changes: list[int] = []
    update = detector.update
    for i, value in enumerate(stream):
        update(value)
        if detector.drift_detected:
            changes.append(i)
    return Drift(changes, [], len(stream))


def _binary(detector: Any, stream: list[float], name: str) -> Drift:
    """Detectors of errors, which also warn."""
    try:
        errors = list(map({0.0: False, 1.0: True}.__getitem__, stream))  # checked and translated in one pass
    except (KeyError, TypeError) as error:
        raise UsageError(f"{name} reads errors 0 and 1") from error
    changes: list[int] = []
    warnings: list[int] = []
    update = detector.update
    for i, value in enumerate(errors):
        update(value)
        if detector.drift_detected:
            changes.append(i)
        elif detector.warning_detected:
            warnings.append(i)
    return Drift(changes, warnings, len(stream))


def _adwin_changes(detector: Any, stream: list[float]) -> list[int]:
    """Positions at which ADWIN signals, asked no oftener than it can.

    It looks at its window with every ``clock``-th value since its last signal and at no other: between two looks there
    is nothing to ask, and asking takes a third of the time of a loop that does.
    """
    changes: list[int] = []
    update, clock = detector.update, detector.clock
    for start in range(0, len(stream), clock):
        part = stream[start : start + clock]
        for value in part:
            update(value)
        if detector.drift_detected:
            changes.append(start + len(part) - 1)
    return changes
