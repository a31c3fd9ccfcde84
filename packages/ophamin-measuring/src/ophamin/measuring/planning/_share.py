"""Exact power for shares: proportions, and quantiles through their exceedances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, ndtri

from ophamin.measuring.planning._assume import Floats, Part

__all__ = ["SharePower"]

_FEW = 256
"""So many n are tried one by one."""
_PIECES, _PARTS = 64, 4
"""Into how many pieces a range of n is cut at first, and then each piece about which nothing is certain."""
_ROUNDING = 1e-9
"""What rounding may add to a power, and far more."""


def _at_least(k: Floats, n: Floats, p: float) -> Floats:
    inner = betainc(np.clip(k, 1, None), np.clip(n - k + 1, 1, None), p)
    return np.where(k <= 0, 1.0, np.where(k > n, 0.0, inner))


def _validating(n: Floats, theta: float, alpha: float) -> Floats:
    """Least count that validates ``share >= theta``: P(Bin(n, θ) ≥ k) ≤ α."""
    # The first terms of the series of Cornish & Fisher (1937) come within a step or two; exact tails settle the rest.
    z = -float(ndtri(alpha))
    near = n * theta + z * np.sqrt(n * theta * (1 - theta)) + (z * z - 1) * (1 - 2 * theta) / 6
    k = np.clip(np.ceil(near + 0.5), 0, n)
    left = np.arange(len(k))
    while len(left := left[_at_least(k[left], n[left], theta) > alpha]):
        k[left] += 1
    left = np.flatnonzero(k > 0)
    while len(left := left[(k[left] > 0) & (_at_least(k[left] - 1, n[left], theta) <= alpha)]):
        k[left] -= 1
    return np.asarray(k)


class SharePower:
    """Power of Clopper–Pearson on the share of rows that speak for the claim.

    Args:
        part: What is planned.
        delta: Distance of the truth from θ on either side, in (0, 1).
    """

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

    def last_short(self, first: int, end: int, validate: float, refute: float) -> int | None:
        """The last n in [first, end) at which a power falls short of its target; ``None`` when none does.

        Power saw-tooths in n, so that every n counts; but a bound on the power of all n between two spares most.
        """

        def short(n: NDArray[np.intp]) -> NDArray[np.intp]:
            powers = self.powers(n)
            return n[~((powers[0] >= validate) & (powers[1] >= refute))]

        if self.part.assume.grouped or end - first <= _FEW:
            return max(short(np.arange(first, end)).tolist(), default=None)
        ends = np.unique(np.linspace(first, end - 1, _PIECES).astype(np.intp))
        last, low, high = max(short(ends).tolist(), default=first - 1), ends[:-1], ends[1:]
        while True:
            open_ = (high > last) & (high - low > 1)
            low, high = low[open_], high[open_]
            open_ = ~self._surely(low + 1, high - 1, validate, refute)
            low, high = low[open_], high[open_]
            if not len(low):
                return last if last >= first else None
            cuts = low[:, None] + (high - low)[:, None] * np.arange(_PARTS + 1) // _PARTS
            last = max([last, *short(np.unique(cuts[:, 1:-1])).tolist()])
            low, high = cuts[:, :-1].ravel(), cuts[:, 1:].ravel()

    def _surely(self, low: NDArray[np.intp], high: NDArray[np.intp], validate: float, refute: float) -> Any:
        """Whether all n from ``low`` to ``high`` have the powers for certain; shape (k,).

        From n to n+1 the least count that validates stays or rises by one. So a sample between has at most the count
        to reach of the largest and at least the rows of the smallest, and may miss at least as many as the smallest.
        """
        part = self.part
        few, many = (np.maximum(np.asarray(part.rows(n), dtype=np.float64), 1) for n in (low, high))
        sure = (refute <= 0) | (_at_least(few, few, self.theta) <= part.alpha_validate * part.decided_at)
        for target, theta, truth, alpha in (
            (validate, self.theta, part.completed(self.inside, validate=True), part.alpha_validate),
            (refute, 1 - self.theta, 1 - part.completed(self.outside, validate=False), part.alpha_refute),
        ):
            if target > 0:
                k = _validating(np.concatenate([few, many]), theta, alpha)
                reached = _at_least(k[len(few) :], few, truth)
                missed = _at_least(k[: len(few)] + (many - few), many, truth)
                sure &= np.maximum(reached, missed) >= target + _ROUNDING
        return sure

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
