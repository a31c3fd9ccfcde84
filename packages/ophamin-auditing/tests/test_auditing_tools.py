from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ophamin.auditing.examining import examine_with
from ophamin.auditing.target import Target
from ophamin.auditing.tools import _run
from ophamin.auditing.tools.bandit import Bandit
from ophamin.auditing.tools.ruff import Ruff, severity
from ophamin.proof.ledger import Ledger
from ophamin.proof.project import Project
from ophamin.protocols import Auditor

BOTH = (Ruff, Bandit)


def rules(entry):
    return sorted(f["rule_id"] for f in entry["findings"])


def places(entry):
    return {(f["rule_id"], f["path"], f["line"], f["column"]) for f in entry["findings"]}


@pytest.mark.parametrize("tool", BOTH)
def test_each_is_an_auditor_that_takes_no_arguments(tool):
    assert isinstance(tool(), Auditor)


def test_ruff_finds_defects_with_places_severities_and_rules(messy):
    entry = Ruff().audit(messy, timeout_s=60)
    assert entry["status"] == "ok"
    assert entry["complete"]
    assert entry["tool_version"].startswith("ruff ")
    assert places(entry) == {("F401", "app/main.py", 1, 8), ("F821", "app/sums.py", 2, 16)}
    assert entry["severity_histogram"] == {"high": 1, "low": 1}
    assert entry["finding_count"] == 2
    assert entry["rules"]["F821"]["name"] == "undefined-name"
    assert entry["rules"]["F821"]["url"].startswith("https://")
    assert entry["exit_code"] == 0


def test_bandit_finds_security_with_places_in_characters(tree):
    root = tree({"é.py": "import subprocess\ndef f(x):\n    é = 'é'; subprocess.call(x, shell=True)\n"})
    entry = Bandit().audit(root, timeout_s=60)
    assert entry["status"] == "ok"
    assert entry["exit_code"] == 1  # findings are not a failure
    (high,) = [f for f in entry["findings"] if f["rule_id"] == "B602"]
    assert (high["path"], high["line"], high["column"], high["severity"]) == ("é.py", 3, 14, "high")
    assert high["extra"]["confidence"] == "HIGH"
    assert entry["rules"]["B602"]["cwe"] == 78
    assert entry["extra"]["files"] == 1


@pytest.mark.parametrize("tool", BOTH)
def test_a_clean_tree_a_single_file_and_an_empty_tree(tool, clean, tree):
    for path in (clean, clean / "app" / "sums.py", tree({}, "empty")):
        entry = tool().audit(path, timeout_s=60)
        assert (entry["status"], entry["finding_count"], entry["findings"]) == ("ok", 0, [])


@pytest.mark.parametrize("tool", BOTH)
def test_unparsable_and_undecodable_files_are_said_and_leave_it_incomplete(tool, tree):
    entry = tool().audit(
        tree({"bad.py": "def f(:\n", "latin.py": b"x = '\xff\xfe'\n", "ok.py": "x = 1\n"}), timeout_s=60
    )
    assert entry["status"] == "ok"
    assert not entry["complete"]
    assert {u["path"] for u in entry["extra"]["unread"]} == {"bad.py", "latin.py"}
    assert {w.partition(" ")[0] for w in entry["warnings"]} >= {"bad.py", "latin.py"}
    if tool is Ruff:
        assert {"invalid-syntax", "E902"} == set(rules(entry))
        assert entry["severity_histogram"].keys() == {"high"}


NASTY = ["a b.py", "quo'te\".py", "new\nline.py", "-dash.py", "per%cent.py", "#hash?.py", "日本.py", "CVS_reader.py"]


@pytest.mark.parametrize("tool", BOTH)
def test_names_that_need_care_stay_themselves(tool, tree):
    root = tree(dict.fromkeys(NASTY, "import os, subprocess\nsubprocess.call('x', shell=True)\n"), "sp ace")
    entry = tool().audit(root, timeout_s=60)
    assert {f["path"] for f in entry["findings"]} == set(NASTY)
    one = tool().audit(root / "-dash.py", timeout_s=60)
    assert {f["path"] for f in one["findings"]} == {"-dash.py"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of any bytes are a matter of the platform")
@pytest.mark.parametrize("tool", BOTH)
def test_a_name_that_is_no_utf8_is_written_as_text(tool, tree):
    root = tree({})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.py")).write_text(
        "import os, subprocess\nsubprocess.call('x', shell=True)\n"
    )
    entry = tool().audit(root, timeout_s=60)
    assert entry["finding_count"] >= 1
    assert all(f["path"].encode("utf-8") for f in entry["findings"])


