"""mypy, vulture, radon and interrogate on real trees."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ophamin.auditing.audit import audit
from ophamin.auditing.tools.bandit import Bandit
from ophamin.auditing.tools.interrogate import Interrogate
from ophamin.auditing.tools.mypy import Mypy
from ophamin.auditing.tools.radon import Radon
from ophamin.auditing.tools.ruff import Ruff
from ophamin.auditing.tools.vulture import Vulture
from ophamin.protocols import Auditor

NEW = (Mypy, Vulture, Radon, Interrogate)
EVERY = (Ruff, Bandit, *NEW)
BRANCHES = (
    "def choose(x):\n" + "".join(f"    if x == {i}:\n        return {i}\n" for i in range(45)) + "    return None\n"
)


def places(entry):
    return {(f["rule_id"], f["path"], f["line"], f["severity"]) for f in entry["findings"]}


@pytest.mark.parametrize("tool", NEW)
def test_each_is_an_auditor_that_takes_no_arguments(tool):
    assert isinstance(tool(), Auditor)


def test_mypy_finds_wrong_types_with_places(tree):
    root = tree(
        {
            "a.py": "def f(x: int) -> int:\n    return x\n\n\nf('abc'), undefined\n\n\ndef g(x) -> list:\n    return [x]\n"
        }
    )
    entry = Mypy().audit(root, timeout_s=120)
    assert entry["status"] == "ok", entry["error_message"]
    assert entry["exit_code"] == 1  # findings are not a failure
    assert places(entry) == {("arg-type", "a.py", 5, "medium"), ("name-defined", "a.py", 5, "high")}
    argument = next(f for f in entry["findings"] if f["rule_id"] == "arg-type")
    # Before mypy 2 there are no ends.
    assert (argument["column"], argument["end_line"], argument["end_column"]) in ((3, 5, 8), (3, None, None))
    assert entry["rules"]["arg-type"]["url"].startswith("https://mypy.")


def test_vulture_finds_dead_code_with_its_whole_region(tree):
    root = tree({"a.py": "from os import (\n    path,\n)\n\n\ndef f():\n    return 1\n    print(2)\n"})
    entry = Vulture().audit(root, timeout_s=60)
    assert entry["status"] == "ok", entry["error_message"]
    assert entry["exit_code"] == 3  # findings are not a failure
    assert places(entry) == {("unused-import", "a.py", 1, "low"), ("unreachable-code", "a.py", 8, "medium")}
    assert next(f["end_line"] for f in entry["findings"] if f["rule_id"] == "unused-import") == 3


def test_radon_finds_complexity_and_measures_the_whole(tree):
    entry = Radon().audit(tree({"a.py": BRANCHES + "\n\ndef simple():\n    return 1\n"}), timeout_s=60)
    assert places(entry) == {("CC-F", "a.py", 1, "medium")}
    assert entry["findings"][0]["extra"] == {"complexity": 46, "rank": "F"}
    assert entry["findings"][0]["end_line"] == 92
    assert entry["extra"]["metrics"] == {"blocks": 2, "mean_complexity": 23.5, "ranks": {"A": 1, "F": 1}}


def test_interrogate_finds_what_has_no_docstring_and_measures_the_share(tree):
    code = '"""Documented."""\n\n\nclass C:\n    def __init__(self):\n        pass\n\n    def m(self):\n        """Documented."""\n'
    entry = Interrogate().audit(tree({"a.py": code, "b.py": "def f():\n    pass\n"}), timeout_s=60)
    assert places(entry) == {
        ("missing-class-docstring", "a.py", 4, "info"),
        ("missing-module-docstring", "b.py", 1, "info"),
        ("missing-function-docstring", "b.py", 1, "info"),
    }
    assert entry["extra"]["metrics"] == {
        "total": 5, "missing": 3, "documented_percent": 40.0, "fail_under": 80.0,
    }  # fmt: skip


@pytest.mark.parametrize("tool", NEW)
def test_a_clean_tree_a_single_file_and_an_empty_tree(tool, tree):
    root = tree(
        {"app/__init__.py": "", "app/sums.py": '"""S."""\n\n\ndef add(a, b):\n    """Add."""\n    return a + b\n'}
    )
    (root / "app" / "__init__.py").write_text('"""P."""\n')
    for path in (root, root / "app" / "sums.py", tree({}, "empty")):
        entry = tool().audit(path, timeout_s=60)
        assert (entry["status"], entry["finding_count"], entry["findings"]) == ("ok", 0, []), entry["error_message"]


@pytest.mark.parametrize("tool", [Vulture, Radon, Interrogate])
def test_unparsable_and_undecodable_files_are_said_and_leave_it_incomplete(tool, tree):
    files = {
        "bad.py": "def f(:\n",
        "latin.py": b"x = '\xff\xfe'\n",
        "new\nline.py": "import os\n",
        "deep.py": "(" * 400,
        "nul.py": "x = 1\0\n",
    }
    entry = tool().audit(tree(files), timeout_s=60)
    assert entry["status"] == "ok", entry["error_message"]
    assert not entry["complete"]
    assert {u["path"] for u in entry["extra"]["unread"]} == {"bad.py", "latin.py", "deep.py", "nul.py"}
    if tool is Vulture:
        assert places(entry) == {("unused-import", "new\nline.py", 1, "low")}


def test_mypy_goes_on_without_a_file_it_stops_at_and_says_so(tree):
    files = {"bad.py": "def f(:\n", "latin.py": b"x = '\xff\xfe'\n", "ok.py": "x: int = ''\n"}
    entry = Mypy().audit(tree(files, "it's [1]"), timeout_s=60)
    assert entry["status"] == "ok", entry["error_message"]
    assert not entry["complete"]
    unread = {u["path"] for u in entry["extra"]["unread"]}
    assert unread == {"bad.py", "latin.py"}
    assert {f["path"] for f in entry["findings"]} == {"ok.py"}
    assert any("bad.py was not examined: " in w for w in entry["warnings"])


def test_mypy_examines_files_of_one_name_in_runs_of_their_own(tree):
    twice = "from shared import half\nhalf('')\n"
    files = {f"{folder}/{name}.py": twice for folder in ("a", "b", "c d") for name in ("conftest", "helper")}
    files |= {"shared.py": "def half(x: int) -> float:\n    y: str = x\n    return x / 2\n"}
    entry = Mypy().audit(tree({**files, "mypy.ini": "[mypy]\nfollow_imports = normal\n"}), timeout_s=120)
    assert (entry["status"], entry["complete"]) == ("ok", True), entry["error_message"] or entry["warnings"]
    # Also what all of them import is found once.
    assert [(f["path"], f["line"]) for f in entry["findings"]] == sorted((p, 2) for p in files)
    assert set(entry["rules"]) == {"arg-type", "assignment"}


def test_a_file_of_one_name_that_cannot_be_examined_alone_either_is_said(tree):
    files = {"a/conftest.py": "x: int = ''\n", "b/conftest.py": "x: int = ''\n", "c/conftest.py": "def f(:\n"}
    entry = Mypy().audit(tree(files), timeout_s=120)
    assert entry["status"] == "ok", entry["error_message"]
    assert {u["path"] for u in entry["extra"]["unread"]} == {"c/conftest.py"}
    assert {f["path"] for f in entry["findings"]} == {"a/conftest.py", "b/conftest.py"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of any bytes are a matter of the platform")
def test_mypy_goes_on_without_a_file_whose_name_is_no_utf8_and_says_so(tree):
    root = tree({"ok.py": "x: int = ''\n"})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.py")).write_text("x: int = ''\n")
    entry = Mypy().audit(root, timeout_s=60)
    assert (entry["status"], entry["complete"]) == ("ok", False), entry["error_message"]
    assert [f["path"] for f in entry["findings"]] == ["ok.py"]
    assert entry["warnings"] == ["\\udcff.py was not examined: mypy reads names in UTF-8 only"]


def test_mypy_cannot_go_on_without_what_others_import_and_that_is_an_error(tree):
    for target in (root := tree({"bad.py": "def f(:\n", "ok.py": "import bad\n"}), root / "bad.py"):
        entry = Mypy().audit(target, timeout_s=60)
        assert entry["status"] == "error"
        assert entry["finding_count"] is None
        assert "bad.py" in entry["error_message"]


def test_the_projects_own_exclusions_hold_beside_ours(tree):
    files = {"bad.py": "def f(:\n", "tests/x.py": "x: int = ''\n", "mypy.ini": "[mypy]\nexclude = tests/\n"}
    entry = Mypy().audit(tree(files), timeout_s=60)
    assert (entry["status"], entry["finding_count"]) == ("ok", 0), entry["error_message"]


CODE = "import os\n\n\ndef f(x: int) -> str:\n    return x\n" + BRANCHES
SCRIPT = "#!/usr/bin/env python3\n" + CODE


@pytest.mark.parametrize("tool", [Bandit, *NEW])
def test_a_tool_that_reads_no_file_of_this_kind_is_not_complete(tool, tree):
    root = tree({"w.pyw": CODE, "notebook.ipynb": "{}"})
    entry = tool().audit(root, timeout_s=60)
    assert (entry["status"], entry["complete"], entry["finding_count"]) == ("ok", False, 0), entry["error_message"]
    assert f". was not examined: {tool.name} reads no file of this kind" in entry["warnings"]
    named = tool().audit(root / "w.pyw", timeout_s=60)
    assert named["complete"] is (tool not in (Radon, Interrogate))
    assert named["complete"] is bool(named["finding_count"]) or tool is Bandit


def test_radon_reads_scripts_of_any_name_and_so_they_are_inputs(tree, settings):
    root = tree({"tool": SCRIPT, "a.py": "x = 1\n"})
    entry = Radon().audit(root / "tool", timeout_s=60)
    assert (entry["complete"], places(entry)) == (True, {("CC-F", "tool", 7, "medium")})
    assert audit(root, settings, tools=["radon"]).record["summary"]["total_findings"] == 1
    (root / "tool").write_text(SCRIPT.replace("== 7", "==  7") + BRANCHES.replace("choose", "again"))
    assert audit(root, settings, tools=["radon"]).record["summary"]["total_findings"] == 2


NASTY = ["a b.py", "quo'te\".py", "new\nline.py", "-dash.py", "per%cent.py", "#hash?.py", "日本.py", "comma,.py"]


@pytest.mark.parametrize("tool", NEW)
def test_names_that_need_care_stay_themselves(tool, tree):
    names = [n for n in NASTY if tool is not Mypy or n in ("a b.py", "-dash.py", "日本.py")]
    root = tree(dict.fromkeys(names, CODE), "sp ace, [x]")
    entry = tool().audit(root, timeout_s=60)
    assert entry["status"] == "ok", entry["error_message"]
    assert {f["path"] for f in entry["findings"]} == set(names)
    one = tool().audit(root / "-dash.py", timeout_s=60)
    assert {f["path"] for f in one["findings"]} == {"-dash.py"}


@pytest.mark.parametrize("tool", NEW)
def test_folders_that_are_not_the_projects_are_left_out_unless_they_are_the_target(tool, tree):
    root = tree({".venv/lib/x.py": CODE, "node_modules/y.py": CODE, "own.py": CODE}, "it's [1], 2")
    found = {f["path"] for f in tool().audit(root, timeout_s=60)["findings"]}
    assert "own.py" in found
    assert ".venv/lib/x.py" not in found
    assert found == {"own.py"} or tool is Mypy
    assert tool().audit(root / ".venv", timeout_s=60)["finding_count"]


SETTINGS = {
    "pyproject.toml": '[tool.ruff]\nextend-exclude = ["own"]\n[tool.mypy]\nexclude = ["^own/"]\n'
    '[tool.vulture]\nexclude = ["*/own/*"]\n[tool.bandit]\nexclude_dirs = ["own"]\n'
    '[tool.radon]\nexclude = "*/own/*"\n[tool.interrogate]\nexclude = ["own"]\n',
    "radon.cfg": "[radon]\nexclude = */own/*\n",
}


@pytest.mark.parametrize("settings", [{}, {"pyproject.toml": SETTINGS["pyproject.toml"]}, SETTINGS])
@pytest.mark.parametrize("tool", EVERY)
def test_no_tool_looks_into_a_virtual_environment_whatever_it_is_called(tool, settings, tree):
    code = "import os, subprocess\nsubprocess.call('x', shell=True)\nundefined\n" + CODE
    theirs = {"pyvenv.cfg": "home = /usr/bin\n", "lib/x.py": code, "bin/activate_this.py": code}
    files = {f"{folder}/{name}": c for folder in ("env", "a/it's, [2] {3}") for name, c in theirs.items()}
    root = tree({**files, **settings, "a/kept.py": code, "own/b.py": code}, "it's [1], 2")
    entry = tool().audit(root, timeout_s=60)
    assert entry["status"] == "ok", entry["error_message"]
    own = set() if settings else {"own/b.py"}
    assert {f["path"] for f in entry["findings"]} == {"a/kept.py"} | own
    inside = tool().audit(root / "env", timeout_s=60)
    assert "lib/x.py" in {f["path"] for f in inside["findings"]}


@pytest.mark.parametrize("tool", NEW)
def test_loops_of_links_end_and_links_to_nowhere_are_passed_over(tool, tree):
    root = tree({"app/a.py": CODE, "app/it's [1]/b.py": CODE})
    (root / "loop").symlink_to(root)
    (root / "app" / "it's [1]" / "up").symlink_to("..")
    (root / "nowhere.py").symlink_to("absent.py")
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "pipe.py")
    (root / "app" / "itself.py").symlink_to("itself.py")
    entry = tool().audit(root, timeout_s=60)
    assert (entry["status"], entry["complete"]) == ("ok", True), (entry["error_message"], entry["warnings"])
    assert {f["path"] for f in entry["findings"]} == {"app/a.py", "app/it's [1]/b.py"}


@pytest.mark.parametrize(
    ("tool", "name", "content"),
    [
        (Mypy, "mypy.ini", "[mypy]\ndisable_error_code = return-value\n"),
        (Mypy, "pyproject.toml", '[tool.mypy]\ndisable_error_code = ["return-value"]\n'),
        (Mypy, "setup.cfg", "[mypy]\ndisable_error_code = return-value\n"),
        (Vulture, "pyproject.toml", '[tool.vulture]\nignore_names = ["os"]\nmin_confidence = 80\n'),
        (Radon, "radon.cfg", "[radon]\nexclude = *.py\n"),
        (Radon, "setup.cfg", "[radon]\nexclude = *.py\n"),
        (Interrogate, "pyproject.toml", '[tool.interrogate]\nignore-module = true\nignore-regex = "^[fc].*"\n'),
        (Interrogate, "pyproject.toml", '[tool.interrogate]\nexclude = ["app"]\n'),
        (Interrogate, "pyproject.toml", '[tool.interrogate]\nwhitelist-regex = ["^nothing"]\n'),
        (Interrogate, "setup.cfg", "[tool:interrogate]\nexclude = app\n"),
        (Interrogate, "setup.cfg", '[tool:interrogate]\nignore-module = true\nignore-regex = ["^[fc].*"]\n'),
    ],
)
def test_the_projects_settings_hold_also_for_a_part_and_isolated_ignores_them(tool, name, content, tree):
    root = tree({"app/a.py": CODE, ".git/HEAD": "", name: content})
    for path in (root, root / "app"):
        entry = tool().audit(path, timeout_s=60)
        assert (entry["status"], entry["finding_count"]) == ("ok", 0), (entry["error_message"], entry["findings"])
        assert entry["extra"]["settings"] == [name]
    assert tool(isolated=True).audit(root, timeout_s=60)["finding_count"]


def test_isolated_runs_nothing_of_the_tree(tree, tmp_path, monkeypatch):
    started = tmp_path / "started"
    plugin = f"open({str(started)!r}, 'w')\ndef plugin(version):\n    raise SystemExit\n"
    root = tree({"a.py": CODE, "evil.py": plugin, "mypy.ini": "[mypy]\nplugins = evil.py\n", "setup.py": plugin})
    monkeypatch.chdir(root)  # where an audit is mostly started
    for tool in EVERY:
        assert tool(isolated=True).audit(root, timeout_s=60)["status"] == "ok"
    assert not started.exists()
    Mypy().audit(root, timeout_s=60)
    assert started.exists()  # its settings name a program, and hold


@pytest.mark.parametrize(
    ("tool", "name", "content"),
    [
        (Mypy, "pyproject.toml", "[tool.mypy\n"),
        (Vulture, "pyproject.toml", "[tool.vulture]\nnonsense = 1\n"),
        (Radon, "radon.cfg", "no section\n"),
        (Interrogate, "pyproject.toml", '[tool.interrogate]\nignore-regex = ["("]\n'),
    ],
)
def test_broken_settings_are_an_error_and_never_no_findings(tool, name, content, tree):
    entry = tool().audit(tree({"a.py": CODE, name: content}), timeout_s=60)
    assert entry["status"] == "error", entry
    assert entry["finding_count"] is None
    assert entry["error_message"]


def test_the_users_own_settings_do_not_leak_in(tree, tmp_path, monkeypatch):
    home = tmp_path / "user"
    (home / ".config" / "mypy").mkdir(parents=True)
    (home / ".config" / "mypy" / "config").write_text("[mypy]\ndisable_error_code = return-value\n")
    (home / ".mypy.ini").write_text("[mypy]\ndisable_error_code = return-value\n")
    (home / ".radon.cfg").write_text("[radon]\nexclude = *.py\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("RADONCFG", str(home / ".radon.cfg"))
    monkeypatch.setenv("MYPYPATH", str(home))
    (home / "helper.py").write_text("")
    root = tree({"a.py": CODE, "b.py": "import helper\n\nhelper.absent()\n"})
    assert Mypy().audit(root, timeout_s=60)["finding_count"] == 1
    assert Radon().audit(root, timeout_s=60)["finding_count"] == 1


@pytest.mark.parametrize("tool", EVERY)
def test_nothing_is_written_into_the_target(tool, tree, monkeypatch):
    root = tree({"app/__init__.py": "", "app/a.py": CODE, "mypy.ini": "[mypy]\ncache_dir = .mypy_cache\n"})
    monkeypatch.chdir(root)
    before = sorted(root.rglob("*"))
    assert tool().audit(root, timeout_s=60)["status"] == "ok"
    assert sorted(root.rglob("*")) == before


def test_an_installed_package_is_audited_by_its_name_and_without_the_repositorys_settings():
    spec = find_spec("click")
    root = Path(spec.submodule_search_locations[0])
    entry = Mypy().audit(root, timeout_s=120)
    assert entry["status"] == "ok", entry["error_message"]
    assert entry["extra"]["settings"] == []
    assert Vulture().audit(root, timeout_s=60)["status"] == "ok"


@pytest.mark.parametrize("tool", [Mypy, Vulture, Radon])
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('Traceback: the tool broke', file=sys.stderr); sys.exit(70)", "the tool broke"),
        ("print('this is no finding'); sys.exit(0)", "printed"),
        ("print('{}') if 'cc' in sys.argv else None; sys.exit(70)", "exit 70"),
        ("import os; os.kill(os.getpid(), 11)", "killed by signal 11"),
    ],
)
def test_a_crashing_tool_is_an_error_with_its_words(tool, script, words, clean, only_fakes):
    only_fakes(tool.name, script)
    entry = tool().audit(clean, timeout_s=20)
    assert entry["status"] == "error"
    assert words in entry["error_message"]
    assert entry["finding_count"] is None


@pytest.mark.parametrize("tool", NEW)
def test_a_missing_tool_is_unavailable_and_says_how_to_get_it(tool, clean, only_fakes):
    entry = tool().audit(clean, timeout_s=5)
    assert entry["status"] == "unavailable"
    wanted = "pip install radon" if tool is Radon else "pip install 'ophamin-auditing[extra]'"
    assert wanted in entry["error_message"]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_tool_that_floods_is_stopped_and_its_output_not_kept(stream, clean, only_fakes, monkeypatch):
    from ophamin.auditing.tools import _run

    monkeypatch.setattr(_run.run, "__kwdefaults__", {**_run.run.__kwdefaults__, "most": 1 << 20})
    only_fakes("ruff", f"while True:\n    sys.{stream}.write('x' * 65536)")
    entry = Ruff().audit(clean, timeout_s=60)
    assert entry["status"] == "error"
    assert "was stopped; audit a smaller path" in entry["error_message"]
    assert entry["wall_time_s"] < 30
    assert len(entry["error_message"]) < 10_000


def test_a_flood_that_ends_by_itself_is_no_result_either(clean, tmp_path):
    from ophamin.auditing.tools._run import run

    done = run([sys.executable, "-c", "print('x' * 3_000_000)"], cwd=tmp_path, timeout_s=20, most=1 << 20)
    assert (done.stopped, done.stdout) == ("flood", b"")
    assert done.written == (3_000_001, 0)


def test_of_a_long_complaint_both_ends_are_kept(tmp_path):
    from ophamin.auditing.tools import _run

    script = "import sys; sys.stderr.write('begin' + 'x' * 5_000_000 + 'end')"
    done = _run.run([sys.executable, "-c", script], cwd=tmp_path, timeout_s=20)
    assert done.stderr.startswith(b"begin")
    assert done.stderr.endswith(b"end")
    assert len(done.stderr) < 2.1 * _run.STDERR_KEPT
    assert done.written[1] == 5_000_008


@pytest.mark.slow
@pytest.mark.parametrize("tool", EVERY)
def test_a_generated_file_of_50_mb_ends_within_the_time_given(tool, tree):
    root = tree(
        {"small.py": "import os\n", "blob.py": "DATA = '''" + ("0123456789abcdef" * 4 + "\n") * 770_000 + "'''\n"}
    )
    assert os.path.getsize(root / "blob.py") > 50e6
    entry = tool().audit(root, timeout_s=20)
    assert entry["status"] in ("ok", "timeout", "error")
    assert entry["wall_time_s"] < 25
