"""Real trees, real tools, and programs that pretend to be tools."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from ophamin.auditing.tools import _run
from ophamin.protocols import Settings

MESSY = {
    "app/__init__.py": "",
    "app/main.py": 'import os\nimport subprocess\n\n\ndef run(name):\n    return subprocess.call("echo " + name, shell=True)\n',
    "app/sums.py": "def add(a, b):\n    return a + c\n",
}
CLEAN = {"app/__init__.py": "", "app/sums.py": "def add(a, b):\n    return a + b\n"}


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("OPHAMIN_SIGN_KEY", raising=False)


@pytest.fixture
def tree(tmp_path):
    """Writes a tree: names to text or bytes."""

    def write(files, folder="tree"):
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write


@pytest.fixture
def messy(tree):
    """One high and two low findings of ruff and bandit each, more or less."""
    return tree(MESSY)


@pytest.fixture
def clean(tree):
    return tree(CLEAN, "clean")


@pytest.fixture
def settings(tmp_path):
    return Settings(project=str(tmp_path / "project"), store=str(tmp_path / "proofs"))


@pytest.fixture
def only_fakes(tmp_path, monkeypatch):
    """An environment where no tool is installed; call it with a name and a script to put one on PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nothing"))
    monkeypatch.setattr(_run, "find_spec", lambda name: None)
    git = [str(Path(p)) for p in os.environ["PATH"].split(os.pathsep) if Path(p, "git").exists()]
    links = tmp_path / "links"
    links.mkdir()
    for name in ("git", "sleep", "sh", "cat"):
        found = next((Path(p, name) for p in [*git, "/usr/bin", "/bin"] if Path(p, name).exists()), None)
        if found:
            (links / name).symlink_to(found)
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), str(links)]))

    def install(name, script):
        program = programs / name
        program.write_text(
            f"#!{sys.executable}\nimport sys\nif '--version' in sys.argv:\n    print('{name} 9.9')\n    sys.exit()\n{script}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return install
