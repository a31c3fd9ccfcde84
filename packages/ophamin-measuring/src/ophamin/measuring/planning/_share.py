"""Exact power for shares: proportions, and quantiles through their exceedances."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import bdtrik, betainc, betaincc, ndtri

from ophamin.measuring.planning._assume import Floats, Part

__all__ = ["SharePower"]


def _at_least(k: Floats, n: Floats, p: float) -> Floats:
    inner = betainc(np.clip(k, 1, None), np.clip(n - k + 1, 1, None), p)
    return np.where(k <= 0, 1.0, np.where(k > n, 0.0, inner))


def _at_most(k: Floats, n: Floats, p: float) -> Floats:
    inner = betaincc(np.clip(k + 1, 1, None), np.clip(n - k, 1, None), p)
    return np.where(k < 0, 0.0, np.where(k >= n, 1.0, inner))


def _validating(n: Floats, theta: float, alpha: float) -> Floats:
    """Least count that validates ``share >= theta``: P(Bin(n, θ) ≥ k) ≤ α."""
    k = np.clip(np.ceil(bdtrik(1 - alpha, n, theta)), 0, n)
    for _ in range(4):  # the inverse is continuous; settle on the exact integer
        k = np.where(_at_least(k, n, theta) > alpha, k + 1, k)
    for _ in range(4):
        k = np.where((k > 0) & (_at_least(k - 1, n, theta) <= alpha), k - 1, k)
    return np.asarray(k)


class SharePower:
    """Power of Clopper–Pearson on the share of rows that speak for the claim.

    Args:
        part: What is planned.
        delta: Distance of the truth from θ on either side, in (0, 1).
    """

    exact = True

    def __init__(self, part: Part, delta: float) -> None:
        self.part = part
        if part.decision.estimator == "quantile":
            q = part.assume.quantile_of(part.threshold.metric)
            theta = 1 - q if part.upwards else q
        else:
            theta = part.threshold.value if part.upwards else 1 - part.threshold.value
        self.theta = float(theta)
        self.inside = min(1.0, self.theta + delta)
        self.outside = max(0.0, self.theta - delta)

    @classmethod
    def widest(cls, part: Part) -> float:
        """Greatest δ there is room for on both sides."""
        model = cls(part, 0.0)
        return min(model.theta, 1 - model.theta)

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each planned n."""
        part = self.part
        rows = np.atleast_1d(np.asarray(part.rows(n), dtype=np.float64))
        for_validating = np.asarray(part.assume.effective(rows, self.inside, part.alpha_validate), dtype=np.float64)
        for_refuting = np.asarray(part.assume.effective(rows, self.outside, part.alpha_refute), dtype=np.float64)
        for_validating, for_refuting = np.maximum(for_validating, 1), np.maximum(for_refuting, 1)
        k = _validating(for_validating, self.theta, part.alpha_validate)
        validate = _at_least(k, for_validating, part.completed(self.inside, validate=True))
        # Refuting "share >= θ" is validating "the rest > 1−θ".
        k = _validating(for_refuting, 1 - self.theta, part.alpha_refute)
        refute = _at_least(k, for_refuting, 1 - part.completed(self.outside, validate=False))
        # A sample on which nothing could have validated never refutes either; that is judged at the claim's own α.
        possible = _at_least(for_validating, for_validating, self.theta) <= part.alpha_validate * part.decided_at
        few = part.assume.grouped & (part.assume.groups(rows) < 20)
        return np.where(few, 0.0, validate), np.where(possible & ~few, refute, 0.0)

    def guess(self, power: float) -> float:
        """Normal approximation to n, where the exact search begins."""
        part, z = self.part, float(ndtri(power))
        sizes = [1.0]
        for truth, alpha, validate in (
            (self.inside, part.alpha_validate, True),
            (self.outside, part.alpha_refute, False),
        ):
            gap = abs(part.completed(truth, validate=validate) - self.theta)
            zs = -float(ndtri(alpha)) * np.sqrt(self.theta * (1 - self.theta)) + z * np.sqrt(truth * (1 - truth))
            if gap > 0:
                sizes.append((zs / gap) ** 2)
        return float(max(sizes) * part.assume.design_effect)

    def reachable(self) -> bool:
        """Whether any n has power: expected errors may eat up δ."""
        part = self.part
        return bool(
            part.completed(self.inside, validate=True) > self.theta
            and part.completed(self.outside, validate=False) < self.theta
        )

    def notes(self) -> list[str]:
        """What was assumed."""
        assume = self.part.assume
        if not assume.grouped:
            return []
        return [
            f"groups of {assume.group_size:g} rows with intra-class correlation {assume.icc:g} are assumed: "
            f"design effect {assume.design_effect:.3g}"
        ]
