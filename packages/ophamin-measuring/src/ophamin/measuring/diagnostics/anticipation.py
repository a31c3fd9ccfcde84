"""Anticipatory failure: does a system's own forecast say, before the fact, that it is going to fail?

A failure is an outcome beyond a limit. From a prediction interval the forecaster says *fails* when all of it lies
beyond the limit, *holds* when none of it does, and abstains when it straddles the limit. It can then be wrong both
ways: an alarm for what held, and silence about what failed.

Source: conformal classification with rejection, e.g. Bartlett & Wegkamp (2008), JMLR 9:1823; intervals of the rates by
Clopper & Pearson (1934), Biometrika 26:404.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.proportion import proportion_confint

from ophamin.proof.errors import UsageError

__all__ = ["Anticipation", "Rate", "anticipate"]


@dataclass(frozen=True)
class Rate:
    """A proportion with its exact interval.

    Args:
        count: Cases counted.
        n: Out of so many.
        value: Their share; NaN of none.
        lower: Lower end; NaN of none.
        upper: Upper end.
    """

    count: int
    n: int
    value: float
    lower: float
    upper: float

    @classmethod
    def of(cls, count: int, n: int, level: float) -> Rate:
        """Share ``count/n`` with Clopper and Pearson's interval.

        Example:
            >>> Rate.of(0, 10, 0.95).upper < 0.31
            True
        """
        if not n:
            return cls(0, 0, math.nan, math.nan, math.nan)
        low, high = proportion_confint(count, n, alpha=1 - level, method="beta")
        return cls(count, n, count / n, max(float(low), 0.0), min(float(high), 1.0))


@dataclass(frozen=True)
class Anticipation:
    """How forecasts of failure fared.

    Args:
        alarm: Cases called failing, shape (m,).
        quiet: Cases called holding, shape (m,); the rest are abstentions.
        false_alarms: Alarms among the cases that held.
        misses: Quiet cases among those that failed.
        foreseen: Alarms among the cases that failed.
        abstentions: Cases without a call.
        coverage: Outcomes inside their interval.
    """

    alarm: NDArray[np.bool_]
    quiet: NDArray[np.bool_]
    false_alarms: Rate
    misses: Rate
    foreseen: Rate
    abstentions: Rate
    coverage: Rate


def anticipate(
    lower: ArrayLike,
    upper: ArrayLike,
    outcome: ArrayLike,
    *,
    limit: float,
    fails: str = "above",
    level: float = 0.95,
) -> Anticipation:
    """Call each case failing, holding or neither, and count what came of it.

    Args:
        lower: Lower ends of the prediction intervals, shape (m,).
        upper: Upper ends, shape (m,).
        outcome: What came, shape (m,).
        limit: Where failure begins, in units of the outcome.
        fails: ``above``: outcomes above the limit fail; ``below``.
        level: Two-sided confidence of the rates' intervals.

    Raises:
        UsageError: Unequal lengths, an end or outcome that is NaN, an unknown direction or a limit that is not finite.

    Example:
        >>> found = anticipate([0, 4, 1], [2, 6, 5], [1, 2, 4], limit=3)
        >>> found.false_alarms.value, found.misses.value, found.abstentions.count
        (0.5, 0.0, 1)
    """
    if fails not in ("above", "below"):
        raise UsageError(f"outcomes fail above or below a limit, not {fails!r}")
    if not math.isfinite(limit) or not 0 < level < 1:
        raise UsageError("a finite limit and a level between 0 and 1 are needed")
    low, high, y = (np.asarray(x, dtype=float) for x in (lower, upper, outcome))
    if not len(low) == len(high) == len(y):
        raise UsageError("intervals and outcomes must have equal lengths")
    if np.isnan(low).any() or np.isnan(high).any() or not np.isfinite(y).all():
        raise UsageError("intervals and outcomes must not hold NaN; leave incomplete rows out")
    failed = y > limit if fails == "above" else y < limit
    alarm, quiet = (low > limit, high <= limit) if fails == "above" else (high < limit, low >= limit)
    m, bad = len(y), int(failed.sum())
    return Anticipation(
        alarm, quiet,
        Rate.of(int((alarm & ~failed).sum()), m - bad, level), Rate.of(int((quiet & failed).sum()), bad, level),
        Rate.of(int((alarm & failed).sum()), bad, level), Rate.of(int((~alarm & ~quiet).sum()), m, level),
        Rate.of(int(((low <= y) & (y <= high)).sum()), m, level),
    )  # fmt: skip
