"""Every check there is, as one table."""

from __future__ import annotations

from ophamin.measuring.selftest._check import Check
from ophamin.measuring.selftest._decisions import decisions
from ophamin.measuring.selftest._intervals import ESTIMATORS
from ophamin.measuring.selftest._references import REFERENCES
from ophamin.measuring.selftest._resampling import resampling
from ophamin.measuring.selftest._sequential import sequential

__all__ = ["ESTIMATORS", "REFERENCES", "catalogue"]


def catalogue() -> tuple[Check, ...]:
    """All checks, in the order of the table; their labels differ.

    Example:
        >>> "mean: normal, n = 5, α = 0.05" in {check.label for check in catalogue()}
        True
    """
    intervals = [check for make in ESTIMATORS.values() for check in make()]
    return (*intervals, *decisions(), *sequential(), *resampling())
