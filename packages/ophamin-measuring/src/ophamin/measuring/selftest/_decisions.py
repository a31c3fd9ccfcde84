"""Checks of the rule that decides: at θ each verdict comes at most α of the time, at δ as often as planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ophamin.measuring import decision as deciding
from ophamin.measuring import planning
from ophamin.measuring.selftest._check import ALPHA, MARGIN, Check, Law, Run, Tally
from ophamin.measuring.selftest._intervals import growing, skilled, stated
from ophamin.measuring.selftest._laws import normal
from ophamin.measuring.selftest._trials import binomial_rates
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import Columns, EstimatorCall, Score

__all__ = ["decisions"]

Rng = np.random.Generator
_AT, _POWER = "decision at θ", "decision at δ"


def decisions() -> list[Check]:
    """Every check of this kind."""
    return [*_enumerated(), *_simulated(), *_several(), *_families()]


def _outcome(threshold: Threshold, decision: Decision, columns: Columns, options: Mapping[str, Any]) -> tuple[str, str]:
    call = EstimatorCall(threshold.metric, decision.estimator, columns, options)
    found = deciding.decide(threshold, decision, call, alpha_validate=ALPHA, alpha_refute=ALPHA, seed=0)
    return found.outcome, found.reason


# --- by enumeration: the verdict of every count


def _verdicts(comparator: str, theta: float, n: int, quantile: float | None) -> tuple[str, ...]:
    """Verdict for each number of ones (of exceedances of 1, for a quantile)."""
    if quantile is None:
        threshold, decision = Threshold("share", comparator, theta), Decision(estimator="proportion")
        options: dict[str, Any] = {}
    else:
        threshold, decision = Threshold("quantile", comparator, 1.0), Decision(estimator="quantile")
        options = {"q": quantile}
    return tuple(
        _outcome(threshold, decision, {"value": [2 * (quantile is not None) or 1] * k + [0] * (n - k)}, options)[0]
        for k in range(n + 1)
    )


def _chances(comparator: str, theta: float, n: int, truth: float, quantile: float | None = None) -> Tally:
    pmf = binomial_rates(n, np.array([truth]))[0]
    verdicts = np.array(_verdicts(comparator, theta, n, quantile))
    return Tally(float(pmf[verdicts == "REFUTED"].sum()), float(pmf[verdicts == "VALIDATED"].sum()))


def _planned(comparator: str, theta: float, n: int, truth: float, quantile: float | None) -> Callable[[], Tally]:
    return lambda: _chances(comparator, theta, n, truth, quantile)


def _enumerated() -> list[Check]:
    made = [
        Check(
            _AT, f"share {comparator} {theta:g}, n = {n}", "clopper-pearson", "guaranteed", kind="type I",
            least=0.4 * ALPHA, enumerate=_planned(comparator, theta, n, theta, None),
        )
        for comparator, theta, n in ((">=", 0.9, 100), ("<=", 0.1, 200), (">", 0.5, 37))
    ]  # fmt: skip
    made.append(
        Check(
            _AT,
            "p95 <= θ, n = 200",
            "order-statistics",
            "guaranteed",
            kind="type I",
            least=0.4 * ALPHA,
            enumerate=_planned("<=", 0.05, 200, 0.05, 0.95),
        )
    )
    cases: tuple[tuple[str, Threshold, str, dict[str, Any], float | None], ...] = (
        ("share >= 0.9, δ = 0.05", Threshold("share", ">=", 0.9), "proportion", {}, None),
        ("p95 <= θ, δ = 0.03", Threshold("quantile", "<=", 1.0), "quantile", {"q": 0.95}, 0.95),
    )
    for words, threshold, decision, assumed, quantile in cases:
        delta = 0.03 if quantile else 0.05
        plan = planning.plan(threshold, Decision(estimator=decision, smallest_difference=delta), **assumed)
        theta = 0.9 if quantile is None else 0.05
        inside, outside = (0.95, 0.85) if quantile is None else (0.05 - delta, 0.05 + delta)
        assert plan.n is not None
        assert plan.power_validate is not None
        assert plan.power_refute is not None
        method = "clopper-pearson" if quantile is None else "order-statistics"
        for side, truth, power in (("above", inside, plan.power_validate), ("below", outside, plan.power_refute)):
            verb = "validate" if side == "above" else "refute"
            made.append(
                Check(
                    _POWER, f"{words}, n = {plan.n}: {verb}", method, "guaranteed", kind="power",
                    most=power, least=power, sides=(side,), slack=1e-6,
                    enumerate=_planned(threshold.comparator, theta, plan.n, truth, quantile),
                )
            )  # fmt: skip
    return made


# --- by simulation


def _decided(threshold: Threshold, decision: Decision, law: Law, options: Mapping[str, Any] | None = None) -> Run:
    def run(rng: Rng, runs: int) -> Tally:
        below = above = unanswered = 0
        why = ""
        for _ in range(runs):
            outcome, reason = _outcome(threshold, decision, law.draw(rng), options or {})
            below, above = below + (outcome == "REFUTED"), above + (outcome == "VALIDATED")
            unanswered, why = unanswered + bool(reason), why or reason
        return Tally(below, above, runs, unanswered, why)

    return run


def _moved(law: Law, by: float) -> Law:
    def draw(rng: Rng) -> Columns:
        table = law.draw(rng)
        return {**table, "value": [v + by for v in table["value"]]}

    return Law(f"{law.name} moved by {by:g}", law.truth + by, draw)


def _simulated() -> list[Check]:
    level, unit = Threshold("level", "<=", 0.0), Threshold("level", ">=", 0.3)
    student = Decision(estimator="mean", method="t", smallest_difference=0.5)
    betting = Decision(estimator="mean", support=[0, 1])
    rare = Law("0/1, n = 60", 0.3, lambda rng: {"value": (rng.random(60) < 0.3).tolist()})
    gap, skill = stated(0.5, 1.0, 0.1), skilled(0.5)
    wide = ALPHA + MARGIN
    cases: tuple[tuple[str, str, Threshold, Decision, Law, str, float, float | None, int], ...] = (
        ("mean <= 0, normal, n = 10", "t", level, student, normal(10), "approximate", ALPHA, ALPHA, 4000),
        ("mean >= 0.3, 0/1, n = 60", "betting", unit, betting, rare, "guaranteed", ALPHA, None, 500),
        ("calibration error <= 0.1", "sign-vectors", Threshold("ece", "<=", 0.1),
         Decision(estimator="calibration-error"), gap, "approximate", wide, None, 600),
        ("Brier skill > 0", "paired-t", Threshold("skill", ">", 0.0),
         Decision(estimator="brier-skill"), skill, "approximate", wide, None, 100),
        ("exponent <= 1.5", "ols-t", Threshold("exponent", "<=", 1.5),
         Decision(estimator="exponent"), growing(), "approximate", ALPHA, 0.028, 4000),
    )  # fmt: skip
    made = [
        Check(
            _AT, words, method, guarantee, kind="type I", most=most, least=least, quick=quick, full=10 * quick,  # type: ignore[arg-type]
            run=_decided(threshold, decision, law),
        )
        for words, method, threshold, decision, law, guarantee, most, least, quick in cases
    ]  # fmt: skip
    plan = planning.plan(level, student, sd=1.0)
    assert plan.n is not None
    for side, by, power in (("above", -0.5, plan.power_validate), ("below", 0.5, plan.power_refute)):
        verb = "validate" if side == "above" else "refute"
        made.append(
            Check(
                _POWER, f"mean <= 0, δ = 0.5, n = {plan.n}: {verb}", "t", "approximate", kind="power",
                most=power, least=power, sides=(side,), run=_decided(level, student, _moved(normal(plan.n), by)),
            )
        )  # fmt: skip
    return made


# --- several thresholds, and failed cycles


def _both(rng: Rng, runs: int) -> Tally:
    """Two shares exactly at θ, decided together."""
    at = Threshold("first", ">=", 0.9), Threshold("second", "<=", 0.1)
    rule = Decision(estimator="proportion")
    claim = Claim("", "", "", "", at[0], rule, [CoPrimary(at[1], rule)])
    verdicts = []
    for _ in range(runs):
        calls = [
            EstimatorCall(t.metric, "proportion", {"value": (rng.random(100) < t.value).astype(int).tolist()})
            for t in at
        ]
        verdicts.append(deciding.decide_claim(claim, Score(calls), alpha=ALPHA, seed=0).outcome)
    return Tally(verdicts.count("REFUTED"), verdicts.count("VALIDATED"), runs)


def _failing(rng: Rng) -> Columns:
    right, failed = rng.random(100) < 0.9, rng.random(100) < 0.03
    value = [None if f else int(r) for r, f in zip(right, failed, strict=True)]
    return {"value": value, "status": ["error" if f else "ok" for f in failed]}


def _several() -> list[Check]:
    law = Law("3 % of the cycles fail", 0.9, _failing)
    return [
        Check(
            _AT, "two co-primary shares", "clopper-pearson", "guaranteed", kind="type I", run=_both,
            quick=1000, full=10_000,
        ),
        Check(
            _AT, "share >= 0.9, 3 % of the cycles fail, policy bound", "clopper-pearson", "guaranteed", kind="type I",
            run=_decided(Threshold("share", ">=", 0.9), Decision(estimator="proportion"), law), quick=1000, full=10_000,
        ),
    ]  # fmt: skip


# --- families


def _any_false(correct: Callable[[Sequence[float]], list[float]], shift: float) -> Run:
    """Whether any of 3 true hypotheses is rejected, beside 2 that are ``shift`` standard errors off."""

    def run(rng: Rng, runs: int) -> Tally:
        from scipy.special import ndtr

        p = ndtr(-(rng.normal(size=(runs, 5)) + shift * np.array([0, 0, 0, 1, 1])))
        return Tally(0, sum(min(correct(row)[:3]) <= ALPHA for row in p.tolist()), runs)

    return run


def _rate_of_false(correct: Callable[[Sequence[float]], list[float]]) -> Run:
    """Whether any of 5 true hypotheses is rejected: there every discovery is false, so this is their rate."""

    def run(rng: Rng, runs: int) -> Tally:
        return Tally(0, sum(min(correct(row)) <= ALPHA for row in rng.random((runs, 5)).tolist()), runs)

    return run


def _families() -> list[Check]:
    holm_alone = 1 - (1 - ALPHA / 5) ** 5
    one: Sequence[str] = ("above",)
    return [
        Check(
            "family", "Holm, 3 true of 5, 2 far off: any rejected", "holm", "guaranteed", kind="type I", sides=one,
            least=1 - (1 - ALPHA / 3) ** 3, run=_any_false(lambda p: deciding.holm(p), 6.0), quick=10_000, full=100_000,
        ),
        Check(
            "family", "Holm, 5 true: any rejected", "holm", "guaranteed", kind="type I", sides=one,
            most=holm_alone, least=holm_alone, run=_rate_of_false(lambda p: deciding.holm(p)), quick=10_000,
            full=100_000,
        ),
        Check(
            "family", "Benjamini–Hochberg, 5 true: false discoveries", "bh", "guaranteed", kind="type I", sides=one,
            least=ALPHA, run=_rate_of_false(lambda p: deciding.benjamini_hochberg(p)), quick=10_000, full=100_000,
        ),
        Check(
            "family", "Benjamini–Yekutieli, 5 true: false discoveries", "by", "guaranteed", kind="type I",
            sides=one, run=_rate_of_false(lambda p: deciding.benjamini_yekutieli(p)), quick=10_000, full=100_000,
        ),
    ]  # fmt: skip
