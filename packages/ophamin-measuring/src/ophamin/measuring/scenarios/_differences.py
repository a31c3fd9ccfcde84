"""How far the second run of a claim lies from the first: one interval per estimator, paired wherever it can be.

=====================  ==========================================================================================
proportion, mean,      mean of the paired differences; rows of one group (a process round, a block) are one unit,
quantile               so that a claim about cost is paired by round
calibration-error      |ECE₂ − ECE₁| ≤ the calibration error between the two runs, from the pairs, which can only
                       show that they agree; that they do not, the two runs' own bounds show
brier-skill            S₂ − S₁ ≤ E(a₂(q) − a₁(q)) at the base rate q of the first run, ≥ that at the second's, where
                       a(q) = (y − q)² − (y − c)²: a paired mean at every q a bound of the base rate leaves open
any other              the two runs' own bounds, each at half the error; never too narrow, seldom short
=====================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ophamin import registry
from ophamin.measuring.decision import decide
from ophamin.measuring.estimators.paired import calibration_shift, mean_shift
from ophamin.proof.types import Decision, Threshold
from ophamin.protocols import Columns, Estimate, EstimatorCall

__all__ = ["Question", "Shift", "shift"]

JSON = Any
Bounds = tuple[float | None, float | None]

_BASE_RATE_SHARE = 0.1
"""Share of the error spent on not knowing a base rate."""


@dataclass(frozen=True)
class Question:
    """One threshold of a claim, scored on the rows of both runs."""

    threshold: Threshold
    decision: Decision
    old: EstimatorCall
    new: EstimatorCall
    seed: int


@dataclass(frozen=True)
class Shift:
    """How far the second run lies from the first.

    Args:
        value: Second minus first; ``None`` when it cannot be formed.
        agree: Bounds that may show agreement: each is wrong with at most the first error.
        differ: Bounds that may show a difference: each is wrong with at most the second.
        method: Where the first bounds come from.
        n: Independent units of a run.
        few: Whether so few of them differ that the bounds come nearer with n, not with its root.
        problem: Why there are no bounds, or "".
    """

    value: float | None
    agree: Bounds
    differ: Bounds
    method: str
    n: int
    few: bool = False
    problem: str = ""


def shift(question: Question, agree: float, differ: float) -> Shift:
    """Bounds for second minus first.

    Args:
        question: The threshold and its rows.
        agree: Error of each bound that may show agreement.
        differ: Error of each bound that may show a difference.
    """
    return _KNOWN.get(question.old.estimator, _apart)(question, agree, differ)


def _nothing(problem: str) -> Shift:
    return Shift(None, (None, None), (None, None), "", 0, problem=problem)


def _shift(
    value: float | None, ask: Callable[[float], tuple[Estimate, Estimate]], agree: float, differ: float
) -> Shift:
    """From an interval at any error, as two estimates: one for the lower bound, one for the upper."""
    (low, high), (far_low, far_high) = ask(agree), ask(differ)
    if problem := next((e.problem for e in (low, high, far_low, far_high) if e.problem), ""):
        return _nothing(problem)
    return Shift(
        value, (low.lower, high.upper), (far_low.lower, far_high.upper), low.method, low.n_groups or low.n,
        bool(low.detail.get("few")))  # fmt: skip


# --- averages over records


def _average(question: Question, agree: float, differ: float) -> Shift:
    old, new, decision = question.old, question.new, question.decision
    a, b = old.columns, new.columns
    if "in_scope" in a or old.options.get("target", "rows") != "rows":
        return _apart(question, agree, differ)  # a ratio, or a mean of means: no mean over the pairs
    support: tuple[float, float] | None = (0.0, 1.0)
    if old.estimator == "mean":
        low, high = decision.support if decision.support is not None else (None, None)
        support = None if low is None or high is None else (float(low), float(high))
    over = float(question.threshold.value)

    def measured(value: JSON) -> float:
        # A quantile below θ is a share of exceedances below 1 − q, and δ is such a share.
        return float(value > over) if old.estimator == "quantile" else float(value)

    if len(a["value"]) != len(b["value"]):
        return _nothing("the two runs do not have the same rows in scope")
    pairs = [
        None if x is None or y is None else measured(y) - measured(x)
        for x, y in zip(a["value"], b["value"], strict=True)
    ]
    # What failed both times did the same twice.
    failed = [x is None and y is None for x, y in zip(a["value"], b["value"], strict=True)]
    values = [0.0 if gone else v for gone, v in zip(failed, pairs, strict=True)]
    if support is None and None in values:
        return _nothing("a cycle failed in one run only, and nothing bounds what it would have given")
    reach = None if support is None else (support[0] - support[1], support[1] - support[0])
    table: dict[str, Sequence[JSON]] = {"value": values}
    if "group" in a:
        table["group"] = a["group"]
    if decision.rule == "sequential":
        # Its n was chosen by its own values, so only bounds that hold at every n hold at this one.
        return _apart(question, agree, differ) if reach is None else _anytime(question, table, reach, agree, differ)
    return _shift(_mean_of(values), _filled(table, reach, question.seed), agree, differ)


def _anytime(
    question: Question, table: Mapping[str, Sequence[JSON]], reach: tuple[float, float], agree: float, differ: float
) -> Shift:
    """Bounds of a mean of paired differences by betting, which hold wherever the first run stopped."""
    from ophamin.measuring.decision._sequential import decide_sequential

    margin = float(question.decision.smallest_difference or 0)
    decision = Decision("sequential", "betting", estimator="mean", support=reach, smallest_difference=margin)
    call = EstimatorCall("difference", "mean", table)
    near, far = (
        decide_sequential(
            Threshold("difference", ">=", 0.0), decision, call, alpha_validate=error, alpha_refute=error, seed=0
        )
        for error in (agree, differ)
    )
    bounds = [(p.interval.lower, p.interval.upper) for p in (near, far)]
    values = table["value"]
    few = 0 < sum(v != 0 for v in values) <= 0.1 * len(values)
    return Shift(_mean_of(values), bounds[0], bounds[1], "betting", near.evidence.n_groups or 0, few)


def _filled(
    table: Mapping[str, Sequence[JSON]], reach: Sequence[float] | None, seed: int, method: str = "auto"
) -> Callable[[float], tuple[Estimate, Estimate]]:
    """The interval of a mean of differences; a pair of which one half is missing takes the worst for each bound."""
    ends = (0.0, 0.0) if reach is None else (reach[0], reach[1])
    tables = [{**table, "value": [end if v is None else v for v in table["value"]]} for end in ends]

    def ask(error: float) -> tuple[Estimate, Estimate]:
        low, high = (mean_shift(t, confidence=1 - error, seed=seed, method=method, support=reach) for t in tables)
        return low, high

    return ask


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


# --- two numbers about stated confidence


def _skill(question: Question, agree: float, differ: float) -> Shift:
    first, second = (_stated(call.columns) for call in (question.old, question.new))
    if len(first) != len(second):
        return _nothing("the two runs do not have the same rows in scope")
    groups = question.old.columns.get("group")

    def at(q: float) -> dict[str, Sequence[JSON]]:
        values: list[float | None] = []
        for one, two in zip(first, second, strict=True):
            if one is None and two is None:
                values.append(0.0)
            elif one is None or two is None:
                values.append(None)
            else:
                (c1, y1), (c2, y2) = one, two
                values.append((y2 - y1) * (1 - 2 * q) - (y2 - c2) ** 2 + (y1 - c1) ** 2)
        return {"value": values} if groups is None else {"value": values, "group": groups}

    def ask(error: float) -> tuple[Estimate, Estimate]:
        # The bound is convex in q, so it is worst at an end of what is left open.
        rest = (1 - _BASE_RATE_SHARE) * error
        lows = [
            _filled(at(q), (-2.0, 2.0), question.seed, "t")(rest)[0]
            for q in _base_rate(second, groups, _BASE_RATE_SHARE * error)
        ]
        highs = [
            _filled(at(q), (-2.0, 2.0), question.seed, "t")(rest)[1]
            for q in _base_rate(first, groups, _BASE_RATE_SHARE * error)
        ]
        low = min(lows, key=lambda e: (not e.problem, e.lower or 0.0))
        high = max(highs, key=lambda e: (bool(e.problem), e.upper or 0.0))
        return low, high

    return _shift(_gap(question, agree), ask, agree, differ)


def _stated(columns: Columns) -> list[tuple[float, float] | None]:
    """(stated confidence, correct) of each row; ``None`` where the cycle gave none."""
    status = columns.get("status") or ["ok"] * len(columns["confidence"])
    return [
        None if s != "ok" or c is None or y is None else (float(c), float(y))
        for c, y, s in zip(columns["confidence"], columns["correct"], status, strict=True)
    ]


def _base_rate(
    rows: Sequence[tuple[float, float] | None], groups: Sequence[JSON] | None, error: float
) -> tuple[float, float]:
    columns: dict[str, Sequence[JSON]] = {"value": [None if row is None else row[1] for row in rows]}
    if groups is not None:
        columns["group"] = groups
    found = registry.estimators.get("proportion")(columns, confidence=1 - error / 2, seed=0)
    if found.problem or found.lower is None or found.upper is None:
        return 0.0, 1.0
    return found.lower, found.upper


def _calibration(question: Question, agree: float, differ: float) -> Shift:
    old, new = question.old.columns, question.new.columns
    if len(old["confidence"]) != len(new["confidence"]):
        return _nothing("the two runs do not have the same rows in scope")
    found = calibration_shift(old, new, confidence=1 - agree, bins=question.old.options.get("bins", 10))
    if found.problem or found.upper is None:
        return _nothing(found.problem)
    own = _apart(question, agree, differ)
    return Shift(
        own.value,
        (-found.upper, found.upper),
        own.differ,
        found.method,
        found.n_groups or found.n,
        bool(found.detail["few"]),
    )


# --- any estimator


def _apart(question: Question, agree: float, differ: float) -> Shift:
    """From the two runs' own bounds: their errors add up, whatever the runs share."""
    (low, high), (far_low, far_high) = _own(question, agree), _own(question, differ)
    size = len(next(iter(question.old.columns.values()), ()))
    problem = "" if (low, high) != (None, None) else _problem(question, agree)
    return Shift(
        _gap(question, agree), (low, high), (far_low, far_high), "both runs' own bounds", size, problem=problem
    )


def _decided(question: Question, call: EstimatorCall, error: float) -> Any:
    return decide(
        question.threshold, question.decision, call, alpha_validate=error, alpha_refute=error, seed=question.seed
    )


def _own(question: Question, error: float) -> Bounds:
    old, new = (_decided(question, call, error / 2).interval for call in (question.old, question.new))
    low = None if new.lower is None or old.upper is None else new.lower - old.upper
    high = None if new.upper is None or old.lower is None else new.upper - old.lower
    return low, high


def _gap(question: Question, error: float) -> float | None:
    old, new = (_decided(question, call, error).estimate.value for call in (question.old, question.new))
    return None if old is None or new is None else float(new - old)


def _problem(question: Question, error: float) -> str:
    found = (_decided(question, call, error).reason for call in (question.old, question.new))
    return next(filter(None, found), "the difference has no bounds")


_KNOWN: dict[str, Callable[[Question, float, float], Shift]] = {
    "proportion": _average,
    "mean": _average,
    "quantile": _average,
    "calibration-error": _calibration,
    "brier-skill": _skill,
}
