"""McNemar's test of two paired shares, and the interval of their difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import binom, chi2
from statsmodels.stats.contingency_tables import mcnemar as _statsmodels

from ophamin.measuring.estimators._shares import clopper_pearson, wilson
from ophamin.measuring.pillars.general.proportions import check_level
from ophamin.proof.errors import UsageError

__all__ = ["McNemar", "mcnemar", "paired_difference"]


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
        statistic: That χ², (max(|b − c| − 1, 0))²/(b + c).
        p_uncorrected: χ² without it.
        statistic_uncorrected: That χ², (b − c)²/(b + c).
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
    p_uncorrected: float
    statistic_uncorrected: float
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
        why = "no pair tells the two apart"
        return McNemar(b, c, n, difference, nan, nan, nan, nan, nan, nan, nan, nan, nan, level, why)
    table = [[n - b - c, b], [c, 0]]
    exact, plain = _statsmodels(table, exact=True), _statsmodels(table, exact=False, correction=False)
    # Not statsmodels' correction, which takes (|b − c| − 1)² and so finds a difference where b = c.
    corrected = max(abs(b - c) - 1, 0) ** 2 / (b + c)
    low, high = clopper_pearson(b, b + c, alpha)
    p_exact = min(1.0, float(exact.pvalue))
    mid = p_exact - float(binom.pmf(min(b, c), b + c, 0.5)) if b != c else 1 - float(binom.pmf(b, b + c, 0.5)) / 2
    return McNemar(
        b, c, n, (b - c) / n, b / c if c else nan, float(low / (1 - low)), float(high / (1 - high)) if c else nan,
        p_exact, mid, float(chi2.sf(corrected, 1)), corrected, float(plain.pvalue), float(plain.statistic), level,
    )  # fmt: skip


def paired_difference(
    both: int, only_first: int, only_second: int, n: int, *, level: float = 0.95
) -> tuple[float, float]:
    """Newcombe's interval of the difference of two paired shares, first less second.

    From the Wilson intervals of both shares and the correlation φ of the pairs, whose numerator ad − bc, where it is
    positive, is n/2 smaller, at least 0.

    Source: Newcombe (1998), Statist. Med. 17:2635, method 10.

    Args:
        both: Pairs true in both, a.
        only_first: Pairs true in the first only, b.
        only_second: Pairs true in the second only, c.
        n: All pairs.
        level: Two-sided confidence.

    Returns:
        Lower and upper end; (−1, 1) without a pair.

    Raises:
        UsageError: Counts that are none, or a level outside (0, 1).

    Example:
        >>> [round(end, 4) for end in paired_difference(36, 12, 2, 50)]
        [0.0569, 0.3404]
    """
    alpha = check_level(level)
    a, b, c = both, only_first, only_second
    d = n - a - b - c
    if min(a, b, c, d) < 0:
        raise UsageError("a paired difference needs counts of pairs, not more than all pairs")
    if not n:
        return -1.0, 1.0
    p1, p2 = (a + b) / n, (a + c) / n
    (l1, u1), (l2, u2) = ((float(end) for end in wilson(k, n, alpha)) for k in (a + b, a + c))
    margins = math.sqrt(float(a + b) * (c + d) * (a + c) * (b + d))
    above = a * d - b * c
    phi = (max(above - n / 2, 0.0) if above > 0 else above) / margins if margins else 0.0

    def reach(first: float, second: float) -> float:
        return math.sqrt(max(0.0, first * first - 2 * phi * first * second + second * second))

    return max(-1.0, p1 - p2 - reach(p1 - l1, u2 - p2)), min(1.0, p1 - p2 + reach(u1 - p1, p2 - l2))
