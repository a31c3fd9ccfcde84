"""Power and sample size of the tests of this pillar."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from scipy.special import ndtr, ndtri
from scipy.stats import binom
from statsmodels.stats.power import NormalIndPower, TTestIndPower, TTestPower
from statsmodels.stats.proportion import proportion_effectsize

from ophamin.measuring.pillars.general.equivalence import equivalence_power
from ophamin.proof.errors import UsageError

__all__ = ["TESTS", "power", "sample_size"]

MOST = 10_000_000


def _t(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    return float(TTestIndPower().power(effect, n, alpha, alternative="two-sided" if sides == 2 else "larger"))


def _paired_t(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    return float(TTestPower().power(effect, n, alpha, alternative="two-sided" if sides == 2 else "larger"))


def _proportions(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    if not 0 <= base + effect <= 1:
        raise UsageError(f"a share of {base:g} cannot rise by {effect:g}")
    h = float(proportion_effectsize(base + effect, base))
    return float(NormalIndPower().power(h, n, alpha, alternative="two-sided" if sides == 2 else "larger"))


def _proportions_pooled(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    if not 0 <= base + effect <= 1:
        raise UsageError(f"a share of {base:g} cannot rise by {effect:g}")
    p1, p2 = base, base + effect
    middle = (p1 + p2) / 2
    spread = math.sqrt(p1 * (1 - p1) + p2 * (1 - p2))
    reach = float(ndtri(1 - alpha / sides)) * math.sqrt(2 * middle * (1 - middle))
    if spread == 0:
        return float(abs(effect) * math.sqrt(n) > reach and (sides == 2 or effect > 0))
    up = float(ndtr((effect * math.sqrt(n) - reach) / spread))
    return up + (float(ndtr((-effect * math.sqrt(n) - reach) / spread)) if sides == 2 else 0.0)


def _proportion(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    if not 0 <= base + effect <= 1:
        raise UsageError(f"a share of {base:g} cannot rise by {effect:g}")
    n = int(n)
    tail = alpha / sides
    # Least count whose upper tail under the null is at most α, and greatest whose lower tail is.
    up = int(binom.isf(tail, n, base)) + 1
    total = float(binom.sf(up - 1, n, base + effect))
    if sides == 2:
        low = int(binom.ppf(tail, n, base))
        low = low if binom.cdf(low, n, base) <= tail else low - 1
        total += float(binom.cdf(low, n, base + effect))
    return total


def _correlation(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    if not (-1 < base < 1 and -1 < base + effect < 1):
        raise UsageError("a correlation lies between -1 and 1")
    if n <= 3:
        return 0.0
    shift = (math.atanh(base + effect) - math.atanh(base)) * math.sqrt(n - 3)
    return _normal(shift, alpha, sides)


def _normal(shift: float, alpha: float, sides: int) -> float:
    z = float(ndtri(1 - alpha / sides))
    return float(ndtr(shift - z)) + (float(ndtr(-shift - z)) if sides == 2 else 0.0)


def _mann_whitney(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    if not -0.5 <= effect <= 0.5:
        raise UsageError("the effect of Mann-Whitney's test is auc − 0.5, between -0.5 and 0.5")
    return _normal(effect * math.sqrt(6 * n), alpha, sides)


def _mcnemar(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    if not 0 < base <= 1 or abs(effect) > base:
        raise UsageError("McNemar's test needs base, the share of discordant pairs, at least the size of the effect")
    spread = math.sqrt(max(base - effect**2, 1e-300))
    z = float(ndtri(1 - alpha / sides)) * math.sqrt(base)
    up = float(ndtr((effect * math.sqrt(n) - z) / spread))
    return up + (float(ndtr((-effect * math.sqrt(n) - z) / spread)) if sides == 2 else 0.0)


def _tost(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    if not effect > 0:
        raise UsageError("the effect of TOST is the margin in standard deviations, greater than 0")
    return float(equivalence_power(effect, base, math.sqrt(2 / n), 2 * n - 2, alpha))


def _non_inferiority(effect: float, n: float, alpha: float, sides: int, base: float) -> float:
    if not effect > 0:
        raise UsageError("the effect of a non-inferiority test is the margin in standard deviations, greater than 0")
    return _t(effect + base, n, alpha, 1, 0.0) if effect + base > 0 else 0.0


TESTS: Mapping[str, tuple[Callable[[float, float, float, int, float], float], str, str, float]] = {
    "t": (_t, "d, standardised difference; n per arm", "statsmodels", 0.0),
    "paired-t": (_paired_t, "standardised mean of the differences; n pairs", "statsmodels", 0.0),
    "proportion": (_proportion, "share − base, exact binomial test; n rows", "scipy", 0.5),
    "proportions": (_proportions, "share − base of two arms, arcsine; n per arm", "statsmodels", 0.5),
    "proportions-pooled": (
        _proportions_pooled,
        "share − base of two arms, z test with pooled variance; n per arm",
        "scipy",
        0.5,
    ),
    "correlation": (_correlation, "correlation − base, Fisher z; n rows", "scipy", 0.0),
    "mann-whitney": (_mann_whitney, "auc − 0.5, Noether; n per arm", "scipy", 0.0),
    "mcnemar": (_mcnemar, "difference of paired shares, base = share of discordant pairs; n pairs", "scipy", 0.5),
    "tost": (_tost, "margin / sd, base = true difference / sd; alpha of each test; n per arm", "scipy", 0.0),
    "non-inferiority": (
        _non_inferiority,
        "margin / sd, base = true difference / sd; alpha of the one test; n per arm",
        "statsmodels",
        0.0,
    ),
}
"""By name: the power, what effect and n are, the library, and what base is where it is not given."""


def power(
    test: str, effect: float, n: float, *, alpha: float = 0.05, sides: int = 2, base: float | None = None
) -> float:
    """Power of a test.

    Two-sided power counts both tails, as R's ``power.t.test`` and ``power.prop.test`` do with ``strict = TRUE``; by
    default they leave out the tail on the wrong side, which matters for effects near 0 only.

    Source: noncentral t by statsmodels; Cohen (1988) for two shares (R's ``pwr.2p.test``); Fleiss, Tytun & Ury (1980),
    Biometrics 36:343, without their correction, for ``proportions-pooled`` (R's ``power.prop.test``); Noether (1987),
    JASA 82:645; Connor (1987), Biometrics 43:207 for McNemar; Phillips (1990), J. Pharmacokinet. Biopharm. 18:137 for
    TOST; the exact binomial test by its tails.

    Args:
        test: One of :data:`TESTS`.
        effect: Effect on that test's scale.
        n: Size on that test's scale.
        alpha: α of the test, both sides together.
        sides: 1 (the effect is positive) or 2; TOST and non-inferiority have their own.
        base: The share under the null (0.5), the correlation under it (0), the share of discordant pairs (0.5), or the
            true difference in standard deviations (0).

    Raises:
        UsageError: Unknown test, or a value out of range.

    Example:
        >>> round(power("t", 0.5, 64), 3)
        0.801
    """
    if test not in TESTS:
        raise UsageError(f"no test is called {test!r}; use {', '.join(TESTS)}")
    if not 0 < alpha < 1 or sides not in (1, 2) or not n > 0 or not math.isfinite(effect):
        raise UsageError("power needs alpha in (0, 1), sides 1 or 2, n above 0 and a finite effect")
    if test in ("t", "paired-t", "proportions", "proportions-pooled", "tost", "non-inferiority") and n < 2:
        return 0.0
    own, _, _, usual = TESTS[test]
    return min(1.0, max(0.0, own(effect, n, alpha, sides, usual if base is None else base)))


def sample_size(test: str, effect: float, *, target: float = 0.8, **options: Any) -> int | None:
    """Least n from which on the power reaches the target; ``None`` when none up to ten millions does.

    Args:
        test: One of :data:`TESTS`.
        effect: Effect on that test's scale.
        target: Power, in (0, 1).
        **options: As of :func:`power`.

    Raises:
        UsageError: As :func:`power`.

    Example:
        >>> sample_size("t", 0.5), sample_size("proportion", 0.1, base=0.5)
        (64, 210)
    """
    if not 0 < target < 1:
        raise UsageError(f"a target power lies between 0 and 1, not {target!r}")
    if effect == 0:
        return None
    high = 2
    while power(test, effect, high, **options) < target:
        high *= 2
        if high > MOST:
            return None
    low = 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(test, effect, middle, **options) >= target else (middle, high)
    if test == "proportion":
        # The power of a discrete test saw-tooths: go on to the n after the last that falls short.
        last = high
        for n in range(high, high + max(60, high // 5)):
            if power(test, effect, n, **options) < target:
                last = n + 1
        high = last
    return high
