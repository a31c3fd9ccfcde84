"""Core's built wheel, in a plain environment of every interpreter 3.10–3.13 found on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
HERE = Path(__file__).parent


def _account_home() -> Path | None:
    """The home of the account, whatever HOME says; absent where there are no accounts."""
    try:
        import pwd
    except ImportError:
        return None
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def _candidates(version: str) -> Iterator[Path]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder) / f"python{version}"
    roots = [Path(os.environ["PYENV_ROOT"])] if "PYENV_ROOT" in os.environ else []
    home = _account_home()
    if home:
        roots.append(home / ".pyenv")
        yield home / ".local/bin" / f"python{version}"
    for root in roots:
        yield from sorted(root.glob(f"versions/{version}*/bin/python{version}"))


def find(version: str) -> Path | None:
    """The first candidate that really runs as that version; a shim that answers nothing is passed over."""
    for candidate in _candidates(version):
        if not candidate.exists():
            continue
        said = subprocess.run(
            [str(candidate), "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode == 0 and said.stdout.strip() == version:
            return candidate
    return None


@pytest.fixture(scope="module")
def native() -> str:
    """What this interpreter prints."""
    return subprocess.run(
        [sys.executable, str(HERE / "portable_vectors.py")], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_core_wheel_in_a_plain_environment(version: str, wheels: Path, native: str, tmp_path: Path) -> None:
    """Wheel and pytest by pip alone: vectors agree to the byte, and core's fast tests pass."""
    interpreter = find(version)
    if interpreter is None:
        pytest.skip(f"no CPython {version} on PATH, under PYENV_ROOT or in the account's home")
    subprocess.run([str(interpreter), "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    (wheel,) = wheels.glob("ophamin_core-*.whl")
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel), "pytest"], check=True
    )
    listed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    assert "cryptography" not in listed.stdout
    said = subprocess.run(
        [str(python), str(HERE / "portable_vectors.py")], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert said.stdout == native
    tests = subprocess.run(
        [
            str(python), "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider",
            "-c", str(HERE.parent / "pyproject.toml"), "--rootdir", str(HERE.parent), "-m", "not slow and not full",
            str(HERE.parent / "packages/ophamin-core/tests"),
        ],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    print(tests.stdout[-2000:])
    assert tests.returncode == 0, tests.stdout[-4000:]
