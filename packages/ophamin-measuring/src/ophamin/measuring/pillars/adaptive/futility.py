"""Boundaries of futility that spend β, for a one-sided test: below one a trial is given up.

They do not bind: the upper boundaries keep α whether or not they are followed. The maximum information is the one at
which the last lower boundary meets the last upper one, so that every trial ends with an answer.

Source: Pampallona, Tsiatis & Kim (2001), Drug Information Journal 35:1113; Jennison & Turnbull (2000), *Group
Sequential Methods*, section 7.2; as rpact's ``typeBetaSpending`` with ``bindingFutility = FALSE``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.adaptive.group_sequential import Boundaries, Walk, drift_for_power, spent
from ophamin.proof.errors import UsageError

__all__ = ["Futility", "futility_boundaries"]


@dataclass(frozen=True)
class Futility:
    """Where each look gives up.

    Args:
        z: Lower boundaries on the Z scale, shape (K,); the last is the upper one; −∞ where no β is spent.
        drift: Mean of Z at information 1 under the effect the trial is made for; its square over that of the fixed test
            inflates the information.
        spent: β spent up to and with each look, shape (K,).
    """

    z: Floats
    drift: float
    spent: Floats


def futility_boundaries(
    boundaries: Boundaries,
    *,
    beta: float = 0.2,
    spending: str = "obrien-fleming",
    rho: float = 3.0,
    gamma: float = -4.0,
) -> Futility:
    """Lower boundaries beside the upper ones of a one-sided test.

    Args:
        boundaries: The upper ones, one-sided, the last at information 1.
        beta: Chance to give up a trial whose effect is the one it is made for.
        spending: As of ``group_sequential.spending_boundaries``.
        rho: Power of ``power``.
        gamma: Of ``hwang-shih-decani``.

    Raises:
        UsageError: Boundaries of two sides or that end before information 1, or β out of range.

    Example:
        >>> from ophamin.measuring.pillars.adaptive.group_sequential import spending_boundaries
        >>> found = futility_boundaries(spending_boundaries([1 / 3, 2 / 3, 1], alpha=0.025, sides=1), beta=0.1)
        >>> found.z[:2].round(3).tolist(), round(found.drift**2, 2)
        ([-0.695, 1.002], 11.13)
    """
    if boundaries.sides != 1 or boundaries.information[-1] < 1 - 1e-9:
        raise UsageError("futility stands beside the boundaries of one side, whose last look is at information 1")
    if not 0 < beta < 1 - float(boundaries.spent[-1]):
        raise UsageError(f"beta lies between 0 and 1 less alpha, such as 0.2, not {beta!r}")
    total = np.array([spent(spending, min(float(t), 1.0), beta, rho, gamma) for t in boundaries.information])

    def gap(drift: float) -> float:
        """How far the last lower boundary lies above the last upper one."""
        return float(_lower(boundaries, total, drift)[-1] - boundaries.z[-1])

    # Without futility the power is reached sooner, so the drift lies above that.
    low = drift_for_power(boundaries, 1 - beta)
    high = low + 0.5
    while gap(high) < 0:
        high += 0.5
    drift = float(brentq(gap, low, high, xtol=1e-10)) if gap(low) < 0 else low
    z = _lower(boundaries, total, drift)
    z[-1] = boundaries.z[-1]
    return Futility(z, drift, total)


def _lower(boundaries: Boundaries, total: Floats, drift: float) -> Floats:
    """Lower boundaries that spend β at this drift; above an upper boundary there is nothing left to spend."""
    walk, out, before = Walk(drift), [], 0.0
    for t, high, now in zip(boundaries.information.tolist(), boundaries.z, total, strict=True):
        root, chance = math.sqrt(t), now - before
        out.append(_crossed(walk, t, chance))
        walk.go_on(t, min(out[-1], high) * root, high * root)
        before = now
    return np.array(out)


def _crossed(walk: Walk, information: float, chance: float) -> float:
    """z below which the walk lies with this chance; ∞ where fewer walks than that are left."""
    if chance < 1e-15:
        return -math.inf
    root = math.sqrt(information)
    if walk.below(information, 40.0 * root) <= chance:
        return float(norm.isf(1e-15))
    return float(brentq(lambda z: walk.below(information, z * root) - chance, -40.0, 40.0, xtol=1e-12))
