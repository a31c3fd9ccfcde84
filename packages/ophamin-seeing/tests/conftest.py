from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ophamin.registry import get_corpus


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves anything in the user's home, or finds data the developer has."""
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    monkeypatch.delenv("OPHAMIN_DATA_ROOT", raising=False)


@pytest.fixture(scope="session")
def cyber_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = get_corpus("cyber-payloads")("").write_sample(tmp_path_factory.mktemp("cyber"), 1)
    return root


REAL = os.environ.get("OPHAMIN_DATA_ROOT", "")


@pytest.fixture(scope="session")
def real_root() -> Path:
    if not REAL:
        pytest.skip("OPHAMIN_DATA_ROOT is not set: no real corpora to read")
    root = Path(REAL).resolve()
    assert root.is_dir(), f"OPHAMIN_DATA_ROOT={REAL} is no folder"
    return root


def _interpreters(version: str) -> Iterator[Path]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder) / f"python{version}"
    try:
        import pwd

        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except ImportError:
        home = Path.home()
    yield home / ".local/bin" / f"python{version}"
    for root in (Path(os.environ.get("PYENV_ROOT", home / ".pyenv")), home / ".pyenv"):
        yield from sorted(root.glob(f"versions/{version}*/bin/python{version}"))


@pytest.fixture(scope="session")
def interpreter() -> Callable[[str], Path]:
    """Finds a real CPython of a version, or skips; a shim that answers nothing is passed over."""

    def find(version: str) -> Path:
        for candidate in _interpreters(version):
            if candidate.exists():
                ask = [str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
                said = subprocess.run(ask, capture_output=True, text=True, check=False)
                if said.returncode == 0 and said.stdout.strip() == version:
                    return candidate
        pytest.skip(f"no CPython {version} on PATH, under PYENV_ROOT or in the account's home")

    return find


class Checkout:
    """A small git repository of our own making."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", str(self.path), *who, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        """Files by path, with ``__`` for a slash: ``src__pkg__mod`` is ``src/pkg/mod.py``."""
        for name, text in files.items():
            self.write_at(f"{name.replace('__', '/')}.py", text)

    def write_at(self, name: str, text: str) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def commit(self, message: str = "work") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")
