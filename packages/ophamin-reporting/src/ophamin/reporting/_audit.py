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
MOST_WARNINGS = 20
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
    missed = _missed(record, tools)
    verdict = at(record, "verdict")
    decision = [Section("Gates", [_gates(record)])] if verdict is not None else []
    return Page(
        kind="audit",
        record_id=words(record.get("audit_id")),
        heading=clip(f"Audit of {_name(record)}"),
        badge=verdict_badge(at(verdict, "outcome"), "exact") if verdict is not None else _count(findings, missed),
        lead=clip(words(at(verdict, "reasoning"))),
        sections=[
            *decision,
            Section("Tools", [*missed, _tools(tools)]),
            Section("Findings", [_severities(findings), _finding_table(findings)]),
            Section("What was audited", [_target(record)]),
            Section("Do it again", [Code(shown(at(record, "reproduction", "command")))]),
        ],
        summary=_summary(record, findings, tools),
    )


def _name(record: Mapping[str, JSON]) -> str:
    """What was audited: its path in its repository, or the name of the folder that is the whole of it."""
    path, whole = (words(at(record, "target", field)) for field in ("path", "target_path"))
    if path not in ("", "."):
        return path
    return whole.replace("\\", "/").rstrip("/").rpartition("/")[2] or shown(path or whole)


def _summary(
    record: Mapping[str, JSON], findings: list[Mapping[str, JSON]], tools: list[Mapping[str, JSON]]
) -> tuple[str, str, str]:
    """Cells for the overview: what the gates are about, else all findings."""
    used = f"{len(tools)} tool{'' if len(tools) == 1 else 's'}"
    if at(record, "verdict") is None:
        return number(len(findings)), MISSING, used
    gates = objects(at(record, "verdict", "gates")) or [at(record, "verdict")]
    found = [f"{shown(at(gate, 'metric') or at(gate, 'threshold', 'metric'))}: {_known(gate)}" for gate in gates]
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more, "none needed", used


def _findings(tools: list[Mapping[str, JSON]]) -> list[Mapping[str, JSON]]:
    """All findings, worst first, then by place."""

    def place(finding: Mapping[str, JSON]) -> tuple[int, str, int]:
        severity, line = finding.get("severity"), finding.get("line")
        rank = SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
        return rank, shown(finding.get("path")), line if isinstance(line, int) else 0

    return sorted((f for tool in tools for f in objects(tool.get("findings"))), key=place)


def _count(findings: list[Mapping[str, JSON]], missed: list[Block]) -> Badge:
    found = f"{len(findings):,} finding{'' if len(findings) == 1 else 's'}"
    if missed:
        return Badge(found, "and not everything was examined, so there may be more", "open")
    return Badge(found, "no gate was registered, so nothing is decided; every tool finished")


def _partial(tool: Mapping[str, JSON]) -> bool:
    """Whether a tool finished without having read every file; version 1.0 does not say."""
    return tool.get("status") == "ok" and tool.get("complete") is False


def _missed(record: Mapping[str, JSON], tools: list[Mapping[str, JSON]]) -> list[Block]:
    """What was not looked at, in words; empty when everything was."""
    unfinished = [shown(t.get("pillar_name")) for t in tools if t.get("status") != "ok"]
    partial = [shown(t.get("pillar_name")) for t in tools if _partial(t)]
    said = [
        f"{', '.join(names[:20])} did not {what}"
        for names, what in ((unfinished, "finish"), (partial, "examine every file"))
        if names
    ]
    if not said and at(record, "summary", "complete") is False:
        said = ["the record's summary says so"]
    return [Note(f"Not everything was looked at: {'; '.join(said)}.", "open")] if said else []


def _status(tool: Mapping[str, JSON]) -> str:
    meaning = _STATUSES.get(words(tool.get("status")), "unknown to this version")
    return f"{shown(tool.get('status'))}: {meaning}{', but did not examine every file' if _partial(tool) else ''}"


def _says(tool: Mapping[str, JSON]) -> str:
    """Its error and its warnings: which files it could not read, and why."""
    warnings = tool.get("warnings")
    listed = [w for w in warnings if isinstance(w, str)] if isinstance(warnings, list) else []
    more = [f"… and {len(listed) - MOST_WARNINGS:,} more"] if len(listed) > MOST_WARNINGS else []
    return shown("; ".join(filter(None, [words(tool.get("error_message")), *listed[:MOST_WARNINGS], *more])))


def _tools(tools: list[Mapping[str, JSON]]) -> Table:
    rows = [
        (
            shown(t.get("pillar_name")),
            shown(t.get("tool_version")),
            _status(t),
            _found(t),
            number(t.get("wall_time_s")),
            _says(t),
        )
        for t in tools[:MOST_FINDINGS]
    ]
    return Table(
        "Each tool, and whether it finished", ("tool", "version", "status", "findings", "seconds", "says"), rows
    )


def _found(tool: Mapping[str, JSON]) -> str:
    # A tool that did not finish found nothing that is known, which is not the same as nothing.
    if tool.get("status") != "ok":
        return "unknown"
    return f"{'at least ' if _partial(tool) else ''}{number(tool.get('finding_count'))}"


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
        rows.append((claimed, _known(gate), shown(at(gate, "outcome"))))
    return Table("What was promised of the counts", ("gate", "found", "outcome"), rows)


def _known(gate: JSON) -> str:
    """How many findings a gate counts, or between which numbers they lie."""
    lower, upper = at(gate, "lower"), at(gate, "upper")
    known = number(at(gate, "observed_value"))
    if known == MISSING and lower is not None:
        return f"at least {number(lower)}" if upper is None else f"{number(lower)} to {number(upper)}"
    return known


def _target(record: Mapping[str, JSON]) -> Facts:
    target = at(record, "target")
    return Facts(
        [
            ("path", shown(_name(record))),
            ("source files", number(at(target, "n_sources"))),
            ("revision", shown(at(target, "revision"))),
            ("uncommitted changes", {True: "yes", False: "no"}.get(at(target, "dirty"), "unknown")),
            ("content hash", shown(at(target, "target_content_hash"))),
            ("captured at", shown(at(record, "identity", "captured_at"))),
        ]
    )
