"""Kernel coupling: when performance falls as a coupling grows, is that intrinsic, or a setting that was not adapted?

A sweep measures performance at several couplings and, at each, several calibration settings (gain, temperature, step),
in independent replicates. Against the lowest coupling at the default setting, at each coupling:

* **intrinsic**: at *every* setting more than the margin is lost (an intersection: each bound at α);
* **miscalibration**: at the default more than the margin is lost, at *some* setting less (bounds at α over settings);
* **holds**: at the default less than the margin is lost;
* **inconclusive**: none of these is shown.

Whatever is true at a coupling, two of the words can be wrong there; so each is held to α over twice the number of
couplings, and the chance of any wrong word in the sweep is at most α for normal replicates. "Intrinsic" speaks of the
settings that were tried.

Source: Berger (1982), Technometrics 24:295 (intersection–union); Welch (1947), Biometrika 34:28.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.design import coded
from ophamin.measuring.pillars.mixed_effects.sweep import averaged
from ophamin.proof.errors import UsageError

__all__ = ["AtCoupling", "Coupling", "kernel_coupling"]


@dataclass(frozen=True)
class AtCoupling:
    """What a coupling does.

    Args:
        coupling: Its value.
        verdict: ``intrinsic``, ``miscalibration``, ``holds`` or ``inconclusive``.
        loss: Loss at the default setting against the reference, in units of performance.
        lower: Lower bound of that loss.
        upper: Upper bound.
        least_loss: Loss at the setting that loses least.
        least_lower: The least of the lower bounds over settings: all settings lose at least that.
        least_upper: The least of the upper bounds (at α over settings): some setting loses at most that.
        best_setting: The setting that loses least.
    """

    coupling: float
    verdict: str
    loss: float
    lower: float
    upper: float
    least_loss: float
    least_lower: float
    least_upper: float
    best_setting: str


@dataclass(frozen=True)
class Coupling:
    """A sweep over couplings.

    Args:
        levels: One per coupling above the reference, ascending.
        reference: Mean performance at the lowest coupling and the default setting.
        replicates: Fewest independent replicates of any cell.
        flat: Whether some cell's replicates do not vary at all.
    """

    levels: list[AtCoupling]
    reference: float
    replicates: int
    flat: bool


def kernel_coupling(
    value: ArrayLike,
    coupling: ArrayLike,
    setting: Sequence[Any] | None = None,
    unit: Sequence[Any] | None = None,
    *,
    default: str | None = None,
    margin: float = 0.0,
    alpha: float = 0.05,
) -> Coupling:
    """Tell intrinsic collapse from miscalibration.

    Args:
        value: Performance, higher is better, shape (n,).
        coupling: Strength of coupling, shape (n,); the lowest is the reference.
        setting: Calibration setting of each row, shape (n,); default: one setting, so nothing can be miscalibration.
        unit: Independent replicate (seed, process) of each row; its rows in one cell are averaged first.
        default: The setting in use; default: the first level.
        margin: Loss that is not worth naming, at least 0.
        alpha: Chance of any wrong word in the sweep.

    Raises:
        UsageError: Malformed arguments, one coupling, an unknown default, or a reference without two replicates.

    Example:
        >>> value, k = [10.0, 10.2, 9.9, 2.0, 2.2, 1.9], [0, 0, 0, 1, 1, 1]
        >>> kernel_coupling(value, k, margin=1.0).levels[0].verdict
        'intrinsic'
    """
    y, k = np.asarray(value, dtype=float), np.asarray(coupling, dtype=float)
    tuned = ["default"] * len(y) if setting is None else list(setting)
    if not len(y) == len(k) == len(tuned) or (unit is not None and len(unit) != len(y)):
        raise UsageError("performance, coupling, setting and unit must have equal lengths")
    if not np.isfinite(y).all() or not np.isfinite(k).all():
        raise UsageError("a sweep needs finite numbers; leave incomplete rows out")
    if not margin >= 0 or not 0 < alpha < 0.5:
        raise UsageError("a margin is at least 0, alpha lies between 0 and 0.5")
    if unit is not None and len(y):
        y, cells = averaged(y, {"k": k.tolist(), "s": tuned}, unit)
        k, tuned = np.array(cells["k"], dtype=float), cells["s"]
    couplings = np.unique(k)
    if len(couplings) < 2:
        raise UsageError("a sweep needs at least two couplings")
    settings, codes = coded(tuned)
    usual = settings[0] if default is None else default
    if usual not in settings:
        raise UsageError(f"the default setting {usual!r} was not swept; there are {', '.join(settings)}")
    parts = {(c, s): y[(k == c) & (codes == i)] for c in couplings.tolist() for i, s in enumerate(settings)}
    reference = parts[couplings[0], usual]
    if len(reference) < 2:
        raise UsageError("the lowest coupling at the default setting needs at least two independent replicates")
    held = [p for p in parts.values() if len(p)]
    each = alpha / (2 * (len(couplings) - 1))
    levels = []
    for c in couplings[1:].tolist():
        bounds = {s: _loss(reference, parts[c, s], each, each / len(settings)) for s in settings}
        levels.append(_verdict(c, bounds, usual, margin))
    fewest, flat = min(map(len, held)), any(len(p) > 1 and not np.ptp(p) for p in held)
    return Coupling(levels, float(reference.mean()), fewest, flat)


@dataclass(frozen=True)
class _Loss:
    value: float
    lower: float
    upper: float
    upper_of_some: float


def _loss(reference: Floats, part: Floats, alpha: float, alpha_of_some: float) -> _Loss:
    """Welch's one-sided bounds of a difference; none where a cell lacks replicates, or the replicates do not vary."""
    if not len(part):
        return _Loss(math.nan, -math.inf, math.inf, math.inf)
    value = float(reference.mean() - part.mean())
    if len(part) < 2 or not np.ptp(part) or not np.ptp(reference):
        return _Loss(value, -math.inf, math.inf, math.inf)
    a, b = float(reference.var(ddof=1)) / len(reference), float(part.var(ddof=1)) / len(part)
    df = (a + b) ** 2 / (a * a / (len(reference) - 1) + b * b / (len(part) - 1))
    se = math.sqrt(a + b)
    half, wide = (float(student.isf(q, df)) * se for q in (alpha, alpha_of_some))
    return _Loss(value, value - half, value + half, value + wide)


def _verdict(coupling: float, bounds: dict[str, _Loss], usual: str, margin: float) -> AtCoupling:
    known = {s: b for s, b in bounds.items() if not math.isnan(b.value)}
    at = bounds[usual]
    best = min(known, key=lambda s: known[s].value) if known else usual
    every = min(b.lower for b in bounds.values())
    some = min(b.upper_of_some for b in bounds.values())
    if every > margin:
        verdict = "intrinsic"
    elif at.lower > margin and some < margin:
        verdict = "miscalibration"
    elif at.upper < margin:
        verdict = "holds"
    else:
        verdict = "inconclusive"
    return AtCoupling(coupling, verdict, at.value, at.lower, at.upper, bounds[best].value, every, some, best)
