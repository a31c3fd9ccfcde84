"""Annotations, read back as the runner of GitHub Actions reads them."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ophamin import registry
from ophamin.auditing.export.github import PER_COMMAND, GithubExporter

COMMAND = re.compile(r"::(?P<name>\w+) (?P<properties>[^\n]*?)::(?P<message>[^\n]*)")


def unescape(text, prop):
    # The order of the runner: https://github.com/actions/runner, ActionCommand.cs.
    if prop:
        text = text.replace("%2C", ",").replace("%3A", ":")
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def annotations(output):
    found = []
    for line in output.splitlines():
        if match := COMMAND.fullmatch(line):
            pairs = [pair.split("=", 1) for pair in match["properties"].split(",")]
            found.append((match["name"], {k: unescape(v, True) for k, v in pairs}, unescape(match["message"], False)))
    return found


def finding(message="m", path="a.py", severity="high", **more):
    return {"pillar_name": "ruff", "rule_id": "F401", "severity": severity, "message": message, "path": path, "line": 3,
            "column": 5, "end_line": 3, "end_column": 9, "extra": {}, **more}  # fmt: skip


def export(*findings, status="ok"):
    pillar = {"pillar_name": "ruff", "status": status, "error_message": "out of order", "findings": list(findings)}
    out = io.BytesIO()
    report = GithubExporter().export({"audit_id": "0" * 64, "pillars": [pillar]}, out)
    return out.getvalue().decode("utf-8"), report


def test_it_is_an_exporter_for_audits():
    assert registry.exporters.get("github") is GithubExporter
    with pytest.raises(TypeError, match="no option"):
        GithubExporter().export({}, io.BytesIO(), colour=True)


def test_an_annotation_has_its_place_level_and_tools():
    also = [{"pillar_name": "vulture", "rule_id": "unused-import"}]
    output, _ = export(
        finding(also_found_by=also), finding(severity="medium", end_line=4), finding(severity="info", line=0)
    )
    (error, warning, notice) = annotations(output)
    assert error == ("error", {"file": "a.py", "line": "3", "endLine": "3", "col": "5", "endColumn": "9",
                               "title": "ruff F401, vulture unused-import"}, "m")  # fmt: skip
    assert warning[0] == "warning"
    assert "col" not in warning[1]
    assert notice == ("notice", {"file": "a.py", "title": "ruff F401"}, "m")


@given(message=st.text(st.characters(codec="utf-8")), path=st.text(st.characters(codec="utf-8"), min_size=1))
@example(message="100%0A, %25: a%3Ab\r\n", path="per%2Ccent,a:b.py")
def test_whatever_a_message_or_a_name_holds_comes_back(message, path):
    output, _ = export(finding(message, path))
    # The runner reads lines that end with a line feed; others of Unicode are part of them.
    (line, _) = output.rstrip("\n").split("\n")
    match = COMMAND.fullmatch(line)
    assert match
    properties = dict(pair.split("=", 1) for pair in match["properties"].split(","))
    assert unescape(properties["file"], True) == path
    assert unescape(match["message"], False) == message


def test_no_more_than_are_shown_the_worst_first_and_the_rest_is_counted():
    output, report = export(
        *[finding(severity="low")] * 30, *[finding(severity="high")] * 12, finding(severity="critical")
    )
    found = annotations(output)
    assert [a[0] for a in found] == ["error"] * PER_COMMAND + ["notice"] * PER_COMMAND
    assert output.splitlines()[-1] == "ophamin audit 0000000000000000: 43 findings, 23 of them without an annotation"
    assert "findings: 23, since 10 annotations of a kind are shown" in report.lost


def test_only_new_ones_once_each_and_a_failed_tool_is_a_warning():
    output, report = export(finding(new=False), finding(duplicate_of="0" * 64), finding(new=True))
    assert len(annotations(output)) == 1
    assert "findings of the baseline: 1" in report.lost
    output, _ = export(status="timeout")
    assert annotations(output) == [("warning", {"title": "ruff"}, "timeout: out of order")]
    assert output.endswith(": no findings; ruff did not examine everything\n")
