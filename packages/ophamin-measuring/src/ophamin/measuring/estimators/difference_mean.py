"""Difference of two means: independent, paired or grouped."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import stdtr, stdtrit

from ophamin.measuring.estimators._arms import ARMS, difference_of_means
from ophamin.measuring.estimators._table import OWN, check_confidence, installed, sides
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["difference_mean"]


def difference_mean(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    arms: Sequence[str] = ARMS,
    support: Sequence[float | None] | None = None,
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Difference of two means, second arm minus first, with Student's t bounds; approximate.

    Rows of a column ``pair`` stay paired (one difference each). Otherwise Welch's t, which does not take the
    variances to be equal. With groups the variance between groups counts, jointly where a group has rows in both
    arms; at least 20 groups, in each arm where none has.

    Source: Welch (1947), Biometrika 34:28; Cochran (1977), *Sampling Techniques*, section 9A.

    Args:
        columns: ``value``, ``arm``, and optionally ``pair`` and ``group``.
        confidence: One-sided confidence of each bound, in (0.5, 1).
        seed: Not used; the method draws nothing.
        method: ``auto`` or ``t``.
        arms: Names of the two arms.
        support: Ends of one value, which the decision puts in for missing rows and the bounds never leave.
        threshold: θ, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate; its method is ``welch``, ``paired-t``, ``welch-cluster`` or ``paired-cluster``.

    Raises:
        UsageError: Unknown method, a malformed table, or a confidence outside (0.5, 1).

    Example:
        >>> table = {"value": [4.1, 3.9, 4.4, 4.9, 5.2, 5.0], "arm": ["base"] * 3 + ["head"] * 3}
        >>> e = difference_mean(table, confidence=0.95)
        >>> e.method, round(e.value, 3), round(e.lower, 3), round(e.upper, 3)
        ('welch', 0.9, 0.514, 1.286)
    """
    alpha = check_confidence(confidence)
    if method not in ("auto", "t"):
        raise UsageError(f"a difference of means has the method 't', not {method!r}")
    if "arm" not in columns:
        raise UsageError(f"the estimator needs a column 'arm'; there are {', '.join(columns) or 'none'}")
    found = difference_of_means(columns, arms)
    low, high = (None, None) if support is None else support
    ends = (None, None) if low is None or high is None else (low - high, high - low)
    if found.problem or found.value is None:
        return Estimate(
            found.value, None, None, found.n, method=found.method, library=OWN, version=installed(OWN),
            n_groups=found.units, problem=found.problem,
        )  # fmt: skip
    half = float(stdtrit(found.df, 1 - alpha)) * found.error
    lower, upper = found.value - half, found.value + half
    if ends[0] is not None and ends[1] is not None:
        lower, upper = max(ends[0], lower), min(ends[1], upper)
    p_validated = p_refuted = None
    if threshold is not None:
        t = (found.value - threshold) / found.error
        p_validated, p_refuted = sides(comparator, float(stdtr(found.df, t)), float(stdtr(found.df, -t)))
    return Estimate(
        found.value, lower, upper, found.n, p_validated=p_validated, p_refuted=p_refuted, method=found.method,
        library="scipy", version=installed("scipy"), n_groups=found.units,
        detail={"df": found.df, "standard_error": found.error, "range": list(ends)},
    )  # fmt: skip
