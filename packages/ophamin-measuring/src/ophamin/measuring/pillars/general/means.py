"""Student's, Welch's and the paired t test, equivalence and non-inferiority, from values or from summaries."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.general.proportions import check_level
from ophamin.proof.errors import UsageError

__all__ = ["TTest", "Tost", "difference_of", "non_inferiority", "paired", "t_test", "tost"]


@dataclass(frozen=True)
class TTest:
    """A mean or a difference of means, its standard error, and the test of zero.

    Args:
        estimate: Mean of the first less that of the second sample.
        standard_error: Its standard error.
        statistic: t; NaN where the test does not exist.
        df: Degrees of freedom.
        p_value: Two-sided.
        lower: Lower end of the interval.
        upper: Upper end.
        level: Two-sided confidence.
        method: ``welch``, ``student``, ``paired-t`` or ``one-sample-t``.
        problem: Why there is no test, or "".
    """

    estimate: float
    standard_error: float
    statistic: float
    df: float
    p_value: float
    lower: float
    upper: float
    level: float
    method: str
    problem: str = ""


def _values(values: Any) -> Floats:
    array = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(array.sum()) and not np.isfinite(array).all():
        raise UsageError("the values must be finite numbers; leave out what is missing")
    return array


def _summary(values: Any) -> tuple[float, float, int]:
    x = _values(values)
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    return mean, (float(x.std(ddof=1)) if n > 1 else math.nan), n


def _finished(estimate: float, error: float, df: float, scale: float, method: str, level: float) -> TTest:
    alpha = check_level(level)
    problem = ""
    if not math.isfinite(error):
        problem = "a t test needs at least 2 values in each sample"
    elif error <= 1e-14 * max(1e-300, scale):
        problem = "all values are equal, so their spread is unknown"
    if problem:
        nan = math.nan
        return TTest(estimate, nan, nan, nan, nan, nan, nan, level, method, problem)
    t, half = estimate / error, float(stdtrit(df, 1 - alpha)) * error
    p = 2 * float(stdtr(df, -abs(t)))
    return TTest(estimate, error, t, df, p, estimate - half, estimate + half, level, method)


def difference_of(
    first: tuple[float, float, int],
    second: tuple[float, float, int],
    *,
    equal_variance: bool = False,
    level: float = 0.95,
) -> TTest:
    """t test of two independent samples from their (mean, standard deviation, n).

    Source: Welch (1947), Biometrika 34:28; Satterthwaite (1946), Biometrics Bull. 2:110.

    Raises:
        UsageError: A negative standard deviation, or a level outside (0, 1).

    Example:
        >>> found = difference_of((5.25, 0.95, 95), (5.22, 0.83, 89))
        >>> round(found.df, 2), round(found.p_value, 4)
        (181.13, 0.8195)
    """
    (m1, s1, n1), (m2, s2, n2) = first, second
    if s1 < 0 or s2 < 0:
        raise UsageError("a standard deviation is not negative")
    method, estimate, scale = ("student" if equal_variance else "welch"), m1 - m2, max(abs(m1), abs(m2), s1, s2)
    if min(n1, n2) < 2:
        return _finished(estimate, math.nan, math.nan, scale, method, level)
    if equal_variance:
        df = float(n1 + n2 - 2)
        error = math.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df * (1 / n1 + 1 / n2))
    else:
        v1, v2 = s1**2 / n1, s2**2 / n2
        error = math.sqrt(v1 + v2)
        df = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1)) if error > 0 else math.nan
    return _finished(estimate, error, df, scale, method, level)


def t_test(x: Any, y: Any | None = None, *, equal_variance: bool = False, level: float = 0.95) -> TTest:
    """t test of two independent samples, or of one mean against 0 when ``y`` is ``None``.

    Args:
        x: Values of the first sample.
        y: Values of the second.
        equal_variance: Student's pooled variance instead of Welch's.
        level: Two-sided confidence.

    Raises:
        UsageError: Values that are not finite, or a level outside (0, 1).

    Example:
        >>> found = t_test([4.9, 5.2, 5.0], [4.1, 3.9, 4.4])
        >>> round(found.statistic, 3), found.method
        (5.295, 'welch')
    """
    if y is not None:
        return difference_of(_summary(x), _summary(y), equal_variance=equal_variance, level=level)
    mean, sd, n = _summary(x)
    scale = max(abs(mean), sd) if n > 1 else math.nan
    return _finished(mean, sd / math.sqrt(n) if n > 1 else math.nan, float(n - 1), scale, "one-sample-t", level)


def paired(x: Any, y: Any, *, level: float = 0.95) -> TTest:
    """t test of the differences x − y, row by row.

    Raises:
        UsageError: Lengths differ, or as :func:`t_test`.

    Example:
        >>> round(paired([1.0, 2.0, 4.0], [0.0, 1.5, 2.0]).estimate, 3)
        1.167
    """
    x, y = _values(x), _values(y)
    if len(x) != len(y):
        raise UsageError("paired samples have equal lengths")
    found = t_test(x - y, level=level)
    return TTest(**{**found.__dict__, "method": "paired-t"})


@dataclass(frozen=True)
class Tost:
    """Two one-sided tests.

    Args:
        t_lower: t of "the difference exceeds ``low``".
        p_lower: Its one-sided p-value.
        t_upper: t of "the difference lies below ``high``".
        p_upper: Its one-sided p-value.
        p_value: The greater of the two: p-value of equivalence.
        lower: Lower end of the 1 − 2α interval that decides alike.
        upper: Upper end.
        alpha: α of each test.
        test: The t test behind it.
    """

    t_lower: float
    p_lower: float
    t_upper: float
    p_upper: float
    p_value: float
    lower: float
    upper: float
    alpha: float
    test: TTest

    @property
    def equivalent(self) -> bool:
        """Whether the difference lies within the margins at α."""
        return self.p_value <= self.alpha


def tost(test: TTest, low: float, high: float, *, alpha: float = 0.05) -> Tost:
    """Whether a difference lies between two margins.

    Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657; Lakens (2017), Soc. Psychol. Pers. Sci. 8:355.

    Args:
        test: Any t test.
        low: Lower margin, < high.
        high: Upper margin; ∞ leaves non-inferiority alone.
        alpha: One-sided α of each test, in (0, 0.5).

    Raises:
        UsageError: Margins the wrong way round, or α out of range.

    Example:
        >>> found = tost(difference_of((5.25, 0.95, 95), (5.22, 0.83, 89)), -0.384, 0.384)
        >>> round(found.t_lower, 3), round(found.t_upper, 3), found.equivalent
        (3.153, -2.696, True)
    """
    if not low < high:
        raise UsageError(f"equivalence needs a lower margin below the upper, not {low!r} and {high!r}")
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha lies between 0 and 0.5, such as 0.05, not {alpha!r}")
    if test.problem:
        nan = math.nan
        return Tost(nan, nan, nan, nan, nan, nan, nan, alpha, test)
    t_low, t_high = (test.estimate - low) / test.standard_error, (test.estimate - high) / test.standard_error
    p_low, p_high = float(stdtr(test.df, -t_low)), float(stdtr(test.df, t_high))
    half = float(stdtrit(test.df, 1 - alpha)) * test.standard_error
    return Tost(
        t_low, p_low, t_high, p_high, max(p_low, p_high), test.estimate - half, test.estimate + half, alpha, test
    )


def non_inferiority(test: TTest, margin: float, *, alpha: float = 0.05) -> Tost:
    """Whether the first sample is worse than the second by less than ``margin`` (greater is better).

    Source: as :func:`tost`, with one margin.

    Raises:
        UsageError: A margin that is not greater than 0, or α out of range.

    Example:
        >>> non_inferiority(t_test([5.1, 5.3, 5.2, 5.0], [5.0, 5.2, 5.3, 5.1]), 0.5).equivalent
        True
    """
    if not margin > 0:
        raise UsageError(f"a margin is greater than 0, not {margin!r}")
    return tost(test, -margin, math.inf, alpha=alpha)
