"""Boundaries for a few planned looks: Pocock, O'Brien–Fleming, and α spending; power and expected information.

The statistic of look k is S_k = Z_k √I_k with independent increments N(θ ΔI, ΔI); the chance of crossing for the
first time is found by integrating its density from look to look.

Sources: Armitage, McPherson & Rowe (1969), JRSS A 132:235; Pocock (1977), Biometrika 64:191; O'Brien & Fleming
(1979), Biometrics 35:549; Lan & DeMets (1983), Biometrika 70:659; Kim & DeMets (1987), Biometrika 74:149; Wang &
Tsiatis (1987), Biometrics 43:193; Hwang, Shih & DeCani (1990), Stat Med 9:1439; Jennison &
Turnbull (2000), *Group Sequential Methods*, chapters 2, 4, 7 and 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = [
    "DESIGNS",
    "SPENDING",
    "Boundaries",
    "Crossing",
    "Walk",
    "crossing",
    "design_boundaries",
    "drift_for_power",
    "spending_boundaries",
    "spent",
]

DESIGNS = ("pocock", "obrien-fleming", "wang-tsiatis")
SPENDING = ("obrien-fleming", "pocock", "power", "hwang-shih-decani")
"""Lan–DeMets spending functions of O'Brien–Fleming and of Pocock type, α·t^ρ (Kim–DeMets), and the gamma family."""

_NODES = 257
_FAR = 9.0  # standard deviations beyond which a density is nothing


@dataclass(frozen=True)
class Boundaries:
    """Where each look stops.

    Args:
        z: Critical |Z| (two-sided) or Z (one-sided) of each look, shape (K,); ∞ where no α is spent.
        nominal_p: p-value at which each look stops, of the same sidedness, shape (K,).
        spent: α spent up to and with each look, shape (K,).
        information: Information fractions, the last 1 when the plan ends there, shape (K,).
        sides: 1 or 2.
    """

    z: Floats
    nominal_p: Floats
    spent: Floats
    information: Floats
    sides: int


@dataclass(frozen=True)
class Crossing:
    """What boundaries do under one truth.

    Args:
        upper: Chance to cross upwards for the first time at each look, shape (K,).
        lower: Chance to cross downwards (two-sided) or to stop for futility at each look, shape (K,).
        expected_information: Mean information at the stop.
    """

    upper: Floats
    lower: Floats
    expected_information: float

    @property
    def power(self) -> float:
        """Chance to cross upwards at any look."""
        return float(self.upper.sum())


def _fractions(information: Sequence[float]) -> Floats:
    t = np.asarray(information, dtype=np.float64)
    rising = t.ndim == 1 and len(t) > 0 and np.isfinite(t).all() and t[0] > 0 and (np.diff(t) > 0).all()
    if not rising or t[-1] > 1 + 1e-12:
        raise UsageError("information fractions rise from above 0 to at most 1, such as 0.25, 0.5, 0.75, 1")
    return t


def _check(alpha: float, sides: int) -> None:
    if not 0 < alpha < 0.5 or sides not in (1, 2):
        raise UsageError("alpha lies between 0 and 0.5, and a test has 1 or 2 sides")


@cache
def _legendre() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


class Walk:
    """Density of S among the paths that have not stopped, on nodes between the boundaries."""

    def __init__(self, drift: float = 0.0) -> None:
        self._drift = drift
        self._at = np.zeros(1)
        self._mass = np.ones(1)  # density times quadrature weight
        self._information = 0.0

    def _step(self, information: float) -> tuple[Floats, float]:
        delta = information - self._information
        return self._at + self._drift * delta, math.sqrt(delta)

    def above(self, information: float, s: float) -> float:
        """Chance to be above ``s`` at this information, not having stopped before."""
        mean, sd = self._step(information)
        return float(self._mass @ ndtr((mean - s) / sd))

    def below(self, information: float, s: float) -> float:
        """Chance to be below ``s``."""
        mean, sd = self._step(information)
        return float(self._mass @ ndtr((s - mean) / sd))

    def go_on(self, information: float, low: float, high: float) -> None:
        """Move to this information, keeping the paths between ``low`` and ``high``."""
        mean, sd = self._step(information)
        reach = _FAR * math.sqrt(information)
        centre = self._drift * information
        low, high = max(low, centre - reach), min(high, centre + reach)
        nodes, weights = _legendre()
        at = (high - low) / 2 * nodes + (high + low) / 2
        density = np.exp(-0.5 * ((at[:, None] - mean) / sd) ** 2) @ self._mass / (sd * math.sqrt(2 * math.pi))
        self._at, self._mass = at, density * weights * (high - low) / 2
        self._information = information


