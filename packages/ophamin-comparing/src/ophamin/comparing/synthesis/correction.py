"""The verdicts of a family of claims, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ophamin import registry
from ophamin.comparing.drift.proofs import Proof
from ophamin.comparing.synthesis.p_values import levels_of
from ophamin.proof.errors import MissingDependency, UnknownPlugin, UsageError

__all__ = ["METHODS", "Corrected", "Correction", "correct"]

JSON = Any
METHODS: Mapping[str, str] = {
    "holm": "family-wise error rate",
    "bh": "false-discovery rate, if the claims are independent or positively dependent",
    "by": "false-discovery rate",
}


@dataclass(frozen=True)
class Corrected:
    """One claim after the correction of its family.

    Args:
        proof: The claim's proof.
        outcome: VALIDATED, REFUTED or INCONCLUSIVE; never stronger than the proof's own.
        p_validated: p-value dual to the validating bound, at the level of a first attempt.
        p_refuted: The same for the refuting bound.
        adjusted_validated: The first among all validating ones of the family; ``None`` for an exact claim.
        adjusted_refuted: The second among all refuting ones.
        exact: Whether the whole target was measured, so that the claim is not counted.
        note: What the p-values lack, "" for nothing.
    """

    proof: Proof
    outcome: str
    p_validated: float
    p_refuted: float
    adjusted_validated: float | None
    adjusted_refuted: float | None
    exact: bool
    note: str


@dataclass(frozen=True)
class Correction:
    """A family after correction.

    Args:
        method: ``holm``, ``bh`` or ``by``.
        alpha: α of the family, for each of the two sides.
        m: Claims counted: all but the exact ones, and those registered that left no proof here.
        missing: How many of them left no proof here; they count with p = 1.
        bound: What α bounds, in words.
        claims: Every claim, in the order given.
    """

    method: str
    alpha: float
    m: int
    missing: int
    bound: str
    claims: Sequence[Corrected]


def correct(proofs: Sequence[Proof], *, method: str = "holm", alpha: float = 0.05) -> Correction:
    """Correct the verdicts of a family twice at α: over its validating p-values and over its refuting ones.

    m counts every claim but the exact ones, undecided ones with p = 1. Of a claim with several thresholds the
    p-value is max pᵢ to validate and K·min pᵢ to refute. A k-th attempt, decided at α/2^(k−1), brings 2^(k−1) times
    its p-value, so that what all attempts together may err stays below 2α. A verdict can only weaken.

    Args:
        proofs: One for each claim of the family, verified.
        method: ``holm``, ``bh`` or ``by``.
        alpha: α of the family, in (0, 0.5).

    Raises:
        UsageError: Unknown method, α out of range, or two proofs of one series.
        MissingDependency: Measuring, which adjusts, is not installed.

    Source: Holm (1979), Scand. J. Statist. 6:65; Benjamini & Hochberg (1995), JRSS B 57:289; Benjamini & Yekutieli
        (2001), Ann. Statist. 29:1165; co-primary: Berger (1982), Technometrics 24:295.
    """
    if method not in METHODS:
        raise UsageError(f"no correction of a family is called {method!r}; use {', '.join(METHODS)}")
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha lies between 0 and 0.5, such as 0.05, not {alpha!r}")
    if len({proof.key for proof in proofs}) < len(proofs):
        raise UsageError("two proofs of one series are one claim; correct the latest of each")
    counted = [proof for proof in proofs if not _exact(proof)]
    found = {proof.proof_id: _p_values(proof) for proof in counted}
    missing = max(0, _registered(counted) - len(counted))
    ones = [1.0] * missing
    up = dict(zip(found, adjust([*(p[0] for p in found.values()), *ones], method), strict=False))
    down = dict(zip(found, adjust([*(p[1] for p in found.values()), *ones], method), strict=False))
    claims = []
    for proof in proofs:
        if proof.proof_id not in found:
            claims.append(Corrected(proof, proof.outcome, 1.0, 1.0, None, None, True, ""))
            continue
        validated, refuted, note = found[proof.proof_id]
        adjusted = up[proof.proof_id], down[proof.proof_id]
        claims.append(
            Corrected(proof, _weakened(proof.outcome, *adjusted, alpha), validated, refuted, *adjusted, False, note)
        )
    return Correction(method, alpha, len(counted) + missing, missing, METHODS[method], claims)


def adjust(p_values: Sequence[float], method: str) -> list[float]:
    """Adjusted p-values, by measuring.

    Raises:
        MissingDependency: It is not installed.
    """
    if not p_values:
        return []
    try:
        if method == "holm":
            estimate = registry.estimators.get("holm")({"value": list(p_values)}, confidence=0.95, seed=0)
            return [float(p) for p in estimate.detail["adjusted"]]
        result = registry.pillars.get("X.adjust")().compute({"p_value": list(p_values)}, seed=0, method=method)
        return [float(p) for p in result.tables["adjusted"]["adjusted"]]
    except UnknownPlugin as error:
        raise MissingDependency(
            "the correction of a family", "ophamin-measuring", "ophamin-comparing[stats]"
        ) from error


def _exact(proof: Proof) -> bool:
    """Whether no threshold of the claim was inferred from a sample."""
    return all(part.exact for part in proof.parts)


def _registered(proofs: Sequence[Proof]) -> int:
    """How many claims the family had when it was closed, where its proofs say so."""
    stated = [(proof.body["preregistration"].get("family") or {}).get("m") for proof in proofs]
    return max((m for m in stated if isinstance(m, int) and not isinstance(m, bool)), default=0)


def _p_values(proof: Proof) -> tuple[float, float, str]:
    """p of the whole claim both ways, at the level of a first attempt, and what is to be said of them."""
    verdict, registered = proof.body["verdict"], proof.body["preregistration"]
    if str(verdict.get("decided_by") or "").startswith("none:"):
        return 1.0, 1.0, "it was not decided, so it counts with p = 1"
    # An exact threshold beside inferred ones has no sampling error: it stands for what it says.
    levels = [
        (float(part.outcome != "VALIDATED"), float(part.outcome != "REFUTED")) if part.exact and index else level
        for index, (part, level) in enumerate(zip(proof.parts, levels_of(proof.body), strict=True))
    ]
    if any(p is None for level in levels for p in level):
        return 1.0, 1.0, "its record states no p-values, so it counts with p = 1"
    validated = max(level[0] for level in levels if level[0] is not None)
    refuted = len(levels) * min(level[1] for level in levels if level[1] is not None)
    decision = proof.body["claim"].get("decision") or {}
    alpha, used = decision.get("alpha"), registered.get("alpha_used")
    # Attempt k has α/2^(k−1), or α/K of K registered ones.
    factor = max(1.0, alpha / used) if alpha and used else 1.0
    note = f"its p-values count {factor:g}-fold, as attempt {registered.get('attempt', '?')}" if factor > 1 else ""
    return min(1.0, factor * validated), min(1.0, factor * refuted), note


def _weakened(outcome: str, validated: float, refuted: float, alpha: float) -> str:
    if outcome == "VALIDATED" and validated <= alpha:
        return outcome
    if outcome == "REFUTED" and refuted <= alpha:
        return outcome
    return "INCONCLUSIVE"
