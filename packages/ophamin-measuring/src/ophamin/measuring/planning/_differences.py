"""Power for differences, equivalence, slopes, correlations and effect sizes.

n counts rows of each arm where there are two, pairs where rows are paired, else rows. Under the policy ``bound`` a
failed cycle has no worst value to take here, except for shares, so that any expected error leaves no power.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from scipy.special import nctdtr, nctdtrit, ndtr, ndtri, stdtrit

from ophamin.measuring.estimators._shares import newcombe
from ophamin.measuring.estimators.difference import exact_difference
from ophamin.measuring.estimators.slope import LEAST
from ophamin.measuring.pillars.general.equivalence import equivalence_power, estimated_errors
from ophamin.measuring.planning._assume import Floats, Part
from ophamin.proof.errors import UsageError

__all__ = ["MODELS", "CorrelationPower", "EffectPower", "EquivalencePower", "MeansPower", "SharesPower", "SlopePower"]

RUNS = 4000
"""Simulated runs per power; its standard error is at most 0.008."""
GROUPS = 20
"""Fewer groups in an arm than this decide nothing."""


class _Power(ABC):
    per = ""
    grouped = False  # whether rows may come in groups

    def __init__(self, part: Part, delta: float) -> None:
        self.part, self.delta = part, delta
        self.theta = float(part.threshold.value)
        sign = 1.0 if part.upwards else -1.0
        self.inside, self.outside = self.theta + sign * delta, self.theta - sign * delta
        if part.assume.grouped and not self.grouped:
            name = part.decision.estimator
            # What is planned must be decidable: these estimators refuse such rows.
            instead = "; difference.mean takes them" if name != "correlation" else ""
            raise UsageError(f"{name!r} decides nothing from grouped rows, so there is no plan for them{instead}")

    @abstractmethod
    def _power(self, n: Floats, truth: float, alpha: float, *, upper_side: bool) -> Floats:
        """Chance that the lower bound passes θ from above (``upper_side``), or the upper bound from below."""

    def _least(self) -> int:
        return 2

    def _rows(self, n: Any) -> Floats:
        return np.atleast_1d(np.asarray(self.part.rows(n), dtype=np.float64))

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute for each planned n."""
        part, rows = self.part, self._rows(n)
        up = part.upwards
        validate = self._power(np.maximum(rows, self._least()), self.inside, part.alpha_validate, upper_side=up)
        refute = self._power(np.maximum(rows, self._least()), self.outside, part.alpha_refute, upper_side=not up)
        none = (rows < self._least()) | self._gaps()
        return np.where(none, 0.0, validate), np.where(none, 0.0, refute)

    def _gaps(self) -> bool:
        return self.part.error_rate > 0 and self.part.decision.error_policy != "exclude"

    def reachable(self) -> bool:
        """Whether any n has power."""
        return not self._gaps()

    def _unit_spread(self) -> float:
        """Standard deviation of the estimate times √n, for the first guess."""
        return 1.0

    def guess(self, power: float) -> float:
        """Where to begin the search for n."""
        z = float(ndtri(power) - ndtri(self.part.alpha_refute))
        return max(float(self._least()), (z * self._unit_spread() / self.delta) ** 2)

    def notes(self) -> list[str]:
        """What was assumed."""
        return [f"n counts {self.per}"] if self.per else []


class SharesPower(_Power):
    """Simulated with one seed for every n; the base share that gives the greatest spread, unless one is assumed."""

    per = "rows of each arm"

    def _bases(self, truth: float) -> tuple[float, float]:
        base = self.part.assume.base
        base = (1 - truth) / 2 if base is None else base
        return base, base + truth

    def reachable(self) -> bool:
        """Whether both truths are differences of two shares, and errors leave room."""
        shares = [s for truth in (self.inside, self.outside) for s in self._bases(truth)]
        if not all(-1e-12 <= s <= 1 + 1e-12 for s in shares):
            return False
        return all(bool(p[0] > 0.5) for p in self.powers(10**7))

    def _gaps(self) -> bool:
        return False

    def _power(self, n: Floats, truth: float, alpha: float, *, upper_side: bool) -> Floats:
        bounds = newcombe if self.part.decision.estimator == "difference.newcombe" else exact_difference
        base, head = (min(1.0, max(0.0, s)) for s in self._bases(truth))
        policy, e = self.part.decision.error_policy, self.part.error_rate
        if e and policy != "exclude":
            # The lower bound sees failed cycles as failures of head and successes of base, the upper the reverse.
            low = upper_side if policy == "bound" else self.part.upwards
            base, head = (1 - e) * base + (e if low else 0.0), (1 - e) * head + (0.0 if low else e)
        out = []
        for size in n:
            rng = np.random.default_rng([self.part.assume.seed, int(upper_side)])
            k1, k2 = rng.binomial(int(size), base, RUNS), rng.binomial(int(size), head, RUNS)
            lower, upper = bounds(k2, size, k1, size, alpha)
            out.append(float(np.mean(lower > self.theta if upper_side else upper < self.theta)))
        return np.array(out)

    def notes(self) -> list[str]:
        """What was assumed."""
        base = self.part.assume.base
        words = "as gives the greatest spread" if base is None else f"{base:g}"
        return [*super().notes(), f"the share of the first arm is taken as {words}; power is simulated {RUNS} times"]


