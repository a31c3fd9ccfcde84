"""A decided record as evaluation events of the GenAI semantic conventions.

Source: event ``gen_ai.evaluation.result``, https://github.com/open-telemetry/semantic-conventions-genai (status:
development). What the conventions have no name for, the claim and its interval, stands under ``ophamin.``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["evaluations"]

JSON = Any


def evaluations(record: Mapping[str, JSON]) -> Iterator[dict[str, JSON]]:
    """Attributes of one event per threshold of the claim, the primary one first; none for a record without verdict."""
    verdict = record.get("verdict") or {}
    claim = record.get("claim") or {}
    if "outcome" not in verdict:
        return
    threshold, decision = claim.get("threshold") or {}, claim.get("decision") or {}
    yield _attributes(verdict, threshold, decision, str(verdict.get("reasoning") or ""), verdict)
    parts = {part["threshold"]["metric"]: part for part in claim.get("co_primary") or () if "threshold" in part}
    for other in verdict.get("co_primary") or ():
        part = parts.get(other.get("metric"), {})
        yield _attributes(other, part.get("threshold") or other, part.get("decision") or {}, "", verdict)


def _attributes(
    found: Mapping[str, JSON],
    threshold: Mapping[str, JSON],
    decision: Mapping[str, JSON],
    explanation: str,
    verdict: Mapping[str, JSON],
) -> dict[str, JSON]:
    interval = found.get("interval") or {}
    attributes = {
        "gen_ai.evaluation.name": str(threshold.get("metric") or found.get("metric") or ""),
        "gen_ai.evaluation.score.label": str(found["outcome"]),
        "gen_ai.evaluation.score.value": _number(found.get("observed_value")),
        "gen_ai.evaluation.explanation": explanation or None,
        "ophamin.interval.lower": _number(interval.get("lower")),
        "ophamin.interval.upper": _number(interval.get("upper")),
        "ophamin.interval.level": _number(interval.get("level")),
        "ophamin.interval.sides": interval.get("sides"),
        "ophamin.threshold.comparator": threshold.get("comparator"),
        "ophamin.threshold.value": _number(threshold.get("value")),
        "ophamin.threshold.units": threshold.get("units"),
        "ophamin.decision.rule": decision.get("rule"),
        "ophamin.cycles.used": verdict.get("n_used"),
        "ophamin.cycles.errors": verdict.get("n_errors"),
        "ophamin.cycles.unmeasured": verdict.get("n_unmeasured"),
    }
    # What was not formed is absent, never 0.
    return {name: value for name, value in attributes.items() if value is not None}


def _number(value: JSON) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
