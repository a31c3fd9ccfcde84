"""Ctrl-C during ``ophamin discover``: what was answered is kept as a signed document that says it is partial."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[str]]
# Answers 120 questions, then never again: wherever the signal finds it, more cycles are done than one batch has.
SYSTEM = """
import time
from pathlib import Path

seen = 0


def answer(text):
    global seen
    seen += 1
    if seen > 120:
        Path("stuck").touch()
        time.sleep(600)
    return {"length": len(text)}
"""


def test_ctrl_c_keeps_what_was_answered(ophamin: Run, project: Path) -> None:
    (project / "slow.py").write_text(SYSTEM, "utf-8")
    (project / "rows.csv").write_text("prompt\n" + "".join(f"question {i}\n" for i in range(300)), "utf-8")
    words = ["discover", "python:slow:answer", "--corpus", "table:rows.csv?text=prompt", "--timeout", "900"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ophamin.cli", *words, "--json", "--out", "part.json"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 120
    while not (project / "stuck").exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "ophamin: interrupted after 120 of 200 cycles; what was answered is kept as a partial document\n"
    told = json.loads(out)
    assert (told["partial"], told["cycles"]["n_ok"]) == ("interrupted", 120)
    for document in (told["record"], "part.json"):
        assert ophamin("record", "verify", document).returncode == 0
        assert ophamin("schema", "validate", document).returncode == 0
    compared = ophamin("discover", "--diff", "part.json", "part.json")
    assert "A is partial: 120 of 200 cycles (interrupted)" in compared.stderr