@pytest.mark.parametrize("tool", BOTH)
def test_loops_of_links_end_and_links_to_nowhere_are_passed_over(tool, messy):
    before = places(tool().audit(messy, timeout_s=60))
    (messy / "loop").symlink_to(messy)
    (messy / "app" / "up").symlink_to("..")
    (messy / "nowhere.py").symlink_to("absent.py")
    if hasattr(os, "mkfifo"):
        os.mkfifo(messy / "pipe.py")
    (messy / "app" / "it's [1], {2}.py").symlink_to("it's [1], {2}.py")
    after = tool().audit(messy, timeout_s=60)
    assert places(after) == before
    assert after["complete"], after["warnings"]


def test_paths_are_relative_to_the_repository(messy):
    (messy / ".git").mkdir()
    for tool in BOTH:
        entry = tool().audit(messy / "app", timeout_s=60)
        assert "app/main.py" in {f["path"] for f in entry["findings"]}


def test_folders_that_are_not_the_projects_are_left_out_unless_they_are_the_target(tree):
    code = "import subprocess\nsubprocess.call('x', shell=True)\n"
    root = tree({".venv/lib/x.py": code, "node_modules/y.py": code, "own.py": code})
    assert {f["path"] for f in Bandit().audit(root, timeout_s=60)["findings"]} == {"own.py"}
    inside = Bandit().audit(root / ".venv", timeout_s=60)
    assert {f["path"] for f in inside["findings"]} == {"lib/x.py"}
    (root / ".git").mkdir()
    inside = Bandit().audit(root / ".venv", timeout_s=60)
    assert {f["path"] for f in inside["findings"]} == {".venv/lib/x.py"}


def test_the_projects_settings_hold_and_isolated_ignores_them(messy):
    (messy / "pyproject.toml").write_text('[tool.ruff.lint]\nselect = ["D100"]\n[tool.bandit]\nskips = ["B602"]\n')
    assert set(rules(Ruff().audit(messy, timeout_s=60))) == {"D100"}
    assert rules(Ruff(isolated=True).audit(messy, timeout_s=60)) == ["F401", "F821"]
    assert "B602" not in rules(Bandit().audit(messy, timeout_s=60))
    assert "B602" in rules(Bandit(isolated=True).audit(messy, timeout_s=60))
    assert Bandit().audit(messy, timeout_s=60)["extra"]["settings"] == ["pyproject.toml"]
    # Settings of the repository hold for a part of it.
    (messy / ".git").mkdir()
    assert "B602" not in rules(Bandit().audit(messy / "app", timeout_s=60))


def test_bandits_own_ini_holds_and_does_not_redirect_the_report(messy):
    (messy / ".bandit").write_text("[bandit]\nskips = B602\nexclude = sums\nformat = txt\noutput = report.txt\n")
    entry = Bandit().audit(messy, timeout_s=60)
    assert entry["status"] == "ok"
    assert rules(entry) == ["B404"]
    assert not (messy / "report.txt").exists()
    assert "B602" in rules(Bandit(isolated=True).audit(messy, timeout_s=60))


