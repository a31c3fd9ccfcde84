"""Standardised mean difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln
from scipy.stats import nct

from ophamin.measuring.estimators._arms import ARMS, difference_of_means, read_arms
from ophamin.measuring.estimators._table import check_confidence, failed, installed, sides
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["effect_size", "hedges", "noncentral_bounds"]


def hedges(df: float) -> float:
    """Exact factor J(df) that takes the small-sample bias off Cohen's d.

    Source: Hedges (1981), J. Educ. Stat. 6:107, equation 6e. The common 1 − 3/(4df − 1) differs in the fourth digit.
    """
    return math.exp(float(gammaln(df / 2) - gammaln((df - 1) / 2))) / math.sqrt(df / 2) if df > 1 else math.nan


def noncentral_bounds(t: float, df: float, alpha: float) -> tuple[float, float]:
    """Bounds for the noncentrality λ of an observed t: P(T ≥ t | λ) = α and P(T ≤ t | λ) = α.

    Source: Hedges & Olkin (1985), *Statistical Methods for Meta-Analysis*, section 5.D; Steiger & Fouladi (1997).
    """

    def tail(noncentrality: float, side: float) -> float:
        chance = nct.sf(t, df, noncentrality) if side < 0 else nct.cdf(t, df, noncentrality)
        # Deep in a tail the series gives NaN where the chance is next to nothing.
        return (0.0 if math.isnan(chance) else float(chance)) - alpha

    def end(side: float) -> float:
        near, step = t, 4.0
        for _ in range(60):
            far = near + side * step
            if tail(far, side) <= 0:
                if tail(near, side) <= 0:
                    return math.nan
                root = float(brentq(tail, min(near, far), max(near, far), args=(side,), xtol=1e-12, rtol=1e-12))
                return root if abs(tail(root, side)) <= 1e-6 * alpha else math.nan
            near, step = far, 2 * step
        return math.nan

    return end(-1.0), end(1.0)


def effect_size(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    arms: Sequence[str] = ARMS,
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Standardised difference of two means, second arm minus first, with noncentral t bounds; approximate.

    The value is Hedges' g (pooled standard deviation, exact factor); the bounds are for δ = (μ₂ − μ₁)/σ and exact
    for normal values of one variance. With a column ``pair`` δ is the mean difference over the standard deviation
    of one difference.

    Source: Hedges (1981), J. Educ. Stat. 6:107; Hedges & Olkin (1985), section 5.D.

    Args:
        columns: ``value``, ``arm`` and optionally ``pair``. Grouped rows are refused.
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Not used; the method draws nothing.
        method: ``auto`` or ``noncentral-t``.
        arms: Names of the two arms.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate; ``detail["d"]`` is Cohen's d.

    Raises:
        UsageError: Unknown method, a malformed table, or a confidence outside (0.5, 1).

    Example:
        >>> table = {"value": [4.1, 3.9, 4.4, 4.9, 5.2, 5.0], "arm": ["base"] * 3 + ["head"] * 3}
        >>> e = effect_size(table, confidence=0.95)
        >>> round(e.value, 3), round(e.lower, 3), round(e.upper, 3)
        (3.45, 1.432, 6.968)
    """
    alpha = check_confidence(confidence)
    if method not in ("auto", "noncentral-t"):
        raise UsageError(f"an effect size has the method 'noncentral-t', not {method!r}")
    method = "noncentral-t"
    found = read_arms(columns, arms)
    table = found.table
    if found.problem:
        return failed(found.problem, table, method=method)
    if table.codes is not None:
        return failed(f"{method} needs independent rows, and these are grouped", table, method=method)
    if found.pairs is not None:
        difference = difference_of_means(columns, arms)
        if difference.problem or difference.value is None:
            return failed(difference.problem, table, method=method)
        df, root, n, units = difference.df, math.sqrt(difference.units), difference.n, difference.units
        d = difference.value / (difference.error * root)
    else:
        first, second = table.value[~found.second], table.value[found.second]
        n1, n2 = len(first), len(second)
        df, n, units = float(n1 + n2 - 2), table.n, table.n
        if min(n1, n2) < 2:
            return failed("an effect size needs at least 2 values in each arm", table, method=method)
        pooled = math.sqrt(((n1 - 1) * first.var(ddof=1) + (n2 - 1) * second.var(ddof=1)) / df)
        if pooled <= 1e-13 * max(1.0, float(np.abs(table.value).max())):
            return failed("all values of an arm are equal, so there is no scale", table, method=method)
        root, d = math.sqrt(n1 * n2 / (n1 + n2)), float(second.mean() - first.mean()) / pooled
    lower, upper = (bound / root for bound in noncentral_bounds(d * root, df, alpha))
    value = hedges(df) * d
    if not (math.isfinite(lower) and math.isfinite(upper) and math.isfinite(value)):
        return failed("the effect is too large for the noncentral t to be computed", table, value=d, method=method)
    p_validated = p_refuted = None
    if threshold is not None:
        below, above = (float(f(d * root, df, threshold * root)) for f in (nct.cdf, nct.sf))
        if not math.isnan(below + above) or math.isnan(below) is not math.isnan(above):
            # One of the two is NaN only where the other is all but 1.
            below, above = (1 - above if math.isnan(below) else below), (1 - below if math.isnan(above) else above)
            p_validated, p_refuted = sides(comparator, min(1.0, max(0.0, below)), min(1.0, max(0.0, above)))
    return Estimate(
        value, lower, upper, n, p_validated=p_validated, p_refuted=p_refuted, method=method, library="scipy",
        version=installed("scipy"), n_groups=units, detail={"d": d, "df": df},
    )  # fmt: skip
