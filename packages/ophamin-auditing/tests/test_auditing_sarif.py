from __future__ import annotations

import io
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ophamin import registry
from ophamin.auditing.audit import audit
from ophamin.auditing.export.sarif import LEVELS, SarifExporter
from ophamin.protocols import Exporter
from ophamin.testing import check_exporter

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
URI = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*\Z")


def export(record):
    out = io.BytesIO()
    report = SarifExporter().export(record, out)
    return json.loads(out.getvalue().decode("utf-8")), report


def check_sarif(log):
    """The rules of the SARIF 2.1.0 schema for the objects we write: required properties, enumerations, minima."""
    assert set(log) <= {"$schema", "version", "runs", "properties", "inlineExternalProperties"}
    assert log["version"] == "2.1.0"
    assert isinstance(log["runs"], list)
    for run in log["runs"]:
        check_run(run)


def check_run(run):
    known = {"tool", "invocations", "originalUriBaseIds", "columnKind", "results", "properties", "automationDetails"}
    assert set(run) <= known
    assert re.fullmatch(r"ophamin/[a-z-]+/[0-9a-f]{64}", run["automationDetails"]["id"])
    driver = run["tool"]["driver"]
    assert isinstance(driver["name"], str)
    assert driver["name"]
    assert set(driver) <= {"name", "version", "rules", "informationUri"}
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        known = {"id", "name", "shortDescription", "fullDescription", "help", "helpUri", "properties"}
        assert set(rule) <= {*known, "defaultConfiguration"}
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
        assert 1 <= len(rule["properties"]["tags"]) <= 20
        if "security-severity" in rule["properties"]:
            assert "security" in rule["properties"]["tags"]
            assert 0.0 < float(rule["properties"]["security-severity"]) <= 10.0
        if "helpUri" in rule:
            assert urlsplit(rule["helpUri"]).scheme == "https"
    for base in run["originalUriBaseIds"].values():
        assert "uri" not in base or base["uri"].endswith("/")
    for invocation in run["invocations"]:
        assert isinstance(invocation["executionSuccessful"], bool)
        assert isinstance(invocation.get("exitCode", 0), int)
        for note in invocation.get("toolExecutionNotifications", []):
            assert note["level"] in ("none", "note", "warning", "error")
            assert note["message"]["text"]
    for result in run["results"]:
        check_result(result, ids, run["originalUriBaseIds"])
    prints = [r["partialFingerprints"]["primaryLocationLineHash"] for r in run["results"] if "partialFingerprints" in r]
    assert len(set(prints)) == len(prints)


