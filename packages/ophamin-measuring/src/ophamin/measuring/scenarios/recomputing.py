"""What a proof's observations say, without the system: estimate, interval and verdict once more, from its rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ophamin.measuring.scenarios._road.deciding import UNSTABLE, Decided, decide
from ophamin.measuring.scenarios._road.setup import resolve_claim
from ophamin.measuring.scenarios._road.stored import open_proof, spec_of, stored_rows
from ophamin.proof.errors import OphaminError, UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold, to_json
from ophamin.protocols import ScenarioProtocol

__all__ = ["Difference", "Recomputation", "recompute"]

JSON = Any
TOLERANCE = 1e-9
"""Share of itself by which a number may differ; two builds of a library round their last digits otherwise."""
_NOTHING = 1e-12
# What of a decision the scenario fixes; the rest says where it ran.
_FIXED = ("rule", "method", "estimator", "error_policy", "support", "smallest_difference", "alpha", "attempts")
_COUNTS = ("n_planned", "n_used", "n_errors", "n_unmeasured")
# What other rows or another version of a scenario raise; foreign code, so anything that is about values.
_UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Difference:
    """Something the record states and its rows do not give.

    Args:
        what: Which value, as a path.
        stated: In the record.
        found: From the rows.
    """

    what: str
    stated: JSON
    found: JSON


@dataclass(frozen=True)
class Recomputation:
    """What the rows of a proof say.

    Args:
        proof_id: The proof.
        outcome: The verdict its rows give.
        n: Rows.
        differences: Where the record says otherwise; empty when it is what its rows give.
        code: Whether the scenario is the very code that was registered, by its hash.
    """

    proof_id: str
    outcome: str
    n: int
    differences: list[Difference]
    code: bool

    @property
    def agrees(self) -> bool:
        """Whether the record is what its rows give."""
        return not self.differences

    def to_dict(self) -> dict[str, JSON]:
        """Plain JSON values."""
        return {
            "agrees": self.agrees,
            "proof_id": self.proof_id,
            "outcome": self.outcome,
            "n": self.n,
            "differences": to_json(self.differences),
            "same_code": self.code,
        }


@dataclass(frozen=True)
class _Stated:
    """The claim as the record has it, and the scenario that scores its rows."""

    scenario: ScenarioProtocol
    options: Mapping[str, JSON]
    claim: Claim


def recompute(path: Path | str) -> Recomputation:
    """Score the rows of a proof again and compare; nothing is run.

    Compared are the outcome and, of each threshold, value, bounds and outcome; the counts of cycles; all evidence
    the scenario gives; and the claim itself, which the scenario must state with these options. Numbers may differ by
    1e-9 of themselves.

    Args:
        path: ``record.json`` of the proof, with its observations beside it.

    Raises:
        UnknownPlugin: The scenario or an estimator is not installed.
        UsageError: The record does not say how it was run, or its rows are not there or cannot be scored.
        IntegrityError: The record or its observations are not what was signed.
    """
    from ophamin.measuring.scenarios._road.recording import code_of

    record, _ = open_proof(path, "nothing was recomputed")
    body, rows, spec = record.object, stored_rows(record), spec_of(record)
    scenario, options, today = resolve_claim(spec)
    claim = _claim(body["claim"], path)
    registered, verdict = body["preregistration"], body["verdict"]
    alpha, seed = registered.get("alpha_used"), registered.get("seed")
    if alpha is None or seed is None:
        raise UsageError(f"{path} does not say the alpha and the seed it was decided with")
    unstable = (verdict.get("decided_by") or "").startswith(f"none: {UNSTABLE}")
    try:
        # Of a second pass only its digest was ever known; that it differed cannot be seen from the rows of the first.
        second = {"second_pass": "another"} if unstable else {}
        decided = decide(_Stated(scenario, options, claim), rows, float(alpha), int(seed), second)
    except OphaminError:
        raise
    except _UNUSABLE as error:
        raise UsageError(f"{path}: its rows cannot be scored: {type(error).__name__}: {error}") from error
    differences = [*_of_claim(claim, today), *_of_verdict(verdict, decided), *_of_evidence(body, decided)]
    digest = body["data"]["observations"]["values_digest"]
    differences += _unlike("data.observations.values_digest", digest, decided.values_digest)
    same_code = (registered.get("code") or {}).get("source_hash") == code_of(spec.scenario, scenario)["source_hash"]
    return Recomputation(record.id, decided.verdict.outcome, len(rows), differences, same_code)


def _claim(stated: Mapping[str, JSON], path: Path | str) -> Claim:
    words = {name: stated[name] for name in ("statement", "operationalization", "h0", "h1")}
    parts = [
        CoPrimary(Threshold(**_known(Threshold, part["threshold"])), _decision(part.get("decision") or {}, path))
        for part in (stated, *(stated.get("co_primary") or ()))
    ]
    return Claim(**words, threshold=parts[0].threshold, decision=parts[0].decision, co_primary=parts[1:])


def _decision(stated: Mapping[str, JSON], path: Path | str) -> Decision:
    known = {f.name for f in fields(Decision)}
    # What a later version added to a decision may change how it falls.
    if newer := sorted(name for name, value in stated.items() if name not in known and value is not None):
        raise UsageError(f"{path} was decided by {', '.join(newer)}, which this version does not know; upgrade ophamin")
    return Decision(**_known(Decision, stated))


def _known(kind: type, stated: Mapping[str, JSON]) -> dict[str, JSON]:
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in stated.items() if name in names}


def _of_claim(stated: Claim, today: Claim) -> Iterator[Difference]:
    """The claim of the record against the one its scenario states with the options it was run with."""
    left, right = stated.parts(), today.parts()
    if len(left) != len(right):
        yield Difference("claim.co_primary", len(left) - 1, len(right) - 1)
        return
    for index, ((one, its), (other, other_its)) in enumerate(zip(left, right, strict=True)):
        where = "claim" if index == 0 else f"claim.co_primary[{index - 1}]"
        for name in ("metric", "comparator", "value"):
            yield from _unlike(f"{where}.threshold.{name}", getattr(one, name), getattr(other, name))
        for name in _FIXED:
            yield from _unlike(
                f"{where}.decision.{name}", to_json(getattr(its, name)), to_json(getattr(other_its, name))
            )


def _of_verdict(stated: Mapping[str, JSON], decided: Decided) -> Iterator[Difference]:
    found: dict[str, JSON] = to_json(decided.verdict)
    for name in ("outcome", "observed_value", *_COUNTS):
        yield from _unlike(f"verdict.{name}", stated.get(name), found[name])
    yield from _unlike_bounds("verdict", stated, found)
    parts = stated.get("co_primary") or []
    for index, part in enumerate(found["co_primary"]):
        mine = parts[index] if index < len(parts) else {}
        for name in ("metric", "observed_value", "outcome"):
            yield from _unlike(f"verdict.co_primary[{index}].{name}", mine.get(name), part[name])
        yield from _unlike_bounds(f"verdict.co_primary[{index}]", mine, part)


def _unlike_bounds(where: str, stated: Mapping[str, JSON], found: Mapping[str, JSON]) -> Iterator[Difference]:
    left, right = stated.get("interval") or {}, found["interval"] or {}
    for name in ("lower", "upper", "lower_confidence", "upper_confidence"):
        yield from _unlike(f"{where}.interval.{name}", left.get(name), right.get(name))


def _of_evidence(body: Mapping[str, JSON], decided: Decided) -> Iterator[Difference]:
    """What the rows give must stand in the record; an instrument may have added more."""
    left = list(body["evidence"])
    for item in decided.evidence:
        where = f"evidence {item.pillar} {item.statistic_name}"
        mine = next((e for e in left if (e["pillar"], e["statistic_name"]) == (item.pillar, item.statistic_name)), None)
        if mine is None:
            yield Difference(where, None, item.statistic_value)
            continue
        left.remove(mine)
        for name in ("statistic_value", "ci_low", "ci_high", "n", "n_groups", "interval_method", "guarantee", "role"):
            yield from _unlike(f"{where}.{name}", mine.get(name), getattr(item, name))


def _unlike(what: str, stated: JSON, found: JSON) -> list[Difference]:
    return [] if _same(stated, found) else [Difference(what, stated, found)]


def _same(stated: JSON, found: JSON) -> bool:
    if isinstance(stated, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(stated) == len(found) and all(map(_same, stated, found))
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in (stated, found)):
        return type(stated) is type(found) and bool(stated == found)
    return math.isclose(stated, found, rel_tol=TOLERANCE, abs_tol=_NOTHING)
