"""The least sample on which a threshold could come out VALIDATED."""

from __future__ import annotations

import math

from ophamin.proof.types import Decision, Threshold

__all__ = ["least_n"]


def least_n(threshold: Threshold, decision: Decision, *, alpha: float, q: float | None = None) -> int | None:
    """Least number of independent rows on which every row agreeing validates the claim.

    Known in closed form for proportions and quantiles, where n agreeing rows give the bound α^(1/n), and for the
    calibration error, whose upper bound is never below −ln(α)/n.

    Args:
        threshold: The threshold, inside the range of its metric.
        decision: Its decision; ``estimator`` says what is bounded.
        alpha: One-sided α of the validating bound.
        q: Which quantile, for the estimator ``quantile``.

    Returns:
        The least n, or ``None`` when there is no closed form.

    Example:
        >>> least_n(Threshold("accuracy", ">=", 0.9), Decision(estimator="proportion"), alpha=0.05)
        29
        >>> least_n(Threshold("p95", "<=", 1.0), Decision(estimator="quantile"), alpha=0.05, q=0.95)
        59
    """
    upwards = threshold.comparator in (">=", ">")
    if decision.estimator == "proportion":
        share = threshold.value if upwards else 1 - threshold.value
    elif decision.estimator == "quantile" and q is not None:
        share = 1 - q if upwards else q
    elif decision.estimator == "calibration-error" and not upwards:
        return math.ceil(-math.log(alpha) / threshold.value) if threshold.value > 0 else None
    else:
        return None
    if not 0 < share < 1:
        return 1 if share <= 0 else None
    n = max(1, math.ceil(math.log(alpha) / math.log(share) - 1e-9))
    # The bound is widened by 1e-9 of itself, and a strict comparator excludes equality.
    while not _agrees(alpha ** (1 / n), share, strict=threshold.comparator in (">", "<")):
        n += 1
    return n


def _agrees(bound: float, share: float, *, strict: bool) -> bool:
    return bound > share if strict else bound >= share
