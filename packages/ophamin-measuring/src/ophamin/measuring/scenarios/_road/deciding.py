"""From rows to a verdict: the scenario says what to estimate, the decision room decides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ophamin.measuring.decision import ClaimDecision, decide_claim
from ophamin.measuring.decision import PartDecision as Part
from ophamin.measuring.scenarios._road.cycles import values_digest_of
from ophamin.proof.errors import OphaminError, ProtocolViolation
from ophamin.proof.types import Claim, Interval, PillarEvidence, Verdict, to_json
from ophamin.protocols import ScenarioProtocol, Score

__all__ = ["UNSTABLE", "Decided", "Scored", "columns_of", "decide", "plain", "score_rows"]

JSON = Any
Row = Mapping[str, JSON]
LONGEST_SHOWN = 200
UNSTABLE = "not deterministic"
"""How the reason begins where a second pass over the whole target gave other values."""


class Scored(Protocol):
    """What turns rows into a verdict: a prepared run, or what a stored record says of one."""

    @property
    def scenario(self) -> ScenarioProtocol:
        """What scores the rows."""
        ...

    @property
    def options(self) -> Mapping[str, JSON]:
        """All its options."""
        ...

    @property
    def claim(self) -> Claim:
        """The claim as registered."""
        ...


@dataclass(frozen=True)
class Decided:
    """A verdict, the evidence under it, and the digest of what was shown."""

    verdict: Verdict
    evidence: Sequence[PillarEvidence]
    values_digest: str


def columns_of(rows: Sequence[Row]) -> dict[str, list[JSON]]:
    """Rows in scope as columns: what ``observe`` gave, and what the engine adds."""
    inside = [row for row in rows if row["values"] is not None]
    names = {name: None for row in inside for name in row["values"]}
    columns = {name: [row["values"].get(name) for row in inside] for name in names}
    for name, key in (("record_id", "record"), ("group", "unit")):
        columns[name] = [row[key] for row in inside]
    for name in ("arm", "status", "block", "wall_s"):
        columns[name] = [row[name] for row in inside]
    return columns


def score_rows(setup: Scored, rows: Sequence[Row]) -> Score:
    """What the scenario makes of its rows.

    Raises:
        ProtocolViolation: It cannot make anything of them.
    """
    try:
        return setup.scenario.score(columns_of(rows), setup.options)
    except OphaminError:
        raise
    except Exception as error:
        raise ProtocolViolation(
            f"scenario {setup.scenario.name!r} cannot score its own rows: {type(error).__name__}: {error}"
        ) from error


def decide(setup: Scored, rows: Sequence[Row], alpha: float, seed: int, digests: Mapping[str, str]) -> Decided:
    """Decide the claim from the rows as they stand in the journal.

    Args:
        setup: Scenario, options and claim.
        rows: All rows, parsed from the bytes that are stored.
        alpha: α of this attempt.
        seed: Seed of this attempt.
        digests: Under rule exact, the digest of the second pass.

    Raises:
        ProtocolViolation: The scenario does not answer its own claim.
    """
    values_digest = values_digest_of(rows)
    counts = {status: sum(row["status"] == status for row in rows) for status in ("ok", "error", "unmeasured")}
    if not any(row["values"] is not None for row in rows):
        why = "no cycle lies in the claim's scope" if rows else "nothing was measured"
        return _with_error(Decided(_undecided(setup, why, counts), _no_evidence(setup), values_digest), rows)
    score = score_rows(setup, rows)
    decision = decide_claim(setup.claim, score, alpha=alpha, seed=seed)
    reason = ""
    if digests.get("second_pass", values_digest) != values_digest:
        reason = f"{UNSTABLE}: a second pass over the whole target gave other values"
        decision = replace(decision, outcome="INCONCLUSIVE", decided_by=f"none: {reason}")
    parts = [_quiet(part, decision) for part in decision.parts]
    extra = [replace(e, role="secondary") if e.role == "primary" else e for e in score.evidence]
    verdict = Verdict(
        outcome=decision.outcome,
        observed_value=plain(parts[0].evidence.statistic_value),
        threshold=setup.claim.threshold,
        reasoning=f"INCONCLUSIVE: {reason}." if reason else decision.reasoning,
        interval=_interval(parts[0]),
        n_planned=len(rows),
        n_used=counts["ok"],
        n_errors=counts["error"],
        n_unmeasured=counts["unmeasured"],
        decided_by=decision.decided_by,
        co_primary=[
            {
                "metric": part.threshold.metric,
                "observed_value": plain(part.evidence.statistic_value),
                "interval": to_json(_interval(part)),
                "outcome": part.outcome,
            }
            for part in parts[1:]
        ],
    )
    return _with_error(Decided(verdict, [*(_evidence(part) for part in parts), *extra], values_digest), rows)


def _with_error(decided: Decided, rows: Sequence[Row]) -> Decided:
    """Why most failed cycles failed, in the reasoning and beside the first evidence: else nobody is told."""
    found = Counter(" ".join(str(row["error"]).split()) for row in rows if row["status"] != "ok").most_common(1)
    if not found or not decided.evidence:
        return decided
    [(error, cycles)] = found
    error = error if len(error) <= LONGEST_SHOWN else f"{error[: LONGEST_SHOWN - 1]}…"
    first, *rest = decided.evidence
    first = replace(first, detail={**first.detail, "commonest_error": {"error": error, "cycles": cycles}})
    reasoning = f"{decided.verdict.reasoning} Commonest error: {error} ({cycles})."
    return replace(decided, verdict=replace(decided.verdict, reasoning=reasoning), evidence=[first, *rest])


def _quiet(part: Part, decision: ClaimDecision) -> Part:
    """A part that must not speak keeps its bounds out of a verdict that others decided."""
    if not part.reason or decision.decided_by.startswith("none"):
        return part
    silent = replace(part.interval, lower=None, upper=None)
    detail = {**part.evidence.detail, "undecided": part.reason}
    return replace(part, interval=silent, evidence=replace(part.evidence, ci_low=None, ci_high=None, detail=detail))


def _interval(part: Part) -> Interval | None:
    """The bounds as stored; an exact value that nothing is missing from has none."""
    lower, upper = plain(part.interval.lower), plain(part.interval.upper)
    if part.decision.rule == "exact" and lower == upper:
        return None
    return replace(part.interval, lower=lower, upper=upper)


def _evidence(part: Part) -> PillarEvidence:
    found = _interval(part)
    p_values = {"p_validated": plain(part.p_validated), "p_refuted": plain(part.p_refuted)}
    return replace(
        part.evidence,
        statistic_value=plain(part.evidence.statistic_value),
        ci_low=found.lower if found else None,
        ci_high=found.upper if found else None,
        detail={**plain(part.evidence.detail), **p_values},
    )


def _undecided(setup: Scored, why: str, counts: Mapping[str, int]) -> Verdict:
    return Verdict(
        outcome="INCONCLUSIVE",
        observed_value=None,
        threshold=setup.claim.threshold,
        reasoning=f"INCONCLUSIVE: {why}.",
        interval=None,
        n_planned=sum(counts.values()),
        n_used=counts["ok"],
        n_errors=counts["error"],
        n_unmeasured=counts["unmeasured"],
        decided_by=f"none: {why}",
        co_primary=[
            {"metric": t.metric, "observed_value": None, "interval": None, "outcome": "INCONCLUSIVE"}
            for t, _ in setup.claim.parts()[1:]
        ],
    )


def _no_evidence(setup: Scored) -> list[PillarEvidence]:
    from importlib.metadata import version

    return [
        PillarEvidence(
            pillar=f"estimator:{decision.estimator}",
            statistic_name=threshold.metric,
            statistic_value=None,
            library="ophamin-measuring",
            library_version=version("ophamin-measuring"),
            n=0,
            n_groups=0,
        )
        for threshold, decision in setup.claim.parts()
    ]


def plain(value: JSON) -> JSON:
    """Plain JSON: library scalars become Python's, what is not finite becomes ``None``."""
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)
