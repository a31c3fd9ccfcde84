"""Of a hostile repository nothing is run, whatever it is asked; and what plain git would have run is run by plain git."""

from __future__ import annotations

import os
import subprocess

import pytest

from ophamin.proof.git import (
    GitError,
    GitRefused,
    GitUnavailable,
    git,
    git_command,
    git_environment,
    git_output,
    have_git,
    is_changed,
)

pytestmark = pytest.mark.skipif(not have_git(), reason="git is not installed")

WHO = ("-c", "user.name=a", "-c", "user.email=a@b")


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def plain(folder, *words, check=True):
    """git as a user would call it."""
    return subprocess.run(
        ["git", "-C", str(folder), *WHO, *words], check=check, capture_output=True, text=True, timeout=10
    )


class Hostile:
    """A repository with one commit, a changed file, and a program that leaves a mark when it is run."""

    def __init__(self, folder):
        self.folder, self.mark = folder / "repo", folder / "started"
        self.program = folder / "program"
        self.program.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.mark}\nexit 1\n')
        self.program.chmod(0o755)
        self.folder.mkdir()
        plain(self.folder, "init", "-q")
        (self.folder / "a.py").write_text("x = 1\n")
        (self.folder / ".gitattributes").write_text("*.py filter=e=v.il diff=evil\n")
        plain(self.folder, "add", ".")
        plain(self.folder, "commit", "-qm", "x")
        (self.folder / "a.py").write_text("x = 2\n")
        os.utime(self.folder / "a.py", (1, 1))

    def configure(self, name, value=None, file=""):
        plain(self.folder, "config", *(("--file", file) if file else ()), name, value or str(self.program))

    @property
    def started(self):
        text = self.mark.read_text() if self.mark.exists() else ""
        self.mark.unlink(missing_ok=True)
        return text


@pytest.fixture
def hostile(tmp_path):
    return Hostile(tmp_path)


def ask_everything(folder):
    """All that the wheels ask of a repository, and then some."""
    commit = git(folder, "rev-parse", "--verify", "HEAD")
    asked = (
        ("status", "--porcelain"),
        ("status", "--porcelain", "--untracked-files=no", "--", ":/"),
        ("rev-parse", "--show-toplevel"),
        ("rev-parse", "--path-format=absolute", "--git-common-dir"),
        ("cat-file", "-p", "HEAD:a.py"),
        ("cat-file", "commit", commit),
        ("diff", "--name-only", "-z", "-M", commit, "--"),
        ("diff", "HEAD"),
        ("diff-index", "-p", "HEAD"),
        ("log", "-1", "--format=%H%x1f%cI%x1f%s", commit),
        ("log", "-1", "-p"),
        ("show", "HEAD"),
        ("rev-list", "--all"),
        ("ls-files", "--cached", "--others", "--exclude-standard", "--", "a.py"),
        ("ls-files", "--modified"),
        ("ls-files", "-dmo"),
        ("merge-base", "--is-ancestor", commit, commit),
    )
    said = {words: git(folder, *words) for words in asked}
    assert is_changed(folder)
    git_output((f"--git-dir={folder}/.git",), ("rev-list", "--all"), foreign=True)
    return said


ALONE = [
    ("core.fsmonitor", ("status",)),
    ("filter.e=v.il.clean", ("status",)),
    ("filter.e=v.il.process", ("status",)),
    ("filter.e=v.il.clean", ("ls-files", "-m")),
    ("filter.e=v.il.smudge", ("checkout", "--", "a.py")),
    ("diff.external", ("diff",)),
    ("diff.evil.command", ("diff",)),
    ("diff.evil.textconv", ("diff",)),
    ("diff.evil.textconv", ("show",)),
    ("core.pager", None),
    ("core.editor", None),
    ("core.sshCommand", None),
    ("core.askPass", None),
    ("core.gitProxy", None),
    ("core.alternateRefsCommand", None),
    ("credential.helper", None),
    ("gpg.program", None),
    ("gpg.ssh.program", None),
    ("alias.status", None),
    ("alias.log", None),
    ("pager.log", None),
    ("interactive.diffFilter", None),
    ("merge.evil.driver", None),
    ("uploadpack.packObjectsHook", None),
    ("remote.origin.uploadpack", None),
]


