from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ophamin import registry
from ophamin.auditing import checks
from ophamin.auditing._command import audit
from ophamin.auditing.record import AUDIT
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
    assert command(messy, "--tools", "ruff,bandit", "--gate", gate).exit_code == code


def test_a_missing_tool_is_undecided_under_a_gate_and_never_called_clean(command, clean, only_fakes):
    said = command(clean, "--gate", "high == 0")
    assert said.exit_code == 4
    assert "findings unknown" in said.stdout
    assert "no findings" not in said.stdout
    assert "pip install ruff" in said.stderr
    assert command(clean).exit_code == 0


def test_a_tool_that_did_not_read_everything_is_nowhere_called_clean(command, tree, tmp_path):
    root = tree({"a.py": "x = 1\n", "nul.py": "x = 1\0\n"})
    said = command(root, "--tools", "radon", "--format", "github", "--out", tmp_path / "notes")
    assert "no findings, some files not examined" in said.stdout
    assert "no findings; radon did not examine everything" in (tmp_path / "notes").read_text("utf-8")
    record = json.loads(Path(said.stdout.splitlines()[-1].removeprefix("record: ")).read_text("utf-8"))
    # What JUnit and every other listing show.
    assert [c["message"] for c in AUDIT.cases(record)] == ["no findings, some files not examined"]


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
        ([".", "--timeout", "inf", "--gate", "high == 0"], UsageError),
        ([".", "--timeout", "nan"], UsageError),
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


def test_tools_may_be_listed_or_named_one_by_one(command, clean):
    def ran(*words):
        return [p["pillar_name"] for p in json.loads(command(clean, "--json", *words).stdout)["pillars"]]

    assert ran("--tools", "radon, ruff") == ["radon", "ruff"]
    assert ran("--tools", "ruff,ruff", "--tool", "radon", "--tool", "ruff") == ["ruff", "radon"]


def test_a_second_run_says_that_nothing_changed_and_no_cache_runs_again(command, messy):
    command(messy, "--tools", "ruff")
    assert "(unchanged since an earlier run)" in command(messy, "--tools", "ruff").stdout
    assert "unchanged" not in command(messy, "--tools", "ruff", "--no-cache").stdout


def test_formats_go_to_their_files_in_order(command, messy, tmp_path):
    said = command(
        messy,
        "--tools",
        "ruff",
        "--format",
        "sarif",
        "--out",
        tmp_path / "a",
        "--format",
        "github",
        "--out",
        tmp_path / "b",
    )
    assert said.exit_code == 0
    assert json.loads((tmp_path / "a").read_text("utf-8"))["version"] == "2.1.0"
    assert (
        (tmp_path / "b").read_text("utf-8").startswith("::error file=app/sums.py,line=2,endLine=2,col=16,endColumn=17")
    )
    assert "record: " in said.stdout


def test_one_format_without_a_file_is_all_that_standard_output_gets(command, messy):
    said = command(messy, "--tools", "ruff", "--format", "sarif")
    assert json.loads(said.stdout)["version"] == "2.1.0"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--format", "absent"], UnknownPlugin),
        (["--format", "sarif", "--json"], UsageError),
        (["--format", "sarif", "--format", "github"], UsageError),
        (["--out", "x"], UsageError),
        (["--tools", " , "], UsageError),
        (["--jobs", "0"], UsageError),
    ],
)
def test_options_that_make_no_sense_are_told_before_the_tools_run(command, words, error, clean, settings):
    said = command(clean, *words)
    assert isinstance(said.exception, error), said.output
    assert not Path(settings.store).exists()


def test_a_baseline_shows_only_what_is_new(command, messy):
    first = json.loads(command(messy, "--tools", "ruff", "--json").stdout)
    (messy / "app" / "more.py").write_text("print(nowhere)\n")
    said = command(messy, "--tools", "ruff", "--baseline", first["record"], "--gate", "new == 0")
    assert said.exit_code == 1
    assert "more.py:1:7" in said.stdout
    assert "sums.py" not in said.stdout
    assert "1 new and 0 gone since the audit" in said.stdout
    again = command(messy, "--tools", "ruff", "--baseline", first["record"], "--gate", "new.low == 0")
    assert again.exit_code == 0


