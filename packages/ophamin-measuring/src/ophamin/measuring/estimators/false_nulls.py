"""How many hypotheses of a family are false, from their p-values."""

from __future__ import annotations

import math

from ophamin.measuring.estimators._adjust import bonferroni, hochberg, holm
from ophamin.measuring.estimators._table import OWN, check_confidence, installed, sides
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["false_nulls"]

_METHODS = {"holm": holm, "hochberg": hochberg, "bonferroni": bonferroni}


def false_nulls(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Number of false null hypotheses of a family: those that Holm's procedure rejects are a lower bound.

    With probability ``confidence`` no true hypothesis is rejected, and then at least as many are false as are
    rejected. Nothing bounds their number from above but the size of the family.

    Source: Holm (1979), Scand. J. Statist. 6:65; Hochberg (1988), Biometrika 75:800.

    Args:
        columns: ``value``: one p-value for each hypothesis; one that has none (``None``) counts with p = 1.
        confidence: Family-wise, in (0.5, 1).
        seed: Not used; the method draws nothing.
        method: ``auto`` or ``holm`` and ``bonferroni`` (guaranteed), or ``hochberg`` (independent or positively
            dependent p-values).
        threshold: A number of hypotheses, to also get the dual p-values.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate; ``detail["adjusted"]`` in the order given. No upper bound below m, so a claim ``>= k`` is
        never refuted for k ≤ m.

    Raises:
        UsageError: Unknown method, no column ``value``, or a confidence outside (0.5, 1).

    Example:
        >>> e = false_nulls({"value": [0.001, 0.3, 0.01]}, confidence=0.95)
        >>> e.value, e.upper, e.detail["adjusted"]
        (2, 3, [0.003, 0.3, 0.02])
    """
    alpha = check_confidence(confidence)
    method = "holm" if method == "auto" else method
    if method not in _METHODS:
        raise UsageError(f"no correction that counts false hypotheses is called {method!r}; use {', '.join(_METHODS)}")
    if "value" not in columns:
        raise UsageError(f"the estimator needs a column 'value'; there are {', '.join(columns) or 'none'}")
    rows = [1.0 if p is None else p for p in columns["value"]]
    problem = "" if rows else "there are no hypotheses"
    if any(not hasattr(p, "__float__") or not 0 <= p <= 1 for p in rows):
        problem = "a p-value lies between 0 and 1"
    if problem:
        return Estimate(
            None, None, None, len(rows), method=method, library=OWN, version=installed(OWN), n_groups=len(rows),
            problem=problem,
        )  # fmt: skip
    m, adjusted = len(rows), _METHODS[method]([float(p) for p in rows])
    rejected = sum(p <= alpha for p in adjusted)
    p_validated = p_refuted = None
    if threshold is not None:
        # Of the two bounds only the lower one is inferred; it passes θ once ⌈θ⌉ hypotheses are rejected.
        k = max(0, math.floor(threshold) + 1 if comparator in (">", "<=") else math.ceil(threshold))
        p_lower = 0.0 if k == 0 else 1.0 if k > m else sorted(adjusted)[k - 1]
        p_validated, p_refuted = sides(comparator, 0.0 if threshold >= m else 1.0, p_lower)
    return Estimate(
        rejected, rejected, m, m, p_validated=p_validated, p_refuted=p_refuted, method=method, library=OWN,
        version=installed(OWN), guarantee="approximate" if method == "hochberg" else "guaranteed", n_groups=m,
        computed=False, detail={"adjusted": adjusted, "rejected": [p <= alpha for p in adjusted]},
    )  # fmt: skip
