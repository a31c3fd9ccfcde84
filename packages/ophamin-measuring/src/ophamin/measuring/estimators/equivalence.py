"""Equivalence: how far from zero a difference can be."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import stdtr, stdtrit

from ophamin.measuring.estimators._arms import ARMS, difference_of_means
from ophamin.measuring.estimators._table import OWN, check_confidence, installed, sides
from ophamin.proof.errors import UsageError
from ophamin.protocols import Columns, Estimate

__all__ = ["tost"]


def tost(
    columns: Columns,
    *,
    confidence: float,
    seed: int = 0,
    method: str = "auto",
    arms: Sequence[str] = ARMS,
    threshold: float | None = None,
    comparator: str | None = None,
) -> Estimate:
    """Size |δ| of a difference of means; the claim ``<= margin`` is equivalence by two one-sided tests.

    U = |d| + t(1−α)·se lies within the margin exactly when both one-sided t tests reject at α; only one of the two
    null hypotheses can be true, so α is not split (Schuirmann). L = |d| − t(1−α/2)·se, at least 0: a difference
    beyond the margin may lie on either side, so that side is split. Approximate, as t is.

    Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657; Lakens (2017), Soc. Psychol. Pers. Sci. 8:355.

    Args:
        columns: ``value`` with ``arm`` (Welch; paired with ``pair``; grouped with ``group``), or ``value`` alone,
            then each is a difference already.
        confidence: One-sided confidence, in (0.5, 1).
        seed: Not used; the method draws nothing.
        method: ``auto`` or ``t``.
        arms: Names of the two arms.
        threshold: The margin, to also get the p-values dual to the bounds.
        comparator: The claim's comparator, with ``threshold``.

    Returns:
        The estimate of |δ|; ``detail["difference"]`` has its sign.

    Raises:
        UsageError: Unknown method, a malformed table, or a confidence outside (0.5, 1).

    Example:
        >>> e = tost({"value": [0.1, -0.2, 0.3, 0.0, -0.1]}, confidence=0.95, threshold=0.3, comparator="<=")
        >>> round(e.value, 3), round(e.upper, 3), round(e.p_validated, 4)
        (0.02, 0.203, 0.0156)
    """
    alpha = check_confidence(confidence)
    if method not in ("auto", "t"):
        raise UsageError(f"equivalence has the method 't', not {method!r}")
    found = difference_of_means(columns, arms)
    if found.problem or found.value is None:
        value = None if found.value is None else abs(found.value)
        return Estimate(
            value, None, None, found.n, method=f"tost-{found.method}", library=OWN, version=installed(OWN),
            n_groups=found.units, problem=found.problem,
        )  # fmt: skip
    size, df, error = abs(found.value), found.df, found.error
    upper = size + float(stdtrit(df, 1 - alpha)) * error
    lower = max(0.0, size - float(stdtrit(df, 1 - alpha / 2)) * error)
    p_validated = p_refuted = None
    if threshold is not None:
        t = (size - threshold) / error
        # A margin below 0 is never reached from above, and a size of at least 0 always exceeds it.
        p_lower = 0.0 if threshold < 0 else min(1.0, 2 * float(stdtr(df, -t)))
        p_validated, p_refuted = sides(comparator, 1.0 if threshold < 0 else float(stdtr(df, t)), p_lower)
    return Estimate(
        size, lower, upper, found.n, p_validated=p_validated, p_refuted=p_refuted, method=f"tost-{found.method}",
        library="scipy", version=installed("scipy"), n_groups=found.units,
        detail={"difference": found.value, "df": df, "standard_error": error, "range": [0.0, None]},
    )  # fmt: skip
