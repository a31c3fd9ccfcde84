"""One threshold decided by a rule that may stop early: what the rows so far say, whoever has looked before.

Each verdict has a one-sided process of its own with θ as its null, which decides when it has ever reached 1/α; the two
bounds are what these processes have left out. Or the claim registered when to look, and each look has its share of α.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophamin.measuring.decision._gaps import Rows, ends
from ophamin.measuring.decision._part import WIDENING, PartDecision
from ophamin.measuring.decision._stopping import GROUP_SEQUENTIAL, Looks, looks_of, process_of
from ophamin.measuring.pillars.adaptive.processes import PROCESSES, Running, greatest_rejected
from ophamin.proof.decision import Outcome, outcome
from ophamin.proof.types import Decision, Interval, PillarEvidence, Threshold
from ophamin.protocols import Estimate, EstimatorCall

__all__ = ["MIN_GROUPS", "Units", "decide_sequential", "running_of", "units_of"]

Floats = NDArray[np.float64]
MIN_GROUPS = 20
"""Fewer groups than this never decide, whatever their process says."""


@dataclass(frozen=True)
class Units:
    """What the processes see: one value per independent unit, in the order the units were completed.

    Args:
        low: Lowest value the unit may have, gaps completed downwards; for a quantile 1 where it surely lies beyond θ
            on the upper side. Between 0 and 1; shape (n,).
        high: Highest value, likewise; shape (n,).
        null: θ on the same scale.
        grouped: Whether some unit has several rows.
    """

    low: Floats
    high: Floats
    null: float
    grouped: bool


class _Table:
    """The rows of a call in order, with gaps completed both ways, as means over units."""

    def __init__(self, call: EstimatorCall, decision: Decision) -> None:
        found = ends(call, decision)
        self.rows = Rows(call, "bound", found)
        self.found = found
        order = sorted([*self.rows.used, *self.rows.errors, *self.rows.unmeasured])
        used, values = set(self.rows.used), call.columns.get("value", ())
        gap_low, gap_high = (None, None) if found is None else (found.low, found.high)
        self.used = np.array([i in used for i in order], dtype=bool)
        try:
            measured = {i: _number(values[i]) for i in self.rows.used}
            self.problem = _unfit(decision, list(measured.values()))
        except (TypeError, ValueError):
            measured, self.problem = {}, "column 'value' holds something that is not a number"
        self.low = np.array([measured.get(i, gap_low) for i in order], dtype=np.float64)
        self.high = np.array([measured.get(i, gap_high) for i in order], dtype=np.float64)
        groups = call.columns.get("group")
        names = [(i,) if groups is None or groups[i] is None else groups[i] for i in order]
        last = {name: position for position, name in enumerate(names)}
        rank = {name: k for k, name in enumerate(sorted(last, key=lambda name: last[name]))}
        self.codes = np.array([rank[name] for name in names], dtype=np.intp)
        self.order, self.n_units = order, len(rank)
        self.sizes = np.bincount(self.codes, minlength=self.n_units).astype(np.float64)

    @property
    def grouped(self) -> bool:
        return len(self.order) > self.n_units

    def means(self, row_values: Floats) -> Floats:
        """Mean of each unit."""
        if not self.grouped:
            # Units are completed in the order of their rows.
            return row_values
        return np.bincount(self.codes, weights=row_values, minlength=self.n_units) / self.sizes

    def observed(self) -> tuple[Floats, Floats]:
        """Values that were measured and the unit of each."""
        return self.low[self.used], self.codes[self.used].astype(np.float64)


def units_of(threshold: Threshold, decision: Decision, call: EstimatorCall) -> Units:
    """The units of a call on the scale of its test process.

    Args:
        threshold: The threshold.
        decision: As registered.
        call: Rows so far.
    """
    return _units(threshold, decision, call, _Table(call, decision))


def _units(threshold: Threshold, decision: Decision, call: EstimatorCall, table: _Table) -> Units:
    theta = float(threshold.value)
    if decision.estimator == "quantile":
        # p_q <= θ says that at least a share q lies at or below θ; here 1 is "above", as a greater value is.
        beyond = np.greater_equal if threshold.comparator in ("<", ">=") else np.greater
        q = float(call.options.get("q", 0.5))
        low, high = (table.means(beyond(side, theta).astype(np.float64)) for side in (table.low, table.high))
        return Units(low, high, 1 - q, table.grouped)
    start, scale = _scale(decision)
    low, high = (table.means((side - start) / scale) for side in (table.low, table.high))
    return Units(np.clip(low, 0, 1), np.clip(high, 0, 1), (theta - start) / scale, table.grouped)


def running_of(decision: Decision, null: float) -> tuple[Running, Running]:
    """The processes of "above" and "below" to be told one unit at a time: its low value, and 1 − its high one."""
    name, delta = process_of(decision), _delta(decision)
    return Running(name, null, delta), Running(name, 1 - null, delta)


def _delta(decision: Decision) -> float:
    """δ on the scale of the process; of a quantile it is a share already."""
    return float(decision.smallest_difference or 0) / (1.0 if decision.estimator == "quantile" else _scale(decision)[1])


def _scale(decision: Decision) -> tuple[float, float]:
    if decision.estimator == "mean" and decision.support is not None:
        low, high = decision.support
        if low is not None and high is not None:
            return float(low), float(high) - float(low)
    return 0.0, 1.0


def decide_sequential(
    threshold: Threshold,
    decision: Decision,
    call: EstimatorCall,
    *,
    alpha_validate: float,
    alpha_refute: float,
    seed: int,
) -> PartDecision:
    """Decide one threshold from the rows so far; arguments as of ``decide``.

    Example:
        >>> part = decide_sequential(
        ...     Threshold("accuracy", ">=", 0.9),
        ...     Decision("sequential", estimator="proportion", smallest_difference=0.05),
        ...     EstimatorCall("accuracy", "proportion", {"value": [1] * 120}),
        ...     alpha_validate=0.05, alpha_refute=0.05, seed=0)
        >>> part.outcome, part.evidence.interval_method, part.evidence.guarantee
        ('VALIDATED', 'mixture-sprt', 'guaranteed')
    """
    upwards = threshold.comparator in (">=", ">")
    alphas = (alpha_validate, alpha_refute) if upwards else (alpha_refute, alpha_validate)
    looks = looks_of(decision)
    table = _Table(call, decision)
    if table.problem:
        found = _Found(-math.inf, math.inf, (1.0, 1.0), decision.method or "auto", "approximate", {})
    elif looks is None:
        found = _by_process(threshold, decision, call, table, alphas)
    else:
        found = _by_looks(threshold, decision, call, table, alphas, looks, seed)
    value = None if table.problem else _value(decision, call, table)
    lower, upper = _plain(found.lower), _plain(found.upper)
    interval = Interval(
        lower, upper, level=round(1 - alphas[0] - alphas[1], 12),
        lower_confidence=1 - alphas[0], upper_confidence=1 - alphas[1],
    )  # fmt: skip
    spoken = outcome(threshold, lower, upper, "sequential")
    reason = _why_not(table, found, value, spoken)
    final: Outcome = "INCONCLUSIVE" if reason else spoken
    validating, refuting = (0, 1) if upwards else (1, 0)
    from importlib.metadata import version

    evidence = PillarEvidence(
        pillar=f"estimator:{decision.estimator}", statistic_name=threshold.metric, statistic_value=value,
        library="ophamin-measuring", library_version=version("ophamin-measuring"), ci_low=lower, ci_high=upper,
        detail={**found.detail, "sequential": True}, n=int(table.used.sum()), n_groups=table.n_units,
        interval_method=found.method, guarantee=found.guarantee, role="primary", seed=seed,
    )  # fmt: skip
    estimate = Estimate(
        value, lower, upper, int(table.used.sum()), method=found.method, library="ophamin-measuring",
        version=evidence.library_version, n_groups=table.n_units,
    )  # fmt: skip
    return PartDecision(
        threshold, decision, final, estimate, interval,
        n_planned=table.rows.planned, n_used=len(table.rows.used), n_errors=len(table.rows.errors),
        n_unmeasured=len(table.rows.unmeasured), reason=reason,
        p_validated=1.0 if reason else found.p_values[validating],
        p_refuted=1.0 if reason else found.p_values[refuting],
        evidence=evidence,
    )  # fmt: skip


@dataclass(frozen=True)
class _Found:
    """Bounds and what goes with them; ``p_values`` of "the truth is lower" (L) and "higher" (U)."""

    lower: float
    upper: float
    p_values: tuple[float, float]
    method: str
    guarantee: str
    detail: dict[str, Any]
    problem: str = ""


def _why_not(table: _Table, found: _Found, value: float | None, spoken: Outcome) -> str:
    if not table.rows.planned:
        return "there are no observations in scope"
    if table.problem:
        return table.problem
    if value is None:
        return "no cycle gave a value"
    if table.grouped and table.n_units < MIN_GROUPS:
        return f"{table.n_units} groups are fewer than {MIN_GROUPS}"
    if found.lower > found.upper:
        return "the lower bound lies above the upper bound: what is measured drifted while it ran"
    return "" if spoken == "VALIDATED" else found.problem


# --- test processes


def _by_process(
    threshold: Threshold, decision: Decision, call: EstimatorCall, table: _Table, alphas: tuple[float, float]
) -> _Found:
    name = process_of(decision)
    process, units = PROCESSES[name], _units(threshold, decision, call, table)
    start, scale = _scale(decision)
    delta = _delta(decision)
    low, high = alphas
    up = _Side(process, units.low, units.null, delta, low)
    down = _Side(process, 1 - units.high, 1 - units.null, delta, high)
    if decision.estimator == "quantile":
        q = float(call.options.get("q", 0.5))
        lower, upper = _quantile_bounds(table, process, q, delta, alphas)
    else:
        lower = start + scale * up.bound()
        upper = start + scale * (1 - down.bound())
        lower, upper = _widened(lower, -1, start, scale), _widened(upper, 1, start, scale)
    validating, side_alpha = (up, low) if threshold.comparator in (">=", ">") else (down, high)
    ideal = float(process(np.ones(table.n_units), validating.null, delta).max(initial=0.0))
    short = ideal < math.log(1 / side_alpha)
    detail = {
        "process": name,
        "delta": delta,
        "null": units.null,
        "n_units": table.n_units,
        "e_above": _exp(up.best),
        "e_below": _exp(down.best),
        "crossed_above_at": up.crossed_at,
        "crossed_below_at": down.crossed_at,
    }
    return _Found(
        lower, upper, (_exp(-up.best), _exp(-down.best)), name, "guaranteed", detail,
        f"n = {table.n_units} is too few for this claim ever to be VALIDATED" if short else "",
    )  # fmt: skip


class _Side:
    """One process at θ: evidence that the truth lies above (or, mirrored, below)."""

    def __init__(self, process: Callable[..., Floats], x: Floats, null: float, delta: float, alpha: float) -> None:
        self._process, self._x, self.null, self._delta, self._alpha = process, x, null, delta, alpha
        inside = 0 <= null <= 1
        path = process(x, null, delta) if inside else np.zeros_like(x)
        self.best = float(path.max(initial=0.0))
        crossed = np.flatnonzero(path >= math.log(1 / alpha))
        self.crossed_at = int(crossed[0]) + 1 if len(crossed) else None

    def bound(self) -> float:
        """Greatest mean that is left out by now."""
        return greatest_rejected(self._process, self._x, delta=self._delta, alpha=self._alpha, start=self.null)


def _quantile_bounds(
    table: _Table, process: Callable[..., Floats], q: float, delta: float, alphas: tuple[float, float]
) -> tuple[float, float]:
    """The observations at which the processes of "more lie above" and "more lie below" stop leaving out."""

    def shown(side: Floats, share: float, alpha: float) -> bool:
        return bool(process(table.means(side.astype(np.float64)), share, delta).max(initial=0.0) >= math.log(1 / alpha))

    at_low = np.unique(table.low[np.isfinite(table.low)])
    at_high = np.unique(table.high[np.isfinite(table.high)])
    i = _count_true(len(at_low), lambda k: shown(table.low >= at_low[k], 1 - q, alphas[0]))
    j = _count_true(len(at_high), lambda k: shown(table.high <= at_high[::-1][k], q, alphas[1]))
    return (float(at_low[i - 1]) if i else -math.inf), (float(at_high[::-1][j - 1]) if j else math.inf)


def _count_true(n: int, holds: Callable[[int], bool]) -> int:
    """How many of 0 … n−1 hold, where those that do come first."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if holds(middle) else (low, middle)
    return low


