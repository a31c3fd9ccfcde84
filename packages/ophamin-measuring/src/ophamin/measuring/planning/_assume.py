"""What a plan must assume about data it has not seen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ophamin.proof.errors import UsageError
from ophamin.proof.types import Decision, Threshold

__all__ = ["Assumptions", "Part"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Assumptions:
    """Assumptions of a plan; each is written into its notes.

    Args:
        q: Which quantile, for the estimator ``quantile``; read off a metric called ``p95…`` when absent.
        sd: Standard deviation of one value, for means.
        icc: Intra-class correlation of rows of one group, in [0, 1].
        group_size: Rows per group; 1 when rows are independent.
        confidences: Range of the (uniform) stated confidences, for calibration.
        bins: Bins of the calibration error.
        base: Share of the first arm, for differences of shares.
        paired: Whether the arms are paired (1) or not (0), for differences of means and effect sizes.
        ar: Autocorrelation of neighbouring rows, in [0, 1), for slopes.
        seed: Seed of simulated power.
        decades: Range of the sizes, for the exponent of a cost.
        top: Whether only the upper half of the sizes counts, for the exponent of a cost.
        least: Fewest units the claim is decided from.
    """

    q: float | None = None
    sd: float | None = None
    icc: float = 0.0
    group_size: float = 1.0
    confidences: tuple[float, float] = (0.5, 1.0)
    bins: int = 10
    base: float | None = None
    paired: float = 0.0
    ar: float = 0.0
    seed: int = 0
    decades: float = 2.0
    top: bool = False
    least: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.icc <= 1 or self.group_size < 1:
            raise UsageError("an intra-class correlation lies in [0, 1] and a group has at least 1 row")
        if self.sd is not None and not self.sd > 0:
            raise UsageError(f"a standard deviation is greater than 0, not {self.sd!r}")
        if self.base is not None and not 0 <= self.base <= 1:
            raise UsageError(f"the share of the first arm lies in [0, 1], not {self.base!r}")
        if not 0 <= self.ar < 1 or self.paired not in (0, 1):
            raise UsageError("an autocorrelation lies in [0, 1), and paired is 0 or 1")

    def quantile_of(self, metric: str) -> float:
        """q as given, or from a name such as ``p95_latency`` or ``median``."""
        if self.q is not None:
            return self.q
        if "median" in metric:
            return 0.5
        found = re.search(r"(?<![A-Za-z0-9])p(\d{1,2}(?:\.\d+)?)(?![0-9])", metric.replace("_", " "))
        if found is None:
            raise UsageError(f"which quantile is {metric!r}? give q, such as q=0.95, or call it p95")
        digits = found[1]
        return float(digits) / 100

    @property
    def grouped(self) -> bool:
        """Whether rows come in groups."""
        return self.group_size > 1

    @property
    def design_effect(self) -> float:
        """1 + (m−1)·ICC, the variance of a mean of grouped rows over that of independent ones (Kish 1965)."""
        return 1 + (self.group_size - 1) * self.icc

    def groups(self, n: Any) -> Any:
        """Whole groups among n rows."""
        return np.maximum(np.floor(np.asarray(n) / self.group_size), 1)

    def effective(self, n: Any, share: float, alpha: float) -> Any:
        """Independent rows that n grouped rows are worth, as the grouped bound will count them.

        The degrees of freedom follow from the kurtosis of a group's residual, taken as that of m/deff independent
        rows, and the most adverse of G groups holds about 2·log(G)/G of the variance, more with heavier tails.
        """
        n = np.asarray(n, dtype=np.float64)
        if not self.grouped:
            return n
        groups = np.maximum(self.groups(n), 2)
        spread = share * (1 - share)
        if spread <= 0:
            return np.minimum(n, groups)  # where all agree each group counts once
        kurtosis = 3 + max(0.0, 1 / spread - 6) * self.design_effect / self.group_size
        nu = np.maximum(np.minimum(groups - 1, 2 * groups / (kurtosis - 1)), 1)
        correction = (stdtrit(np.maximum(n - 1, 1), 1 - alpha) / stdtrit(nu, 1 - alpha)) ** 2
        twice = 1 + 2 * np.log(groups) / groups * kurtosis / 3
        return np.minimum(n, np.floor(n / self.design_effect * correction / twice))


@dataclass(frozen=True)
class Part:
    """One threshold to be planned for.

    Args:
        threshold: The threshold.
        decision: Its decision, estimator named.
        alpha_validate: One-sided α of the validating bound.
        alpha_refute: One-sided α of the refuting bound.
        error_rate: Share of cycles expected to fail.
        assume: Assumptions about the data.
        decided_at: How many times those α the claim itself is decided at: in a family the p-value has to reach a
            smaller level than the one that stakes were tuned for.
    """

    threshold: Threshold
    decision: Decision
    alpha_validate: float
    alpha_refute: float
    error_rate: float
    assume: Assumptions
    decided_at: float = 1.0

    @property
    def upwards(self) -> bool:
        """Whether the claim is ``>=`` or ``>``."""
        return self.threshold.comparator in (">=", ">")

    def completed(self, share_of_used: float, *, validate: bool) -> float:
        """Expected share of rows that speak for the claim in the table behind one bound, errors completed."""
        e, policy = self.error_rate, self.decision.error_policy
        if policy == "exclude":
            return share_of_used
        for_claim = 0.0 if validate or policy == "fail" else 1.0
        return (1 - e) * share_of_used + e * for_claim

    def rows(self, n: Any) -> Any:
        """Rows that reach the estimator when n are planned."""
        return np.floor(np.asarray(n) * (1 - self.error_rate)) if self.decision.error_policy == "exclude" else n
