"""Rational subgroups, and the standard deviation within them.

Sources: Montgomery (2013), chapter 6; Burr (1969), J Qual Technol 1:163, for weights by precision, as R's qcc.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from ophamin.measuring.pillars._columns import Floats
from ophamin.measuring.pillars.observability.constants import constants
from ophamin.proof.errors import UsageError

__all__ = ["SIGMA_METHODS", "Groups", "Mask", "c4", "grouped", "mean", "sd", "sigma_within"]

Mask = NDArray[np.bool_]
SIGMA_METHODS = ("range", "sd", "pooled", "range-weighted", "sd-weighted", "pooled-unbiased")
"""From means of R/d₂ or s/c₄, the root of the mean variance, the means weighted by their precision (qcc's MVLUE-R and
MVLUE-SD), and the root divided by its c₄ (RMSDF)."""


def mean(x: Floats) -> float:
    """Mean, exact for equal values, so that a series without spread lies on its own centre."""
    return float(x[0] + (x - x[0]).mean())


def sd(x: Floats) -> float:
    """Standard deviation, exactly 0 for equal values."""
    return float((x - x[0]).std(ddof=1))


def c4(n: int) -> float:
    """Mean standard deviation of n standard normal values, for any n."""
    return math.sqrt(2 / (n - 1)) * math.exp(float(gammaln(n / 2) - gammaln((n - 1) / 2)))


@dataclass(frozen=True)
class Groups:
    """Subgroups in the order in which they first appear."""

    labels: list[Any]
    values: list[Floats]

    @property
    def sizes(self) -> NDArray[np.int_]:
        return np.array([len(v) for v in self.values])

    def apply(self, function: Callable[[Floats], float]) -> Floats:
        return np.array([function(v) for v in self.values], dtype=np.float64)


def grouped(value: ArrayLike, subgroup: Sequence[Any]) -> Groups:
    x = np.asarray(value, dtype=np.float64)
    if len(x) != len(subgroup) or not len(x) or not np.isfinite(x).all():
        raise UsageError("each value is finite and belongs to a subgroup, and there is at least one")
    members: dict[Any, list[float]] = {}
    for name, v in zip(subgroup, x.tolist(), strict=True):
        members.setdefault(name, []).append(v)
    return Groups(list(members), [np.array(v) for v in members.values()])


def sigma_within(groups: Groups, mask: Mask, method: str) -> float:
    """Standard deviation within subgroups of phase I."""
    chosen = [v for v, inside in zip(groups.values, mask, strict=True) if inside and len(v) > 1]
    if not chosen:
        raise UsageError("no subgroup of phase I holds two values; a single value belongs on an individuals chart")
    if method in ("range", "range-weighted", "sd", "sd-weighted"):
        laws = [constants(len(v)) for v in chosen]
        if method.startswith("range"):
            each = np.array([np.ptp(v) / law.d2 for v, law in zip(chosen, laws, strict=True)])
            precision = np.array([(law.d2 / law.d3) ** 2 for law in laws])
        else:
            each = np.array([sd(v) / law.c4 for v, law in zip(chosen, laws, strict=True)])
            precision = np.array([(law.c4 / law.c5) ** 2 for law in laws])
        return float(np.average(each, weights=precision if method.endswith("weighted") else None))
    if method in ("pooled", "pooled-unbiased"):
        squares, df = sum(sd(v) ** 2 * (len(v) - 1) for v in chosen), sum(len(v) - 1 for v in chosen)
        return math.sqrt(squares / df) / (c4(df + 1) if method == "pooled-unbiased" else 1.0)
    raise UsageError(f"sigma is estimated by {', '.join(SIGMA_METHODS)}, not {method!r}")
