"""Power for the calibration error and the Brier skill, by normal approximation.

The stated confidences are assumed uniform, and the system right with probability c − gap.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from ophamin.measuring.planning._assume import Floats, Part

__all__ = ["BrierPower", "CalibrationPower"]


class _UniformConfidence(ABC):
    def __init__(self, part: Part, delta: float) -> None:
        self.part, self.delta = part, delta
        low, high = part.assume.confidences
        self.c = low + (high - low) * (np.arange(2000) + 0.5) / 2000
        sign = 1.0 if part.upwards else -1.0
        self.theta = float(part.threshold.value)
        self.inside, self.outside = self.theta + sign * delta, self.theta - sign * delta

    def reachable(self) -> bool:
        """Whether any n has power."""
        validate, refute = self.powers(10**9)
        return bool(validate[0] > 0.5 and refute[0] > 0.5)

    @abstractmethod
    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each planned n."""

    def _units(self, n: Any) -> Floats:
        rows = np.atleast_1d(np.asarray(self.part.rows(n), dtype=np.float64))
        return rows / self.part.assume.design_effect

    def _enough(self, n: Any) -> Any:
        assume = self.part.assume
        return np.atleast_1d(assume.groups(self.part.rows(n))) >= (20 if assume.grouped else 4)

    def guess(self, power: float) -> float:
        """Where the search for n begins."""
        return (float(ndtri(power) - ndtri(self.part.alpha_refute)) * 0.5 / self.delta) ** 2

    def notes(self) -> list[str]:
        """What was assumed."""
        low, high = self.part.assume.confidences
        return [f"power is approximate: confidences taken as uniform between {low:g} and {high:g}"]

    @property
    def _errors(self) -> float:
        return 0.0 if self.part.decision.error_policy == "exclude" else self.part.error_rate


class CalibrationPower(_UniformConfidence):
    """Upper bound from the folded normal sums of the bins, lower bound from one half of the sample."""

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each planned n."""
        part, units, e = self.part, self._units(n), self._errors
        hit = np.clip(self.c - max(self.inside, 0.0), 0, 1)
        width = 1 / part.assume.bins
        bins = np.minimum((self.c / width).astype(int), part.assume.bins - 1)
        share = np.bincount(bins, minlength=part.assume.bins) / len(self.c)
        shift = np.bincount(bins, weights=hit - self.c, minlength=part.assume.bins) / len(self.c) * (1 - e)
        square = np.bincount(bins, weights=(hit - self.c) ** 2 + hit * (1 - hit), minlength=part.assume.bins)
        variance = np.maximum(square / len(self.c) * (1 - e) - shift**2, 0)[share > 0]
        sd = np.sqrt(variance[:, None] / units)
        mean = np.abs(shift[share > 0])[:, None]
        ratio = mean / sd
        folded = sd * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + mean * (1 - 2 * ndtr(-ratio))
        spread = np.sqrt((mean**2 + sd**2 - folded**2).sum(axis=0) + e * (1 - e) / units)
        centre = folded.sum(axis=0) + e
        whole = float(square.sum() / len(self.c)) * (1 - e) + e
        z = -float(ndtri(part.alpha_validate))
        bound = centre + z * np.sqrt(np.maximum(whole - centre**2, 0) / units)
        validate = ndtr((self.theta - bound) / spread)
        gap = self.outside * (1 - e) + (e if part.decision.error_policy == "fail" else -e) - self.theta
        hit = np.clip(self.c - self.outside, 0, 1)
        sd_one = math.sqrt(max(float(np.mean((hit - self.c) ** 2 + hit * (1 - hit))) - self.outside**2, 0) + e)
        refute = ndtr(gap * np.sqrt(units / 2) / sd_one + float(ndtri(part.alpha_refute)))
        enough = self._enough(n)
        return np.where(enough, validate, 0.0), np.where(enough, refute, 0.0)


class BrierPower(_UniformConfidence):
    """A paired mean whose spread is that of a calibrated system."""

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each planned n."""
        part, units, e = self.part, self._units(n), self._errors
        rate = float(self.c.mean())
        right, wrong = (1 - rate) ** 2 - (1 - self.c) ** 2, rate**2 - self.c**2
        first = float(np.mean(self.c * right + (1 - self.c) * wrong))
        second = float(np.mean(self.c * right**2 + (1 - self.c) * wrong**2))
        sd = math.sqrt(second - first**2 + e)
        inside = (1 - e) * self.inside - e - self.theta
        outside = self.theta - ((1 - e) * self.outside + (-e if part.decision.error_policy == "fail" else e))
        # The upper bound takes the worst base rate a t interval at a tenth of α leaves.
        worst = float(ndtri(0.05 * part.alpha_refute)) ** 2 * rate * (1 - rate) / units
        validate = ndtr(inside * np.sqrt(units) / sd + float(ndtri(part.alpha_validate)))
        refute = ndtr((outside - worst) * np.sqrt(units) / sd + float(ndtri(0.9 * part.alpha_refute)))
        enough = self._enough(n)
        return np.where(enough, validate, 0.0), np.where(enough, refute, 0.0)
