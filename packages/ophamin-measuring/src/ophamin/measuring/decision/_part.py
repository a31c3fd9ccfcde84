"""One threshold: from rows with gaps to two bounds and an outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ophamin.measuring.decision._check import check_part
from ophamin.measuring.decision._gaps import Rows, ends
from ophamin.measuring.decision._least import least_n
from ophamin.proof.decision import Outcome, outcome
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Decision, Interval, PillarEvidence, Threshold
from ophamin.protocols import Columns, Estimate, EstimatorCall
from ophamin.registry import estimators

__all__ = ["PartDecision", "decide"]

WIDENING = 1e-9
"""Share of itself by which a computed bound moves outwards, so that every platform decides alike."""


@dataclass(frozen=True)
class PartDecision:
    """How one threshold came out.

    Args:
        threshold: The threshold.
        decision: How it was registered to be decided.
        outcome: VALIDATED, REFUTED or INCONCLUSIVE.
        estimate: From the used rows alone (under ``fail`` with the errors at their worst).
        interval: The bounds that decided: gaps completed, computed bounds widened.
        n_planned: Rows in scope.
        n_used: Rows with a value.
        n_errors: Rows on which the system failed.
        n_unmeasured: Rows we failed to look at.
        reason: Why the rule could not be applied, one sentence; "" when the interval spoke.
        p_validated: Least α at which the validating bound decides, 1 when undecided.
        p_refuted: Least α at which the refuting bound decides, 1 when undecided.
        evidence: The same as evidence of a record, role ``primary``.
    """

    threshold: Threshold
    decision: Decision
    outcome: Outcome
    estimate: Estimate
    interval: Interval
    n_planned: int
    n_used: int
    n_errors: int
    n_unmeasured: int
    reason: str
    p_validated: float
    p_refuted: float
    evidence: PillarEvidence


def decide(
    threshold: Threshold,
    decision: Decision,
    call: EstimatorCall,
    *,
    alpha_validate: float,
    alpha_refute: float,
    seed: int,
) -> PartDecision:
    """Decide one threshold from its rows.

    Args:
        threshold: ``metric comparator θ``.
        decision: As registered: rule, method, error policy, support.
        call: The rows in scope, failed ones included, and the estimator with its options.
        alpha_validate: One-sided α of the bound that can validate.
        alpha_refute: One-sided α of the bound that can refute; smaller when the claim has co-primaries.
        seed: For estimators that need an order or a split.

    Returns:
        The decision; what cannot be decided is INCONCLUSIVE with its reason.

    Raises:
        UsageError: The threshold cannot be decided as registered, or the call asks for another estimator.

    Example:
        >>> call = EstimatorCall("accuracy", "proportion", {"value": [1] * 200})
        >>> part = decide(
        ...     Threshold("accuracy", ">=", 0.9), Decision(estimator="proportion"), call,
        ...     alpha_validate=0.05, alpha_refute=0.05, seed=0)
        >>> part.outcome, round(part.interval.lower, 4)
        ('VALIDATED', 0.9851)
    """
    check_part(threshold, decision)
    if decision.estimator and decision.estimator != call.estimator:
        raise UsageError(f"{threshold} is registered for {decision.estimator!r}, not {call.estimator!r}")
    decision = replace(decision, estimator=call.estimator)
    if decision.rule == "sequential":
        from ophamin.measuring.decision._sequential import decide_sequential

        return decide_sequential(
            threshold, decision, call, alpha_validate=alpha_validate, alpha_refute=alpha_refute, seed=seed
        )
    upwards = threshold.comparator in (">=", ">")
    rows = Rows(call, decision.error_policy, ends(call, decision))
    asker = _Asker(threshold, decision, call, seed)
    confidences = (1 - (alpha_validate if upwards else alpha_refute), 1 - (alpha_refute if upwards else alpha_validate))
    lower_confidence, upper_confidence = confidences
    estimate = asker.ask(rows.observed(upwards), 1 - alpha_validate)
    low = asker.ask(rows.completed(False, upwards), lower_confidence)
    high = asker.ask(rows.completed(True, upwards), upper_confidence)
    lower, upper = _outwards(low, low.lower, -1), _outwards(high, high.upper, 1)
    if decision.rule == "exact":
        # The whole target was measured: the value decides, between the worst and the best that gaps leave open.
        lower, upper = low.value, high.value
        lower_confidence = upper_confidence = 1.0
    interval = Interval(
        lower, upper, level=round(lower_confidence + upper_confidence - 1, 12),
        lower_confidence=lower_confidence, upper_confidence=upper_confidence,
    )  # fmt: skip
    spoken = outcome(threshold, lower, upper, decision.rule)
    reason = _why_not(threshold, decision, call, rows, asker, estimate, low, high, spoken, alpha_validate)
    validating, refuting = (low, high) if upwards else (high, low)
    final: Outcome = "INCONCLUSIVE" if reason else spoken
    undecided = bool(reason)
    return PartDecision(
        threshold,
        decision,
        final,
        estimate,
        interval,
        n_planned=rows.planned,
        n_used=len(rows.used),
        n_errors=len(rows.errors),
        n_unmeasured=len(rows.unmeasured),
        reason=reason,
        p_validated=1.0 if undecided or validating.p_validated is None else validating.p_validated,
        p_refuted=1.0 if undecided or refuting.p_refuted is None else refuting.p_refuted,
        evidence=_evidence(threshold, decision, call, estimate, low, high, interval, seed),
    )


class _Asker:
    """The estimator with everything fixed but rows and confidence."""

    def __init__(self, threshold: Threshold, decision: Decision, call: EstimatorCall, seed: int) -> None:
        self._estimator = estimators.get(call.estimator)
        options: dict[str, Any] = dict(call.options)
        if decision.method:
            options.setdefault("method", decision.method)
            if options["method"] not in ("auto", decision.method):
                raise UsageError(f"{threshold} is registered for method {decision.method!r}, not {options['method']!r}")
            options["method"] = decision.method
        if decision.support is not None:
            options["support"] = list(decision.support)
        if decision.rule == "interval":
            options |= {"threshold": threshold.value, "comparator": threshold.comparator}
        self._options: Mapping[str, Any] = options
        self._seed = seed

    def ask(self, columns: Columns | None, confidence: float) -> Estimate:
        if columns is None:
            return Estimate(None, None, None, 0, problem="a failed or unmeasured cycle has no worst value to take")
        return self._estimator(columns, confidence=confidence, seed=self._seed, **self._options)


def _outwards(estimate: Estimate, bound: Any, sign: int) -> Any:
    if estimate.problem or bound is None:
        return None
    if not estimate.computed:
        return bound
    if not math.isfinite(bound):
        return None
    moved = bound + sign * WIDENING * abs(bound)
    low, high = estimate.detail.get("range") or (None, None)  # a value never leaves the range of its metric
    moved = moved if low is None else max(low, moved)
    return moved if high is None else min(high, moved)


def _why_not(
    threshold: Threshold,
    decision: Decision,
    call: EstimatorCall,
    rows: Rows,
    asker: _Asker,
    estimate: Estimate,
    low: Estimate,
    high: Estimate,
    spoken: Outcome,
    alpha: float,
) -> str:
    """Why the interval must not speak, or "" when it may."""
    if not rows.planned:
        return "there are no observations in scope"
    if estimate.value is None and not rows.used:
        return "no cycle gave a value"
    if estimate.problem and not (decision.rule == "exact" and estimate.value is not None):
        return estimate.problem
    if estimate.value is None:
        return "the estimate is not a finite number"
    if low.lower is not None and high.upper is not None and decision.rule != "exact" and low.lower > high.upper:
        return "the lower bound lies above the upper bound"
    if spoken == "VALIDATED":
        return ""
    if decision.rule != "exact" and (short := _too_few(threshold, decision, call, rows, asker, alpha)):
        return short
    if spoken == "INCONCLUSIVE":
        return low.problem or high.problem
    return ""


def _too_few(
    threshold: Threshold, decision: Decision, call: EstimatorCall, rows: Rows, asker: _Asker, alpha: float
) -> str:
    # A sample on which nothing could have validated the claim must not refute it either.
    if call.estimator in ("calibration-error", "brier-skill"):
        least = least_n(threshold, decision, alpha=alpha)
        return _short(rows, least) if least is not None and rows.counted < least else ""
    best = rows.best(threshold.comparator in (">=", ">"))
    if best is None:
        return ""
    ideal = asker.ask(best, 1 - alpha)
    if ideal.n_groups is not None and ideal.n_groups < ideal.n:
        return ""  # groups that all agree count once each, so this table is not the one that validates soonest
    bounds = _outwards(ideal, ideal.lower, -1), _outwards(ideal, ideal.upper, 1)
    if call.estimator == "quantile" and not ideal.problem:
        # Every value at ±∞ leaves infinite bounds, so the p-value is asked instead.
        if ideal.p_validated is None or ideal.p_validated <= alpha:
            return ""
    elif ideal.problem or outcome(threshold, *bounds) == "VALIDATED":
        return ""
    least = least_n(threshold, decision, alpha=alpha, q=call.options.get("q", 0.5))
    return _short(rows, least)


def _short(rows: Rows, least: int | None) -> str:
    tail = f"; {least} is the least" if least and least > rows.counted else ""
    return f"n = {rows.counted} is too few for this claim ever to be VALIDATED{tail}"


def _evidence(
    threshold: Threshold,
    decision: Decision,
    call: EstimatorCall,
    estimate: Estimate,
    low: Estimate,
    high: Estimate,
    interval: Interval,
    seed: int,
) -> PillarEvidence:
    source = next((e for e in (estimate, low, high) if e.library), None)
    detail = dict(estimate.detail)
    if source is None:
        library, version, method, guarantee = "ophamin-measuring", _own_version(), "", "approximate"
    else:
        library, version, method, guarantee = source.library, source.version, source.method, source.guarantee
    if decision.rule == "exact":
        method, guarantee = "exact", "guaranteed"
    return PillarEvidence(
        pillar=f"estimator:{call.estimator}", statistic_name=threshold.metric, statistic_value=estimate.value,
        library=library, library_version=version, ci_low=interval.lower, ci_high=interval.upper,
        detail=detail, n=estimate.n, n_groups=estimate.n_groups, interval_method=method, guarantee=guarantee,
        role="primary", seed=seed,
    )  # fmt: skip


def _own_version() -> str:
    from importlib.metadata import version

    return version("ophamin-measuring")
