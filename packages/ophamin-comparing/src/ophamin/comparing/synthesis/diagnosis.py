"""One proof: its neighbours, what would change its verdict, and how many more observations would decide it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ophamin.comparing.drift.proofs import Part, Proof
from ophamin.comparing.index import Entry, Series
from ophamin.comparing.synthesis.p_values import levels_of
from ophamin.comparing.synthesis.summary import differences
from ophamin.proof.decision import outcome as decide
from ophamin.proof.errors import OphaminError

__all__ = ["Bound", "Diagnosis", "Question", "diagnose", "plan_questions"]

JSON = Any
Object = Mapping[str, JSON]


@dataclass(frozen=True)
class Bound:
    """How far one threshold is from another verdict.

    Args:
        part: The threshold, with what was observed.
        outcome: Its verdict.
        slack: How far the bound that decided may move before the verdict falls; for an open threshold, how far the
            nearer bound would have to move. ``None`` where no bound is stated.
        would: What would change the verdict, in words.
        p_validated: Least α at which it would be VALIDATED, as stated in the evidence.
        p_refuted: Least α at which it would be REFUTED.
    """

    part: Part
    outcome: str
    slack: float | None
    would: str
    p_validated: float | None
    p_refuted: float | None


@dataclass(frozen=True)
class Diagnosis:
    """What may be said about one proof beside its verdict.

    Args:
        proof: The proof.
        reasoning: Its verdict in its own words.
        bounds: Each threshold's distance to another verdict.
        siblings: Other proofs of its series, oldest first, with what differs from this one.
        cousins: Latest proofs of the same claim elsewhere, each with the fields in which its series differs.
        more: How many observations a new registration needs, one sentence for each open threshold; empty when the
            verdict is decided.
    """

    proof: Proof
    reasoning: str
    bounds: Sequence[Bound]
    siblings: Sequence[tuple[Entry, Mapping[str, tuple[str, str]]]]
    cousins: Sequence[tuple[Entry, Mapping[str, tuple[str, str]]]]
    more: Sequence[str]


@dataclass(frozen=True)
class Question:
    """What to ask a plan: how many units decide one threshold if the truth lies so far from θ.

    Args:
        scenario: The proof's.
        options: Options it ran with, and the distance where it is not the registered one.
        alpha: One-sided α a new attempt would have.
    """

    scenario: str
    options: Mapping[str, JSON]
    alpha: float


Planner = Callable[[Question], int | None]


def diagnose(proof: Proof, series: Sequence[Series], plan: Planner | None = None) -> Diagnosis:
    """Diagnose one proof among those of an index.

    Args:
        proof: As loaded, verified.
        series: Of the index; the proof itself need not be among them.
        plan: Answers how many units a new registration needs; it may raise ``OphaminError``.

    Returns:
        The diagnosis; nothing in it is a new verdict.
    """
    facts = Entry(
        proof.path or Path(), proof.proof_id, proof.key, proof.claim, proof.outcome, proof.created_at,
        proof.facts, proof.parts, proof.verified, "",
    )  # fmt: skip
    siblings, cousins = [], []
    for one in series:
        if one.key == proof.key:
            siblings += [(e, differences(facts, e)) for e in one.entries if e.proof_id != proof.proof_id]
        elif one.key.claim == proof.key.claim:
            cousins.append((one.entries[-1], proof.key.differences(one.key)))
    levels = levels_of(proof.body)
    bounds = [
        Bound(part, outcome, *_slack(part, outcome), *level)
        for part, outcome, level in zip(proof.parts, _outcomes(proof), levels, strict=True)
    ]
    more = _more(proof, plan) if plan is not None and proof.outcome == "INCONCLUSIVE" else []
    return Diagnosis(proof, str(proof.body["verdict"]["reasoning"]), bounds, siblings, cousins, more)


def _outcomes(proof: Proof) -> list[str]:
    """Each threshold's own verdict; the claim's own is stated only where it is alone."""
    first = proof.outcome if len(proof.parts) == 1 else _own(proof.parts[0])
    return [first, *(part.outcome for part in proof.parts[1:])]


def _own(part: Part) -> str:
    if part.bounds is None:
        return "INCONCLUSIVE"
    threshold = _Threshold(part.metric, part.comparator, part.theta)
    return decide(threshold, part.bounds.lower, part.bounds.upper, "exact" if part.exact else "interval")


@dataclass(frozen=True)
class _Threshold:
    metric: str
    comparator: str
    value: JSON


def _slack(part: Part, outcome: str) -> tuple[float | None, str]:
    theta = part.theta
    if part.bounds is None or isinstance(theta, bool) or not isinstance(theta, (int, float)):
        return None, "a value with an interval: none was observed" if part.bounds is None else "another value"
    if part.comparator == "==":
        return None, f"any other value than {theta:g}"
    upwards = part.comparator in (">=", ">")
    lower, upper = part.bounds.lower, part.bounds.upper
    # The bound that validates, and the bound that refutes; distances are counted towards "still so".
    validating, refuting = (lower, upper) if upwards else (upper, lower)
    names = ("lower", "upper") if upwards else ("upper", "lower")
    sign = 1.0 if upwards else -1.0
    if outcome == "VALIDATED" and validating is not None:
        slack = sign * (validating - theta)
        return slack, f"the {names[0]} bound passing {theta:g}, which lies {slack:.4g} away from it"
    if outcome == "REFUTED" and refuting is not None:
        slack = sign * (theta - refuting)
        return slack, f"the {names[1]} bound passing {theta:g}, which lies {slack:.4g} away from it"
    missing = [
        (abs(bound - theta), f"to {verdict} the {name} bound would have to move by {abs(bound - theta):.4g}")
        for bound, name, verdict in (
            (validating, names[0], "validate"),
            (refuting, names[1], "refute"),
        )
        if bound is not None
    ]
    if not missing:
        return None, "bounds: none could be computed"
    return min(missing)[0], "; ".join(words for _, words in sorted(missing))


# --- how many more


def plan_questions(proof: Proof, part: Part) -> tuple[list[Question], str]:
    """What to ask for one open threshold: n if the truth lies δ from θ, and if it lies at an end of the interval.

    Returns:
        Questions from the nearest truth to the farthest, and a note that answers without any ("" when there is none).
    """
    registered, claim = proof.body["preregistration"], proof.body["claim"]
    decision = claim.get("decision") or {}
    spec = proof.body["reproduction"].get("run_spec") or {}
    delta, theta, bounds = part.smallest_difference, part.theta, part.bounds
    if (decision.get("rule") or "") == "exact":
        return [], "the whole target is measured under rule exact; only its missing cycles are left to measure"
    attempts = int(decision.get("attempts") or 1)
    attempt = int(registered.get("attempt") or 1)
    alpha = float(decision.get("alpha") or registered.get("alpha_used") or 0.05)
    if attempts > 1 and attempt >= attempts:
        return [], f"all {attempts} registered attempts were made; another claim is needed"
    alpha = alpha / attempts if attempts > 1 else math.ldexp(alpha, -attempt)
    options = dict(spec.get("options") or {})
    questions = [Question(proof.key.scenario, options, alpha)]
    ends = () if bounds is None else (bounds.lower, bounds.upper)
    if delta is not None and isinstance(theta, (int, float)) and None not in ends and ends:
        if all(end is not None and abs(end - theta) <= delta for end in ends):
            return [], f"the truth lies nearer to {theta:g} than worth knowing; no n is advised"
        farthest = max(abs(end - theta) for end in ends if end is not None)
        if farthest > delta and len(proof.parts) == 1:
            questions.append(Question(proof.key.scenario, {**options, "delta": farthest}, alpha))
    return questions, ""


def _more(proof: Proof, plan: Planner) -> list[str]:
    # A plan is for the whole claim; with several thresholds it is asked once.
    questions, note = plan_questions(proof, proof.parts[0])
    if note:
        return [note]
    sizes: list[int] = []
    for nth, question in enumerate(questions):
        try:
            n = plan(question)
        except OphaminError as error:
            if nth == 0:
                return [f"no n can be told: {error}"]
            continue  # a scenario that cannot be asked with another distance still has the registered one
        if n is not None:
            sizes.append(n)
    if not sizes:
        return ["no n decides this claim at the registered smallest difference"]
    low, high = min(sizes), max(sizes)
    span = f"{low}" if low == high else f"{low} to {high}"
    return [f"a new registration of {span} units would decide it with power 0.8, at α {questions[0].alpha:g}"]
