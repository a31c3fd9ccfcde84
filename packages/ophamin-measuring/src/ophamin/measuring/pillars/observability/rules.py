"""Runs rules on a chart, for all points at once.

Each rule marks the point that completes its pattern. Every further rule raises false alarms: Western Electric's four
together signal on a stable normal process every 92 points, Nelson's eight every 60 or so, rule 1 alone every 370.

Sources: Western Electric (1956), *Statistical Quality Control Handbook*; Nelson (1984), J Qual Technol 16:237.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["NELSON", "SETS", "WESTERN_ELECTRIC", "violations"]

Mask = NDArray[np.bool_]


def _full(flags: Mask, k: int) -> Mask:
    """Where the last k flags are all set."""
    return _at_least(flags, k, k)


def _at_least(flags: Mask, k: int, m: int) -> Mask:
    """Where at least k of the last m flags are set, the last one among them."""
    total = np.cumsum(flags, dtype=np.int32)
    window = total.copy()
    window[m:] -= total[:-m]
    return (window >= k) & flags


def _beyond(z: Floats) -> Mask:
    return np.abs(z) > 3


def _same_side(z: Floats, k: int) -> Mask:
    return _full(z > 0, k) | _full(z < 0, k)


def _zone(z: Floats, limit: float, k: int, m: int) -> Mask:
    return _at_least(z > limit, k, m) | _at_least(z < -limit, k, m)


def _trend(z: Floats, k: int) -> Mask:
    step = np.diff(z, prepend=np.nan)
    return _full(step > 0, k - 1) | _full(step < 0, k - 1)


def _alternating(z: Floats, k: int) -> Mask:
    sign = np.sign(np.diff(z, prepend=np.nan))
    turns = np.concatenate([[False], sign[1:] * sign[:-1] == -1]) if len(z) else np.zeros(0, bool)
    return _full(turns, k - 2)


Rules = dict[str, tuple[str, Callable[[Floats], Mask]]]

NELSON: Rules = {
    "nelson-1": ("one point beyond 3 sigma", _beyond),
    "nelson-2": ("9 in a row on one side of the centre", lambda z: _same_side(z, 9)),
    "nelson-3": ("6 in a row, each higher (or lower) than the last", lambda z: _trend(z, 6)),
    "nelson-4": ("14 in a row alternating up and down", lambda z: _alternating(z, 14)),
    "nelson-5": ("2 of 3 beyond 2 sigma on one side", lambda z: _zone(z, 2, 2, 3)),
    "nelson-6": ("4 of 5 beyond 1 sigma on one side", lambda z: _zone(z, 1, 4, 5)),
    "nelson-7": ("15 in a row within 1 sigma", lambda z: _full(np.abs(z) < 1, 15)),
    "nelson-8": ("8 in a row beyond 1 sigma on either side", lambda z: _full(np.abs(z) > 1, 8)),
}
WESTERN_ELECTRIC: Rules = {
    "we-1": ("one point beyond 3 sigma", _beyond),
    "we-2": ("2 of 3 beyond 2 sigma on one side", lambda z: _zone(z, 2, 2, 3)),
    "we-3": ("4 of 5 beyond 1 sigma on one side", lambda z: _zone(z, 1, 4, 5)),
    "we-4": ("8 in a row on one side of the centre", lambda z: _same_side(z, 8)),
}
SETS: dict[str, Rules] = {"none": {}, "western-electric": WESTERN_ELECTRIC, "nelson": NELSON}


def violations(z: ArrayLike, rules: str = "nelson") -> dict[str, NDArray[np.intp]]:
    """Which points complete a pattern.

    Args:
        z: Distances from the centre in standard errors, in order, shape (m,).
        rules: ``none``, ``western-electric`` or ``nelson``.

    Returns:
        Rule name → positions, for every rule of the set.

    Raises:
        UsageError: No such set.

    Example:
        >>> violations([0, 0, 3.5], "western-electric")["we-1"].tolist()
        [2]
    """
    if rules not in SETS:
        raise UsageError(f"runs rules are {', '.join(SETS)}, not {rules!r}")
    points = np.asarray(z, dtype=np.float64)
    return {name: np.flatnonzero(rule(points)) for name, (_, rule) in SETS[rules].items()}