# --- registered looks


def _by_looks(
    threshold: Threshold,
    decision: Decision,
    call: EstimatorCall,
    table: _Table,
    alphas: tuple[float, float],
    looks: Looks,
    seed: int,
) -> _Found:
    from ophamin.measuring.decision._part import decide

    # It loads scipy.stats, for which only a claim with registered looks pays.
    from ophamin.measuring.pillars.adaptive.group_sequential import spending_boundaries

    information = [n / looks.n[-1] for n in looks.n]
    levels = [
        spending_boundaries(information, alpha=alpha, sides=1, spending=looks.spending).nominal_p for alpha in alphas
    ]
    upwards = threshold.comparator in (">=", ">")
    fixed = replace(decision, rule="interval", method="")
    lower, upper, method, problem, taken = -math.inf, math.inf, "", "", []
    for k, n in enumerate(looks.n):
        if n > table.n_units:
            break
        one, other = float(levels[0][k]), float(levels[1][k])
        if min(one, other) < 1e-12:
            continue  # so little of α is spent at this look that no bound is held to it
        validate, refute = (one, other) if upwards else (other, one)
        part = decide(threshold, fixed, _first(call, table, n), alpha_validate=validate, alpha_refute=refute, seed=seed)
        found = part.interval
        lower = lower if found.lower is None else max(lower, found.lower)
        upper = upper if found.upper is None else min(upper, found.upper)
        method, problem = part.evidence.interval_method or "", part.reason
        taken.append({"n": n, "alpha_lower": one, "alpha_upper": other, "lower": found.lower, "upper": found.upper})
    if not taken:
        problem = f"{table.n_units} units, and the first registered look that may decide comes later"
    crossed = outcome(threshold, _plain(lower), _plain(upper), "sequential")
    p_low = alphas[0] if crossed == ("VALIDATED" if upwards else "REFUTED") else 1.0
    p_high = alphas[1] if crossed == ("REFUTED" if upwards else "VALIDATED") else 1.0
    detail = {"looks": taken, "spending": looks.spending, "n_units": table.n_units}
    return _Found(
        lower, upper, (p_low, p_high), f"{GROUP_SEQUENTIAL} {method}".rstrip(), "approximate", detail, problem
    )


