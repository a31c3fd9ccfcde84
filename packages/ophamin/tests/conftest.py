"""An empty project and home for each test of the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that is the working folder, and an empty home."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "ophamin.toml").write_text("")
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    for name in ("OPHAMIN_SIGN_KEY", "OPHAMIN_DATA_ROOT", "OPHAMIN_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def command(project: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process: exit code, stdout, stderr."""
    from ophamin.cli._run import run

    def call(*words: str) -> tuple[int, str, str]:
        code = run(words)
        out, err = capfd.readouterr()
        return code, out, err

    return call
