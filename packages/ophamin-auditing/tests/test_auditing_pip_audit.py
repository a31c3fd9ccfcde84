"""The real pip-audit, asked about real files, over advisories of our own making."""

from __future__ import annotations

import io
import json
import socket

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ophamin.auditing.audit import audit
from ophamin.auditing.export.cyclonedx import CyclonedxExporter
from ophamin.auditing.target import Target
from ophamin.auditing.tools._osv import Advisories
from ophamin.auditing.tools._osv_server import serving
from ophamin.auditing.tools._pins import pins
from ophamin.auditing.tools.pip_audit import VARIABLE, PipAudit
from ophamin.testing import check_auditor, check_exporter

ADVISORY = {
    "schema_version": "1.6.0",
    "id": "OPH-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "aliases": ["GHSA-xxxx-yyyy-zzzz"],
    "summary": "Pads on the wrong side",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "references": [
        {"type": "WEB", "url": "https://example.org/post"},
        {"type": "ADVISORY", "url": "https://example.org/advisory"},
    ],
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "left-pad"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1"}, {"fixed": "2.1"}]}],
        }
    ],
}
HASH = "--hash=sha256:" + "1" * 64


@pytest.fixture
def osv(tree, monkeypatch):
    folder = tree({"PyPI/OPH-2026-1.json": json.dumps(ADVISORY)}, "osv")
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


def run(root):
    return PipAudit().audit(root, timeout_s=60)


def test_the_contract_with_and_without_advisories(osv, tmp_path, monkeypatch):
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        check_auditor(PipAudit, tmp_path / name)
        monkeypatch.delenv(VARIABLE, raising=False)


def test_a_finding_names_line_severity_aliases_fix_and_page(osv, tree):
    root = tree({"requirements.txt": f"# ours\nother==1.0 {HASH}\nLeft.Pad==2.0 {HASH}\n", "a.py": ""})
    entry = run(root)
    assert (entry["status"], entry["complete"], entry["finding_count"]) == ("ok", True, 1)
    assert entry["exit_code"] == 1  # vulnerable is not failed
    (found,) = entry["findings"]
    assert (found["rule_id"], found["severity"]) == ("OPH-2026-1", "critical")
    assert (found["path"], found["line"]) == ("requirements.txt", 3)
    assert found["message"] == "Left.Pad 2.0: Pads on the wrong side; upgrade to 2.1"
    assert found["extra"]["aliases"] == ["GHSA-xxxx-yyyy-zzzz"]
    assert entry["rules"]["OPH-2026-1"]["url"] == "https://example.org/advisory"
    assert entry["extra"]["packages"] == 2


LOCK = """version = 1
revision = 3

[[package]]
name = "me"
version = "2.0"
source = { virtual = "." }

[[package]]
name = "left-pad"
version = "0.9"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "left-pad"
version = "2.0"
source = { registry = "https://pypi.org/simple" }
"""
PYLOCK = 'lock-version = "1.0"\ncreated-by = "x"\n\n[[packages]]\nname = "left-pad"\nversion = "2.0"\n'
PROJECT = '[project]\nname = "me"\nversion = "1"\ndependencies = [\n    "left-pad == 2.0",\n    "loose>=1",\n]\n'


@pytest.mark.parametrize(
    ("files", "line", "complete"),
    [
        ({"uv.lock": LOCK, "pyproject.toml": PROJECT}, 15, True),
        ({"pylock.toml": PYLOCK, "pyproject.toml": PROJECT}, 5, True),
        ({"pylock.dev.toml": PYLOCK}, 5, True),
        ({"requirements-dev.txt": "left-pad==2.0\nloose\n"}, 1, False),
        ({"requirements/base.txt": "left-pad[x]==2.0 ; python_version > '3'\n"}, 1, True),
        ({"pyproject.toml": PROJECT}, 5, False),
    ],
)  # fmt: skip
def test_locks_come_first_and_what_is_not_pinned_leaves_it_incomplete(osv, tree, files, line, complete):
    entry = run(tree(files))
    assert [(f["line"], f["extra"]["version"]) for f in entry["findings"]] == [(line, "2.0")]
    assert entry["complete"] is complete
    assert complete or "loose" in entry["warnings"][0]


def test_a_package_of_the_project_is_judged_by_the_locks_above_it(osv, tree):
    root = tree({"uv.lock": LOCK, "packages/x/a.py": "", ".git/HEAD": ""})
    (found,) = run(root / "packages" / "x")["findings"]
    assert found["path"] == "uv.lock"
    (found,) = run(root / "uv.lock")["findings"]
    assert found["path"] == "uv.lock"