@pytest.mark.parametrize("gate", [(), ("--gate", "high == 0")])
def test_progress_is_one_line_per_tool_and_only_on_a_terminal(command, clean, settings, gate):
    import os
    import pty
    import subprocess
    import sys

    assert "to go" not in command(clean, "--tools", "ruff,radon", *gate).stderr
    script = (
        "import sys; from ophamin.auditing._command import audit; from ophamin.protocols import Settings; "
        f"audit([{str(clean)!r}, '--tools', 'ruff,radon', '--no-cache', *{gate!r}], obj=Settings({settings.project!r}, {settings.store!r}))"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", script], stderr=theirs, stdout=subprocess.PIPE, check=False, timeout=60
    )
    os.close(theirs)
    lines = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    assert done.returncode == 0
    assert sorted(line.split()[0] for line in lines) == ["radon", "ruff"]
    assert lines[0].endswith(" findings twice, 1 to go" if gate else " findings, 1 to go")


WORDS = ["sp ace", 'it\'s "quoted"', "new\nline", "-dash", "$HOME `id` \\", "tab\t1", "日本", "\x1bred"]


@pytest.mark.parametrize("name", WORDS)
def test_the_printed_command_is_one_a_shell_reads_back(name, command, tree, settings, monkeypatch, tmp_path):
    import os
    import subprocess
    import sys

    root = tree({f"{name}/{name}.py": "import os\n"})
    monkeypatch.chdir(root)
    where = name if not name.startswith("-") else f"./{name}"
    said = command(where, "--tools", "ruff", "--gate", "high == 0")
    (line,) = [line for line in said.stdout.splitlines() if line.startswith("again: ")]
    printed = line.removeprefix("again: ")
    assert printed.isprintable()
    # A program of that name, which runs the command with the same settings.
    script = tmp_path / "bin" / "ophamin"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom ophamin.auditing._command import audit\n"
        "from ophamin.protocols import Settings\n"
        f"audit(sys.argv[2:] + ['--json'], obj=Settings({settings.project!r}, {settings.store!r}))\n"
    )
    script.chmod(0o755)
    env = {**os.environ, "PATH": os.pathsep.join([str(script.parent), os.environ["PATH"]])}
    done = subprocess.run(["bash", "-c", printed], capture_output=True, text=True, env=env, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    again = json.loads(Path(json.loads(done.stdout)["record"]).read_text("utf-8"))
    first = json.loads(Path(said.stdout.splitlines()[-1].removeprefix("record: ")).read_text("utf-8"))
    assert [p["findings"] for p in again["pillars"]] == [p["findings"] for p in first["pillars"]]
    assert again["reproduction"] == first["reproduction"]
    assert again["pillars"][0]["finding_count"] == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of any bytes are a matter of the platform")
def test_a_folder_whose_name_is_no_utf8_is_audited_remembered_and_printed(command, tmp_path):
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lat\xff"))
    root.mkdir()
    (root / "a.py").write_text("import os\n")
    words = (root, "--tools", "ruff,bandit,vulture,radon,interrogate", "--json")
    first = json.loads(command(*words).stdout)
    assert {p["status"] for p in first["pillars"]} == {"ok"}, first["pillars"]
    assert first["command"].startswith(f"ophamin audit $'{tmp_path}/lat\\xff' ")
    assert all(p["cached"] for p in json.loads(command(*words).stdout)["pillars"])


@pytest.mark.parametrize("gate", [(), ("--gate", "high == 0")])
def test_an_audit_of_nothing_passes_no_gate(command, tree, settings, gate):
    said = command(tree({"notes.txt": "no code", ".venv/a.py": "import os"}), *gate)
    assert isinstance(said.exception, UsageError)
    assert str(said.exception).startswith("no Python file under ")
    assert not Path(settings.store).exists()


def test_a_virtual_environment_is_left_out_and_that_is_said_and_signed(command, tree):
    files = {"env/pyvenv.cfg": "home = /usr/bin\n", "env/lib/x.py": "import os\n", "a.py": "x = 1\n"}
    said = command(root := tree(files), "--tool", "ruff")
    assert "not looked into, because it is a virtual environment: env" in said.stdout.splitlines()
    printed = json.loads(command(root, "--tool", "ruff", "--json").stdout)
    assert (printed["environments"], printed["summary"]["total_findings"]) == (["env"], 0)
    record = json.loads(Path(printed["record"]).read_text("utf-8"))
    assert record["target"]["environments"] == ["env"]
    assert "not looked into" not in command(tree({"a.py": ""}, "other"), "--tool", "ruff").stdout


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
