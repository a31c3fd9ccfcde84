"""McNemar's test of two paired shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar as _statsmodels

from ophamin.measuring.estimators._shares import clopper_pearson
from ophamin.measuring.pillars.general.proportions import check_level
from ophamin.proof.errors import UsageError

__all__ = ["McNemar", "mcnemar"]


@dataclass(frozen=True)
class McNemar:
    """Discordant pairs of two paired shares.

    Args:
        only_first: Pairs true in the first only, b.
        only_second: Pairs true in the second only, c.
        n: All pairs.
        difference: (b − c)/n, the difference of the two shares.
        odds_ratio: b/c, conditional; ∞ written as NaN when c = 0.
        lower: Lower end of the interval of the odds ratio; exact (Clopper–Pearson of b among b + c).
        upper: Upper end; NaN when there is none.
        p_exact: Two-sided exact binomial.
        p_mid: Exact mid-p: less conservative, not guaranteed.
        p_asymptotic: χ² with continuity correction.
        statistic: That χ².
        level: Two-sided confidence.
        problem: Why there is no test, or "".
    """

    only_first: int
    only_second: int
    n: int
    difference: float
    odds_ratio: float
    lower: float
    upper: float
    p_exact: float
    p_mid: float
    p_asymptotic: float
    statistic: float
    level: float
    problem: str = ""


def mcnemar(only_first: int, only_second: int, n: int, *, level: float = 0.95) -> McNemar:
    """Test whether two paired shares are equal.

    By ``statsmodels.stats.contingency_tables.mcnemar``; mid-p after Fagerland, Lydersen & Laake (2013), BMC Med.
    Res. Methodol. 13:91.

    Args:
        only_first: Pairs true in the first only.
        only_second: Pairs true in the second only.
        n: All pairs.
        level: Two-sided confidence of the odds ratio.

    Raises:
        UsageError: Counts that are none, or a level outside (0, 1).

    Example:
        >>> found = mcnemar(21, 9, 71)
        >>> round(found.p_exact, 4), round(found.odds_ratio, 3)
        (0.0428, 2.333)
    """
    alpha = check_level(level)
    b, c = only_first, only_second
    if min(b, c) < 0 or b + c > n:
        raise UsageError("McNemar's test needs counts of discordant pairs, not more than all pairs")
    nan = math.nan
    if b + c == 0:
        difference = 0.0 if n else nan
        return McNemar(b, c, n, difference, nan, nan, nan, nan, nan, nan, nan, level, "no pair tells the two apart")
    table = [[n - b - c, b], [c, 0]]
    exact, asymptotic = _statsmodels(table, exact=True), _statsmodels(table, exact=False, correction=True)
    low, high = clopper_pearson(b, b + c, alpha)
    p_exact = min(1.0, float(exact.pvalue))
    mid = p_exact - float(binom.pmf(min(b, c), b + c, 0.5)) if b != c else 1 - float(binom.pmf(b, b + c, 0.5)) / 2
    return McNemar(
        b, c, n, (b - c) / n, b / c if c else nan, float(low / (1 - low)), float(high / (1 - high)) if c else nan,
        p_exact, mid, float(asymptotic.pvalue), float(asymptotic.statistic), level,
    )  # fmt: skip
