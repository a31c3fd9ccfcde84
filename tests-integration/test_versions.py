"""Wheels are versioned separately: a bumped one works with the released core, and is reported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def _ophamin(python: Path, project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python.with_name("ophamin")), *args], cwd=project, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_bumped_wheel_runs_on_released_core_and_is_reported(
    root: Path, uv: str, wheels: Path, environment: Callable[..., Path], project: Path, tmp_path: Path
) -> None:
    source = tmp_path / "ophamin-reporting"
    shutil.copytree(root / "packages/ophamin-reporting", source)
    manifest = source / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('version = "0.1.0"', 'version = "0.1.7"'))
    subprocess.run([uv, "build", "-q", "--wheel", "--no-sources", "--out-dir", str(tmp_path), str(source)], check=True)
    (bumped,) = tmp_path.glob("ophamin_reporting-0.1.7-*.whl")
    released = [next(wheels.glob(f"{n}-0.1.0-*.whl")) for n in ("ophamin_core", "ophamin")]
    python = environment(str(bumped), *map(str, released))

    health = _ophamin(python, project, "verify", "--json")
    assert health.returncode == 0, health.stdout
    lines = {c["name"]: c for c in json.loads(health.stdout)["checks"]}
    assert lines["ophamin-core"]["detail"] == "0.1.0"
    assert lines["ophamin-reporting"]["state"] == "ok"
    assert "0.1.7, off the pinned set, which has 0.1.0" in lines["ophamin-reporting"]["detail"]
    assert lines["ophamin-measuring"]["state"] == "missing"
    assert "pip install 'ophamin[measuring]'" in lines["ophamin-measuring"]["detail"]

    listed = _ophamin(python, project, "renderer", "list", "--json")
    assert {r["origin"] for r in json.loads(listed.stdout)["renderers"]} == {"ophamin-reporting 0.1.7"}


def test_only_the_command_installed(wheels: Path, environment: Callable[..., Path], project: Path) -> None:
    """`ophamin` alone helps, and a missing wheel's command names the pip line."""
    python = environment(*(str(next(wheels.glob(f"{n}-0.1.0-*.whl"))) for n in ("ophamin_core", "ophamin")))
    helped = _ophamin(python, project, "--help")
    assert helped.returncode == 0
    assert helped.stderr == ""
    for command in ("run", "audit", "report", "compare", "demo", "corpus", "key"):
        assert f"  {command} " in helped.stdout
    for command, extra in (
        ("run", "measuring"),
        ("audit", "auditing"),
        ("report", "reporting"),
        ("compare", "comparing"),
    ):
        missing = _ophamin(python, project, command, "anything", "--whatever")
        assert missing.returncode == 2
        assert f"pip install 'ophamin[{extra}]'" in missing.stderr
        assert "Traceback" not in missing.stderr
    demo = _ophamin(python, project, "demo")
    assert demo.returncode == 2
    assert "pip install 'ophamin[" in demo.stderr
    assert not any(project.iterdir()), "a demo that cannot run leaves nothing behind"
    assert os.environ["OPHAMIN_HOME"]
