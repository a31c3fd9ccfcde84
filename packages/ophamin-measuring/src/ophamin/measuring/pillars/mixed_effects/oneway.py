"""One-way analysis of variance: classic, Welch, Kruskal–Wallis, and tests of equal variances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.oneway import anova_generic

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.mixed_effects.design import coded
from ophamin.proof.errors import UsageError

__all__ = ["OneWay", "Test", "one_way"]


@dataclass(frozen=True)
class Test:
    """A test of equal means, ranks or variances.

    Args:
        statistic: F, H or Bartlett's K²; NaN where it does not exist.
        df: Numerator's degrees of freedom.
        df2: Denominator's; ∞ for χ².
        p_value: p-value; NaN where there is none.
    """

    __test__ = False

    statistic: float
    df: float
    df2: float
    p_value: float


@dataclass(frozen=True)
class OneWay:
    """One-way analysis of variance.

    Args:
        levels: Groups in order.
        sizes: Observations of each.
        means: Their means, shape (k,).
        sds: Their standard deviations, NaN for one observation.
        ss_between: Sum of squares between groups.
        ss_within: Within.
        classic: F test under equal variances.
        welch: Welch's, without that assumption.
        kruskal_wallis: On ranks, corrected for ties.
        levene: Equality of variances, deviations from means.
        brown_forsythe: Likewise, from medians.
        bartlett: Likewise, for normal data.
        eta2: Share of variance between the groups.
        eta2_interval: By the noncentral F of the classic test.
        omega2: The same, nearly unbiased.
    """

    levels: list[str]
    sizes: list[int]
    means: Floats
    sds: Floats
    ss_between: float
    ss_within: float
    classic: Test
    welch: Test
    kruskal_wallis: Test
    levene: Test
    brown_forsythe: Test
    bartlett: Test
    eta2: float
    eta2_interval: tuple[float, float]
    omega2: float


_NONE = Test(math.nan, math.nan, math.nan, math.nan)


def one_way(value: ArrayLike, group: Sequence[Any], *, level: float = 0.95) -> OneWay:
    """Compare the means of groups.

    The first value is subtracted from all before anything is squared: NIST's sets with 13 constant leading digits then
    come out to their certified digits.

    Args:
        value: Observations, shape (n,).
        group: Group of each, shape (n,).
        level: Two-sided confidence of the interval of η².

    Returns:
        The analysis; tests that do not exist (a group of one, no variance) hold NaN.

    Raises:
        UsageError: Unequal lengths, fewer than two groups, or no group of two.

    Source: Welch (1951), Biometrika 38:330; Kruskal & Wallis (1952), JASA 47:583; Brown & Forsythe (1974), JASA 69:364;
    Steiger (2004), Psychol Methods 9:164 (interval of η²).

    Example:
        >>> round(one_way([1, 2, 3, 2, 3, 4, 5, 6, 7], list("aaabbbccc")).classic.statistic, 6)
        13.0
    """
    y = np.asarray(value, dtype=float)
    if y.shape != (len(group),):
        raise UsageError("values and groups must have equal lengths")
    if not np.isfinite(y).all():
        raise UsageError("an analysis of variance needs finite numbers; leave incomplete rows out")
    levels, codes = coded(group)
    k, n = len(levels), len(y)
    if k < 2 or n <= k:
        raise UsageError(f"{n} observations in {k} groups: at least two groups are needed, one of them with two")
    origin = y[0]
    y = y - origin
    sizes = np.bincount(codes, minlength=k).tolist()
    # Short whole numbers are sorted by radix, in one pass where a mask for each group takes k.
    order = np.argsort(codes.astype(np.min_scalar_type(k)), kind="stable")
    parts = np.split(y[order], np.cumsum(sizes)[:-1])
    means = np.array([p.mean() for p in parts])
    squares = np.array([p.var() * len(p) for p in parts])
    within = float(squares.sum())
    between = float(np.array(sizes) @ (means - y.mean()) ** 2)
    df, df2 = k - 1, n - k
    sds = np.array([math.sqrt(s / (m - 1)) if m > 1 else math.nan for s, m in zip(squares, sizes, strict=True)])
    total = between + within
    classic, interval = _NONE, (math.nan, math.nan)
    if within > 0:
        # A group of one has no variance, and no weight in the pooled one.
        found = anova_generic(means, np.nan_to_num(sds**2), np.array(sizes), use_var="equal")
        classic = Test(float(found.statistic), df, df2, float(found.pvalue))
        interval = (
            _share(classic.statistic, df, df2, (1 + level) / 2, n),
            _share(classic.statistic, df, df2, (1 - level) / 2, n),
        )
    mean_square = within / df2
    welch = levene = brown = bartlett = _NONE
    if min(sizes) > 1 and (sds > 0).all():
        found = anova_generic(means, sds**2, np.array(sizes), use_var="unequal", welch_correction=True)
        welch = Test(float(found.statistic), df, float(found.df_denom), float(found.pvalue))
        spread = stats.bartlett(*parts)
        bartlett = Test(float(spread.statistic), df, math.inf, float(spread.pvalue))
    if min(sizes) > 1:
        levene, brown = _spread(parts, "mean", df, df2), _spread(parts, "median", df, df2)
    ranks = _NONE
    if np.ptp(y):
        h = stats.kruskal(*parts)
        ranks = Test(float(h.statistic), df, math.inf, float(h.pvalue))
    return OneWay(
        levels, sizes, means + origin, sds, between, within, classic, welch, ranks, levene, brown, bartlett,
        between / total if total > 0 else math.nan, interval,
        (between - df * mean_square) / (total + mean_square) if within > 0 else math.nan,
    )  # fmt: skip


def _share(f: float, df: int, df2: int, probability: float, n: int) -> float:
    """λ/(λ+n) at the noncentrality λ that leaves ``probability`` below F; 0 where none does, NaN where F is too great.

    statsmodels' ``confint_noncentrality`` inverts a series summed to four digits; scipy's distribution has all of them.
    """

    def excess(noncentrality: float) -> float:
        return float(stats.ncf.cdf(f, df, df2, noncentrality)) - probability

    if float(stats.f.cdf(f, df, df2)) <= probability:
        return 0.0
    high = max(4.0 * f * df, 1.0)
    while high < 1e9 and excess(high) > 0:
        high *= 2
    if not excess(high) <= 0:
        return math.nan
    root = float(brentq(excess, 0.0, high, xtol=1e-12 * high, rtol=1e-12))
    return root / (root + n)


def _spread(parts: list[Floats], centre: Literal["mean", "median"], df: int, df2: int) -> Test:
    deviations = (np.abs(p - (p.mean() if centre == "mean" else np.median(p))) for p in parts)
    if all(np.ptp(d) <= 1e-12 * max(float(d.max()), 1e-300) for d in deviations):
        return _NONE
    found = stats.levene(*parts, center=centre)
    return Test(float(found.statistic), df, df2, float(found.pvalue))
