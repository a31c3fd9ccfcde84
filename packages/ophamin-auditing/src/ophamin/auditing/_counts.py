"""The counts of an audit, computed in one place: for the writer, and for whoever checks a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["SEVERITIES", "histogram", "pillar_counts", "summarise", "top"]

JSON = Any

SEVERITIES = ("critical", "high", "medium", "low", "info")
"""Normalised severities, worst first."""
STATUSES = {
    "ok": "pillars_run",
    "unavailable": "pillars_unavailable",
    "error": "pillars_errored",
    "timeout": "pillars_timed_out",
}
"""Status of a pillar → list of the summary that names it."""


def histogram(findings: Iterable[Mapping[str, JSON]]) -> dict[str, int]:
    """Findings by severity, worst first; a severity without findings is left out."""
    counted = Counter(f["severity"] for f in findings)
    return {severity: counted[severity] for severity in SEVERITIES if counted[severity]}


def top(values: Iterable[str], n: int) -> list[list[JSON]]:
    """The ``n`` most frequent values with their counts; ties by name."""
    counted = Counter(values)
    return [[value, count] for value, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:n]]


def pillar_counts(status: str, findings: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """The counts of one pillar; a tool that did not finish found nothing *known*, so its count is ``None``."""
    return {
        "finding_count": len(findings) if status == "ok" else None,
        "severity_histogram": histogram(findings),
        "per_file_top10": top((f["path"] for f in findings), 10),
        "per_rule_top10": top((f["rule_id"] for f in findings), 10),
    }


def summarise(pillars: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """The summary of an audit.

    What two tools found is counted once, except in ``findings_per_pillar``, which counts all that each tool found;
    ``duplicates`` is how many that are. ``findings_per_pillar`` names only tools that finished; ``complete`` says
    whether all did, and read all files.
    """
    every = [f for p in pillars for f in p["findings"]]
    findings = [f for f in every if "duplicate_of" not in f]
    return {
        "total_findings": len(findings),
        **({"duplicates": len(every) - len(findings)} if len(every) > len(findings) else {}),
        "severity_histogram": histogram(findings),
        "findings_per_pillar": {p["pillar_name"]: len(p["findings"]) for p in pillars if p["status"] == "ok"},
        "top_files": top((f["path"] for f in findings), 20),
        **{name: [p["pillar_name"] for p in pillars if p["status"] == status] for status, name in STATUSES.items()},
        "complete": all(p["complete"] for p in pillars),
    }
