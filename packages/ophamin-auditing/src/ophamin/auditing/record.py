"""The audit record: a signed list of findings, for entry-point group ``ophamin.records``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from ophamin.auditing import gates
from ophamin.auditing._counts import STATUSES, pillar_counts, summarise
from ophamin.proof.claims import claim_hash
from ophamin.proof.keeping import time_problems
from ophamin.proof.kinds import Kind, Version
from ophamin.proof.types import Threshold
from ophamin.protocols import RecordKind

__all__ = ["AUDIT", "check_audit"]

JSON = Any
_FIRST_OF_OURS = Version.parse("audit/1.2")


def check_audit(record: Mapping[str, JSON]) -> list[str]:
    """Contradictions between the sections of an audit record.

    All counts are computed again from the findings; of versions before 1.2 only those they had.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    ours = Version.parse(record["schema_version"]) >= _FIRST_OF_OURS
    problems = list(_names(record))
    if not problems:
        problems = list(_counts(record) if ours else _old_counts(record))
    problems += _times(record)
    if ours and not problems:
        problems += [*_duplicates(record), *_claim(record)]
    return problems


def _names(record: Mapping[str, JSON]) -> Iterator[str]:
    names = [p["pillar_name"] for p in record["pillars"]]
    if len(set(names)) != len(names):
        yield "a pillar is listed twice"
    for status, field in STATUSES.items():
        wanted = {p["pillar_name"] for p in record["pillars"] if p["status"] == status}
        if set(record["summary"].get(field, [])) != wanted:
            yield f"summary.{field} does not name the pillars with status {status}"
    for pillar in record["pillars"]:
        if any(f["pillar_name"] != pillar["pillar_name"] for f in pillar["findings"]):
            yield f"a finding of {pillar['pillar_name']!r:.80} names another pillar"


def _counts(record: Mapping[str, JSON]) -> Iterator[str]:
    for pillar in record["pillars"]:
        name = f"{pillar['pillar_name']!r:.80}"
        for field, value in pillar_counts(pillar["status"], pillar["findings"]).items():
            if pillar[field] != value:
                yield f"{field} of {name} is not what its findings give"
        if pillar["status"] != "ok" and (pillar["findings"] or pillar["complete"]):
            yield f"{name} did not finish, but has findings or is called complete"
        if pillar["status"] != "ok" and not pillar["error_message"]:
            yield f"{name} did not finish and does not say why"
        prints = [f["fingerprint"] for f in pillar["findings"]]
        if len(set(prints)) != len(prints):
            yield f"two findings of {name} have one fingerprint"
        if missing := {f["rule_id"] for f in pillar["findings"]} - pillar["rules"].keys():
            yield f"{name} has findings of rules it does not list: {', '.join(sorted(missing))[:80]}"
    for field, value in summarise(record["pillars"]).items():
        if record["summary"][field] != value:
            yield f"summary.{field} is not what the findings give"


def _duplicates(record: Mapping[str, JSON]) -> Iterator[str]:
    """A finding that does not count must be one that another tool's finding stands for."""
    by_print = {f["fingerprint"]: f for p in record["pillars"] for f in p["findings"]}
    listed = {
        (first, also["fingerprint"]): also for first, f in by_print.items() for also in f.get("also_found_by", ())
    }
    marked = {(f["duplicate_of"], print_) for print_, f in by_print.items() if "duplicate_of" in f}
    if marked != listed.keys():
        yield "duplicates and the findings they belong to do not name each other"
        return
    for (first, other), also in listed.items():
        one, two = by_print.get(first), by_print.get(other)
        if one is None or two is None or one["path"] != two["path"] or one["pillar_name"] == two["pillar_name"]:
            yield "a duplicate is not of the same file and another tool"
        elif (also["pillar_name"], also["rule_id"]) != (two["pillar_name"], two["rule_id"]) or "duplicate_of" in one:
            yield "a finding names a duplicate wrongly"


