"""Power for means: Student's t in closed form, bounded means by simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import nctdtr, ndtr, ndtri, stdtrit

from ophamin.measuring.estimators._bounded import bernstein_p_lower, betting_p_lower
from ophamin.measuring.planning._assume import Floats, Part
from ophamin.proof.errors import UsageError

__all__ = ["BoundedPower", "StudentPower", "mean_power"]

RUNS = 400
MOST_SIMULATED = 10_000
"""Units above which power is approximated: simulating millions of values would take minutes and gigabytes."""
"""Simulated runs per power; its standard error is at most 0.025."""


def mean_power(part: Part, delta: float) -> StudentPower | BoundedPower:
    """The model that answers to the interval the claim registered."""
    support = part.decision.support
    bounded = support is not None and all(e is not None and math.isfinite(e) for e in support)
    method = part.decision.method or "auto"
    if bounded and method in ("auto", "betting", "empirical-bernstein"):
        return BoundedPower(part, delta)
    return StudentPower(part, delta)


class _MeanPower:
    def __init__(self, part: Part, delta: float) -> None:
        self.part, self.delta = part, delta
        support = part.decision.support or (None, None)
        self.low, self.high = support
        theta = float(part.threshold.value)
        sign = 1.0 if part.upwards else -1.0
        self.theta, self.inside, self.outside = theta, theta + sign * delta, theta - sign * delta

    def _fill(self, *, validate: bool) -> float | None:
        """What stands for an errored row in the table behind one bound."""
        worst, best = (self.low, self.high) if self.part.upwards else (self.high, self.low)
        return worst if validate or self.part.decision.error_policy == "fail" else best

    def _spread(self, mean: float) -> float:
        assume = self.part.assume
        if assume.sd is not None:
            sd = assume.sd
        elif self.low is not None and self.high is not None:
            sd = math.sqrt(max((mean - self.low) * (self.high - mean), 0.0))  # the most a support allows
        else:
            raise UsageError(
                f"planning '{self.part.threshold}' needs the spread of one value: its ends (--set support=LOW,HIGH), "
                "or, for a plan alone, its standard deviation (--assume sd=VALUE)"
            )
        return sd

    def reachable(self) -> bool:
        """Whether any n has power."""
        if self.low is not None and min(self.inside, self.outside) < self.low:
            return False
        if self.high is not None and max(self.inside, self.outside) > self.high:
            return False
        return self._shifted(self.inside, validate=True) is not None and (
            self._toward(self.inside, validate=True) > 0 and self._toward(self.outside, validate=False) > 0
        )

    def _shifted(self, mean: float, *, validate: bool) -> tuple[float, float] | None:
        """Mean and sd of a completed row; ``None`` when an error has no value to take."""
        e = 0.0 if self.part.decision.error_policy == "exclude" else self.part.error_rate
        sd = self._spread(mean)
        if e == 0:
            return mean, sd
        fill = self._fill(validate=validate)
        if fill is None:
            return None
        return (1 - e) * mean + e * fill, math.sqrt((1 - e) * sd * sd + e * (1 - e) * (mean - fill) ** 2)

    def _toward(self, mean: float, *, validate: bool) -> float:
        """How far the completed mean lies from θ on the side that decides."""
        shifted = self._shifted(mean, validate=validate)
        if shifted is None:
            return -math.inf
        sign = 1.0 if self.part.upwards is validate else -1.0
        return sign * (shifted[0] - self.theta)

    def guess(self, power: float) -> float:
        """Normal approximation to n."""
        sizes = [2.0]
        for mean, alpha, validate in (
            (self.inside, self.part.alpha_validate, True),
            (self.outside, self.part.alpha_refute, False),
        ):
            shifted, gap = self._shifted(mean, validate=validate), self._toward(mean, validate=validate)
            if shifted is not None and gap > 0:
                sizes.append((float(ndtri(power) - ndtri(alpha)) * shifted[1] / gap) ** 2)
        return max(sizes) * self.part.assume.design_effect

    def notes(self) -> list[str]:
        """What was assumed."""
        assume = self.part.assume
        sd = f"{assume.sd:g}" if assume.sd is not None else "the greatest the support allows"
        grouped = f", groups of {assume.group_size:g} rows with correlation {assume.icc:g}" if assume.grouped else ""
        return [f"the standard deviation of one value is taken as {sd}{grouped}"]


class StudentPower(_MeanPower):
    """Noncentral t (``scipy.special.nctdtr``); with groups G−1 degrees of freedom and the design effect."""

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each planned n."""
        part, assume = self.part, self.part.assume
        rows = np.atleast_1d(np.asarray(part.rows(n), dtype=np.float64))
        units = assume.groups(rows) if assume.grouped else rows
        df = np.maximum(units - 1, 1)
        enough = units >= (20 if assume.grouped else max(2, assume.least))
        out = []
        for mean, alpha, validate in (
            (self.inside, part.alpha_validate, True),
            (self.outside, part.alpha_refute, False),
        ):
            shifted, gap = self._shifted(mean, validate=validate), self._toward(mean, validate=validate)
            if shifted is None:
                out.append(np.zeros_like(rows))
                continue
            noncentrality = gap * np.sqrt(rows / assume.design_effect) / shifted[1]
            # Beyond 37 the noncentral t says 1 to the last digit, and its series no longer converges.
            inner = np.minimum(noncentrality, 37.0)
            out.append(np.where(enough, 1 - nctdtr(df, inner, stdtrit(df, 1 - alpha)), 0.0))
        return out[0], out[1]


