"""The bill of the whole development environment against ``cyclonedx-py environment``.

Both are whole processes, start included, interleaved round by round, on this interpreter's environment; the baseline
runs as it is shipped, and for comparison without its own validation. The bar also asks that every package has hashes
but editables, which are stated to have none; the baseline gives no hash at all.
"""

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

ROUNDS = 5
BAR = 0.1
BIN = Path(sys.executable).parent


def _seconds(command: list[str], folder: Path) -> float:
    # Bytecode is cached, as it is for a user; PYTHONDONTWRITEBYTECODE would measure the compiler.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=env)
    return time.perf_counter() - began


def run() -> list[dict[str, Any]]:
    """Median whole-process times, as ratios to the baseline's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = [str(BIN / "ophamin"), "sbom", ".", "--environment", sys.prefix, "--out", "ours.json"]
        theirs = [str(BIN / "cyclonedx-py"), "environment", sys.executable, "-o", "theirs.json"]
        commands = {"ours": ours, "theirs": theirs, "bare": [*theirs, "--no-validate"]}
        times: dict[str, list[float]] = {label: [] for label in commands}
        _seconds(ours, folder)
        for _ in range(ROUNDS):
            for label, command in commands.items():
                times[label].append(_seconds(command, folder))
        said = subprocess.run([*ours, "--json"], check=True, capture_output=True, text=True, cwd=folder)
        summary = json.loads(said.stdout)
    median = {label: statistics.median(seconds) for label, seconds in times.items()}
    editable = sum(1 for u in summary["unhashed"] if u["reason"] == "editable")
    all_hashed = summary["hashed"] + editable == summary["components"]
    hashed = (
        f"{summary['hashed']} of {summary['components']} packages hashed, {editable} editables stated as unhashed, "
        f"{summary['files']} files"
    )
    rows = []
    for name, label, bar in (
        ("ophamin sbom / cyclonedx-py environment", "theirs", BAR),
        ("ophamin sbom / cyclonedx-py environment --no-validate", "bare", None),
    ):
        ratio = median["ours"] / median[label]
        rows.append(
            {
                "name": name,
                "ratio": ratio,
                "bar": f"<= {bar}" if bar else "-",
                "ok": all_hashed and (bar is None or ratio <= bar),
                "detail": f"{median['ours']:.2f} s against {median[label]:.2f} s, process start included; {hashed}",
            }
        )
    return rows


if __name__ == "__main__":
    results = run()
    for row in results:
        print(f"{row['name']:55} {row['ratio']:.3f}  {row['bar']:8} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}")
    sys.exit(not all(row["ok"] for row in results))
