"""Core's pure code under CPython in WebAssembly gives the same bytes, ids and signatures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_wasm_agrees_to_the_byte(root: Path) -> None:
    """One vector set, natively and in WebAssembly."""
    node = shutil.which("node")
    installed = (HERE / "wasm/node_modules/pyodide").is_dir()
    if os.environ.get("CI") and not (node and installed):
        pytest.fail("in CI, .ci/run installs pyodide with npm; node or tests-integration/wasm/node_modules is missing")
    if not (node and installed):
        pytest.skip("needs node and `npm ci` in tests-integration/wasm")
    assert node is not None
    source = root / "packages/ophamin-core/src"
    script = HERE / "portable_vectors.py"
    native = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    wasm = subprocess.run(
        [node, str(HERE / "wasm/run.mjs"), str(source), str(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert wasm.returncode == 0, wasm.stderr
    assert "emscripten" in wasm.stderr
    assert wasm.stdout == native.stdout
