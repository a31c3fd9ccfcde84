from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ophamin.comparing.history.revisions import commit_of, range_of, uncommitted, walk
from ophamin.proof.errors import UsageError


@pytest.fixture
def git(tmp_path: Path) -> Any:
    """Git in a repository of its own, which is made on first use."""
    folder = tmp_path / "checkout"
    folder.mkdir()

    def call(*words: str, where: Path = folder) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        done = subprocess.run(["git", "-C", str(where), *who, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    call("init", "-q")
    call.folder = folder  # type: ignore[attr-defined]
    return call


def commits(git: Any, n: int) -> list[str]:
    found = []
    for i in range(n):
        (git.folder / "file.txt").write_text(str(i))
        git("add", ".")
        git("commit", "-qm", f"commit {i}")
        found.append(git("rev-parse", "HEAD"))
    return found


def test_both_ends_are_walked_oldest_first(git):
    made = commits(git, 5)
    assert [r.commit for r in walk(git.folder, made[1], "HEAD")] == made[1:]
    assert [r.subject for r in walk(git.folder, made[3], made[4])] == ["commit 3", "commit 4"]
    assert [r.commit for r in walk(git.folder, "HEAD", "HEAD")] == made[4:]


@pytest.mark.parametrize(("every", "kept"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4, 5]), (5, [0, 5]), (9, [0, 5])])
def test_every_kth_is_kept_and_the_last_always(git, every, kept):
    made = commits(git, 6)
    assert [r.commit for r in walk(git.folder, made[0], "HEAD", every=every)] == [made[i] for i in kept]


def test_a_merge_is_one_step_along_first_parents(git):
    made = commits(git, 2)
    git("checkout", "-qb", "side")
    (git.folder / "side.txt").write_text("side")
    git("add", ".")
    git("commit", "-qm", "side 1")
    git("commit", "-qm", "side 2", "--allow-empty")
    git("checkout", "-q", "main")
    git("commit", "-qm", "main 2", "--allow-empty")
    git("merge", "-q", "--no-ff", "-m", "merge", "side")
    everything = {r.subject for r in walk(git.folder, made[1], "HEAD")}
    assert everything == {"commit 1", "side 1", "side 2", "main 2", "merge"}
    assert [r.subject for r in walk(git.folder, made[1], "HEAD", first_parent=True)] == ["commit 1", "main 2", "merge"]


def test_a_subject_may_hold_anything(git):
    commits(git, 1)
    git("commit", "--allow-empty", "-qm", "line\u2028separator \x1f and \x1b[31m")
    assert walk(git.folder, "HEAD~1", "HEAD")[1].subject == "line\u2028separator \x1f and \x1b[31m"


def test_a_range_has_two_ends():
    assert range_of("v1..v2") == ("v1", "v2")
    assert range_of("v1..") == range_of("v1") == ("v1", "HEAD")
    for wrong in ("", "..v2", "v1...v2", "a..b..c"):
        with pytest.raises(UsageError, match=r"is not A\.\.B"):
            range_of(wrong)


def test_what_is_no_commit_is_said(git, tmp_path):
    made = commits(git, 2)
    with pytest.raises(UsageError, match="no commit 'v9'"):
        walk(git.folder, "v9", "HEAD")
    with pytest.raises(UsageError, match="no commit '--output=x'"):
        commit_of(git.folder, "--output=x")
    with pytest.raises(UsageError, match="does not descend"):
        walk(git.folder, made[1], made[0])
    with pytest.raises(UsageError, match="from 1 on"):
        walk(git.folder, made[0], made[1], every=0)
    assert not (tmp_path / "x").exists()


def test_a_shallow_clone_says_that_its_past_is_cut_off(git, tmp_path):
    made = commits(git, 4)
    clone = tmp_path / "clone"
    git("clone", "-q", "--depth", "2", f"file://{git.folder}", str(clone), where=tmp_path)
    with pytest.raises(UsageError, match=r"shallow clone.*--unshallow"):
        walk(clone, made[0], "HEAD")
    assert [r.commit for r in walk(clone, made[2], "HEAD")] == made[2:]


def test_uncommitted_changes_are_told_to_who_measures_head(git):
    made = commits(git, 2)
    assert uncommitted(git.folder, made) == ""
    (git.folder / "file.txt").write_text("changed")
    assert "uncommitted changes" in uncommitted(git.folder, made)
    assert uncommitted(git.folder, made[:1]) == ""


def test_a_hook_that_calls_us_does_not_change_the_repository(git, tmp_path, monkeypatch):
    made = commits(git, 2)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert [r.commit for r in walk(git.folder, made[0], "HEAD")] == made
    assert os.environ["GIT_DIR"]