def spending_boundaries(
    information: Sequence[float],
    *,
    alpha: float = 0.05,
    sides: int = 2,
    spending: str = "obrien-fleming",
    rho: float = 3.0,
    gamma: float = -4.0,
) -> Boundaries:
    """Boundaries that spend α as a function of the information so far; looks need not be planned.

    Args:
        information: Fractions of the registered maximum information, rising, at most 1; shape (K,).
        alpha: Error rate over all looks: of both sides together when two-sided (each side spends half).
        sides: 1 or 2.
        spending: One of :data:`SPENDING`.
        rho: Power of ``power``, above 0.
        gamma: Of ``hwang-shih-decani``: about −4 is near O'Brien–Fleming, 1 near Pocock, 0 linear.

    Raises:
        UsageError: Fractions that do not rise, an α out of range, or an unknown spending function.

    Example:
        >>> spending_boundaries([0.25, 0.5, 0.75, 1], alpha=0.025, sides=1).z.round(3).tolist()
        [4.333, 2.963, 2.359, 2.014]
    """
    t = _fractions(information)
    _check(alpha, sides)
    each = alpha / sides
    totals = np.array([spent(spending, min(float(f), 1.0), each, rho, gamma) for f in t])
    walk, z, before = Walk(), [], 0.0
    for fraction, total in zip(t, totals, strict=True):
        root, now = math.sqrt(fraction), total - before
        critical = _critical(walk, float(fraction), now)
        z.append(critical)
        walk.go_on(float(fraction), -critical * root if sides == 2 else -math.inf, critical * root)
        before = total
    zs = np.array(z)
    return Boundaries(zs, sides * norm.sf(zs), sides * totals, t, sides)


def _critical(walk: Walk, information: float, chance: float) -> float:
    """z that is crossed upwards with this chance; ∞ where so little is not told from nothing."""
    root = math.sqrt(information)
    if chance < 1e-15:
        return math.inf
    return float(brentq(lambda z: walk.above(information, z * root) - chance, -_FAR, _FAR + 1, xtol=1e-12))


def spent(spending: str, t: float, alpha: float, rho: float, gamma: float) -> float:
    """Part of ``alpha`` (or of β) that a spending function of :data:`SPENDING` has spent at fraction ``t``."""
    if spending == "obrien-fleming":
        return float(2 * norm.sf(norm.isf(alpha / 2) / math.sqrt(t)))
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1) * t)
    if spending == "power" and rho > 0:
        return float(alpha * t**rho)
    if spending == "hwang-shih-decani" and abs(gamma) <= 100:
        return alpha * (math.expm1(-gamma * t) / math.expm1(-gamma) if gamma else t)
    raise UsageError(
        f"alpha is spent by {', '.join(SPENDING)} (with rho above 0, gamma from -100 to 100), not {spending!r}"
    )


