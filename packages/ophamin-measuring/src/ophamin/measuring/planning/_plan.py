"""n for a power, the power of an n, and the smallest difference an n can settle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ophamin.measuring.decision import check_claim, least_n
from ophamin.measuring.decision._check import check_part
from ophamin.measuring.decision._stopping import looks_of
from ophamin.measuring.estimators.exponent import FEWEST_SIZES
from ophamin.measuring.planning._assume import Assumptions, Part
from ophamin.measuring.planning._differences import MODELS
from ophamin.measuring.planning._models import Model, model_of
from ophamin.measuring.planning._sequential import LooksPower, SequentialPower, least_units
from ophamin.measuring.planning._share import SharePower
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, Decision, Threshold

__all__ = ["MOST", "Plan", "needed", "plan", "plan_claim"]

MOST = 10_000_000
"""No plan asks for more rows than this."""


@dataclass(frozen=True)
class Plan:
    """What a run of n rows can be expected to settle.

    Args:
        n: Rows to measure (per stratum); ``None`` under rule ``exact``, which measures the whole target.
        power_validate: Power to validate when the truth lies δ inside θ (all thresholds together).
        power_refute: Power to refute when the truth lies δ outside (the least over thresholds).
        smallest_difference: Smallest δ at which both powers reach the target with this n, in units of the
            metric (a share of exceedances for a quantile); ``None`` when no δ does or none was searched.
        underpowered: Whether either power is below the target.
        least_n: Fewer rows than this can never validate; ``None`` when there is no closed form.
        notes: Assumptions and what else a reader should know.
        power: The target.
        expected_error_rate: Share of cycles expected to fail.
        validate_at: Truth at which ``power_validate`` holds, by metric.
        refute_at: Truth at which ``power_refute`` holds, by metric.
        expected_n_validate: Under rule ``sequential``, where n is the maximum: rows at which a run stops on average
            when the truth lies δ inside θ.
        expected_n_refute: The same when it lies δ outside.
        fixed_n: n of rule ``interval`` for the same power, to compare with.
    """

    n: int | None
    power_validate: float | None
    power_refute: float | None
    smallest_difference: float | None
    underpowered: bool
    least_n: int | None = None
    notes: tuple[str, ...] = ()
    power: float = 0.8
    expected_error_rate: float = 0.0
    validate_at: Mapping[str, float] = field(default_factory=dict)
    refute_at: Mapping[str, float] = field(default_factory=dict)
    expected_n_validate: float | None = None
    expected_n_refute: float | None = None
    fixed_n: int | None = None


def needed(model: Model, validate: float, refute: float) -> int | None:
    """Least n from which on both powers stay at their targets; ``None`` beyond :data:`MOST`.

    Args:
        model: The power model.
        validate: Target of the power to validate; 0 leaves that side out.
        refute: Target of the power to refute.
    """

    def enough(n: Any) -> Any:
        powers = model.powers(n)
        return (powers[0] >= validate) & (powers[1] >= refute)

    if not model.reachable() and validate > 0 and refute > 0:
        return None
    high = max(2, math.ceil(model.guess(max(validate, refute, 0.5))))
    while not enough(high)[0]:
        high *= 2
        if high > MOST:
            return None
    if isinstance(model, SharePower):
        # Power saw-tooths in n: the n to take is the one after the last that falls short.
        first, end = max(1, high // 4), 2 * high + 200
        while True:
            last = model.last_short(first, end, validate, refute)
            if last is None:
                return first
            if last < end - 101 or end > MOST + 1:
                return last + 1
            end = 2 * (end - 1)
    low = 1
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle)[0] else (middle, high)
    return high


def _widest(part: Part, n: int, validate: float, refute: float) -> float:
    """A δ with both powers at target, where nothing bounds it: the search doubles from a small one."""
    delta = 1e-9 * max(1.0, abs(float(part.threshold.value)))
    for _ in range(100):
        powers = model_of(part, delta).powers(n)
        if powers[0][0] >= validate and powers[1][0] >= refute:
            break
        delta *= 2
    return delta


def _smallest(part: Part, n: int, validate: float, refute: float) -> float | None:
    """Smallest δ with both powers at target, by bisection."""
    if part.decision.estimator in ("proportion", "quantile"):
        low, high = 0.0, SharePower.widest(part)
    elif part.decision.estimator in MODELS:
        bounded = part.decision.estimator not in ("tost", "effect-size", "slope.hac", "difference.mean")
        theta = float(part.threshold.value)
        room = 1 - abs(theta) if bounded else theta if part.decision.estimator == "tost" else math.inf
        low, high = 0.0, room if math.isfinite(room) else _widest(part, n, validate, refute)
    else:
        support = part.decision.support
        ends = [abs(e - part.threshold.value) for e in support or () if e is not None]
        low, high = 0.0, min(ends) if ends else 1e6 * max(1.0, abs(part.threshold.value))
        if part.decision.estimator in ("calibration-error", "brier-skill"):
            room = 0.25 if part.decision.estimator == "brier-skill" else part.threshold.value
            high = max(room, 1e-6)

    def enough(delta: float) -> bool:
        model = model_of(part, delta)
        powers = model.powers(n)
        return bool(powers[0][0] >= validate and powers[1][0] >= refute)

    # Power need not rise steadily up to the edge of the range, so bisection begins at the first δ that is enough.
    steps = [high * i / 12 for i in range(1, 13)]
    first = next((i for i, delta in enumerate(steps) if enough(delta)), None)
    if first is None:
        return None
    low, high = (0.0 if first == 0 else steps[first - 1]), steps[first]
    for _ in range(60):
        if high - low <= 1e-4 * high:
            break
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def plan(
    threshold: Threshold,
    decision: Decision,
    *,
    power: float = 0.8,
    n: int | None = None,
    expected_error_rate: float = 0.0,
    expected: float | None = None,
    alpha: float | None = None,
    share: float = 1.0,
    **assumptions: Any,
) -> Plan:
    """Plan one threshold.

    Args:
        threshold: The threshold.
        decision: Its decision; ``smallest_difference`` is δ.
        power: Target for validating at δ inside θ and for refuting at δ outside.
        n: Rows there will be; ``None`` asks for the n that reaches the target.
        expected_error_rate: Share of cycles expected to fail, in [0, 1).
        expected: The truth thought likely; its distance from θ is δ when none is registered.
        alpha: One-sided α of this attempt; default the decision's.
        share: Share of α that the correction of a family leaves for the p-value.
        **assumptions: Fields of :class:`Assumptions` (``q``, ``sd``, ``icc``, ``group_size``…).

    Raises:
        UsageError: No sample can validate the claim, δ is missing, or an assumption is.

    Example:
        >>> p = plan(Threshold("accuracy", ">=", 0.9), Decision(estimator="proportion", smallest_difference=0.05))
        >>> p.n, p.power_validate >= 0.8, p.least_n
        (299, True, 29)
    """
    claim = Claim("", "", "", "", threshold, decision)
    by_metric = {threshold.metric: assumptions}
    wanted = None if expected is None else {threshold.metric: expected}
    check_part(threshold, decision)
    return _plan(claim, power, n, expected_error_rate, wanted, alpha, by_metric, True, share)


def plan_claim(
    claim: Claim,
    *,
    power: float = 0.8,
    n: int | None = None,
    expected_error_rate: float = 0.0,
    expected: Mapping[str, float] | None = None,
    alpha: float | None = None,
    assumptions: Mapping[str, Mapping[str, Any]] | None = None,
    smallest: bool = True,
    share: float = 1.0,
) -> Plan:
    """Plan a claim with all its co-primary thresholds.

    Power to validate is joint: at least 1 minus the sum of what each part lacks, whatever their dependence.
    Power to refute is that of the weakest part, whose refuting bound is held to α/K.

    Args:
        claim: The claim.
        power: Target for both.
        n: Rows there will be (per stratum); ``None`` asks for it.
        expected_error_rate: Share of cycles expected to fail, in [0, 1).
        expected: By metric, the truth thought likely; used where no δ is registered.
        alpha: One-sided α of this attempt; default the claim's.
        assumptions: By metric, fields of :class:`Assumptions`.
        smallest: For a given n, also search the smallest difference it can settle; costs many powers.
        share: Share of α that the correction of a family leaves for the p-value.

    Raises:
        UsageError: As :func:`plan`, or a claim that cannot be decided as written.
    """
    check_claim(claim)
    return _plan(claim, power, n, expected_error_rate, expected, alpha, assumptions or {}, smallest, share)


def _assumed(given: Mapping[str, Any]) -> Assumptions:
    try:
        return Assumptions(**given)
    except TypeError as error:
        known = ", ".join(Assumptions.__dataclass_fields__)
        raise UsageError(f"a plan assumes {known}, not {', '.join(given)}") from error


def _plan(
    claim: Claim,
    power: float,
    n: int | None,
    error_rate: float,
    expected: Mapping[str, float] | None,
    alpha: float | None,
    assumptions: Mapping[str, Mapping[str, Any]],
    smallest: bool,
    share: float,
) -> Plan:
    if not 0.5 <= power < 1:
        raise UsageError(f"power lies between 0.5 and 1, such as 0.8, not {power!r}")
    if not 0 <= error_rate < 1:
        raise UsageError(f"an error rate lies between 0 and 1, not {error_rate!r}")
    if n is not None and n < 1:
        raise UsageError(f"a run has at least 1 row, not {n}")
    inferred = [(t, d) for t, d in claim.parts() if d.rule != "exact"]
    if not inferred:
        note = "rule exact measures the whole target; there is no sampling error to plan for"
        return Plan(n, None, None, None, False, notes=(note,), power=power, expected_error_rate=error_rate)
    count = len(claim.parts())
    each = 1 - (1 - power) / len(inferred)
    parts, deltas = [], []
    for threshold, decision in inferred:
        used = share * (decision.alpha if alpha is None else alpha)
        assume = _assumed(assumptions.get(threshold.metric, {}))
        parts.append(Part(threshold, decision, used, used / count, error_rate, assume, 1 / share))
        delta, near = decision.smallest_difference, (expected or {}).get(threshold.metric)
        if delta is None and near is not None and near != threshold.value:
            delta = abs(near - threshold.value)
        deltas.append(delta)
    models = [None if d is None else model_of(p, d) for p, d in zip(parts, deltas, strict=True)]
    notes = [note for model in models if model is not None for note in model.notes()]
    least = [_least(p) for p in parts]
    sequential = claim.decision.rule == "sequential"
    n = _at_looks(parts, n) if sequential else n
    search = smallest and n is not None and len(parts) == 1 and not sequential
    if n is None:
        missing = [p.threshold.metric for p, m in zip(parts, models, strict=True) if m is None]
        if missing:
            raise UsageError(
                f"to plan n, register the smallest difference worth knowing for {', '.join(missing)}, or give n"
            )
        n = _total(parts, models, each, power)
        if n is None:
            raise UsageError(
                "no n reaches this power: the expected errors or the range of the metric leave no room for the "
                "smallest difference; register a greater one"
            )
    validate, refute = _powers(models, n)
    return Plan(
        n=n,
        power_validate=validate,
        power_refute=refute,
        smallest_difference=_smallest(parts[0], n, each, power) if search else None,
        underpowered=validate is None or refute is None or validate < power or refute < power,
        least_n=max((v for v in least if v is not None), default=None),
        notes=tuple(dict.fromkeys(notes)),
        power=power,
        expected_error_rate=error_rate,
        validate_at=_truths(parts, deltas, 1),
        refute_at=_truths(parts, deltas, -1),
        **(_stops(parts, models, deltas, n, each, power) if sequential else {}),
    )


def _at_looks(parts: list[Part], n: int | None) -> int | None:
    """The maximum that registered looks say, which ``n`` may only repeat."""
    looks = looks_of(parts[0].decision)
    if looks is None:
        return n
    if n not in (None, looks.n[-1]):
        raise UsageError(f"the last registered look is at {looks.n[-1]} units, so leave out --n {n} or make it that")
    return looks.n[-1]


def _stops(
    parts: list[Part], models: list[Model | None], deltas: list[float | None], n: int, each: float, power: float
) -> dict[str, Any]:
    """Where runs stop on average, and the n a rule that never stops early would need."""
    ends = [m.stops(n) for m in models if isinstance(m, (SequentialPower, LooksPower))]
    if len(ends) < len(models):
        return {}
    width = min(len(inside) for inside, _ in ends)
    fixed = [
        _fixed(replace(part, decision=replace(part.decision, rule="interval", method="")), delta, each, power)
        for part, delta in zip(parts, deltas, strict=True)
    ]
    return {
        # All parts must have crossed to validate; one is enough to refute, and the slowest is told.
        "expected_n_validate": float(np.max([inside[:width] for inside, _ in ends], axis=0).mean()),
        "expected_n_refute": max(float(outside.mean()) for _, outside in ends),
        "fixed_n": None if None in fixed else max(size for size in fixed if size is not None),
    }


def _fixed(part: Part, delta: float | None, validate: float, refute: float) -> int | None:
    try:
        return None if delta is None else needed(model_of(part, delta), validate, refute)
    except UsageError:
        return None


def _least(part: Part) -> int | None:
    decision = part.decision
    if decision.rule == "sequential":
        units = least_units(part)
        return None if units is None else math.ceil(units * part.assume.group_size)
    q = part.assume.quantile_of(part.threshold.metric) if decision.estimator == "quantile" else None
    least = least_n(part.threshold, decision, alpha=part.alpha_validate * part.decided_at, q=q)
    if part.assume.grouped:
        return max(math.ceil(20 * part.assume.group_size), least or 0)
    few = FEWEST_SIZES if decision.estimator == "exponent" else part.assume.least
    return max(few, least or 0) if few > 1 else least


def _total(parts: list[Part], models: list[Model | None], each: float, power: float) -> int | None:
    sizes = [needed(m, each, power) for m in models if m is not None]
    if any(s is None for s in sizes) or not sizes:
        return None
    n = max(*(s for s in sizes if s is not None), *(p.assume.least for p in parts))
    whole = max(p.assume.group_size for p in parts)
    return math.ceil(math.ceil(n / whole) * whole)


def _powers(models: list[Model | None], n: int) -> tuple[float | None, float | None]:
    if any(m is None for m in models):
        return None, None
    pairs = [m.powers(n) for m in models if m is not None]
    validate = max(0.0, 1 - sum(1 - float(v[0]) for v, _ in pairs))
    return validate, min(float(r[0]) for _, r in pairs)


def _truths(parts: list[Part], deltas: list[float | None], side: int) -> dict[str, float]:
    truths = {}
    for part, delta in zip(parts, deltas, strict=True):
        if delta is None:
            continue
        if part.decision.estimator == "quantile":
            q = part.assume.quantile_of(part.threshold.metric)
            share = 1 - q if not part.upwards else q
            truths[f"{part.threshold.metric}: share beyond {part.threshold.value:g}"] = share - side * delta
        else:
            truths[part.threshold.metric] = part.threshold.value + side * (delta if part.upwards else -delta)
    return truths