def _first(call: EstimatorCall, table: _Table, n: int) -> EstimatorCall:
    """The rows of the first ``n`` units."""
    keep = [row for row, code in zip(table.order, table.codes, strict=True) if code < n]
    return replace(call, columns={name: [column[i] for i in keep] for name, column in call.columns.items()})


# --- numbers


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise TypeError
    return float(value)


def _unfit(decision: Decision, values: Sequence[float]) -> str:
    """Why these values cannot be those of the claim, or ""."""
    if any(math.isnan(v) for v in values):
        return "column 'value' holds a value that is not finite"
    if decision.estimator == "proportion" and any(v not in (0.0, 1.0) for v in values):
        return "a proportion needs values 0 and 1"
    low, high = decision.support or (None, None)
    if decision.estimator == "mean" and low is not None and high is not None:
        outside = [v for v in values if not low <= v <= high]
        return f"a value, {outside[0]:g}, lies outside the support [{low:g}, {high:g}]" if outside else ""
    return ""


def _value(decision: Decision, call: EstimatorCall, table: _Table) -> float | None:
    """The point estimate from the rows that were measured; each unit weighs the same."""
    values, codes = table.observed()
    if not len(values) or not np.isfinite(values).all():
        return None
    if decision.estimator == "quantile":
        q = float(call.options.get("q", 0.5))
        ordered: Sequence[float] = np.sort(values).tolist()
        return float(ordered[min(len(ordered), max(1, math.ceil(round(q * len(ordered), 9)))) - 1])
    where = codes.astype(np.intp)
    sizes = np.bincount(where, minlength=table.n_units)
    totals = np.bincount(where, weights=values, minlength=table.n_units)
    there = sizes > 0
    return float((totals[there] / sizes[there]).mean())


def _widened(bound: float, sign: int, start: float, scale: float) -> float:
    moved = bound + sign * WIDENING * abs(bound)
    return min(max(moved, start), start + scale)


def _plain(bound: float) -> float | None:
    return float(bound) if math.isfinite(bound) else None


def _exp(log: float) -> float:
    return math.exp(min(log, 700.0))
