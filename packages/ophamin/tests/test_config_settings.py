"""Settings from ophamin.toml or pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from ophamin.config import load_settings
from ophamin.proof.errors import UsageError


def test_defaults(project: Path) -> None:
    settings = load_settings()
    assert settings.project == str(project)
    assert settings.store == str(project / "proofs")
    assert (settings.data_root, settings.alpha, dict(settings.fields)) == ("", 0.05, {})


def test_a_file_is_read_from_below(project: Path) -> None:
    (project / "ophamin.toml").write_text(
        'store = "evidence"\nalpha = 0.01\ndata_root = "data"\n[fields]\nanswer = "a.b"\n'
    )
    below = project / "src" / "deep"
    below.mkdir(parents=True)
    settings = load_settings(below)
    assert settings.store == str(project / "evidence")
    assert settings.data_root == str(project / "data")
    assert settings.alpha == 0.01
    assert settings.fields == {"answer": "a.b"}


def test_pyproject_table(project: Path) -> None:
    (project / "ophamin.toml").unlink()
    (project / "pyproject.toml").write_text("[tool.ophamin]\nalpha = 0.1\n")
    assert load_settings().alpha == 0.1


def test_the_environment_wins_and_is_relative_to_the_folder_one_stands_in(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "ophamin.toml").write_text('data_root = "data"\n')
    monkeypatch.setenv("OPHAMIN_DATA_ROOT", "elsewhere")
    assert load_settings().data_root == str(project / "elsewhere")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alhpa = 0.1", "alpha"),
        ("alpha = 0.7", "between"),
        ("alpha = true", "float"),
        ("store = 3", "str"),
        ("store = ", "TOML"),
        ("colour = 'red'", "known"),
        ("[fields]\nanswer = 3", "fields.answer must be text"),
    ],
)
def test_mistakes_are_named(project: Path, text: str, says: str) -> None:
    (project / "ophamin.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        load_settings()