def test_an_audit_never_changes_its_target(messy):
    (messy / "ruff.toml").write_text('fix = true\nfix-only = true\nunsafe-fixes = true\n[lint]\nselect = ["F"]\n')
    before = {p: p.read_bytes() for p in messy.rglob("*") if p.is_file()}
    assert rules(Ruff().audit(messy, timeout_s=60)) == ["F401", "F821"]
    assert {p: p.read_bytes() for p in messy.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(("tool", "name"), [(Ruff, "ruff.toml"), (Bandit, "pyproject.toml")])
def test_broken_settings_are_an_error_with_the_tools_words_and_never_no_findings(tool, name, clean):
    (clean / name).write_text("[tool.bandit\n")
    entry = tool().audit(clean, timeout_s=60)
    assert entry["status"] == "error"
    assert entry["finding_count"] is None
    assert not entry["complete"]
    assert name in entry["error_message"]


def test_the_users_own_settings_do_not_leak_in(clean, tmp_path, monkeypatch):
    (tmp_path / "config" / "ruff").mkdir(parents=True)
    (tmp_path / "config" / "ruff" / "ruff.toml").write_text('[lint]\nselect = ["D100"]\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("RUFF_OUTPUT_FILE", str(tmp_path / "elsewhere.json"))
    assert Ruff().audit(clean, timeout_s=60)["finding_count"] == 0
    assert not (tmp_path / "elsewhere.json").exists()


def test_code_of_the_target_is_not_run_in_a_tools_place(clean, monkeypatch, tmp_path):
    (clean / "ruff.py").write_text("raise SystemExit('ran the target')\n")
    (clean / "json.py").write_text("raise SystemExit('ran the target')\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nothing"))  # so that python -m is used
    for tool in BOTH:
        entry = tool().audit(clean, timeout_s=60)
        assert entry["status"] == "ok", entry["error_message"]
    assert _run.locate("ruff")[1:] == ["-P", "-m", "ruff"]


@pytest.mark.parametrize("tool", BOTH)
def test_a_missing_tool_is_unavailable_and_says_how_to_get_it(tool, clean, only_fakes):
    entry = tool().audit(clean, timeout_s=5)
    assert entry["status"] == "unavailable"
    assert f"pip install {tool.name}" in entry["error_message"]
    assert entry["finding_count"] is None
    assert entry["exit_code"] is None


@pytest.mark.parametrize("tool", BOTH)
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('Traceback: the tool broke', file=sys.stderr); sys.exit(3)", "the tool broke"),
        ("print('this is no json')", "printed no findings"),
        ("pass", "printed no findings"),
        ("print('[{}]')", "printed no findings"),
        ("print('null')", "printed no findings"),
        ("import os; os.kill(os.getpid(), 11)", "killed by signal 11"),
        ("sys.exit(2)", "exit 2"),
        # It looks like a result without findings, but the tool says that it is none.
        ("print('[]'); sys.exit(2)", "exit 2"),
        (
            'print(\'{"results": [], "errors": [], "metrics": {"_totals": {"nosec": 0, "skipped_tests": 0}}}\'); sys.exit(2)',
            "exit 2",
        ),
    ],
)
def test_a_crashing_tool_is_an_error_with_its_words(tool, script, words, clean, only_fakes):
    only_fakes(tool.name, script)
    entry = tool().audit(clean, timeout_s=20)
    assert entry["status"] == "error"
    assert words in entry["error_message"]
    assert entry["finding_count"] is None
    assert entry["tool_version"] == f"{tool.name} 9.9"


@pytest.mark.parametrize("tool", BOTH)
def test_a_hanging_tool_and_its_children_are_stopped(tool, clean, only_fakes, tmp_path):
    only_fakes(
        tool.name,
        "import os, subprocess, time\n"
        f"child = subprocess.Popen(['sleep', '300'])\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(300)",
    )
    began = time.monotonic()
    entry = tool().audit(clean, timeout_s=1.0)
    assert time.monotonic() - began < 60
    assert entry["status"] == "timeout"
    assert entry["finding_count"] is None
    assert "--timeout" in entry["error_message"]
    assert gone(int((tmp_path / "pid").read_text()))