class BoundedPower(_MeanPower):
    """Simulated: values from the beta distribution of that mean and sd, or the two ends when sd is not given.

    Above ``MOST_SIMULATED`` units approximated, on the safe side.
    """

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each planned n."""
        both = [(self._one(int(k), validate=True), self._one(int(k), validate=False)) for k in np.atleast_1d(n)]
        return np.array([v for v, _ in both]), np.array([r for _, r in both])

    def _one(self, n: int, *, validate: bool) -> float:
        part, assume = self.part, self.part.assume
        assert self.low is not None
        assert self.high is not None
        units = int(assume.groups(part.rows(n))) if assume.grouped else int(part.rows(n))
        if units < (20 if assume.grouped else 2):
            return 0.0
        scale = self.high - self.low
        mean = ((self.inside if validate else self.outside) - self.low) / scale
        sd = self._spread(self.low + mean * scale) / scale * math.sqrt(assume.design_effect / assume.group_size)
        if units > MOST_SIMULATED:
            return self._approximated(units, sd, validate=validate)
        rng = np.random.default_rng([assume.seed, n, validate])
        x = _draw(rng, mean, sd, (RUNS, units))
        if part.error_rate and part.decision.error_policy != "exclude":
            fill = self._fill(validate=validate)
            assert fill is not None
            x = np.where(rng.random(x.shape) < part.error_rate, (fill - self.low) / scale, x)
        theta = (self.theta - self.low) / scale
        if part.upwards is not validate:
            x, theta = 1 - x, 1 - theta
        alpha = part.alpha_validate if validate else part.alpha_refute
        if part.decision.method == "empirical-bernstein":
            p = [bernstein_p_lower(row, theta) for row in x]
        else:
            p = [betting_p_lower(row, alpha * part.decided_at, theta) for row in x]
        return float(np.mean(np.array(p) <= alpha))

    def _approximated(self, units: int, sd: float, *, validate: bool) -> float:
        """Normal mean against the width a large sample has: σ√(2 ln(1/α)/n), plus Bernstein's second term.

        Conservative by up to 0.1 against simulation at a few thousand units, less beyond.
        """
        assert self.low is not None
        assert self.high is not None
        scale = self.high - self.low
        truth = self.inside if validate else self.outside
        gap = self._toward(truth, validate=validate) / scale
        shifted = self._shifted(truth, validate=validate)
        spread = max(sd, 0.0 if shifted is None else shifted[1] / scale, 1e-12)
        alpha = self.part.alpha_validate if validate else self.part.alpha_refute
        if self.part.decision.method == "empirical-bernstein":
            log = math.log(2 / alpha)
            width = spread * math.sqrt(2 * log / units) + 7 * log / (3 * (units - 1))
        else:
            # A stake tuned for α′ on values of variance σ² reaches capital 1/α at this distance from θ.
            tuned = math.log(1 / (alpha * self.part.decided_at))
            width = spread * (tuned + math.log(1 / alpha)) / math.sqrt(2 * tuned * units)
        return float(ndtr((gap - width) * math.sqrt(units) / spread))


def _draw(rng: np.random.Generator, mean: float, sd: float, shape: tuple[int, int]) -> Floats:
    mean = min(max(mean, 0.0), 1.0)
    most = mean * (1 - mean)
    if most == 0:
        return np.full(shape, mean)
    if sd * sd >= 0.999 * most:
        return (rng.random(shape) < mean).astype(np.float64)
    size = most / (sd * sd) - 1
    return rng.beta(mean * size, (1 - mean) * size, shape)