def design_boundaries(
    looks: int | Sequence[float],
    *,
    alpha: float = 0.05,
    sides: int = 2,
    design: str = "obrien-fleming",
    delta: float = 0.25,
) -> Boundaries:
    """Boundaries of a classical design.

    Args:
        looks: K equally spaced ones, at least 1, or the information fractions of planned ones, rising to 1.
        alpha: Error rate over all looks, of both sides together when two-sided.
        sides: 1 or 2.
        design: ``pocock`` (one critical value throughout), ``obrien-fleming`` (C/√t) or ``wang-tsiatis`` (C·t^(Δ−½)).
        delta: Δ of ``wang-tsiatis``, from 0 (O'Brien–Fleming) to 0.5 (Pocock).

    Raises:
        UsageError: Looks, α, Δ or design out of range.

    Example:
        >>> design_boundaries(5).z.round(3).tolist()
        [4.562, 3.226, 2.634, 2.281, 2.04]
    """
    _check(alpha, sides)
    if (isinstance(looks, int) and looks < 1) or design not in DESIGNS or not 0 <= delta <= 0.5:
        raise UsageError(
            f"a design has at least one look, is {', '.join(DESIGNS)}, and its delta lies from 0 to 0.5, not {looks}, "
            f"{design!r} and {delta!r}"
        )
    t = np.arange(1, looks + 1) / looks if isinstance(looks, int) else _fractions(looks)
    if t[-1] < 1 - 1e-9:
        raise UsageError("the last look of a classical design is at information 1; use a spending function for others")
    shape = t ** ({"pocock": 0.5, "obrien-fleming": 0.0}.get(design, delta) - 0.5)
    constant = float(
        brentq(lambda c: float(_first_crossings(c * shape, t, sides).sum()) - alpha, 0.5, 12.0, xtol=1e-11)
    )
    z = constant * shape
    return Boundaries(z, sides * norm.sf(z), _first_crossings(z, t, sides).cumsum(), t, sides)


def _first_crossings(z: Floats, t: Floats, sides: int) -> Floats:
    found = crossing(z, t, sides=sides)
    return found.upper + found.lower


def crossing(
    z: Sequence[float] | Floats,
    information: Sequence[float] | Floats,
    *,
    drift: float = 0.0,
    sides: int = 2,
    futility: Sequence[float] | Floats | None = None,
) -> Crossing:
    """Chances of crossing for the first time at each look.

    Args:
        z: Upper boundaries on the Z scale, shape (K,).
        information: Information at each look, rising, shape (K,).
        drift: θ, the mean of Z at information 1 (√I_max times the standardised effect).
        sides: 2 also stops at −z.
        futility: Lower boundaries on the Z scale, shape (K,), for one side; −∞ for none.

    Raises:
        UsageError: Shapes that differ, or futility with two sides.
    """
    upper_z, t = np.asarray(z, dtype=np.float64), _fractions(list(information))
    if upper_z.shape != t.shape or (futility is not None and (sides == 2 or len(futility) != len(t))):
        raise UsageError("one boundary for each look, and futility only where the test has one side")
    lower_z = -upper_z if sides == 2 else np.asarray(futility if futility is not None else [-math.inf] * len(t))
    walk, up, down = Walk(drift), [], []
    for i, (high, low) in enumerate(zip(upper_z, lower_z, strict=True)):
        fraction, root = float(t[i]), math.sqrt(t[i])
        up.append(walk.above(fraction, high * root) if math.isfinite(high) else 0.0)
        down.append(walk.below(fraction, low * root) if math.isfinite(low) else 0.0)
        walk.go_on(fraction, low * root, high * root)
    upper, lower = np.array(up), np.array(down)
    stops = upper + lower
    left = max(0.0, 1 - float(stops[:-1].sum()))
    return Crossing(upper, lower, float(stops[:-1] @ t[:-1]) + left * float(t[-1]))


def drift_for_power(boundaries: Boundaries, power: float) -> float:
    """Drift θ at which the boundaries are crossed upwards with this power; (θ/z-sum)² inflates the fixed n.

    Raises:
        UsageError: A power that is not between α and 1.
    """
    if not float(boundaries.spent[-1]) < power < 1:
        raise UsageError(f"power lies between alpha and 1, such as 0.8, not {power!r}")

    def gap(theta: float) -> float:
        return crossing(boundaries.z, boundaries.information, drift=theta, sides=boundaries.sides).power - power

    return float(brentq(gap, 0.0, 12.0, xtol=1e-9))
