"""Split and normalised conformal prediction: intervals for new cases, and the law of their coverage.

Own lines, because mapie refuses calibration sets of n ≤ 1/α though n ≥ 1/α − 1 suffices; where both answer, they agree.

Source: Vovk, Gammerman & Shafer (2005); Papadopoulos et al. (2002) (normalised scores); Lei, G'Sell, Rinaldo,
Tibshirani & Wasserman (2018), JASA 113:1094; Vovk (2012), ACML (law of the coverage).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta as beta_law

from ophamin.measuring.pillars._columns import Floats
from ophamin.proof.errors import UsageError

__all__ = ["CoverageLaw", "coverage_law", "prediction_intervals", "threshold"]


def _rank(n: int, alpha: float) -> int:
    if not 0 < alpha < 1:
        raise UsageError(f"alpha lies between 0 and 1, such as 0.1, not {alpha!r}")
    # (n + 1)(1 − alpha) carries rounding that would raise an exact whole number by one.
    return math.ceil(round((n + 1) * (1 - alpha), 10))


@dataclass(frozen=True)
class CoverageLaw:
    """How the coverage of one calibrated predictor spreads over calibration sets: Beta(k, n + 1 − k).

    Args:
        k: Rank of the score that bounds the interval; above n the interval has no end.
        marginal: Mean coverage, k/(n + 1), or 1.
        a: First parameter of the law.
        b: Second parameter; 0 when the interval has no end.
        sd: Standard deviation of the coverage.
        below: Chance that a calibration set covers less than 1 − α.
    """

    k: int
    marginal: float
    a: int
    b: int
    sd: float
    below: float

    def quantile(self, q: float) -> float:
        """Coverage that a share ``q`` of calibration sets stays below."""
        return float(beta_law.ppf(q, self.a, self.b)) if self.b else 1.0


def coverage_law(n: int, alpha: float) -> CoverageLaw:
    """Law of the coverage given the calibration set, for exchangeable cases without ties.

    Args:
        n: Calibration cases.
        alpha: Miss rate aimed at.

    Raises:
        UsageError: No cases, or an alpha outside (0, 1).

    Example:
        >>> law = coverage_law(100, 0.1)
        >>> law.k, round(law.marginal, 4), round(law.quantile(0.05), 3)
        (91, 0.901, 0.848)
    """
    if n < 1:
        raise UsageError("a conformal predictor needs calibration cases")
    k = _rank(n, alpha)
    a, b = k, n + 1 - k
    if b < 1:
        return CoverageLaw(k, 1.0, a, 0, 0.0, 0.0)
    law = beta_law(a, b)
    return CoverageLaw(k, a / (n + 1), a, b, float(law.std()), float(law.cdf(1 - alpha)))


def threshold(scores: ArrayLike, alpha: float) -> float:
    """The score that at least 1 − α of new cases stay within: the k-th smallest, k = ⌈(n+1)(1−α)⌉; ∞ when k > n.

    Args:
        scores: Conformity scores of the calibration cases, shape (n,); larger is stranger.
        alpha: Miss rate, in (0, 1).

    Raises:
        UsageError: No scores, NaN, or an alpha outside (0, 1).

    Example:
        >>> threshold([0.1, 0.4, 0.2, 0.9], 0.5), threshold([0.1, 0.4], 0.1)
        (0.4, inf)
    """
    s = np.asarray(scores, dtype=float)
    if s.ndim != 1 or not len(s) or np.isnan(s).any():
        raise UsageError("a conformal predictor needs the scores of at least one calibration case, without NaN")
    k = _rank(len(s), alpha)
    return float(np.partition(s, k - 1)[k - 1]) if k <= len(s) else math.inf


def prediction_intervals(
    target: ArrayLike,
    prediction: ArrayLike,
    new_prediction: ArrayLike,
    *,
    alpha: float = 0.1,
    scale: ArrayLike | None = None,
    new_scale: ArrayLike | None = None,
) -> tuple[Floats, Floats, float]:
    """Intervals about predictions of a fitted model, from cases it was not fitted on.

    Args:
        target: What came, calibration cases, shape (n,).
        prediction: What was predicted for them, shape (n,).
        new_prediction: Predictions for the new cases, shape (m,).
        alpha: Miss rate.
        scale: Predicted spread of the calibration cases, above 0: normalised scores |y − ŷ|/scale; ``None``: |y − ŷ|.
        new_scale: Predicted spread of the new cases, shape (m,).

    Returns:
        Lower ends, upper ends, shape (m,), and the threshold (the half-width without scales).

    Raises:
        UsageError: Unequal lengths, one scale without the other, a scale that is not above 0, or values not finite.

    Example:
        >>> low, high, width = prediction_intervals([1, 2, 3, 4], [1.1, 1.8, 3.3, 4.4], [5.0], alpha=0.2)
        >>> round(width, 3), [round(float(x), 3) for x in (low[0], high[0])]
        (0.4, [4.6, 5.4])
    """
    y, p, new = (np.asarray(x, dtype=float) for x in (target, prediction, new_prediction))
    if (scale is None) != (new_scale is None):
        raise UsageError("normalised scores need the scale of both the calibration and the new cases")
    s = np.ones(len(y)) if scale is None else np.asarray(scale, dtype=float)
    t = np.ones(len(new)) if new_scale is None else np.asarray(new_scale, dtype=float)
    if not len(y) == len(p) == len(s) or len(new) != len(t):
        raise UsageError("targets, predictions and scales must have equal lengths")
    if not all(np.isfinite(x).all() for x in (y, p, new, s, t)):
        raise UsageError("conformal prediction needs finite numbers; leave incomplete rows out")
    if (s <= 0).any() or (t <= 0).any():
        raise UsageError("a scale lies above 0")
    q = threshold(np.abs(y - p) / s, alpha)
    return new - q * t, new + q * t, q
