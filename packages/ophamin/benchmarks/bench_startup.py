"""Start-up of the command against the bare interpreter, both in one run, with all wheels installed."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROUNDS = 21
OPHAMIN = str(Path(sys.executable).with_name("ophamin"))


def _seconds(command: list[str], folder: Path) -> float:
    # Bytecode is cached, as it is for a user; PYTHONDONTWRITEBYTECODE would measure the compiler.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, cwd=folder, env=env | {"OPHAMIN_HOME": str(folder / "home")}
    )
    return time.perf_counter() - begin


def _proof(folder: Path) -> str:
    (folder / "rows.csv").write_text("id,text,label\n" + "".join(f"{i},word{i},yes\n" for i in range(200)))
    done = subprocess.run(
        [OPHAMIN, "run", "metric", "--claim", "accuracy >= 0.8", "--corpus", "table:rows.csv", "--substrate", "mock?correct=0.98&seed=3", "--json"],
        cwd=folder, env={**os.environ, "OPHAMIN_HOME": str(folder / "home")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    path: str = json.loads(done.stdout)["path"]
    return path


def run() -> list[dict[str, Any]]:
    """Median whole-process times over interleaved rounds, as ratios to ``python -c pass``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        proof = _proof(folder)
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "ophamin --version": [OPHAMIN, "--version"],
            "ophamin proof verify FILE": [OPHAMIN, "proof", "verify", proof],
            "ophamin --help": [OPHAMIN, "--help"],
        }
        times: dict[str, list[float]] = {k: [] for k in commands}
        for _ in range(ROUNDS):
            for label, command in commands.items():
                times[label].append(_seconds(command, folder))
    median = {k: statistics.median(v) for k, v in times.items()}
    bare = median.pop("python -c pass")
    bars = {"ophamin --version": 6.0, "ophamin proof verify FILE": 12.0}
    return [
        {
            "name": f"{label} / python -c pass",
            "ratio": seconds / bare,
            "bar": f"<= {bars[label]:g}" if label in bars else "-",
            "ok": label not in bars or seconds / bare <= bars[label],
            "detail": f"{seconds * 1e3:.0f} ms against {bare * 1e3:.0f} ms",
        }
        for label, seconds in median.items()
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['name']:<50} {row['ratio']:6.2f}  {row['bar']:<8} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}"
        )
