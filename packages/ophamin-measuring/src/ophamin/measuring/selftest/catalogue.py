"""Every check there is, as one table."""

from __future__ import annotations

from ophamin.measuring.selftest._causal import causal
from ophamin.measuring.selftest._charts import charting
from ophamin.measuring.selftest._check import Check
from ophamin.measuring.selftest._contrasts import CONTRASTS
from ophamin.measuring.selftest._decisions import decisions
from ophamin.measuring.selftest._effects import effects
from ophamin.measuring.selftest._forecasts import forecasts
from ophamin.measuring.selftest._general import general
from ophamin.measuring.selftest._intervals import INTERVALS
from ophamin.measuring.selftest._models import models
from ophamin.measuring.selftest._planned import planned
from ophamin.measuring.selftest._references import REFERENCES
from ophamin.measuring.selftest._resampling import resampling
from ophamin.measuring.selftest._sequential import sequential
from ophamin.measuring.selftest._studies import studies

__all__ = ["ESTIMATORS", "REFERENCES", "catalogue"]

ESTIMATORS = {**INTERVALS, **CONTRASTS}
"""By name in group ``ophamin.estimators``: what makes its checks. A new estimator of this wheel gets its line in one of
the two, and a test asks that each has one."""


def catalogue() -> tuple[Check, ...]:
    """All checks, in the order of the table; their labels differ.

    Example:
        >>> "mean: normal, n = 5, α = 0.05" in {check.label for check in catalogue()}
        True
    """
    intervals = [check for make in ESTIMATORS.values() for check in make()]
    return (
        *intervals, *decisions(), *sequential(), *resampling(), *effects(),
        *general(), *planned(), *charting(), *causal(), *studies(), *models(), *forecasts(),
    )  # fmt: skip
