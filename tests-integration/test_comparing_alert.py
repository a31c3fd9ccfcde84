"""Two real runs on the same records, compared by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ophamin.proof.keys import Keyring
from ophamin.proof.signed import verify
from ophamin.registry import read_record


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "ophamin.cli", *words]
    return subprocess.run(
        call, cwd=folder, env=os.environ.copy(), capture_output=True, text=True, timeout=240, check=False
    )


def test_runs_on_the_same_records_are_paired_and_the_alert_holds(project: Path) -> None:
    for name, correct in (("a", "0.99"), ("b", "0.93")):
        # A project each, so that neither run is a second attempt.
        (project / name).mkdir()
        (project / name / "ophamin.toml").touch()
        claim = ("--claim", "accuracy >= 0.9", "--corpus", "simulated?family=stimuli&n=2000", "--seed", "5")
        command(project / name, "run", "metric", *claim, "--substrate", f"mock?correct={correct}")
    done = command(project, "compare", "a/proofs", "b/proofs", "--json")
    assert done.returncode in (0, 1), done.stderr
    said = json.loads(done.stdout)
    record = read_record(Path(said["record"]))
    assert verify(record, Keyring()).ok
    (transition,) = record.object["transitions"]
    (delta,) = transition["deltas"]
    assert delta["paired"]
    assert delta["method"].startswith("paired by record over")
    assert delta["difference"]["lower"] < delta["difference"]["value"] < delta["difference"]["upper"] < 0
    assert set(delta["p_values"]) == {"worse", "better", "equivalent"}
    # The p-values are dual to the bounds.
    at = 1 - delta["difference"]["upper_confidence"]
    beyond = delta["difference"]["upper"] < -delta["smallest_difference"]
    assert (delta["p_values"]["worse"]["p"] <= at) == beyond
    shown = command(project, "report", said["record"], "--format", "markdown")
    assert shown.returncode == 0, shown.stderr
    assert "paired by record" in shown.stdout
