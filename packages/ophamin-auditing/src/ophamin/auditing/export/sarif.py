"""SARIF 2.1.0, the format code hosts and editors read findings in.

OASIS, *Static Analysis Results Interchange Format (SARIF) Version 2.1.0*, https://docs.oasis-open.org/sarif/sarif/v2.1.0/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote

from ophamin.protocols import LossReport

__all__ = ["LEVELS", "SarifExporter"]

JSON = Any

LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
"""Severity → SARIF level; the severity itself stands in the result's properties."""
BASE = "SRCROOT"
FINGERPRINT = "ophamin/v1"
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


class SarifExporter:
    """Writes an audit record as SARIF: one run per tool, failed tools included, nothing suppressed.

    Example:
        >>> import io
        >>> out = io.BytesIO()
        >>> audit = {"audit_id": "0" * 64, "schema_version": "audit/1.2", "pillars": []}
        >>> report = SarifExporter().export(audit, out)
        >>> json.loads(out.getvalue())["version"]
        '2.1.0'
    """

    name = "sarif"
    media_type = "application/sarif+json"
    kinds: Sequence[str] = ("audit",)

    def export(self, record: Mapping[str, JSON], out: BinaryIO, **options: JSON) -> LossReport:
        """Write ``record`` as one SARIF log.

        Args:
            record: An audit record of any version.
            out: Where to.
            **options: None are known.

        Raises:
            TypeError: An option was given.
        """
        if options:
            raise TypeError(f"the SARIF exporter has no option {', '.join(options)}")
        log = {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [_run(pillar, record) for pillar in record["pillars"]],
        }
        out.write(json.dumps(log, indent=2, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n")
        return LossReport(tuple(_lost(record)))


def _run(pillar: Mapping[str, JSON], record: Mapping[str, JSON]) -> dict[str, JSON]:
    known: Mapping[str, JSON] = pillar.get("rules", {})
    rules = sorted({*known, *(f["rule_id"] for f in pillar["findings"])})
    version = pillar["tool_version"].removeprefix(f"{pillar['tool_name']} ")
    driver: dict[str, JSON] = {"name": pillar["tool_name"], "rules": [_rule(r, known.get(r, {})) for r in rules]}
    if version:
        driver["version"] = version
    where = {rule: index for index, rule in enumerate(rules)}
    return {
        "tool": {"driver": driver},
        "invocations": [_invocation(pillar)],
        "originalUriBaseIds": {BASE: {"description": {"text": "The root of the audited repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, where) for finding in pillar["findings"]],
        "properties": {
            "ophamin/audit_id": record["audit_id"],
            "ophamin/schema_version": record["schema_version"],
            "ophamin/status": pillar["status"],
        },
    }


def _rule(rule: str, known: Mapping[str, JSON]) -> dict[str, JSON]:
    described: dict[str, JSON] = {"id": rule}
    if known.get("name"):
        described["name"] = known["name"]
        described["shortDescription"] = {"text": known["name"].replace("-", " ").replace("_", " ")}
    if known.get("url"):
        described["helpUri"] = known["url"]
    if known.get("cwe"):
        described["properties"] = {"tags": ["security", f"external/cwe/cwe-{known['cwe']:03d}"]}
    return described


def _invocation(pillar: Mapping[str, JSON]) -> dict[str, JSON]:
    done = pillar["status"] == "ok"
    invocation: dict[str, JSON] = {"executionSuccessful": done}
    if pillar["exit_code"] is not None:
        invocation["exitCode"] = pillar["exit_code"]
    notes = [("warning", warning) for warning in pillar.get("warnings", [])]
    if not done:
        notes.append(("error", f"{pillar['status']}: {pillar['error_message']}"))
    if notes:
        invocation["toolExecutionNotifications"] = [{"level": lv, "message": {"text": t}} for lv, t in notes]
    return invocation


def _result(finding: Mapping[str, JSON], where: Mapping[str, int]) -> dict[str, JSON]:
    result: dict[str, JSON] = {
        "ruleId": finding["rule_id"],
        "ruleIndex": where[finding["rule_id"]],
        "level": LEVELS[finding["severity"]],
        "message": {"text": finding["message"]},
        "locations": [{"physicalLocation": _location(finding)}],
        "properties": {"severity": finding["severity"], **finding["extra"]},
    }
    if "fingerprint" in finding:
        result["partialFingerprints"] = {FINGERPRINT: finding["fingerprint"]}
    return result


def _location(finding: Mapping[str, JSON]) -> dict[str, JSON]:
    path = finding["path"]
    if path.startswith("/") or _DRIVE.match(path):
        # Outside the repository: absolute, and so without a base.
        uri = "file:///" + quote(path.replace("\\", "/") if _DRIVE.match(path) else path[1:], safe="/:")
        artifact = {"uri": uri}
    else:
        artifact = {"uri": quote(path, safe="/"), "uriBaseId": BASE}
    location: dict[str, JSON] = {"artifactLocation": artifact}
    region = _region(finding)
    if region and "cell" not in finding["extra"]:  # in a notebook, lines count from the cell
        location["region"] = region
    return location


def _region(finding: Mapping[str, JSON]) -> dict[str, int]:
    line, column = finding["line"], finding["column"]
    if line < 1:
        return {}
    region = {"startLine": line}
    if column >= 1:
        region["startColumn"] = column
    end_line, end_column = finding.get("end_line"), finding.get("end_column")
    if end_line and end_line >= line:
        region["endLine"] = end_line
        if end_column and "startColumn" in region and (end_line > line or end_column >= column):
            region["endColumn"] = end_column
    return region


def _lost(record: Mapping[str, JSON]) -> Iterator[str]:
    yield "signature and attestations: a SARIF log is not signed; its runs name the audit_id"
    for section in ("identity", "target", "reproduction", "claim", "preregistration", "verdict"):
        if section in record:
            yield f"{section}: SARIF has no place for it"
    if any("cell" in f["extra"] for p in record["pillars"] for f in p["findings"]):
        yield "findings[].line of notebooks: SARIF counts lines in files, not in cells"
    if any(p.get("extra") for p in record["pillars"]):
        yield "pillars[].extra: the tools' settings and command lines"
