"""Gates: claims about the number of findings, decided by the rule *exact*.

``high == 0``, ``total_findings <= 50``, ``ruff == 0``, ``bandit.high == 0``, ``ruff.F401 < 10``, ``new == 0``. What two
tools found is one finding, except in the counts of a tool. A gate is registered before the tools run. It is decided
only by tools that finished, read every file, and said the same twice: findings that were seen can refute it, but their
absence validates it only when nothing was missed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ophamin.auditing._counts import SEVERITIES
from ophamin.auditing.duplicates import shared
from ophamin.proof.decision import combine, outcome
from ophamin.proof.errors import UsageError
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold, to_json

__all__ = ["bounds", "claim_of", "count", "decide", "parse"]

JSON = Any

_GATE = re.compile(r"\s*([A-Za-z][\w-]*(?:\.[\w-]+)?)\s*(<=|>=|==|<|>)\s*(\d{1,9})\s*\Z")
TOTAL = "total_findings"
NEW = "new"
MOST = 2**53
"""Stands for "no upper limit": what a tool that did not finish might have found. A number, because the rule for
``==`` decides on a finite range only."""


def parse(gate: str, tools: Sequence[str], baseline: bool = False) -> Threshold:
    """Read one gate.

    Args:
        gate: ``METRIC COMPARATOR NUMBER``; the metric is ``total_findings`` (or ``total``), a severity, a
            tool, ``TOOL.SEVERITY``, ``TOOL.RULE``, or ``new`` and ``new.SEVERITY``: not in the baseline.
        tools: Tools of this audit.
        baseline: Whether it is compared with an earlier one.

    Raises:
        UsageError: Not of that form, or a metric this audit does not have.

    Example:
        >>> str(parse("high == 0", ["ruff"]))
        'high == 0 findings'
    """
    match = _GATE.match(gate)
    if match is None:
        raise UsageError(f"{gate!r} is no gate; write METRIC COMPARATOR NUMBER, such as 'high == 0' or 'total <= 50'")
    metric, comparator, value = match.groups()
    metric = TOTAL if metric == "total" else metric
    tool = metric.partition(".")[0]
    if tool == NEW and tool not in tools:
        if metric.partition(".")[2] not in ("", *SEVERITIES):
            raise UsageError(f"{gate!r}: new findings are counted as new or new.SEVERITY, not as {metric!r}")
        if not baseline:
            raise UsageError(f"{gate!r}: what is new is known only beside an earlier audit; add --baseline RECORD")
    elif metric != TOTAL and metric not in SEVERITIES and tool not in tools:
        known = ", ".join((TOTAL, *SEVERITIES, *tools))
        raise UsageError(f"{gate!r}: this audit counts no {metric!r}; it counts {known}, and TOOL.SEVERITY, TOOL.RULE")
    return Threshold(metric, comparator, int(value), "findings")


def claim_of(thresholds: Sequence[Threshold], target: str) -> Claim:
    """The claim that all gates hold; they are co-primary.

    Args:
        thresholds: At least one.
        target: What is audited, in words.
    """
    decision = Decision(rule="exact", method="count", alpha=0.0, confidence=1.0, target=target, error_policy="bound")
    words = " and ".join(f"{t.metric} {t.comparator} {t.value}" for t in thresholds)
    return Claim(
        statement=f"The audit of {target} finds {words}.",
        operationalization="number of findings of the named tools on the whole target, counted twice",
        h0=f"not ({words})",
        h1=words,
        threshold=thresholds[0],
        decision=decision,
        co_primary=[CoPrimary(t, decision) for t in thresholds[1:]],
    )


def _whole(metric: str, pillars: Sequence[Mapping[str, JSON]]) -> bool:
    """Whether a metric is about all tools together."""
    if metric in SEVERITIES or metric == TOTAL:
        return True
    return metric.partition(".")[0] == NEW and all(p["pillar_name"] != NEW for p in pillars)


def _needed(metric: str, pillars: Sequence[Mapping[str, JSON]]) -> list[Mapping[str, JSON]]:
    if _whole(metric, pillars):
        return list(pillars)
    return [p for p in pillars if p["pillar_name"] == metric.partition(".")[0]]


def _known(metric: str, pillars: Sequence[Mapping[str, JSON]]) -> list[Mapping[str, JSON]]:
    """The findings of a metric."""
    findings = [f for p in _needed(metric, pillars) for f in p["findings"]]
    if _whole(metric, pillars):
        findings = [f for f in findings if "duplicate_of" not in f]
        if metric.partition(".")[0] == NEW:
            findings = [f for f in findings if f.get("new")]
    name = metric if metric in SEVERITIES else metric.partition(".")[2]
    if not name:
        return findings
    key = "severity" if name in SEVERITIES else "rule_id"
    return [f for f in findings if f[key] == name]


def count(metric: str, pillars: Sequence[Mapping[str, JSON]]) -> int:
    """How many findings of a metric are known."""
    return len(_known(metric, pillars))


def bounds(
    metric: str, pillars: Sequence[Mapping[str, JSON]], settled: bool, compared: Sequence[str] = ()
) -> tuple[int | None, int | None]:
    """The least and the most findings there can be.

    Args:
        metric: What is counted.
        pillars: Of the record.
        settled: Both passes agreed, and the target did not change meanwhile.
        compared: Tools that had finished in the baseline.

    Returns:
        Equal bounds when everything was seen; no upper one when something was missed; neither when unsettled.
    """
    if not settled:
        return None, None
    needed, found = _needed(metric, pillars), _known(metric, pillars)
    missing = [p["pillar_name"] for p in needed if not p["complete"]]
    unknown = [p["pillar_name"] for p in needed if p["pillar_name"] not in compared]
    if _whole(metric, pillars) and metric.partition(".")[0] == NEW and unknown:
        missing += [name for name in unknown if name not in missing]
    if not missing:
        return len(found), len(found)
    if _whole(metric, pillars) and metric != TOTAL:
        # What a missing tool might say of the same defect could stand in this one's place, with another severity.
        found = [f for f in found if not shared(f, missing)]
    return len(found), None


def decide(
    thresholds: Sequence[Threshold],
    pillars: Sequence[Mapping[str, JSON]],
    passes: Sequence[str],
    unchanged: bool,
    compared: Sequence[str] = (),
) -> dict[str, JSON]:
    """The verdict section.

    Args:
        thresholds: The gates, in the claim's order.
        pillars: Of the record, duplicates and new findings marked.
        passes: Digest of the findings of each pass.
        unchanged: Whether the target's inputs were the same before and after.
        compared: Tools that had finished in the baseline.
    """
    settled = unchanged and len(passes) > 1 and len(set(passes)) == 1
    rows: list[dict[str, JSON]] = []
    for threshold in thresholds:
        lower, upper = bounds(threshold.metric, pillars, settled, compared)
        most = MOST if upper is None and lower is not None else upper
        rows.append(
            {
                "metric": threshold.metric,
                "observed_value": lower if lower == upper else None,
                "lower": lower,
                "upper": upper,
                "outcome": outcome(threshold, lower, most, "exact"),
            }
        )
    return {
        "outcome": combine([r["outcome"] for r in rows]),
        "observed_value": rows[0]["observed_value"],
        "threshold": to_json(thresholds[0]),
        "reasoning": _reasoning(thresholds, rows, pillars, passes, unchanged),
        "decided_by": "exact",
        "gates": rows,
        "passes": list(passes),
        "inputs_unchanged": unchanged,
    }


def _reasoning(
    thresholds: Sequence[Threshold],
    rows: Sequence[Mapping[str, JSON]],
    pillars: Sequence[Mapping[str, JSON]],
    passes: Sequence[str],
    unchanged: bool,
) -> str:
    if not unchanged:
        return "The target changed while it was audited, so nothing is decided; audit it again."
    if len(set(passes)) > 1:
        return "Two passes of the tools gave different findings, so nothing is decided."
    said = []
    for threshold, row in zip(thresholds, rows, strict=True):
        known = f"{row['lower']}" if row["upper"] is not None else f"at least {row['lower']}"
        missed = [p["pillar_name"] for p in _needed(threshold.metric, pillars) if not p["complete"]]
        why = f", because {' and '.join(missed)} did not examine everything" if missed else ""
        if not missed and row["upper"] is None:
            why = ", because the baseline does not have all of these tools"
        said.append(f"{threshold}: {row['outcome']} ({known} found{why})")
    return "; ".join(said) + "."
