"""Whether two runs of one claim agree: the claim |difference| ≤ margin, decided like any other.

The margin is the registered smallest difference. Agreement: both bounds lie inside it, each at α (two one-sided
tests; Schuirmann 1987, J Pharmacokinet Biopharm 15:657). Disagreement: one bound lies outside, at α/2 because either
side may; with K thresholds at α/2K because any of them may. Else it is open, and about how many units would settle it
is said. Under rule ``exact`` the whole target was measured twice over, and another value is another value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ophamin.measuring.scenarios._differences import Question, Shift, shift
from ophamin.proof.types import Claim, Decision, Threshold
from ophamin.protocols import EstimatorCall

__all__ = ["Comparison", "answer_of", "compare"]

JSON = Any


@dataclass(frozen=True)
class Comparison:
    """One threshold of the claim: how far the second run lies from the first.

    Args:
        metric: Metric of the threshold.
        difference: Second minus first; ``None`` when it cannot be formed.
        lower: Bound at 1 − α; of a disagreement, the bound that shows it.
        upper: Bound at 1 − α; of a disagreement, the bound that shows it.
        margin: Smallest difference worth knowing, as registered.
        method: Interval method of the bounds.
        answer: AGREE, DISAGREE or INCONCLUSIVE.
        reason: Why it is not decided, or "".
        n_needed: About how many units would decide it, ``None`` when no n would.
    """

    metric: str
    difference: float | None
    lower: float | None
    upper: float | None
    margin: float | None
    method: str
    answer: str
    reason: str = ""
    n_needed: int | None = None


def answer_of(comparisons: Sequence[Comparison]) -> str:
    """AGREE when each does, DISAGREE when one does not, else INCONCLUSIVE."""
    answers = {c.answer for c in comparisons}
    return "AGREE" if answers <= {"AGREE"} else "DISAGREE" if "DISAGREE" in answers else "INCONCLUSIVE"


def compare(
    claim: Claim, before: Sequence[EstimatorCall], after: Sequence[EstimatorCall], *, alpha: float, seed: int
) -> list[Comparison]:
    """Compare two runs of one claim over the same records.

    Args:
        claim: As registered.
        before: One call per threshold, from the rows of the first run.
        after: From those of the second.
        alpha: α of the attempt that is reproduced.
        seed: Its seed.

    Returns:
        One comparison per threshold, in the claim's order.
    """
    parts = claim.parts()
    return [
        _part(threshold, decision, old, new, alpha, alpha / (2 * len(parts)), seed)
        for (threshold, decision), old, new in zip(parts, before, after, strict=True)
    ]


def _part(
    threshold: Threshold,
    decision: Decision,
    old: EstimatorCall,
    new: EstimatorCall,
    agree: float,
    differ: float,
    seed: int,
) -> Comparison:
    metric, margin = threshold.metric, decision.smallest_difference
    if decision.rule == "exact":
        # The whole target was measured, twice over: another value is another value.
        return Comparison(metric, None, None, None, None, "exact", "DISAGREE", "the whole target gave other values")
    if margin is None:
        reason = "no smallest difference was registered, so nothing says what is near enough"
        return Comparison(metric, None, None, None, None, "", "INCONCLUSIVE", reason)
    found = shift(Question(threshold, decision, old, new, seed), agree, differ)
    (low, high), (far_low, far_high) = found.agree, found.differ
    if far_low is not None and far_low > margin:
        return Comparison(metric, found.value, far_low, far_high, margin, found.method, "DISAGREE")
    if far_high is not None and far_high < -margin:
        return Comparison(metric, found.value, far_low, far_high, margin, found.method, "DISAGREE")
    if low is None or high is None:
        reason = found.problem or "the difference has no bounds"
        return Comparison(metric, found.value, low, high, margin, "", "INCONCLUSIVE", reason)
    if -margin <= low and high <= margin:
        return Comparison(metric, found.value, low, high, margin, found.method, "AGREE")
    needed = _needed(found, low, high, margin)
    reason = (
        "the runs differ by about the margin itself; no number of records settles that"
        if needed is None
        else f"about {needed} units would settle it"
    )
    return Comparison(metric, found.value, low, high, margin, found.method, "INCONCLUSIVE", reason, needed)


def _needed(found: Shift, low: float, high: float, margin: float) -> int | None:
    """Units at which an interval of this shape no longer straddles the margin.

    Widths shrink with √n, or with n where few units differ.
    """
    value = found.value or 0.0
    distance = abs(margin - abs(value))
    half = max(high - value, value - low)
    if distance <= 0.05 * margin or half <= 0:
        return None
    return max(found.n + 1, math.ceil(found.n * (half / distance) ** (1 if found.few else 2)))