def gone(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if (
                Path(f"/proc/{pid}/stat").exists()
                and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
            ):
                return True
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_what_path_has_comes_after_the_environment_and_is_named(clean, only_fakes, monkeypatch):
    fake = only_fakes("ruff", "print('[]')")
    entry = Ruff().audit(clean, timeout_s=20)
    assert (entry["status"], entry["tool_version"], entry["extra"]["program"]) == ("ok", "ruff 9.9", str(fake))
    monkeypatch.setattr(sys, "prefix", os.path.dirname(os.path.dirname(sys.executable)))
    entry = Ruff().audit(clean, timeout_s=20)
    assert entry["tool_version"] != "ruff 9.9"
    assert "program" not in entry["extra"]


def test_much_output_does_not_block(clean, only_fakes):
    only_fakes("ruff", "sys.stderr.write('x' * 5_000_000); print('[]')")
    entry = Ruff().audit(clean, timeout_s=20)
    assert entry["status"] == "ok"
    assert entry["raw_stderr_bytes"] == 5_000_000


def test_a_tool_that_cannot_be_started_is_an_error(clean, only_fakes):
    only_fakes("ruff", "").write_bytes(b"\x7fELF garbage")
    entry = Ruff().audit(clean, timeout_s=5)
    assert entry["status"] == "error"
    assert "could not be started" in entry["error_message"]


def test_tools_run_side_by_side_and_an_interruption_stops_them(clean, only_fakes, tmp_path):
    for tool in ("ruff", "bandit"):
        only_fakes(
            tool,
            f"import os, time; open({str(tmp_path / tool)!r} + '.pid', 'w').write(str(os.getpid())); time.sleep(300)",
        )
    files = [tmp_path / "ruff.pid", tmp_path / "bandit.pid"]

    class Interrupting:
        name = "interrupting"

        def audit(self, path, *, timeout_s):
            raise KeyboardInterrupt

    started = threading.Event()

    class Late(Interrupting):
        def audit(self, path, *, timeout_s):
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and not any(f.exists() for f in files):
                time.sleep(0.02)
            started.set()
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        examine_with({"late": Late(), "ruff": Ruff(), "bandit": Bandit()}, Target.at(clean), 200.0)
    assert time.monotonic() - began < 30
    assert started.is_set()
    assert all(gone(int(f.read_text() or 0)) for f in files if f.exists() and f.read_text())


INTERRUPTED = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would inherit that it is ignored
from ophamin.auditing.audit import audit
from ophamin.auditing.tools import _run
from ophamin.protocols import Settings
sys.prefix = "/nowhere"
_run.find_spec = lambda name: None
audit(sys.argv[1], Settings(project=sys.argv[2], store=sys.argv[3]), tools=["ruff"], gates=["high == 0"])
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_stops_the_tools_and_closes_the_registration(clean, settings, only_fakes, tmp_path):
    only_fakes(
        "ruff", f"import os, time; open({str(tmp_path / 'pid')!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(300)"
    )
    words = [sys.executable, "-c", INTERRUPTED, str(clean), settings.project, settings.store]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    assert all(gone(int(pid)) for pid in (tmp_path / "pid").read_text().split())
    entries = [e.value for e in Ledger(Project(Path(settings.project)).ledger_dir, create=False).entries()]
    assert [e.get("outcome") for e in entries] == [None, "ABORTED"]


def test_a_foreign_auditor_that_raises_is_one_tools_error(clean):
    class Broken:
        name = "broken"

        def audit(self, path, *, timeout_s):
            raise RuntimeError("no licence")

    ((broken, ruff),) = examine_with({"broken": Broken(), "ruff": Ruff()}, Target.at(clean), 60.0)
    assert broken["status"] == "error"
    assert "no licence" in broken["error_message"]
    assert ruff["status"] == "ok"


def test_fingerprints_survive_moved_lines_and_tell_twins_apart(tree):
    line = "eval(input())\n"
    root = tree({"a.py": f"def f():\n    {line}\n\ndef g():\n    {line}"})

    def prints():
        ((entry,),) = examine_with({"bandit": Bandit()}, Target.at(root), 60.0)
        return [f["fingerprint"] for f in entry["findings"] if f["rule_id"] == "B307"]

    before = prints()
    assert len(set(before)) == 2
    (root / "a.py").write_text(f"# a line above\n\n\ndef f():\n      {line}\n\n\ndef g():\n    {line}")
    assert prints() == before
    (root / "b.py").write_text((root / "a.py").read_text())
    assert len(set(prints())) == 4


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("E999", "high"), ("invalid-syntax", "high"), ("F821", "high"), ("F811", "medium"), ("S602", "high"), ("S101", "low"),
     ("S608", "medium"), ("D103", "info"), ("DTZ005", "medium"), ("RUF100", "low"), ("PLE0101", "high"), ("", "low")],
)  # fmt: skip
def test_severity_of_ruff_rules(rule, expected):
    assert severity(rule) == expected


def test_ruff_reads_what_is_installed_in_a_virtual_environment(tree):
    # As uv makes them: the folder's own .gitignore hides everything, and ruff leaves out both names by itself.
    root = tree({".venv/.gitignore": "*\n", ".venv/lib/site-packages/thing/a.py": "import os\n"})
    entry = Ruff().audit(root / ".venv/lib/site-packages/thing", timeout_s=60)
    assert rules(entry) == ["F401"]
    assert entry["complete"]


def test_settings_that_leave_everything_out_are_no_clean_tree(tree):
    root = tree({".git/HEAD": "", "app/.gitignore": "*\n", "app/a.py": "import os\n"})
    entry = Ruff().audit(root / "app", timeout_s=60)
    assert rules(entry) == []
    assert not entry["complete"]
