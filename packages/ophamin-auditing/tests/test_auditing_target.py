from __future__ import annotations

import hashlib
import os
import subprocess

import pytest

from ophamin.auditing.scope import changed_since
from ophamin.auditing.target import Target
from ophamin.proof.errors import UsageError


def sha(content):
    return hashlib.sha256(content).hexdigest()


def test_the_hash_of_a_folder_is_the_documented_text(tree):
    root = tree({"b.py": "2", "a/c.py": "3", ".venv/x.py": "no", "a/__pycache__/y.py": "no", "notes.txt": "no"})
    entries = f"[('a/c.py', '{sha(b'3')}'), ('b.py', '{sha(b'2')}')]"
    assert Target.at(root).content_hash() == sha(entries.encode())


def test_the_hash_of_a_file_is_that_of_its_bytes_and_of_nothing_that_of_no_files(tree):
    root = tree({"a.py": "x = 1\n"})
    assert Target.at(root / "a.py").content_hash() == sha(b"x = 1\n")
    assert Target.at(tree({}, "empty")).content_hash() == sha(b"[]")


def test_the_inputs_cover_settings_too_also_those_above(tree):
    root = tree({"src/a.py": "x = 1\n", ".git/HEAD": ""})
    target = Target.at(root / "src")
    before = target.inputs_hash()
    (root / "src" / "README").write_text("not an input")
    assert target.inputs_hash() == before
    seen = {before}
    for name in ("pyproject.toml", "src/.bandit", "src/b.pyi"):
        (root / name).write_text("")
        seen.add(target.inputs_hash())
    (root / "src" / "a.py").rename(root / "src" / "c.py")
    seen.add(target.inputs_hash())
    assert len(seen) == 5
    content = target.content_hash()
    (root / "pyproject.toml").write_text("[tool.ruff]\n")
    assert target.content_hash() == content


def test_loops_and_special_files_do_not_hang(tree):
    root = tree({"a.py": "x = 1\n"})
    (root / "loop").symlink_to(root)
    (root / "self.py").symlink_to("self.py")
    if hasattr(os, "mkfifo"):
        os.mkfifo(root / "pipe.py")
    target = Target.at(root)
    assert target.sources() == ["a.py"]
    assert len(target.content_hash()) == 64
    assert target.inputs_hash().startswith("sha256:")


@pytest.mark.parametrize("name", ["absent", "self", "nul\0", "pipe"])
def test_what_is_no_file_or_folder_is_a_usage_error(name, tmp_path):
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="path to audit"):
        Target.at(tmp_path / name)


def test_paths_are_those_of_the_repository_and_a_linked_target_is_the_real_one(tree, tmp_path):
    root = tree({"src/a.py": "", ".git/HEAD": ""})
    (tmp_path / "link").symlink_to(root / "src")
    target = Target.at(tmp_path / "link")
    assert (target.path, target.root, target.name) == (root / "src", root, "src")
    assert target.relative("./src/../src/a.py") == "src/a.py"
    assert target.relative("/elsewhere/x.py") == "/elsewhere/x.py"
    assert Target.at(root).name == "."


def test_revision_of_a_repository(tree, monkeypatch):
    root = tree({"a.py": "x = 1\n"})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    assert Target.at(root).revision() == ("", None)

    def git(*words):
        return subprocess.run(
            ["git", "-C", root, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True
        )

    git("init", "-q")
    git("add", "a.py")
    git("commit", "-qm", "x")
    revision, dirty = Target.at(root).revision()
    assert len(revision) == 40
    assert dirty is False
    (root / "a.py").write_text("x = 2\n")
    assert Target.at(root).revision() == (revision, True)
    # A repository's settings must not start programs.
    git("config", "core.fsmonitor", f"touch {root}/started")
    Target.at(root).revision()
    assert not (root / "started").exists()


@pytest.fixture
def hostile(tree, monkeypatch):
    """A repository whose filters would run a program as soon as git looks at a file that may have changed."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = tree({"a.py": "x = 1\n", ".gitattributes": "*.py filter=e=v.il\n"})
    words = ["git", "-C", root, "-c", "user.name=a", "-c", "user.email=a@b"]
    for more in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*words, *more], check=True, capture_output=True)
    included = root / ".git" / "more"
    included.write_text(f'[filter "e=v.il"]\n\tclean = touch {root}/started; cat\n\trequired = true\n')
    subprocess.run([*words, "config", "include.path", "more"], check=True)
    (root / "a.py").write_text("x = 2\n")
    os.utime(root / "a.py", (1, 1))
    return root


def test_a_repositorys_filters_start_nothing(hostile):
    assert Target.at(hostile).revision()[1] is True
    assert list(changed_since(Target.at(hostile), "HEAD").files) == ["a.py"]
    assert not (hostile / "started").exists()
    subprocess.run(["git", "-C", hostile, "status"], check=True, capture_output=True)
    assert (hostile / "started").exists()  # it would have


def test_the_revision_is_that_of_the_tree_also_inside_a_hook_of_another_repository(hostile, tree, monkeypatch):
    revision = Target.at(hostile).revision()
    other = tree({"b.py": "y = 1\n"}, "other")
    subprocess.run(["git", "-C", other, "init", "-q"], check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert Target.at(hostile).revision() == revision
    assert revision[0]


def test_virtual_environments_are_known_by_what_they_hold_whatever_they_are_called(tree):
    files = {
        "own.py": "",
        "half/pyvenv.cfg": "",
        "half/y.py": "",
        "sub/.uv/pyvenv.cfg": "home = /usr/bin\n",
        "sub/.uv/x.py": "",
    }
    root = tree({**files, "env [1]/pyvenv.cfg": "HOME=/usr/bin\n", "env [1]/lib/z.py": "", "sub/own.py": ""})
    target = Target.at(root)
    assert target.sources() == ["half/y.py", "own.py", "sub/own.py"]  # an empty pyvenv.cfg hides nothing
    assert [target.relative(folder) for folder in target.environments] == ["env [1]", "sub/.uv"]
    before = target.inputs_hash()
    (root / "env [1]" / "lib" / "z.py").write_text("changed = 1\n")
    assert target.inputs_hash() == before
    inside = Target.at(root / "env [1]")
    assert (inside.sources(), inside.environments) == (["lib/z.py"], [])
    assert Target.at(root / "own.py").environments == []
