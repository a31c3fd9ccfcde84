"""What we write as SARIF is valid by the schema of OASIS and by the rules of code hosts."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ophamin import registry
from ophamin.auditing.audit import audit
from ophamin.auditing.export.sarif import SarifExporter
from ophamin.protocols import Settings

HERE = Path(__file__).parent
PACKAGES = HERE / "sarif" / "node_modules" / "@microsoft"
PLATFORM = {"linux": "linux", "darwin": "darwin", "win32": "win32"}.get(sys.platform, "")
TOOL = PACKAGES / f"sarif-multitool-{PLATFORM}"
GOLDEN = sorted((HERE.parent / "packages/ophamin-auditing/tests/golden").glob("*.json"))
SOURCES = {
    "a b/né#w%20.py": "import os, subprocess\n\n\ndef f(x):\n    return subprocess.call(x, shell=True)\n",
    "same.py": "import os\nimport os\nprint(undefined)\n",
    "new\nline.py": "def g(a: int) -> str:\n    return a\n    print(1)\n",
    "bad.py": "def f(:\n",
    "uses.py": "import bad\n",  # so that mypy cannot go on without it
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The schema of OASIS, as npm's ``@microsoft/sarif-multitool`` carries it."""
    file = TOOL / "sarif-2.1.0.json"
    if os.environ.get("CI") and not file.is_file():
        pytest.fail("in CI, .ci/run installs the validator with npm; tests-integration/sarif/node_modules is missing")
    if not file.is_file():
        pytest.skip("needs `npm ci` in tests-integration/sarif")
    found: dict[str, Any] = json.loads(file.read_text("utf-8-sig"))
    assert "SARIF" in found["title"]
    return found


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A record with findings of every installed tool, one that failed, duplicates and a baseline."""
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    root = tmp_path / "tree"
    for name, content in SOURCES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "utf-8")
    settings = Settings(project=str(tmp_path / "project"), store=str(tmp_path / "proofs"))
    tools = [name for name in registry.auditors.names() if name != "pip-audit"]
    first = audit(root, settings, tools=["ruff", "bandit"])
    record = audit(root, settings, tools=tools, baseline=str(first.path), gates=["high == 0"]).record
    assert {p["status"] for p in record["pillars"]} == {"ok", "error"}
    return dict(record)


def exported(record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    SarifExporter().export(record, out)
    return out.getvalue()


def errors(schema: dict[str, Any], data: bytes) -> list[str]:
    return [f"{e.json_path}: {e.message}" for e in Draft202012Validator(schema).iter_errors(json.loads(data))]


def test_it_fits_the_schema_of_oasis(schema: dict[str, Any], audited: dict[str, Any]) -> None:
    data = exported(audited)
    assert errors(schema, data) == []
    log = json.loads(data)
    log["runs"][0]["results"].append({"message": {"text": "x"}, "level": "fatal"})
    assert errors(schema, json.dumps(log).encode())  # the schema can say no


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_records_of_every_version_fit_it(path: Path, schema: dict[str, Any]) -> None:
    assert errors(schema, exported(json.loads(path.read_text("utf-8")))) == []


def validate(log: Path, tmp_path: Path) -> list[tuple[str, str, str]]:
    """What the validator's rules, those of code hosts included, say of a log."""
    program = TOOL / "Sarif.Multitool"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)  # npm runs no install scripts by itself
    out = tmp_path / "validation.json"
    # It would like to fetch the schema; a proxy that is not there keeps it from the network.
    env = {**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}  # fmt: skip
    words = ["validate", str(log), "-o", str(out), "--log", "ForceOverwrite", "--level", "Error;Warning;Note"]
    done = subprocess.run(
        [program, *words, "--rule-kind", "Sarif;Ghas"], capture_output=True, text=True, check=True, env=env, timeout=120
    )
    assert out.is_file(), done.stdout
    rows = json.loads(out.read_text("utf-8-sig"))["runs"][0]["results"]
    return [(r["ruleId"], r.get("level", "warning"), str(r["locations"][0])) for r in rows]


def test_the_validator_finds_no_error_in_it_and_none_against_code_hosts(
    schema: dict[str, Any], audited: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "good.sarif").write_bytes(exported(audited))
    said = validate(tmp_path / "good.sarif", tmp_path)
    assert [row for row in said if row[1] in ("error", "warning") or row[0].startswith("GH")] == []
    broken = json.loads(exported(audited))
    broken["runs"][0]["results"][0]["ruleIndex"] = 5000
    (tmp_path / "bad.sarif").write_text(json.dumps(broken), "utf-8")
    assert "error" in {level for _, level, _ in validate(tmp_path / "bad.sarif", tmp_path)}
