"""An audit in words, versions 1.0 to 1.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophamin.reporting._document import Badge, Block, Code, Facts, Note, Page, Section, Table
from ophamin.reporting._proof import verdict_badge
from ophamin.reporting._reach import at, objects, words
from ophamin.reporting._text import MISSING, clip, number, shown

__all__ = ["audit_page"]

JSON = Any
MOST_FINDINGS = 200
SEVERITIES = ("critical", "high", "medium", "low", "info")
_STATUSES = {
    "ok": "finished",
    "unavailable": "not installed, so nothing was looked at",
    "error": "failed, so nothing is known",
    "timeout": "ran out of time, so nothing is known",
}


def audit_page(record: Mapping[str, JSON]) -> Page:
    """The page of an audit record; never raises, whatever its shape."""
    tools = objects(record.get("pillars"))
    findings = _findings(tools)
    target = shown(at(record, "target", "path") or at(record, "target", "target_path"))
    unfinished = [shown(t.get("pillar_name")) for t in tools if t.get("status") != "ok"]
    verdict = at(record, "verdict")
    decision = [Section("Gates", [_gates(record)])] if verdict is not None else []
    return Page(
        kind="audit",
        record_id=words(record.get("audit_id")),
        heading=f"Audit of {target}",
        badge=verdict_badge(at(verdict, "outcome"), "exact") if verdict is not None else _count(findings, unfinished),
        lead=clip(words(at(verdict, "reasoning"))),
        sections=[
            *decision,
            Section("Tools", [*_missed(unfinished), _tools(tools)]),
            Section("Findings", [_severities(findings), _finding_table(findings)]),
            Section("What was audited", [_target(record)]),
            Section("Do it again", [Code(shown(at(record, "reproduction", "command")))]),
        ],
        summary=(number(len(findings)), MISSING, f"{len(tools)} tools"),
    )


def _findings(tools: list[Mapping[str, JSON]]) -> list[Mapping[str, JSON]]:
    """All findings, worst first, then by place."""

    def place(finding: Mapping[str, JSON]) -> tuple[int, str, int]:
        severity, line = finding.get("severity"), finding.get("line")
        rank = SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
        return rank, shown(finding.get("path")), line if isinstance(line, int) else 0

    return sorted((f for tool in tools for f in objects(tool.get("findings"))), key=place)


def _count(findings: list[Mapping[str, JSON]], unfinished: list[str]) -> Badge:
    found = f"{len(findings):,} finding{'' if len(findings) == 1 else 's'}"
    if unfinished:
        return Badge(found, "and not every tool finished, so there may be more", "open")
    return Badge(found, "no gate was registered, so nothing is decided; every tool finished")


def _missed(unfinished: list[str]) -> list[Block]:
    if not unfinished:
        return []
    return [Note(f"Not everything was looked at: {', '.join(unfinished[:20])} did not finish.", "open")]


def _tools(tools: list[Mapping[str, JSON]]) -> Table:
    rows = [
        (
            shown(t.get("pillar_name")),
            shown(t.get("tool_version")),
            f"{shown(t.get('status'))}: {_STATUSES.get(words(t.get('status')), 'unknown to this version')}",
            # A tool that did not finish found nothing that is known, which is not the same as nothing.
            number(t.get("finding_count")) if t.get("status") == "ok" else "unknown",
            number(t.get("wall_time_s")),
            shown(t.get("error_message")),
        )
        for t in tools[:MOST_FINDINGS]
    ]
    return Table(
        "Each tool, and whether it finished", ("tool", "version", "status", "findings", "seconds", "says"), rows
    )


def _severities(findings: list[Mapping[str, JSON]]) -> Facts:
    counts = {s: sum(f.get("severity") == s for f in findings) for s in SEVERITIES}
    other = len(findings) - sum(counts.values())
    return Facts([(s, number(n)) for s, n in [*counts.items(), *([("other", other)] if other else [])]])


def _finding_table(findings: list[Mapping[str, JSON]]) -> Table:
    rows = [
        (
            shown(f.get("severity")),
            f"{shown(f.get('path'))}:{shown(f.get('line'))}",
            shown(f.get("rule_id")),
            shown(f.get("message")),
            shown(f.get("pillar_name")),
        )
        for f in findings[:MOST_FINDINGS]
    ]
    more = f"… and {len(findings) - MOST_FINDINGS:,} more" if len(findings) > MOST_FINDINGS else ""
    return Table("Findings, worst first", ("severity", "where", "rule", "message", "tool"), rows, more)


def _gates(record: Mapping[str, JSON]) -> Table:
    claim, verdict = at(record, "claim"), at(record, "verdict")
    thresholds = [at(claim, "threshold") or at(verdict, "threshold")]
    thresholds += [at(co, "threshold") for co in objects(at(claim, "co_primary"))]
    decided = objects(at(verdict, "gates")) or [verdict]
    rows = []
    for index, gate in enumerate(decided[:MOST_FINDINGS]):
        threshold = thresholds[index] if index < len(thresholds) else None
        claimed = (
            f"{shown(at(threshold, 'metric'))} {shown(at(threshold, 'comparator'))} {number(at(threshold, 'value'))}"
        )
        lower, upper = at(gate, "lower"), at(gate, "upper")
        known = number(at(gate, "observed_value"))
        if known == MISSING and lower is not None:
            known = f"at least {number(lower)}" if upper is None else f"{number(lower)} to {number(upper)}"
        rows.append((claimed, known, shown(at(gate, "outcome"))))
    return Table("What was promised of the counts", ("gate", "found", "outcome"), rows)


def _target(record: Mapping[str, JSON]) -> Facts:
    target = at(record, "target")
    return Facts(
        [
            ("path", shown(at(target, "path") or at(target, "target_path"))),
            ("source files", number(at(target, "n_sources"))),
            ("revision", shown(at(target, "revision"))),
            ("uncommitted changes", {True: "yes", False: "no"}.get(at(target, "dirty"), "unknown")),
            ("content hash", shown(at(target, "target_content_hash"))),
            ("captured at", shown(at(record, "identity", "captured_at"))),
        ]
    )
