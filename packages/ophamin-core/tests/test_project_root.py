from __future__ import annotations

import pytest

from ophamin.proof.project import Project


def deep(tmp_path):
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def here(tmp_path):
    return deep(tmp_path)


def test_without_any_mark_the_working_folder_is_the_root(here, monkeypatch):
    assert Project.find(here).root == here
    monkeypatch.chdir(here)
    assert Project.find().root == here
    assert list(here.iterdir()) == [], "looking makes nothing"


@pytest.mark.parametrize(
    "text",
    ["[tool.ophamin]\nstore = 'p'\n", "[project]\nname='x'\n\n[tool.ophamin.fields]\n", " [ tool . ophamin ] # ours\n"],
)
def test_the_nearest_marked_parent_is_the_root(here, tmp_path, text):
    (tmp_path / "ophamin.toml").write_text("")
    assert Project.find(here).root == tmp_path
    (tmp_path / "a" / ".ophamin").mkdir()
    assert Project.find(here).root == tmp_path / "a"
    (here / "pyproject.toml").write_text("[tool.other]\n")
    assert Project.find(here).root == tmp_path / "a"
    (here.parent / "pyproject.toml").write_text(text)
    assert Project.find(here).root == here.parent


@pytest.mark.parametrize("text", ["# [tool.ophamin]\n", "x = '[tool.ophamin]'\n", "[tool.ophaminx]\n", "\xff\x00"])
def test_what_only_looks_like_the_table_is_none(here, tmp_path, text):
    (tmp_path / "ophamin.toml").write_text("")
    (here / "pyproject.toml").write_text(text, encoding="latin-1")
    assert Project.find(here).root == tmp_path


def test_everything_lies_below_the_root(tmp_path):
    project = Project(tmp_path)
    assert project.state == tmp_path / ".ophamin"
    assert project.ledger_dir == tmp_path / ".ophamin" / "ledger"
    assert project.journals == tmp_path / ".ophamin" / "journals"
    assert project.index == tmp_path / ".ophamin" / "index.sqlite"
    assert project.proofs == tmp_path / "proofs"
