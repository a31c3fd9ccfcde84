"""Power and expected length of rules that may stop early: crossing times of simulated runs, or the law of the looks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ophamin.measuring.decision._stopping import Looks, looks_of, process_of
from ophamin.measuring.pillars.adaptive.processes import PROCESSES
from ophamin.measuring.planning._assume import Floats, Part
from ophamin.measuring.planning._mean import BoundedPower, _draw, _MeanPower
from ophamin.measuring.planning._share import SharePower
from ophamin.proof.errors import UsageError

__all__ = ["LooksPower", "SequentialPower", "least_units"]

RUNS = 1000
"""Simulated runs per truth; the standard error of a power is at most 0.016."""
LONGEST = 100_000
"""Units beyond which no run is simulated: memory, and the reader's patience."""
CELLS = 20_000_000


class _Truth:
    """Runs of one process under one truth: when each crossed.

    Args:
        process: Name of the process.
        null: θ on its scale, with 1 what speaks for its verdict.
        delta: δ on its scale.
        alpha: One-sided α.
        mean: Truth of a completed unit, on the same scale.
        sd: Standard deviation of a unit before completion.
        error: Share of errors, and what they are completed with.
        seed: Of the simulation.
    """

    def __init__(
        self, process: str, null: float, delta: float, alpha: float, mean: float, sd: float,
        error: tuple[float, float], seed: int,
    ) -> None:  # fmt: skip
        self._process, self._null, self._delta, self._goal = PROCESSES[process], null, delta, math.log(1 / alpha)
        self._mean, self._sd, self._error, self._seed = mean, sd, error, seed
        self._times = np.zeros(0)
        self._length = 0

    def times(self, units: int) -> Floats:
        """Unit at which each run crossed; ∞ where it had not within ``units``."""
        if units > LONGEST:
            raise UsageError(f"a sequential plan of more than {LONGEST} units is not simulated; give n yourself")
        if units > self._length:
            length = min(LONGEST, max(256, 1 << math.ceil(math.log2(units))))
            runs = max(100, min(RUNS, CELLS // length))
            rng = np.random.default_rng(self._seed)
            x = _draw(rng, self._mean, self._sd, (runs, length))
            rate, fill = self._error
            if rate:
                x = np.where(rng.random(x.shape) < rate, fill, x)
            crossed = self._process(x, self._null, self._delta) >= self._goal
            self._times = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1.0, np.inf)
            self._length = length
        return np.where(self._times <= units, self._times, np.inf)


class SequentialPower:
    """Power of a test process to decide within n, from simulated runs.

    Args:
        part: What is planned.
        delta: Distance of the truth from θ on either side.
    """

    def __init__(self, part: Part, delta: float) -> None:
        self.part, self._size, self._distance = part, part.assume.group_size, delta
        process, assume = process_of(part.decision), part.assume
        self._validate, self._refute = (
            self._truth(process, delta, validate, [assume.seed, int(validate)]) for validate in (True, False)
        )

    def _truth(self, process: str, delta: float, validate: bool, seed: list[int]) -> _Truth:
        part, assume = self.part, self.part.assume
        shrink = math.sqrt(assume.design_effect / assume.group_size)
        alpha = part.alpha_validate if validate else part.alpha_refute
        number = int(np.random.default_rng(seed).integers(2**31))
        own = float(part.decision.smallest_difference or delta)
        if part.decision.estimator in ("proportion", "quantile"):
            share = SharePower(part, delta)
            null, truth = share.theta, share.inside if validate else share.outside
            mean = part.completed(truth, validate=validate)
            if not validate:
                null, mean = 1 - null, 1 - mean
            self._reach = getattr(self, "_reach", True) and mean > null
            return _Truth(process, null, own, alpha, mean, shrink * math.sqrt(mean * (1 - mean)), (0.0, 0.0), number)
        model = BoundedPower(part, delta)
        low, high = model.low, model.high
        assert low is not None
        assert high is not None
        scale, truth = high - low, model.inside if validate else model.outside
        fill = model._fill(validate=validate)
        assert fill is not None
        null, mean, end = ((v - low) / scale for v in (model.theta, truth, fill))
        if part.upwards is not validate:
            null, mean, end = 1 - null, 1 - mean, 1 - end
        self._reach = getattr(self, "_reach", True) and model.reachable()
        sd = model._spread(truth) / scale * shrink
        return _Truth(process, null, own / scale, alpha, mean, sd, (part.error_rate, end), number)

    def _units(self, n: float) -> int:
        return max(1, int(n // self._size))

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute within each n."""
        sizes = np.atleast_1d(np.asarray(n, dtype=np.float64))
        both = [
            [float(np.isfinite(side.times(self._units(size))).mean()) for side in (self._validate, self._refute)]
            for size in sizes
        ]
        return np.array([v for v, _ in both]), np.array([r for _, r in both])

    def stops(self, n: int) -> tuple[Floats, Floats]:
        """Rows at which runs stop when the truth lies δ inside and δ outside, n being the maximum."""
        units = self._units(n)
        ends = (np.minimum(side.times(units), units) * self._size for side in (self._validate, self._refute))
        inside, outside = ends
        return inside, outside

    def guess(self, power: float) -> float:
        """Where to begin the search."""
        return 100.0 * self._size

    def reachable(self) -> bool:
        """Whether any n has power."""
        return bool(self._reach)

    def notes(self) -> list[str]:
        """What was assumed."""
        grouped = (
            f", on means of groups of {self._size:g} rows with intra-class correlation {self.part.assume.icc:g}"
            if self.part.assume.grouped
            else ""
        )
        own = [f"power and expected n come from {RUNS} simulated runs{grouped}"]
        bounded = self.part.decision.estimator == "mean"
        return own + (BoundedPower(self.part, self._distance).notes() if bounded else [])


def least_units(part: Part) -> int | None:
    """Units that would validate if every one spoke for the claim; ``None`` where that is beyond reach."""
    if looks_of(part.decision) is not None:
        return None
    delta = part.decision.smallest_difference
    if delta is None:
        return None
    if part.decision.estimator == "mean":
        low, high = part.decision.support or (None, None)
        if low is None or high is None:
            return None
        null, scale = (float(part.threshold.value) - low) / (high - low), high - low
        null = null if part.upwards else 1 - null
    else:
        null, scale = SharePower(part, 0.0).theta, 1.0
    for n in (1000, LONGEST):
        path = PROCESSES[process_of(part.decision)](np.ones(n), null, delta / scale)
        crossed = np.flatnonzero(path >= math.log(1 / part.alpha_validate))
        if len(crossed):
            return int(crossed[0]) + 1
    return None


class LooksPower:
    """Power of a group-sequential rule: the chance that a normal walk crosses at one of its looks.

    The bounds at a look are those of the fixed-n estimator, which for counts are a little wider than normal ones, so
    real power lies a little below.
    """

    def __init__(self, part: Part, delta: float, looks: Looks) -> None:
        self.part, self.looks = part, looks
        self._information = [n / looks.n[-1] for n in looks.n]
        self._effects = (self._effect(delta, validate=True), self._effect(delta, validate=False))

    def _effect(self, delta: float, *, validate: bool) -> float:
        """Standardised distance of a completed unit from θ, towards the verdict."""
        part = self.part
        shrink = math.sqrt(part.assume.design_effect / part.assume.group_size)
        if part.decision.estimator in ("proportion", "quantile"):
            share = SharePower(part, delta)
            mean = part.completed(share.inside if validate else share.outside, validate=validate)
            gap = mean - share.theta if validate else share.theta - mean
            return gap / (max(math.sqrt(mean * (1 - mean)), 1e-9) * shrink)
        model = _MeanPower(part, delta)
        truth = model.inside if validate else model.outside
        shifted = model._shifted(truth, validate=validate)
        return 0.0 if shifted is None else model._toward(truth, validate=validate) / (max(shifted[1], 1e-12) * shrink)

    def _run(self, n: float, effect: float, alpha: float) -> tuple[float, float]:
        # It loads scipy.stats, for which only a claim with registered looks pays.
        from ophamin.measuring.pillars.adaptive.group_sequential import crossing, spending_boundaries

        found = spending_boundaries(self._information, alpha=alpha, sides=1, spending=self.looks.spending)
        walk = crossing(found.z, self._information, drift=effect * math.sqrt(n), sides=1)
        return walk.power, walk.expected_information * n

    def powers(self, n: Any) -> tuple[Floats, Floats]:
        """Power to validate and to refute when the last look is at each n."""
        sizes, part = np.atleast_1d(np.asarray(n, dtype=np.float64)), self.part
        validate = [self._run(size, self._effects[0], part.alpha_validate)[0] for size in sizes]
        refute = [self._run(size, self._effects[1], part.alpha_refute)[0] for size in sizes]
        return np.array(validate), np.array(refute)

    def stops(self, n: int) -> tuple[Floats, Floats]:
        """Expected n, likewise."""
        part = self.part
        ends = (
            self._run(n, effect, alpha)[1]
            for effect, alpha in zip(self._effects, (part.alpha_validate, part.alpha_refute), strict=True)
        )
        inside, outside = ends
        return np.array([inside]), np.array([outside])

    def guess(self, power: float) -> float:
        """The registered maximum."""
        return float(self.looks.n[-1])

    def reachable(self) -> bool:
        """Whether any n has power."""
        return min(self._effects) > 0

    def notes(self) -> list[str]:
        """What was assumed."""
        return ["power at registered looks is that of a normal walk; bounds of counts have a little less"]