class _OfSpread(_Power):
    grouped = True

    def _least(self) -> int:
        return math.ceil(GROUPS * self.part.assume.group_size) if self.part.assume.grouped else 2

    def _sd(self) -> float:
        assume, support = self.part.assume, self.part.decision.support
        if assume.sd is not None:
            return assume.sd
        if support is not None and None not in support:
            return (float(support[1] or 0.0) - float(support[0] or 0.0)) / 2
        raise UsageError(
            f"planning '{self.part.threshold}' needs the spread of one value: its ends (--set support=LOW,HIGH), "
            "or, for a plan alone, its standard deviation (--assume sd=VALUE)"
        )

    @property
    def _paired(self) -> bool:
        return bool(self.part.assume.paired)

    def _design(self, n: Floats) -> tuple[Floats, Floats]:
        """Standard error over sd, and degrees of freedom."""
        assume = self.part.assume
        units, worth = (assume.groups(n), n / assume.design_effect) if assume.grouped else (n, n)
        return (1 / np.sqrt(worth), units - 1) if self._paired else (np.sqrt(2 / worth), 2 * units - 2)

    def _unit_spread(self) -> float:
        return self._sd() * math.sqrt(self.part.assume.design_effect * (1 if self._paired else 2))

    def notes(self) -> list[str]:
        """What was assumed."""
        of = "one paired difference" if self._paired else "one value in each arm"
        per = "pairs" if self._paired else "rows of each arm"
        said = [f"n counts {per}", f"the standard deviation of {of} is taken as {self._sd():g}"]
        assume = self.part.assume
        if assume.grouped:
            said.append(f"groups of {assume.group_size:g} {per.split()[0]} have correlation {assume.icc:g}")
            if not self._paired:
                said.append("each group lies in one arm; one that lies in both tells more")
        return said


class MeansPower(_OfSpread):
    """Noncentral t: arms of one size and spread, or pairs."""

    def _power(self, n: Floats, truth: float, alpha: float, *, upper_side: bool) -> Floats:
        scale, df = self._design(n)
        gap = (truth - self.theta) if upper_side else (self.theta - truth)
        # Beyond 37 the noncentral t says 1 to the last digit, and its series no longer converges.
        inner = np.minimum(gap / (self._sd() * scale), 37.0)
        return np.asarray(1 - nctdtr(df, inner, stdtrit(df, 1 - alpha)))


class EquivalencePower(_OfSpread):
    """Two one-sided t tests by integration over the estimated spread; no normal approximation.

    Source: Phillips (1990), J. Pharmacokinet. Biopharm. 18:137.
    """

    def reachable(self) -> bool:
        """Whether a size of the difference lies δ inside the margin."""
        return not self._gaps() and min(self.inside, self.outside) >= 0

    def _power(self, n: Floats, truth: float, alpha: float, *, upper_side: bool) -> Floats:
        scale, df = self._design(n)
        error = self._sd() * scale
        if not upper_side:  # |d| + t(1−α)·s < θ
            return equivalence_power(self.theta, truth, error, df, alpha)
        reach = self.theta + stdtrit(df, 1 - alpha / 2)[:, None] * estimated_errors(error, df)  # |d| − t(1−α/2)·s > θ
        spread = error[:, None]
        return np.asarray((ndtr((truth - reach) / spread) + ndtr((-truth - reach) / spread)).mean(axis=1))