ELSEWHERE = [
    (name, plainly, how)
    for name, plainly in (("filter.e=v.il.clean", ("status",)), ("core.fsmonitor", ("status",)))
    for how in ("include", "includeIf", "worktree")
]


@pytest.mark.parametrize(("name", "plainly", "how"), [*((*one, "config") for one in ALONE), *ELSEWHERE])
def test_no_program_that_a_repository_names_is_run(hostile, name, plainly, how):
    if how == "config":
        hostile.configure(name)
    elif how == "worktree":
        hostile.configure("extensions.worktreeConfig", "true")
        hostile.configure(name, file=str(hostile.folder / ".git" / "config.worktree"))
    else:
        key = "include.path" if how == "include" else f"includeIf.gitdir:{hostile.folder}/.path"
        hostile.configure(key, "more")
        hostile.configure(name, file=str(hostile.folder / ".git" / "more"))
    said = ask_everything(hostile.folder)
    assert "x = 2" in said[("diff", "HEAD")]
    assert hostile.started == ""
    if plainly is not None:
        plain(hostile.folder, *plainly, check=False)
        assert str(hostile.program) in hostile.started, "plain git would not have run it: this shows nothing"


def test_hooks_are_not_run(hostile):
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-commit", "fsmonitor-watchman"):
        (hostile.folder / ".git" / "hooks").mkdir(exist_ok=True)
        target = hostile.folder / ".git" / "hooks" / hook
        target.write_bytes(hostile.program.read_bytes())
        target.chmod(0o755)
    ask_everything(hostile.folder)
    git(hostile.folder, "checkout", "--quiet", "--force", "--detach", "HEAD")
    assert hostile.started == ""
    plain(hostile.folder, "checkout", "-q", "--detach", "HEAD", check=False)
    assert "hooks/post-index-change" in hostile.started


def test_a_signed_commit_is_not_verified_by_the_repositorys_program(hostile):
    raw = plain(hostile.folder, "cat-file", "commit", "HEAD").stdout
    head, _, message = raw.partition("\n\n")
    signed = f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n{message}"
    made = subprocess.run(
        ["git", "-C", hostile.folder, "hash-object", "-t", "commit", "-w", "--stdin"],
        input=signed, text=True, check=True, capture_output=True,
    ).stdout.strip()  # fmt: skip
    plain(hostile.folder, "update-ref", "HEAD", made)
    hostile.configure("gpg.program")
    hostile.configure("log.showSignature", "true")
    hostile.configure("format.pretty", "%G?")
    ask_everything(hostile.folder)
    assert hostile.started == ""
    plain(hostile.folder, "log", "-1")
    assert str(hostile.program) in hostile.started


