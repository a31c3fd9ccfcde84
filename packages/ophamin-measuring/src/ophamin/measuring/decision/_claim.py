"""All thresholds of a claim together."""

from __future__ import annotations

from dataclasses import dataclass

from ophamin.measuring.decision._check import check_claim
from ophamin.measuring.decision._part import PartDecision, decide
from ophamin.proof.decision import Outcome, combine
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim
from ophamin.protocols import Score

__all__ = ["ClaimDecision", "decide_claim"]


@dataclass(frozen=True)
class ClaimDecision:
    """How a claim came out.

    Args:
        outcome: VALIDATED iff each part is, REFUTED iff one is, else INCONCLUSIVE.
        parts: One decision per threshold, the claim's own first.
        reasoning: The verdict in one sentence.
        decided_by: The rule, or ``none: <reason>`` when no rule could be applied.
        p_validated: max p of the parts.
        p_refuted: K · min p of the parts, at most 1.
        alpha: α at which it was decided.
    """

    outcome: Outcome
    parts: tuple[PartDecision, ...]
    reasoning: str
    decided_by: str
    p_validated: float
    p_refuted: float
    alpha: float


def decide_claim(claim: Claim, score: Score, *, alpha: float, seed: int) -> ClaimDecision:
    """Decide a claim; all K thresholds must hold.

    The validating bound of each is held to α (all must cross, so the worst of them crosses by mistake with at
    most α; Berger 1982) and the refuting bound to α/K (one is enough; Bonferroni).

    Args:
        claim: As registered.
        score: One estimator call per threshold, in the claim's order.
        alpha: α of this attempt (:func:`alpha_for`).
        seed: Seed of the run.

    Raises:
        UsageError: The claim cannot be decided as registered, or the calls do not answer its thresholds.
    """
    check_claim(claim)
    parts = claim.parts()
    if [c.metric for c in score.calls] != [t.metric for t, _ in parts]:
        asked, got = ", ".join(t.metric for t, _ in parts), ", ".join(c.metric for c in score.calls) or "none"
        raise UsageError(f"the claim asks for {asked} and the scenario scored {got}")
    decided = tuple(
        decide(threshold, decision, call, alpha_validate=alpha, alpha_refute=alpha / len(parts), seed=seed)
        for (threshold, decision), call in zip(parts, score.calls, strict=True)
    )
    outcome = combine([p.outcome for p in decided])
    reasons = [p.reason for p in decided if p.reason]
    rule = claim.decision.rule
    return ClaimDecision(
        outcome,
        decided,
        reasoning=f"{outcome}: " + "; ".join(_sentence(p) for p in decided) + ".",
        decided_by=f"none: {reasons[0]}" if outcome == "INCONCLUSIVE" and reasons else rule,
        p_validated=max(p.p_validated for p in decided),
        p_refuted=min(1.0, len(decided) * min(p.p_refuted for p in decided)),
        alpha=alpha,
    )


def _number(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


_CONDITIONS = {
    "t": "the mean of so many values is near normal",
    "korn-graubard": "the groups are independent, none outweighs the rest, and no rare fault takes whole groups unseen",
    "korn-graubard-adverse": "the groups are independent, none outweighs the rest, and no rare fault takes whole "
    "groups unseen",
    "sign-vectors": "the rows are independent and many in each bin that is used",
    "ols-t": "the logarithms of the medians scatter independently around a line",
    "paired-t": "the mean of the paired differences is near normal",
    "newcombe": "the rows are independent and many in each arm",
    "welch": "the means of both arms are near normal",
    "welch-cluster": "the groups are independent and the means of both arms near normal",
    "paired-cluster": "the groups are independent and the mean difference near normal",
    "paired-t-cluster": "the groups are independent and the mean difference near normal",
    "tost-t": "the mean difference is near normal",
    "tost-welch": "the means of both arms are near normal",
    "tost-paired-t": "the mean of the paired differences is near normal",
    "equal-weighted-cosine": "the series has no turn and the dependence between its rows dies out",
    "cluster": "the groups are independent and none outweighs the rest",
    "fisher-z": "the rows are independent and near normal together",
    "noncentral-t": "the values of both arms are near normal with one variance",
    "hochberg": "the p-values are independent or positively dependent",
}


def _condition(part: PartDecision) -> str:
    """What an approximate interval takes for granted."""
    if (part.evidence.interval_method or "").startswith("group-sequential"):
        return "what is added between two looks is near normal"
    return _CONDITIONS.get(part.evidence.interval_method or "", "its assumptions hold")


def _sentence(part: PartDecision) -> str:
    counts = f"{part.n_used} of {part.n_planned} cycles used"
    if part.n_errors or part.n_unmeasured:
        counts += f", {part.n_errors} errors and {part.n_unmeasured} unmeasured by '{part.decision.error_policy}'"
    value = f"{part.threshold.metric} = {_number(part.estimate.value)}"
    if part.reason:
        return f"{value} ({counts}) does not decide '{part.threshold}', because {part.reason}"
    interval = part.interval
    if part.decision.rule == "exact":
        found = "measured whole"
        verdict = {"VALIDATED": "holds", "REFUTED": "fails", "INCONCLUSIVE": "is open, as missing cycles could tip it"}
    else:
        lower = "-inf" if interval.lower is None else _number(interval.lower)
        upper = "inf" if interval.upper is None else _number(interval.upper)
        about = "" if part.evidence.guarantee == "guaranteed" else f" (about α, if {_condition(part)})"
        found = f"bounds [{lower}, {upper}] by {part.evidence.interval_method}{about}"
        verdict = {
            "VALIDATED": "lie within",
            "REFUTED": "lie outside",
            "INCONCLUSIVE": "reach both sides of",
        }
    if part.decision.rule == "exact":
        return f"{value} ({found}; {counts}): '{part.threshold}' {verdict[part.outcome]}"
    return f"{value}, {found} ({counts}) {verdict[part.outcome]} '{part.threshold}'"