class SlopePower(_Power):
    """Equally spaced times, one unit apart; dependence by the long-run variance of an AR(1).

    With groups each is a series of its own over the same times. The level of a group, which its rows share, then falls
    out of its slope, so that the estimate is a mean of G slopes with G − 1 degrees of freedom: exact for normal errors.
    """

    per = "rows, one unit of time apart"
    grouped = True

    def __init__(self, part: Part, delta: float) -> None:
        super().__init__(part, delta)
        if part.assume.grouped and (part.assume.group_size < 2 or part.assume.icc >= 1 or part.assume.ar):
            raise UsageError("grouped rows of a slope are planned with at least 2 rows a group, icc below 1 and no ar")

    def _least(self) -> int:
        return math.ceil(GROUPS * self.part.assume.group_size) if self.part.assume.grouped else LEAST

    def _sd(self) -> float:
        if self.part.assume.sd is None:
            raise UsageError(
                f"planning '{self.part.threshold}' needs the spread about the line, --assume sd=VALUE "
                "(and --assume ar=VALUE where rows depend on each other)"
            )
        ar, icc = self.part.assume.ar, self.part.assume.icc if self.part.assume.grouped else 0.0
        return self.part.assume.sd * math.sqrt((1 + ar) / (1 - ar) * (1 - icc))

    def _power(self, n: Floats, truth: float, alpha: float, *, upper_side: bool) -> Floats:
        assume = self.part.assume
        if assume.grouped:
            units = assume.groups(n)
            df, spread = units - 1, units * assume.group_size * (assume.group_size**2 - 1) / 12
        else:
            df, spread = np.maximum(2, np.floor(0.25 * n ** (2 / 3))), n * (n * n - 1) / 12
        gap = (truth - self.theta) if upper_side else (self.theta - truth)
        inner = np.minimum(gap * np.sqrt(spread) / self._sd(), 37.0)
        return np.asarray(1 - nctdtr(df, inner, stdtrit(df, 1 - alpha)))

    def guess(self, power: float) -> float:
        """Where to begin the search for n."""
        return float(self._least())

    def notes(self) -> list[str]:
        """What was assumed."""
        self._sd()  # says what is missing
        assume = self.part.assume
        if assume.grouped:
            return [
                *super().notes(),
                f"each group is a series of {assume.group_size:g} rows over the same times; the spread about the line "
                f"is taken as {assume.sd:g}, the correlation of rows of one group as {assume.icc:g}",
            ]
        return [
            *super().notes(),
            f"the spread about the line is taken as {assume.sd:g}, its autocorrelation {assume.ar:g}",
        ]


class CorrelationPower(_Power):
    """Fisher's z, normal in large samples."""

    def _least(self) -> int:
        return 4

    def reachable(self) -> bool:
        """Whether both truths are correlations."""
        return not self._gaps() and min(self.inside, self.outside) > -1 and max(self.inside, self.outside) < 1

    def _power(self, n: Floats, truth: float, alpha: float, *, upper_side: bool) -> Floats:
        inside = min(1 - 1e-12, max(-1 + 1e-12, truth))
        gap = math.atanh(inside) - math.atanh(self.theta)
        return np.asarray(ndtr((gap if upper_side else -gap) * np.sqrt(n - 3) + float(ndtri(alpha))))


class EffectPower(_Power):
    """Noncentral t on both sides: the statistic's, and that of the bound."""

    def _design(self, n: Floats) -> tuple[Floats, Floats]:
        return (np.sqrt(n), n - 1) if self.part.assume.paired else (np.sqrt(n / 2), 2 * n - 2)

    def _unit_spread(self) -> float:
        return math.sqrt(1 if self.part.assume.paired else 2)

    def _power(self, n: Floats, truth: float, alpha: float, *, upper_side: bool) -> Floats:
        root, df = self._design(n)
        # By symmetry the upper side of δ is the lower side of −δ.
        theta, at = (self.theta, truth) if upper_side else (-self.theta, -truth)
        # A noncentral t far from 0 is normal to the digits that matter, and its series slow.
        far = np.maximum(abs(theta), abs(at)) * root > 30
        critical = np.where(far, theta * root - ndtri(alpha) * np.sqrt(1 + (theta * root) ** 2 / (2 * df)), 0.0)
        power = ndtr((at * root - critical) / np.sqrt(1 + (at * root) ** 2 / (2 * df)))
        near = ~far
        bound = nctdtrit(df[near], theta * root[near], 1 - alpha)
        power[near] = 1 - nctdtr(df[near], at * root[near], bound)
        return np.asarray(power)

    def notes(self) -> list[str]:
        """What was assumed."""
        return ["n counts pairs" if self.part.assume.paired else "n counts rows of each arm"]


MODELS: dict[str, type[_Power]] = {
    "difference.newcombe": SharesPower,
    "difference.clopper-pearson": SharesPower,
    "difference.mean": MeansPower,
    "tost": EquivalencePower,
    "slope.hac": SlopePower,
    "correlation": CorrelationPower,
    "effect-size": EffectPower,
}
