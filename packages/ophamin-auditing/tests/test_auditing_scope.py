"""Duplicates, baselines and changed files."""

from __future__ import annotations

import copy
import json
import os
import subprocess

import pytest

from ophamin.auditing import duplicates
from ophamin.auditing.audit import audit
from ophamin.auditing.record import AUDIT
from ophamin.proof.errors import ConsistencyError, UnknownRecord, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.reading import write_object
from ophamin.proof.signed import read, verify

SHELL = 'import os\nimport subprocess\n\n\ndef run(name):\n    return subprocess.call("echo " + name, shell=True)\n'


def finding(tool, rule, line=1, severity="low", message="", path="a.py", **more):
    text = f"{tool}{rule}{line}{message}{path}"
    return {"pillar_name": tool, "rule_id": rule, "severity": severity, "message": message, "path": path, "line": line,
            "column": 1, "extra": {}, "fingerprint": text.encode().hex().ljust(64, "0")[:64], **more}  # fmt: skip


def marked(*findings):
    tools = list(dict.fromkeys(f["pillar_name"] for f in findings))
    pillars = [{"pillar_name": t, "findings": [f for f in findings if f["pillar_name"] == t]} for t in tools]
    duplicates.mark(pillars)
    return [(f["pillar_name"], f["rule_id"], f["line"]) for p in pillars for f in p["findings"] if "duplicate_of" in f]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (("ruff", "F401", 2, "low", "`a.b` imported but unused"), ("vulture", "unused-import", 1, "low", "unused import 'b'"), True),
        (("ruff", "F401", 1, "low", "`sys` imported but unused"), ("vulture", "unused-import", 1, "low", "unused import 'os'"), False),
        (("ruff", "F401", 9, "low", "`b` imported but unused"), ("vulture", "unused-import", 1, "low", "unused import 'b'"), False),
        (("ruff", "S602", 1, "high", "`subprocess` call"), ("bandit", "B602", 1, "high", "subprocess call"), True),
        (("ruff", "S602", 1, "high", "`subprocess` call"), ("bandit", "B603", 1, "high", "subprocess call"), False),
        (("ruff", "S602", 1, "high", ""), ("bandit", "B602", 2, "high", ""), False),
        (("ruff", "F821", 3, "high", "Undefined name `c`"), ("mypy", "name-defined", 3, "high", 'Name "c" is not defined'), True),
        (("ruff", "C901", 3, "low", "`f` is too complex (11 > 10)"), ("radon", "CC-C", 3, "info", "function f has …"), True),
        (("ruff", "D100", 1, "info", ""), ("interrogate", "missing-module-docstring", 1, "info", ""), True),
        (("ruff", "E711", 1, "low", ""), ("mypy", "arg-type", 1, "low", ""), False),
    ],
)  # fmt: skip
def test_the_table_the_place_and_the_name_decide(first, second, same):
    end = {"end_line": 3} if second[0] == "vulture" else {}
    assert bool(marked(finding(*first), finding(*second, **end))) is same


def test_the_worse_severity_stands_and_each_joins_one_of_another_tool():
    low, high = finding("ruff", "S602", severity="low"), finding("bandit", "B602", severity="high")
    assert marked(low, high) == [("ruff", "S602", 1)]
    assert high["also_found_by"] == [{"pillar_name": "ruff", "rule_id": "S602", "fingerprint": low["fingerprint"]}]
    twice = [finding("ruff", "S602", message=str(i)) for i in range(2)]
    assert len(marked(*twice, finding("bandit", "B602"))) == 1
    assert marked(*twice) == []


def test_what_two_tools_found_counts_once_but_for_each_tool(tree, settings):
    root = tree({"a.py": SHELL, "ruff.toml": '[lint]\nselect = ["S"]\n'})
    done = audit(
        root, settings, tools=["ruff", "bandit"], gates=["high == 1", "ruff == 1", "bandit == 2", "total == 2"]
    )
    summary = done.record["summary"]
    assert done.outcome == "VALIDATED", done.record["verdict"]["reasoning"]
    assert summary["findings_per_pillar"] == {"ruff": 1, "bandit": 2}
    assert (summary["total_findings"], summary["duplicates"]) == (2, 1)
    assert sum(summary["severity_histogram"].values()) == 2
    assert verify(read(done.path, [AUDIT]), Keyring()).ok


def test_marks_that_do_not_fit_each_other_are_a_contradiction(tree, settings):
    root = tree({"a.py": SHELL, "ruff.toml": '[lint]\nselect = ["S"]\n'})
    record = audit(root, settings, tools=["ruff", "bandit"]).record
    assert AUDIT.check(record) == []
    for break_it in (
        lambda fs: next(f for f in fs if "duplicate_of" in f).pop("duplicate_of"),
        lambda fs: next(f for f in fs if "also_found_by" in f).pop("also_found_by"),
        lambda fs: next(f for f in fs if "also_found_by" in f)["also_found_by"][0].update(rule_id="X"),
        lambda fs: next(f for f in fs if "duplicate_of" in f).update(duplicate_of="0" * 64),
    ):
        broken = copy.deepcopy(dict(record))
        break_it([f for p in broken["pillars"] for f in p["findings"]])
        assert AUDIT.check(broken)


