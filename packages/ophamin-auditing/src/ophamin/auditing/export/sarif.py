"""SARIF 2.1.0, the format code hosts and editors read findings in.

OASIS, *Static Analysis Results Interchange Format (SARIF) Version 2.1.0*, https://docs.oasis-open.org/sarif/sarif/v2.1.0/.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, BinaryIO
from urllib.parse import quote

from ophamin.auditing.export._audit import counted, every_finding, lost_sections, no_options
from ophamin.protocols import LossReport

__all__ = ["LEVELS", "MAX_RESULTS", "MAX_RUNS", "SarifExporter"]

JSON = Any

LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
"""Severity → SARIF level; the severity itself stands in the result's properties."""
RANK = {severity: rank for rank, severity in enumerate(LEVELS)}
SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.5", "info": "0.5"}
"""Severity → ``security-severity``, inside the ranges code hosts give these names."""
PROBLEMS = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "low": "recommendation",
    "info": "recommendation",
}
SECURITY = re.compile(r"bandit/|pip-audit/|ruff/S\d")
"""Rules about security; a rule with a CWE is one too."""
MAX_RUNS = 20
MAX_RESULTS = 25_000
"""Of one log, as GitHub code scanning takes it:
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning."""
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
INFORMATION = {
    "ruff": "https://docs.astral.sh/ruff/",
    "bandit": "https://bandit.readthedocs.io/",
    "mypy": "https://mypy.readthedocs.io/",
    "radon": "https://radon.readthedocs.io/",
    "interrogate": "https://interrogate.readthedocs.io/",
}
BATCH = 64
# Without indentation: with it the encoder of the standard library is ten times slower.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
BASE = "SRCROOT"
FINGERPRINTS = ("ophamin/v1", "primaryLocationLineHash")
"""The second is the only one GitHub's code scanning goes by; without it, a moved line is a new alert."""
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