def test_a_partial_clone_fetches_nothing(hostile, tmp_path):
    plain(hostile.folder, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    plain(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{hostile.folder}", str(clone))
    for name, value in (
        ("protocol.ext.allow", "always"),
        ("remote.origin.uploadpack", str(hostile.program)),
        ("core.sshCommand", str(hostile.program)),
    ):
        plain(clone, "config", name, value)
    for url in (f"ext::{hostile.program}", f"ssh://nowhere.invalid/{clone}", str(hostile.folder)):
        plain(clone, "config", "remote.origin.url", url)
        for foreign in (False, True):
            with pytest.raises(GitRefused):
                git_output(("-C", str(clone)), ("cat-file", "-p", "HEAD:a.py"), foreign=foreign)
    assert hostile.started == ""
    plain(clone, "fetch", check=False)
    assert str(hostile.program) in hostile.started


def test_settings_of_a_submodule_are_not_obeyed_and_its_changes_are_seen(hostile, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    plain(outer, "init", "-q")
    plain(hostile.folder, "checkout", "-q", "--", "a.py")
    plain(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(hostile.folder), "sub")
    plain(outer, "commit", "-qm", "x")
    inner = outer / "sub"
    assert not is_changed(outer)
    plain(inner, "config", "filter.e=v.il.clean", str(hostile.program))
    plain(inner, "config", "core.fsmonitor", str(hostile.program))
    os.utime(inner / "a.py", (1, 1))
    assert not is_changed(outer)
    (inner / "a.py").write_text("x = 3\n")
    assert is_changed(outer)
    assert is_changed(inner, below=True)
    assert git(outer, "diff", "HEAD") == git(outer, "status", "--porcelain") == ""
    assert hostile.started == ""
    plain(outer, "status")
    assert str(hostile.program) in hostile.started


def test_a_checkout_has_what_is_stored_where_a_required_filter_is_not_run(hostile):
    hostile.configure("filter.e=v.il.smudge")
    hostile.configure("filter.e=v.il.required", "true")
    for words in (("checkout", "--quiet", "--force", "HEAD"), ("checkout", "--", "a.py")):
        (hostile.folder / "a.py").unlink()
        git(hostile.folder, *words)
        assert (hostile.folder / "a.py").read_text() == "x = 1\n"
    other = hostile.folder.parent / "other"
    git(hostile.folder, "worktree", "add", "--quiet", "--detach", str(other), "HEAD")
    assert (other / "a.py").read_text() == "x = 1\n"
    assert not is_changed(other)
    assert hostile.started == ""
    hostile.configure("filter.e=v.il.smudge", "false")
    assert plain(hostile.folder, "worktree", "add", str(other) + "2", "HEAD", check=False).returncode


def test_the_users_own_filter_holds_also_where_the_repository_names_another(hostile, tmp_path, monkeypatch):
    mine, settings = tmp_path / "mine", tmp_path / "settings"
    settings.write_text(f'[filter "e=v.il"]\n\tclean = "touch {mine}; sed s/2/1/"\n\trequired\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    hostile.configure("filter.e=v.il.clean")
    assert not is_changed(hostile.folder), "as the user's filter has it, the file is as committed"
    assert mine.exists()
    assert hostile.started == ""
    # Of a foreign repository everybody reads the same.
    said = git_output(("-C", str(hostile.folder)), ("status", "--porcelain"), foreign=True)
    assert said == b" M a.py\n"
    assert hostile.started == ""


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG"])
def test_the_environment_of_a_hook_points_nowhere_else(hostile, monkeypatch, name, tmp_path):
    hostile.configure("filter.e=v.il.clean")
    monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(hostile.program))
    monkeypatch.setenv("GIT_PAGER", str(hostile.program))
    (tmp_path / "nowhere").write_text("")
    ask_everything(hostile.folder)
    assert hostile.started == ""


def test_settings_given_in_the_environment_are_kept_and_added_to(hostile, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.abbrev")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "13")
    hostile.configure("filter.e=v.il.clean")
    assert len(git(hostile.folder, "log", "-1", "--format=%h")) == 13
    assert hostile.started == ""


def test_answers_that_do_not_come_are_told_apart(hostile, tmp_path, monkeypatch):
    with pytest.raises(GitRefused, match="not a git repository"):
        git(tmp_path, "rev-parse", "HEAD")
    with pytest.raises(GitRefused):
        git(tmp_path / "nowhere", "status")
    with pytest.raises(GitUnavailable, match="null byte"):
        git(hostile.folder, "rev-parse", "a\0b")
    with pytest.raises(GitUnavailable, match="an answer of"):
        git_output(("-C", str(hostile.folder)), ("cat-file", "-p", "HEAD"), foreign=False, limit=10)
    with pytest.raises(GitUnavailable, match=r"within 1e-06 s"):
        git(hostile.folder, "rev-parse", "HEAD", timeout_s=1e-6)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not have_git()
    with pytest.raises(GitUnavailable, match="apt install git") as told:
        git(hostile.folder, "rev-parse", "HEAD")
    assert isinstance(told.value, GitError)
    assert told.value.exit_code == 2


def test_a_stream_is_asked_the_same_way(hostile):
    command = git_command(("-C", str(hostile.folder)), ("log", "-1", "-p"), foreign=True)
    assert command[-2:] == ["-1", "-p"]
    assert "--no-textconv" in command
    environment = git_environment(foreign=True)
    assert environment["GIT_ALLOW_PROTOCOL"] == "none"
    assert "GIT_DIR" not in environment