def test_only_what_is_new_since_a_baseline_is_new(tree, settings):
    root = tree({"a.py": "import os\n"})
    old = audit(root, settings, tools=["ruff", "vulture"])
    (root / "a.py").write_text("# moved\n\nimport os\n\nprint(undefined)\n")
    gates = ["new == 1", "new.high == 1", "new.low == 0", "total == 2"]
    done = audit(root, settings, tools=["ruff", "vulture"], baseline=str(old.path), gates=gates)
    assert done.outcome == "VALIDATED", done.record["verdict"]["reasoning"]
    new = {f["rule_id"]: f["new"] for p in done.record["pillars"] for f in p["findings"]}
    assert new == {"F401": False, "F821": True, "unused-import": False}
    baseline = done.record["baseline"]
    assert (baseline["audit_id"], baseline["n_new"], baseline["n_gone"]) == (old.record["audit_id"], 1, 0)
    assert verify(read(done.path, [AUDIT]), Keyring()).ok
    assert (
        audit(root, settings, tools=["ruff"], baseline=old.record["audit_id"], gates=["new == 0"]).outcome == "REFUTED"
    )


def test_of_a_tool_the_baseline_lacks_it_is_not_known_what_is_new(tree, settings):
    root = tree({"a.py": "import os\n\n\ndef f():\n    return 1\n    f()\n"})
    old = audit(root, settings, tools=["ruff"])
    done = audit(root, settings, tools=["ruff", "vulture"], baseline=str(old.path), gates=["new == 0"])
    assert done.outcome == "INCONCLUSIVE"
    assert "the baseline does not have all of these tools" in done.record["verdict"]["reasoning"]
    vulture = {f["rule_id"]: f.get("new") for f in done.record["pillars"][1]["findings"]}
    assert vulture == {"unused-import": None, "unreachable-code": None}


def test_a_baseline_that_is_none_is_told_before_any_tool_runs(tree, settings, tmp_path):
    root = tree({"a.py": "import os\n"})
    old = audit(root, settings, tools=["ruff"])
    for gate in (["new == 0"], ["new.F401 == 0"]):
        with pytest.raises(UsageError, match="new"):
            audit(root, settings, tools=["ruff"], gates=gate)
    with pytest.raises(UnknownRecord):
        audit(root, settings, tools=["ruff"], baseline="absent.json")
    tampered = json.loads(old.path.read_text("utf-8"))
    tampered["pillars"][0]["findings"][0]["fingerprint"] = "0" * 64
    write_object(tmp_path / "record.json", tampered)
    with pytest.raises(ConsistencyError, match="tampered"):
        audit(root, settings, tools=["ruff"], baseline=str(tmp_path / "record.json"))


@pytest.fixture
def repository(tree, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = tree(dict.fromkeys(("same.py", "changed.py", "renamed.py", "gone.py", "sub/deep.py"), "import os\n"))

    def git(*words):
        named = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", "-C", root, *named, *words], check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "x")
    return root, git


def test_only_changed_renamed_and_untracked_files_count(repository, settings):
    root, git = repository
    head = git("rev-parse", "HEAD").strip()
    (root / "changed.py").write_text("import os\nimport sys\n")
    git("mv", "renamed.py", "new name\nré.py")
    (root / "gone.py").unlink()
    (root / "untracked.py").write_text("import os\n")
    (root / "bad.py").write_text("def f(:\n")
    (root / ".gitignore").write_text("ignored.py\n")
    (root / "ignored.py").write_text("import os\n")
    done = audit(root, settings, tools=["ruff"], changed="HEAD", gates=["ruff.F401 == 4"])
    changed = done.record["target"]["changed"]
    assert changed["files"] == ["bad.py", "changed.py", "new name\nré.py", "untracked.py"]
    assert (changed["asked"], changed["revision"]) == ("HEAD", head)
    assert {f["path"] for f in done.record["pillars"][0]["findings"]} == set(changed["files"])
    assert not done.record["summary"]["complete"]
    git("add", ".")
    git("commit", "-qm", "y")
    (root / "sub" / "deep.py").write_text("import os, sys\n")
    later = audit(root, settings, tools=["ruff"], changed="HEAD", gates=["total == 2"])
    # What cannot be read elsewhere does not matter here.
    assert later.outcome == "VALIDATED", later.record["verdict"]["reasoning"]
    assert later.record["pillars"][0]["complete"]
    part = audit(root / "sub", settings, tools=["ruff"], changed=head)
    assert part.record["target"]["changed"]["files"] == ["sub/deep.py"]
    assert verify(read(later.path, [AUDIT]), Keyring()).ok


def test_what_is_no_source_stays_unread_also_when_only_changed_files_count(repository, settings, tmp_path, monkeypatch):
    root, _ = repository
    advisory = {
        "id": "X-1",
        "modified": "2026-01-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "a"}}],
    }
    (tmp_path / "osv").mkdir()
    (tmp_path / "osv" / "x.json").write_text(json.dumps(advisory))
    monkeypatch.setenv("OPHAMIN_OSV", str(tmp_path / "osv"))
    (root / "requirements.txt").write_text("a==1\nloose\n")
    done = audit(root, settings, tools=["pip-audit"], changed="HEAD", gates=["high == 0"])
    (pillar,) = done.record["pillars"]
    assert (pillar["status"], pillar["complete"]) == ("ok", False), pillar["error_message"]
    assert [w for w in pillar["warnings"] if w.startswith("requirements.txt was not examined: ")]
    assert done.outcome == "INCONCLUSIVE"


@pytest.mark.parametrize("revision", ["absent", "--output=x", "HEAD^{tree}", ""])
def test_what_is_no_revision_is_a_usage_error(revision, repository, settings, tree):
    root, _ = repository
    if revision:
        with pytest.raises(UsageError, match="no git revision"):
            audit(root, settings, tools=["ruff"], changed=revision)
        assert not (root / "x").exists()
    with pytest.raises(UsageError, match="no git revision"):
        audit(tree({"a.py": ""}, "elsewhere"), settings, tools=["ruff"], changed="HEAD")