class SarifExporter:
    """Writes an audit record as SARIF: one run per tool, failed tools and such that found nothing included.

    What two tools found is one result, of the tool it counts for. The limits of code hosts hold: at most ``MAX_RUNS``
    runs and ``MAX_RESULTS`` results, the worst of them; what is left out is counted by rule in its run and in the
    report of losses.

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
        no_options("SARIF", options)
        pillars = record["pillars"][:MAX_RUNS]
        shown = _shown(pillars)
        out.write(f'{{"$schema":{_encode(SCHEMA)},"version":"2.1.0","runs":['.encode())
        for number, (pillar, found) in enumerate(zip(pillars, shown, strict=True)):
            out.write((",\n" if number else "\n").encode())
            _write_run(pillar, found, record, out)
        out.write(b"\n]}\n")
        return LossReport(tuple(_lost(record, shown)))


def _shown(pillars: Sequence[Mapping[str, JSON]]) -> list[list[Mapping[str, JSON]]]:
    """The results of each run: all, or the worst of them."""
    every = [counted(pillar["findings"]) for pillar in pillars]
    places = [(number, finding) for number, found in enumerate(every) for finding in found]
    if len(places) <= MAX_RESULTS:
        return every
    ranks = {severity: rank for rank, severity in enumerate(LEVELS)}
    worst = sorted(range(len(places)), key=lambda i: ranks[places[i][1]["severity"]])[:MAX_RESULTS]
    kept: list[list[Mapping[str, JSON]]] = [[] for _ in pillars]
    for i in sorted(worst):
        kept[places[i][0]].append(places[i][1])
    return kept


def _write_run(
    pillar: Mapping[str, JSON], shown: Sequence[Mapping[str, JSON]], record: Mapping[str, JSON], out: BinaryIO
) -> None:
    """One run, its results a few at a time: what lives shortly costs the garbage collector nothing."""
    run, where = _run(pillar, shown, record)
    out.write(f'{_encode(run)[:-1]},"results":['.encode())
    for start in range(0, len(shown), BATCH):
        results = [_result(finding, where) for finding in shown[start : start + BATCH]]
        out.write((",\n" if start else "\n").encode() + _encode(results)[1:-1].encode())
    out.write(b"]}")


def _run(
    pillar: Mapping[str, JSON], shown: Sequence[Mapping[str, JSON]], record: Mapping[str, JSON]
) -> tuple[dict[str, JSON], dict[str, int]]:
    """A run without its results, and where each rule stands in it."""
    tool, known = pillar["tool_name"], pillar.get("rules", {})
    worst: dict[str, str] = {}
    for finding in shown:
        rule, severity = finding["rule_id"], finding["severity"]
        if rule not in worst or RANK[severity] < RANK[worst[rule]]:
            worst[rule] = severity
    rules = sorted({*known, *worst})
    version = pillar["tool_version"].removeprefix(f"{tool} ")
    driver: dict[str, JSON] = {
        "name": tool,
        "informationUri": INFORMATION.get(tool, f"https://pypi.org/project/{quote(tool, safe='')}/"),
        "rules": [_rule(tool, rule, known.get(rule, {}), worst.get(rule)) for rule in rules],
    }
    if version:
        driver["version"] = version
    where = {rule: index for index, rule in enumerate(rules)}
    properties: dict[str, JSON] = {
        "ophamin/audit_id": record["audit_id"],
        "ophamin/schema_version": record["schema_version"],
        "ophamin/status": pillar["status"],
    }
    invocation = _invocation(pillar)
    every = counted(pillar["findings"])
    if missing := len(every) - len(shown):
        left_out = Counter(f["rule_id"] for f in every) - Counter(f["rule_id"] for f in shown)
        properties["ophamin/left_out"] = dict(sorted(left_out.items()))
        said = f"{missing} findings of lesser severity are left out: a log holds {MAX_RESULTS} results"
        invocation.setdefault("toolExecutionNotifications", []).append({"level": "note", "message": {"text": said}})
    run = {
        "tool": {"driver": driver},
        # What stands before the last slash is the category: a later upload replaces the results of the same one.
        "automationDetails": {"id": f"ophamin/{quote(tool, safe='')}/{record['audit_id']}"},
        "invocations": [invocation],
        "originalUriBaseIds": {BASE: {"description": {"text": "The root of the audited repository."}}},
        "columnKind": "unicodeCodePoints",
        "properties": properties,
    }
    return run, where


def _rule(tool: str, rule: str, known: Mapping[str, JSON], severity: str | None) -> dict[str, JSON]:
    name = str(known.get("name") or "").replace("-", " ").replace("_", " ")
    short = f"{tool} {rule}" + (f": {name}" if name and name != rule.replace("-", " ") else "")
    where = f" It is explained at {known['url']}." if known.get("url") else ""
    described: dict[str, JSON] = {
        "id": rule,
        "shortDescription": {"text": short},
        "fullDescription": {"text": f"The rule {rule} of {tool}.{where}"},
        "help": {"text": f"{short}.{where}"},
    }
    if known.get("name") and known["name"].lower() != rule.lower():  # a name is for people, and not the id again
        described["name"] = known["name"]
    if known.get("url"):
        described["helpUri"] = known["url"]
        described["help"]["markdown"] = f"[{short}]({known['url']})"
    security = bool(known.get("cwe")) or bool(SECURITY.match(f"{tool}/{rule}"))
    tags = [tool, "security" if security else "maintainability"]
    if known.get("cwe"):
        tags.append(f"external/cwe/cwe-{known['cwe']:03d}")
    described["properties"] = {"tags": tags}
    if severity is not None:
        described["defaultConfiguration"] = {"level": LEVELS[severity]}
        if security:
            described["properties"]["security-severity"] = SCORES[severity]
        else:
            described["properties"]["problem.severity"] = PROBLEMS[severity]
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
        result["partialFingerprints"] = dict.fromkeys(FINGERPRINTS, finding["fingerprint"])
    if "also_found_by" in finding:
        result["properties"]["alsoFoundBy"] = [f"{a['pillar_name']} {a['rule_id']}" for a in finding["also_found_by"]]
    if "new" in finding:
        result["baselineState"] = "new" if finding["new"] else "unchanged"
    return result


@lru_cache(4096)
def _artifact(path: str) -> tuple[tuple[str, str], ...]:
    if path.startswith("/") or _DRIVE.match(path):
        # Outside the repository: absolute, and so without a base.
        uri = "file:///" + quote(path.replace("\\", "/") if _DRIVE.match(path) else path[1:], safe="/:")
        return (("uri", uri),)
    return (("uri", quote(path, safe="/")), ("uriBaseId", BASE))


def _location(finding: Mapping[str, JSON]) -> dict[str, JSON]:
    location: dict[str, JSON] = {"artifactLocation": dict(_artifact(finding["path"]))}
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


def _lost(record: Mapping[str, JSON], shown: Sequence[Sequence[Mapping[str, JSON]]]) -> Iterator[str]:
    if beyond := record["pillars"][MAX_RUNS:]:
        yield f"pillars: {len(beyond)} of them, since a log holds {MAX_RUNS} runs"
    every = list(every_finding(record))
    once = len(counted(every))
    if left_out := once - sum(map(len, shown)):
        yield f"findings: {left_out} of lesser severity, since a log holds {MAX_RESULTS} results"
    if twice := len(every) - once:
        yield f"findings that another tool found too: {twice}, named in alsoFoundBy of the other's result"
    yield "signature and attestations: a SARIF log is not signed; its runs name the audit_id"
    sections = ("identity", "target", "reproduction", "claim", "preregistration", "verdict", "baseline")
    yield from lost_sections(record, "SARIF", *sections)
    if any("cell" in f["extra"] for f in every):
        yield "findings[].line of notebooks: SARIF counts lines in files, not in cells"
    if any(p.get("extra") for p in record["pillars"]):
        yield "pillars[].extra: the tools' settings and command lines"
