"""Annotations of GitHub Actions: workflow commands on standard output.

*Workflow commands for GitHub Actions*, https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from ophamin.auditing.export._audit import counted, every_finding, no_options
from ophamin.protocols import LossReport

__all__ = ["COMMANDS", "PER_COMMAND", "GithubExporter"]

JSON = Any

COMMANDS = {"critical": "error", "high": "error", "medium": "warning", "low": "notice", "info": "notice"}
"""Severity → workflow command."""
PER_COMMAND = 10
"""Annotations of one command that GitHub shows of one step."""


class GithubExporter:
    """Writes an audit record as annotations: the worst findings, new ones only when there is a baseline.

    Of each command at most ``PER_COMMAND`` are written, since more are not shown; the rest is counted in a last line,
    and in the report of losses. What two tools found is one annotation.

    Example:
        >>> import io
        >>> out = io.BytesIO()
        >>> _ = GithubExporter().export({"audit_id": "0" * 64, "pillars": []}, out)
        >>> out.getvalue().decode()
        'ophamin audit 0000000000000000: no findings\\n'
    """

    name = "github"
    media_type = "text/plain"
    kinds: Sequence[str] = ("audit",)

    def export(self, record: Mapping[str, JSON], out: BinaryIO, **options: JSON) -> LossReport:
        """Write ``record`` as workflow commands.

        Args:
            record: An audit record of any version.
            out: Where to.
            **options: None are known.

        Raises:
            TypeError: An option was given.
        """
        no_options("GitHub", options)
        every = counted(every_finding(record))
        findings = [f for f in every if f.get("new", True)]
        findings.sort(key=lambda f: list(COMMANDS).index(f["severity"]))
        written: Counter[str] = Counter()
        lines: list[str] = []
        for pillar in record["pillars"]:
            if pillar["status"] != "ok":
                lines.append(
                    _command(
                        "warning", {"title": pillar["pillar_name"]}, f"{pillar['status']}: {pillar['error_message']}"
                    )
                )
        for finding in findings:
            command = COMMANDS[finding["severity"]]
            if written[command] < PER_COMMAND:
                written[command] += 1
                lines.append(_annotation(command, finding))
        left = len(findings) - written.total()
        missed = [p["pillar_name"] for p in record["pillars"] if not p.get("complete", p["status"] == "ok")]
        said = f"{len(findings)} findings, {left} of them without an annotation" if findings else "no findings"
        if missed:
            said += f"; {' and '.join(missed)} did not examine everything"
        lines.append(f"ophamin audit {record['audit_id'][:16]}: {said}")
        out.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
        return LossReport(tuple(_lost(left, len(every) - len(findings))))


def _annotation(command: str, finding: Mapping[str, JSON]) -> str:
    place: dict[str, JSON] = {"file": finding["path"]}
    if finding["line"] and "cell" not in finding["extra"]:
        place["line"] = finding["line"]
        place |= {"endLine": finding["end_line"]} if finding.get("end_line") else {}
        # Columns are for one line only.
        if finding["column"] and finding.get("end_line") in (None, finding["line"]):
            place["col"] = finding["column"]
            place |= {"endColumn": finding["end_column"]} if finding.get("end_column") else {}
    tools = [finding, *finding.get("also_found_by", ())]
    place["title"] = ", ".join(f"{t['pillar_name']} {t['rule_id']}" for t in tools)
    return _command(command, place, finding["message"])


def _command(name: str, properties: Mapping[str, JSON], message: str) -> str:
    given = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{name} {given}::{_data(message)}"


def _data(text: str) -> str:
    """A message, as the runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A property, which ends at a comma or a colon."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _lost(left: int, known: int) -> Iterator[str]:
    yield "signature and all sections but the findings: an annotation has a place and a message"
    if left:
        yield f"findings: {left}, since {PER_COMMAND} annotations of a kind are shown"
    if known:
        yield f"findings of the baseline: {known}"