def _old_counts(record: Mapping[str, JSON]) -> Iterator[str]:
    for pillar in record["pillars"]:
        # These wrote 0 for a tool that did not finish, and did not order equal counts.
        counts = {**pillar_counts("ok", pillar["findings"]), "per_file_top10": None, "per_rule_top10": None}
        for field, value in counts.items():
            if value is not None and pillar[field] != value:
                yield f"{field} of {pillar['pillar_name']!r:.80} is not what its findings give"
    found = summarise([{**p, "complete": True} for p in record["pillars"]])
    for field in ("total_findings", "severity_histogram"):
        if record["summary"][field] != found[field]:
            yield f"summary.{field} is not what the findings give"
    per_pillar = {p["pillar_name"]: p["finding_count"] for p in record["pillars"]}
    if record["summary"]["findings_per_pillar"] != per_pillar:
        yield "summary.findings_per_pillar is not what the pillars say"


def _times(record: Mapping[str, JSON]) -> list[str]:
    problems = time_problems(record)
    if "preregistration" in record:
        problems += time_problems(record, "preregistration", "preregistered_at")
        captured, registered = record["identity"]["captured_at"], record["preregistration"]["preregistered_at"]
        if not problems and datetime.fromisoformat(registered) > datetime.fromisoformat(captured):
            problems.append("it was registered after it was captured")
    return problems


def _claim(record: Mapping[str, JSON]) -> Iterator[str]:
    present = [name for name in ("claim", "preregistration", "pre_registered_metric", "verdict") if name in record]
    if not present:
        return
    if len(present) < 4:
        yield f"it has {' and '.join(present)}, but a gated audit has claim, preregistration, metric and verdict"
        return
    claim, registered, verdict = record["claim"], record["preregistration"], record["verdict"]
    if registered.get("claim_hash") != claim_hash(claim):
        yield "preregistration.claim_hash is not that of the claim"
    if registered["data_hash"] != record["target"]["inputs_hash"]:
        yield "what was registered is not what was audited"
    if record["pre_registered_metric"] != claim["threshold"]["metric"]:
        yield "pre_registered_metric is not that of the claim"
    parts = [claim["threshold"], *(c["threshold"] for c in claim["co_primary"])]
    thresholds = [Threshold(t["metric"], t["comparator"], t["value"], t.get("units", "")) for t in parts]
    compared = record.get("baseline", {}).get("tools", [])
    decided = gates.decide(thresholds, record["pillars"], verdict["passes"], verdict["inputs_unchanged"], compared)
    for field in ("outcome", "observed_value", "threshold", "gates"):
        if verdict[field] != decided[field]:
            yield f"verdict.{field} does not follow from the findings"


def cases(record: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One row per gate, then one per tool: a finding is a row's message, not a row."""
    rows = []
    verdict = record.get("verdict")
    if verdict:
        only = {"metric": record.get("pre_registered_metric", ""), "outcome": verdict["outcome"]}
        gated = verdict.get("gates") or [only]
        message = verdict.get("reasoning", "")
        rows += [{"name": f"gate {g['metric']}", "outcome": g["outcome"], "message": message} for g in gated]
    for pillar in record["pillars"]:
        found = ", ".join(f"{n} {severity}" for severity, n in pillar["severity_histogram"].items())
        message = (found or "no findings") if pillar["status"] == "ok" else pillar["error_message"]
        if pillar["status"] == "ok" and not pillar.get("complete", True):
            message += ", some files not examined"
        rows.append({"name": pillar["pillar_name"], "outcome": pillar["status"], "message": message})
    return rows


_SCHEMAS = Path(__file__).parent / "schema"

AUDIT: RecordKind = cast(
    "RecordKind",
    Kind(
        name="audit",
        id_field="audit_id",
        version="audit/1.2",
        schemas={"audit/1.0": _SCHEMAS / "audit-1.0.json", "audit/1.2": _SCHEMAS / "audit-1.2.json"},
        checker=check_audit,
        lister=cases,
        spaced="audit/1.2",
    ),
)
"""The audit record; writes 1.2, reads 1.0 and 1.1, which were signed over either canonical form."""
