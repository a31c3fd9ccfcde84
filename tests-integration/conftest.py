"""Fixtures of the tests that cross wheels: a project of one's own, real wheels, real environments."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHEELS = sorted(p.parent for p in (ROOT / "packages").glob("*/pyproject.toml"))


def pytest_report_header() -> str:
    """Say which outside data this run sees."""
    return f"OPHAMIN_SHARED={os.environ.get('OPHAMIN_SHARED', '-')} OPHAMIN_DATA_ROOT={os.environ.get('OPHAMIN_DATA_ROOT', '-')}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Remember which cases run on third-party data."""
    for item in items:
        if item.get_closest_marker("data"):
            item.user_properties.append(("data", True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many data-dependent cases ran, so that a silent skip cannot pass for a run."""
    counts = {
        outcome: sum(("data", True) in r.user_properties for r in terminalreporter.getreports(outcome))
        for outcome in ("passed", "failed", "skipped")
    }
    ran = counts["passed"] + counts["failed"]
    terminalreporter.write_line(f"data-dependent cases: {ran} ran, {counts['skipped']} skipped")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project and an empty home, and the working folder in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPHAMIN_SIGN_KEY", raising=False)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def ophamin(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command in the project, as a user would."""

    def call(*args: str, timeout: float = 240, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ophamin.cli", *args],
            cwd=project,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def uv(root: Path) -> str:
    """A uv: the one make uses."""
    from shutil import which

    # make says which one it uses, relative to the repository when it brought its own.
    found = str(root / os.environ["UV"]) if "UV" in os.environ else which("uv") or str(root / ".uv/bin/uv")
    assert Path(found).exists(), "run the tests through make, which brings its own uv"
    return found


@pytest.fixture(scope="session")
def wheels(root: Path, uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All wheels of the family and of the sample plug-in, really built."""
    out = tmp_path_factory.mktemp("wheels")
    for source in (*WHEELS, root / "tests-integration/sample-plugin"):
        subprocess.run(
            [uv, "build", "--quiet", "--wheel", "--no-sources", "--out-dir", str(out), str(source)],
            check=True,
            cwd=out,
        )
    return out


@pytest.fixture(scope="session")
def environment(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make an empty environment and install requirements into it; answers its python."""

    def make(*requirements: str, python: str = sys.executable) -> Path:
        folder = tmp_path_factory.mktemp("env") / "venv"
        subprocess.run([uv, "venv", "--quiet", "--python", python, str(folder)], check=True)
        interpreter = folder / "bin/python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(interpreter), *requirements], check=True)
        return interpreter

    return make


@pytest.fixture(scope="module")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server with an SQLite store, which also takes artifacts: nothing passes by it."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    env = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder / 'store.db'}",
             "--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            env=env, stdout=log, stderr=log, cwd=folder, start_new_session=True,
        )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2):
                    break
            except OSError:
                assert process.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.3)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its own session: the server and the workers it started
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(15)
