"""What α an attempt may spend, and what has been spent so far."""

from __future__ import annotations

from ophamin.proof.errors import UsageError

__all__ = ["alpha_for", "error_bound"]


def _check(alpha: float, attempt: int, attempts: int) -> None:
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha lies between 0 and 0.5, such as 0.05, not {alpha!r}")
    if attempt < 1 or attempts < 1:
        raise UsageError("attempts are counted from 1")
    if attempts > 1 and attempt > attempts:
        raise UsageError(f"attempt {attempt} is more than the {attempts} registered; their alpha is spent")


def alpha_for(alpha: float, attempt: int, attempts: int = 1) -> float:
    """One-sided α of one attempt.

    Args:
        alpha: α of the claim, in (0, 0.5).
        attempt: Which attempt this is, from 1.
        attempts: K when that many were registered in advance, else 1.

    Returns:
        α/K, or α/2^(k−1) when attempts come one after another.

    Raises:
        UsageError: α out of range, or all K registered attempts are used.

    Example:
        >>> alpha_for(0.05, 3), alpha_for(0.05, 2, attempts=5)
        (0.0125, 0.01)
    """
    _check(alpha, attempt, attempts)
    return alpha / attempts if attempts > 1 else alpha / 2 ** (attempt - 1)


def error_bound(alpha: float, attempt: int, attempts: int = 1) -> float:
    """How often a false claim is VALIDATED by this attempt or one before it, at most.

    The sum of the α spent so far: below 2α for ever, or at most α when K attempts were registered.

    Raises:
        UsageError: As :func:`alpha_for`.
    """
    _check(alpha, attempt, attempts)
    return alpha * attempt / attempts if attempts > 1 else alpha * (2 - 2.0 ** (1 - attempt))
