from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ophamin import registry
from ophamin.auditing import checks
from ophamin.auditing._command import audit
from ophamin.proof.errors import OphaminError, UnknownPlugin, UsageError


@pytest.fixture
def command(settings):
    def run(*words):
        return CliRunner().invoke(audit, [str(w) for w in words], obj=settings)

    return run


def test_it_is_the_command_audit_with_an_example():
    assert registry.commands.get("audit") is audit
    said = CliRunner().invoke(audit, ["--help"])
    assert said.exit_code == 0
    assert "Example: ophamin audit" in said.output


def test_findings_without_gates_are_fine(command, messy):
    said = command(messy)
    assert said.exit_code == 0
    assert "high     F821    app/sums.py:2:16" in said.stdout
    assert said.stdout.splitlines()[-1].startswith("record: ")
    assert Path(said.stdout.splitlines()[-1].removeprefix("record: ")).is_file()


@pytest.mark.parametrize(("gate", "code"), [("high == 0", 1), ("high <= 9", 0), ("critical == 0", 0), ("total < 1", 1)])
def test_gates_decide_the_exit_code(command, messy, gate, code):
    assert command(messy, "--gate", gate).exit_code == code


def test_a_missing_tool_is_undecided_under_a_gate_and_never_called_clean(command, clean, only_fakes):
    said = command(clean, "--gate", "high == 0")
    assert said.exit_code == 4
    assert "findings unknown" in said.stdout
    assert "no findings" not in said.stdout
    assert "pip install ruff" in said.stderr
    assert command(clean).exit_code == 0


def test_a_hanging_tool_is_undecided_under_a_gate(command, clean, only_fakes):
    only_fakes("ruff", "import time; time.sleep(300)")
    said = command(clean, "--tool", "ruff", "--gate", "high == 0", "--timeout", "0.5")
    assert said.exit_code == 4
    assert "TIMEOUT" in said.stdout


def test_json_is_one_object_and_sarif_a_file(command, messy, tmp_path):
    said = command(messy, "--json", "--gate", "high == 0", "--sarif", tmp_path / "out.sarif", "--tool", "ruff")
    assert said.exit_code == 1
    printed = json.loads(said.stdout)
    assert printed["outcome"] == "REFUTED"
    assert printed["exit_code"] == 1
    assert printed["gates"][0]["lower"] == 1
    assert printed["summary"]["total_findings"] == 2
    record = json.loads(Path(printed["record"]).read_text("utf-8"))
    assert record["audit_id"] == printed["audit_id"]
    assert record["reproduction"]["argv"][-2:] == ["--gate", "high == 0"]
    assert json.loads((tmp_path / "out.sarif").read_text("utf-8"))["version"] == "2.1.0"


def test_isolated_ignores_the_projects_settings(command, messy):
    (messy / "ruff.toml").write_text('[lint]\nselect = ["D100"]\n')
    assert command(messy, "--tool", "ruff", "--gate", "high == 0").exit_code == 0
    assert command(messy, "--tool", "ruff", "--gate", "high == 0", "--isolated").exit_code == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["absent"], UsageError),
        ([".", "--tool", "absent"], UnknownPlugin),
        ([".", "--gate", "high"], UsageError),
        ([".", "--timeout", "0"], UsageError),
        ([".", "--tool", "ruff", "--sarif", "absent/x.sarif"], UsageError),
    ],
)
def test_a_users_mistake_is_one_sentence_with_exit_2(command, words, error, clean, monkeypatch):
    monkeypatch.chdir(clean)
    said = command(*words)
    assert isinstance(said.exception, error)
    assert isinstance(said.exception, OphaminError)
    assert said.exception.exit_code == 2
    assert "\n" not in str(said.exception)


@pytest.mark.parametrize("gate", [(), ("--gate", "high == 0")])
def test_an_audit_of_nothing_passes_no_gate(command, tree, settings, gate):
    said = command(tree({"notes.txt": "no code", ".venv/a.py": "import os"}), *gate)
    assert isinstance(said.exception, UsageError)
    assert str(said.exception).startswith("no Python file under ")
    assert not Path(settings.store).exists()


def test_a_terminal_gets_no_control_characters(command, tree):
    said = command(tree({"\x1b[31mred\n.py": "import os\n"}), "--tool", "ruff")
    assert "\x1b" not in said.stdout
    assert "\\x1b[31mred\\x0a.py:1:8" in said.stdout


def test_many_findings_are_not_all_printed(command, tree):
    said = command(tree({f"m{i}.py": "import os\n" for i in range(30)}), "--tool", "ruff")
    assert "… and 10 more in the record" in said.stdout


def test_the_health_check_tells_found_missing_and_broken_apart(only_fakes):
    said = {name: detail for name, state, detail in checks.check_auditors() if state == "missing"}
    assert said["auditor ruff"] == "pip install ruff"
    assert said["auditor mypy"] == said["auditor interrogate"] == "pip install 'ophamin-auditing[extra]'"
    only_fakes("ruff", "")
    only_fakes("bandit", "").write_text("#!/bin/sh\nexit 3\n")
    found = {name: (state, detail) for name, state, detail in checks.check_auditors()}
    assert found["auditor ruff"][0] == "ok"
    assert found["auditor ruff"][1].startswith("ruff 9.9 ")
    assert found["auditor bandit"][0] == "broken"


def test_the_health_check_finds_the_installed_tools():
    assert registry.checks.get("auditors") is checks.check_auditors
    found = {name: state for name, state, _ in checks.check_auditors()}
    ours = ["bandit", "interrogate", "mypy", "radon", "ruff", "vulture"]
    assert {f"auditor {name}": "ok" for name in ours}.items() <= found.items()