def check_result(result, rule_ids, bases):
    assert set(result) <= {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints", "properties"}
    assert result["message"]["text"]
    assert result["level"] in ("none", "note", "warning", "error")
    assert rule_ids[result["ruleIndex"]] == result["ruleId"]
    assert "suppressions" not in result
    for location in result["locations"]:
        physical = location["physicalLocation"]
        artifact = physical["artifactLocation"]
        assert URI.match(artifact["uri"]), artifact["uri"]
        if "uriBaseId" in artifact:
            assert artifact["uriBaseId"] in bases
            assert not artifact["uri"].startswith("/")
            assert not urlsplit(artifact["uri"]).scheme
        else:
            assert artifact["uri"].startswith("file:///")
        region = physical.get("region")
        if region is not None:
            assert set(region) <= {"startLine", "startColumn", "endLine", "endColumn"}
            assert region["startLine"] >= 1
            assert all(isinstance(v, int) and v >= 1 for v in region.values())
            end = (region.get("endLine", region["startLine"]), region.get("endColumn", 10**9))
            assert end >= (region["startLine"], region.get("startColumn", 1))


def test_it_is_an_exporter_for_audits():
    assert registry.exporters.get("sarif") is SarifExporter
    assert isinstance(SarifExporter(), Exporter)
    assert tuple(SarifExporter.kinds) == ("audit",)
    with pytest.raises(TypeError, match="no option"):
        SarifExporter().export({}, io.BytesIO(), colour=True)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_records_of_every_version_export(path):
    record = json.loads(path.read_text("utf-8"))
    log, report = export(record)
    check_sarif(log)
    assert sum(len(run["results"]) for run in log["runs"]) == record["summary"]["total_findings"]
    assert any(lost.startswith("signature") for lost in report.lost)
    assert ("verdict: SARIF has no place for it" in report.lost) == ("verdict" in record)


def test_findings_arrive_with_place_level_rule_and_fingerprint(messy, settings):
    record = audit(messy, settings, tools=["bandit", "ruff"]).record
    log, _ = export(record)
    check_sarif(log)
    bandit, ruff = log["runs"]
    assert ruff["tool"]["driver"]["version"] == record["pillars"][1]["tool_version"].split()[1]
    (undefined,) = [r for r in ruff["results"] if r["ruleId"] == "F821"]
    assert undefined["level"] == "error"
    assert undefined["properties"]["severity"] == "high"
    physical = undefined["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "app/sums.py", "uriBaseId": "SRCROOT"}
    assert physical["region"] == {"startLine": 2, "startColumn": 16, "endLine": 2, "endColumn": 17}
    assert re.fullmatch(r"[0-9a-f]{64}", undefined["partialFingerprints"]["ophamin/v1"])
    # What GitHub goes by; it would make its own of the line, and an alert anew, where this is missing.
    assert set(undefined["partialFingerprints"].values()) == {undefined["partialFingerprints"]["ophamin/v1"]}
    assert set(undefined["partialFingerprints"]) == {"ophamin/v1", "primaryLocationLineHash"}
    shell = next(r for r in bandit["tool"]["driver"]["rules"] if r["id"] == "B602")
    assert "external/cwe/cwe-078" in shell["properties"]["tags"]


def test_names_are_percent_encoded_and_come_back(tree, settings):
    names = ["a b.py", "new\nline.py", "per%cent.py", "#hash?.py", "日本.py", "c:colon.py", 'quo"te.py', "brack[et].py"]
    record = audit(tree(dict.fromkeys(names, "import os\n")), settings, tools=["ruff"]).record
    log, _ = export(record)
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in log["runs"][0]["results"]]
    assert {unquote(uri.removeprefix("./")) for uri in uris} == set(names)
    check_sarif(log)


def test_failed_tools_are_runs_that_did_not_succeed(clean, settings, only_fakes):
    only_fakes("ruff", "sys.exit('out of order')")
    log, _ = export(audit(clean, settings, tools=["bandit", "ruff"]).record)
    check_sarif(log)
    bandit, ruff = log["runs"]
    for run, words in ((bandit, "pip install bandit"), (ruff, "out of order")):
        (invocation,) = run["invocations"]
        assert invocation["executionSuccessful"] is False
        (note,) = invocation["toolExecutionNotifications"]
        assert note["level"] == "error"
        assert words in note["message"]["text"]
    assert ruff["invocations"][0]["exitCode"] == 1


def test_places_that_are_not_known_are_left_out(tmp_path):
    record = json.loads(GOLDEN[-1].read_text("utf-8"))
    finding = record["pillars"][0]["findings"][0]
    for changes, region in (
        ({"line": 0, "column": 0}, None),
        ({"line": 3, "column": 0}, {"startLine": 3}),
        ({"line": 3, "column": 5, "end_line": 2, "end_column": 1}, {"startLine": 3, "startColumn": 5}),
        ({"line": 3, "column": 5, "end_line": 3, "end_column": 2}, {"startLine": 3, "startColumn": 5, "endLine": 3}),
        ({"line": 3, "column": 5, "extra": {"cell": 1}}, None),
        ({"path": "/elsewhere/x y.py"}, ...),
    ):
        record["pillars"][0]["findings"] = [{**finding, "end_line": None, "end_column": None, **changes}]
        log, report = export(record)
        check_sarif(log)
        physical = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        if region is ...:
            assert physical["artifactLocation"] == {"uri": "file:///elsewhere/x%20y.py"}
        else:
            assert physical.get("region") == region
        assert any("notebooks" in lost for lost in report.lost) == ("cell" in changes.get("extra", {}))


def test_it_keeps_the_contract_of_an_exporter():
    check_exporter(SarifExporter, [json.loads(path.read_text("utf-8")) for path in GOLDEN])


def test_every_severity_has_a_level():
    assert set(LEVELS) == {"critical", "high", "medium", "low", "info"}


def pillar(name, findings, rules=None):
    rows = [
        {"pillar_name": name, "rule_id": "R", "severity": s, "message": "m", "path": "a.py", "line": i + 1, "column": 1,
         "end_line": None, "end_column": None, "extra": {}, "fingerprint": f"{i:064x}"}
        for i, s in enumerate(findings)
    ]  # fmt: skip
    return {
        "tool_name": name, "tool_version": "", "status": "ok", "findings": rows, "exit_code": 0, "warnings": [],
        "rules": rules or {"R": {"name": "", "url": ""}}, "extra": {},
    }  # fmt: skip


def record_of(*pillars):
    return {"audit_id": "0" * 64, "schema_version": "audit/1.2", "pillars": list(pillars)}


def test_of_too_many_results_the_worst_are_kept_and_the_rest_is_counted():
    many = ["low"] * 24_990 + ["high"] * 5
    log, report = export(record_of(pillar("one", many), pillar("two", ["medium"] * 20)))
    check_sarif(log)
    one, two = log["runs"]
    assert len(one["results"]) + len(two["results"]) == 25_000
    assert len(two["results"]) == 20
    assert sum(r["level"] == "error" for r in one["results"]) == 5
    assert one["properties"]["ophamin/left_out"] == {"R": 15}
    assert "ophamin/left_out" not in two["properties"]
    assert any("15 findings" in n["message"]["text"] for n in one["invocations"][0]["toolExecutionNotifications"])
    assert any(lost.startswith("findings: 15 of lesser severity") for lost in report.lost)


def test_of_too_many_runs_the_first_are_kept():
    log, report = export(record_of(*(pillar(f"tool-{'x' * i}", ["low"]) for i in range(1, 23))))
    check_sarif(log)
    assert len(log["runs"]) == 20
    assert any(lost.startswith("pillars: 2 of them") for lost in report.lost)


def test_a_tool_that_found_nothing_is_an_empty_run(clean, settings):
    log, _ = export(audit(clean, settings, tools=["ruff"]).record)
    (run,) = log["runs"]
    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is True


def test_security_stands_on_the_rule_and_only_on_rules_about_security(messy, settings):
    log, _ = export(audit(messy, settings, tools=["bandit", "ruff"]).record)
    bandit, ruff = ({r["id"]: r["properties"] for r in run["tool"]["driver"]["rules"]} for run in log["runs"])
    assert (bandit["B602"]["security-severity"], bandit["B404"]["security-severity"]) == ("8.0", "2.5")
    assert "security-severity" not in ruff["F821"]
    assert ruff["F821"]["problem.severity"] == "error"


def test_what_two_tools_found_is_one_result(tree, settings):
    code = "import subprocess\n\nsubprocess.call('ls', shell=True)\n"
    root = tree({"a.py": code, "ruff.toml": '[lint]\nselect = ["S602"]\n'})
    record = audit(root, settings, tools=["ruff", "bandit"]).record
    log, report = export(record)
    check_sarif(log)
    assert sum(len(run["results"]) for run in log["runs"]) == record["summary"]["total_findings"] == 3  # B607 too
    (both,) = [r for run in log["runs"] for r in run["results"] if "alsoFoundBy" in r["properties"]]
    assert {both["ruleId"], *both["properties"]["alsoFoundBy"]} in ({"S602", "bandit B602"}, {"B602", "ruff S602"})
    assert any(lost.startswith("findings that another tool found too: 1") for lost in report.lost)