def test_the_running_environment_is_never_audited(tree, monkeypatch):
    from importlib.metadata import version

    here = {
        **ADVISORY,
        "affected": [{"package": {"ecosystem": "PyPI", "name": "pytest"}, "versions": [version("pytest")]}],
    }
    monkeypatch.setenv(VARIABLE, str(tree({"a.json": json.dumps(here)}, "osv")))
    nothing = run(tree({"a.py": ""}, "nothing"))
    assert (nothing["findings"], nothing["complete"]) == ([], False)
    assert "no package was looked at" in nothing["warnings"][0]
    none = run(tree({"pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndependencies = []\n'}, "none"))
    assert (none["status"], none["findings"], none["complete"]) == ("ok", [], True)


def test_it_is_run_by_default_once_there_are_advisories(osv, tree, settings, monkeypatch):
    root = tree({"uv.lock": LOCK, "a.py": ""})
    assert "pip-audit" in [p["pillar_name"] for p in audit(root, settings).record["pillars"]]
    monkeypatch.delenv(VARIABLE)
    assert "pip-audit" not in [p["pillar_name"] for p in audit(root, settings).record["pillars"]]
    gated = audit(root, settings, tools=["pip-audit"], gates=["high == 0"])
    assert gated.outcome == "INCONCLUSIVE"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_no_advisories_is_never_called_clean(tree, monkeypatch, tmp_path):
    root = tree({"requirements.txt": "left-pad==2.0\n"})
    monkeypatch.delenv(VARIABLE, raising=False)
    unset = run(root)
    assert (unset["status"], unset["finding_count"]) == ("unavailable", None)
    assert VARIABLE in unset["error_message"]
    for value, said in (
        (f"http://127.0.0.1:{free_port()}/v1/query", "could not reach advisories"),
        (str(tmp_path / "absent"), "no folder"),
        (str(tree({"a.json": "{"}, "bad")), "holds no advisory"),
    ):
        monkeypatch.setenv(VARIABLE, value)
        entry = run(root)
        assert (entry["status"], entry["finding_count"], entry["complete"]) == ("error", None, False)
        assert said in entry["error_message"]
        assert "\n" not in entry["error_message"]


def test_a_service_elsewhere_is_asked_for_the_severity_too(tree, monkeypatch):
    root = tree({"requirements.txt": "left-pad==2.0\n"})
    with serving(Advisories.of({"a": ADVISORY})) as url:
        monkeypatch.setenv(VARIABLE, url)
        entry = run(root)
    assert [f["severity"] for f in entry["findings"]] == ["critical"]


def test_a_damaged_advisory_and_a_damaged_lock_leave_it_incomplete(osv, tree):
    (osv / "bad.json").write_text("{")
    entry = run(tree({"requirements.txt": "left-pad==2.0\n", "uv.lock": "version = 9"}))
    assert entry["finding_count"] == 1
    assert not entry["complete"]
    assert {u["path"] for u in entry["extra"]["unread"]} == {"uv.lock", "OPHAMIN_OSV/bad.json"}


def test_a_fake_that_prints_nothing_is_an_error_and_a_missing_one_unavailable(osv, tree, only_fakes):
    root = tree({"requirements.txt": "left-pad==2.0\n"})
    missing = run(root)
    assert missing["status"] == "unavailable"
    assert "pip install pip-audit" in missing["error_message"]
    for script in (
        "",
        "sys.exit(1)",
        "print('{}')",
        "print('[]')",
        "import os; os.kill(os.getpid(), 9)",
        "sys.exit(3)",
    ):
        only_fakes("pip-audit", script)
        assert run(root)["status"] == "error", script
    only_fakes("pip-audit", "print('{\"dependencies\": []}')")
    assert not run(root)["complete"]  # it did not answer for the package
    only_fakes("pip-audit", "import time; time.sleep(60)")
    assert PipAudit().audit(root, timeout_s=0.5)["status"] == "timeout"


@pytest.mark.parametrize("name", ["requirements.txt", "uv.lock", "pylock.toml", "pyproject.toml"])
@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"[[package]]\n" * 3, b"\x00", b"a==\n[project]", b"packages = 3\nproject = 3\nversion = 2"],
)
def test_hostile_files_are_unread_not_fatal(tree, name, content):
    found = pins(Target.at(tree({name: content})))
    assert found.unread
    assert found.pins == []


@pytest.fixture
def record(osv, tree, settings):
    root = tree({"uv.lock": LOCK, "a.py": "import os\n"}, "my app")
    return audit(root, settings, tools=["pip-audit", "ruff"]).record


def test_an_audit_as_a_bill_with_its_vulnerabilities(record):
    check_exporter(CyclonedxExporter, [record])
    out = io.BytesIO()
    report = CyclonedxExporter().export(record, out)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(out.getvalue().decode()) is None
    bill = json.loads(out.getvalue())
    tree = bill["metadata"]["component"]
    assert tree["name"] == "my app"
    assert tree["hashes"][0]["content"] == record["target"]["target_content_hash"]
    assert {"name": "ophamin:audit_id", "value": record["audit_id"]} in bill["metadata"]["properties"]
    (vulnerability,) = bill["vulnerabilities"]
    assert vulnerability["id"] == "OPH-2026-1"
    assert vulnerability["ratings"][0]["severity"] == "critical"
    assert vulnerability["affects"][0]["ref"] == "pkg:pypi/left-pad@2.0"
    assert vulnerability["recommendation"] == "upgrade left-pad to 2.1"
    assert [c["purl"] for c in bill["components"]] == ["pkg:pypi/left-pad@2.0"]
    assert any(line.startswith("findings: 1 about sources") for line in report.lost)


def test_the_exporter_knows_no_options(record):
    with pytest.raises(TypeError, match="no option x"):
        CyclonedxExporter().export(record, io.BytesIO(), x=1)
