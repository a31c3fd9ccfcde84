"""A run that is watched: the record, its trace and its two flame graphs, and a real tracking server that takes the trace."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
SYSTEM = """
def squares(n):
    return sum(i * i for i in range(n))

def answer(text):
    rows = [bytes(1000) for _ in range(200)]
    return {"n": squares(5_000) + len(rows)}
"""
ARGS = ("run", "throughput-ceiling", "--substrate", "python:system:answer", "--corpus", "simulated?family=stimuli&n=2000",
        "--n", "400", "--set", "limit_s=0.5", "--json")  # fmt: skip


@pytest.fixture
def system(project: Path) -> dict[str, str]:
    """A system that works and allocates; the environment to run it in."""
    (project / "system.py").write_text(SYSTEM, "utf-8")
    return {"PYTHONPATH": str(project)}


def record_of(done: subprocess.CompletedProcess[str]) -> tuple[Path, dict[str, Any]]:
    """The folder of the proof and its record."""
    assert done.returncode in (0, 1, 4), done.stderr
    path = Path(json.loads(done.stdout)["path"])
    return path.parent, json.loads(path.read_bytes())


def test_an_instrumented_run_leaves_a_trace_and_two_flame_graphs_bound_by_digest(
    ophamin: Run, system: dict[str, str]
) -> None:
    folder, record = record_of(ophamin(*ARGS, "--instrument", "--flamegraph", **system))
    artifacts = {a["name"]: a for a in record["reproduction"]["artifacts"]}
    assert {
        "flamegraph-cpu.svg": "image/svg+xml",
        "flamegraph-memory.svg": "image/svg+xml",
        "flamegraph-cpu.speedscope.json": "application/json",
        "flamegraph-memory.collapsed.txt": "text/plain",
        "trace.otlp.jsonl": "application/x-ndjson",
    }.items() <= {name: a["media_type"] for name, a in artifacts.items()}.items()
    for name, artifact in artifacts.items():
        assert artifact["digest"] == "sha256:" + hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert "squares" in (folder / "flamegraph-cpu.svg").read_text("utf-8")
    assert "answer (system.py)" in (folder / "flamegraph-memory.svg").read_text("utf-8")
    trace = (folder / "trace.otlp.jsonl").read_text("ascii")
    assert trace.count('"name":"ophamin.cycle"') == 400
    assert trace.count('"name":"gen_ai.evaluation.result"') == 1
    assert '"ophamin.resources.cpu_s"' in trace
    assert ophamin("proof", "verify", str(folder / "record.json")).returncode == 0
    if browser := next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None):
        for name, text in (("flamegraph-cpu.svg", "squares"), ("flamegraph-memory.svg", "answer (system.py)")):
            shown = subprocess.run(
                [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 f"--user-data-dir={folder.parent / 'profile'}", "--dump-dom", (folder / name).as_uri()],
                capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
            assert text in shown.stdout
            assert ">search</text>" in shown.stdout


def test_watching_changes_neither_the_rows_nor_the_verdict(ophamin: Run, system: dict[str, str], project: Path) -> None:
    found = []
    for extra in ((), ("--instrument", "--flamegraph")):
        shutil.rmtree(project / ".ophamin", ignore_errors=True)
        shutil.rmtree(project / "proofs", ignore_errors=True)
        _, record = record_of(ophamin(*ARGS, *extra, **system))
        found.append(
            (record["verdict"]["outcome"], record["verdict"]["n_used"], record["data"]["datasets"][0]["selection"])
        )
    assert found[0] == found[1]


def test_the_command_of_the_record_runs_it_again(ophamin: Run, system: dict[str, str]) -> None:
    _, record = record_of(ophamin(*ARGS, "--flamegraph", "--instrument", "tracing", **system))
    argv = record["reproduction"]["argv"]
    named = [argv[i + 1] for i, word in enumerate(argv) if word == "--instrument"]
    assert named == ["flamegraph-memory", "flamegraph-cpu", "tracing"]
    # Another attempt at the same claim, which has less alpha to spend.
    assert ophamin(*argv[1:], "--json", **system).returncode in (0, 4)


def test_without_an_instrument_nothing_of_it_is_loaded(ophamin: Run, system: dict[str, str], project: Path) -> None:
    code = (
        "import sys; from ophamin.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.startswith(('opentelemetry', 'memray', 'ophamin.instrumenting'))), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *ARGS], env={**os.environ, **system}, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip().endswith("[]"), done.stderr


# --- a tracking server


@pytest.mark.slow
def test_a_tracking_server_takes_the_trace(ophamin: Run, system: dict[str, str], tracking_server: str) -> None:
    endpoint = {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{tracking_server}/v1/traces",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-mlflow-experiment-id=0",
    }
    done = ophamin(*ARGS, "--instrument", "tracing", **system, **endpoint)
    _, record = record_of(done)
    assert "did not reach" not in done.stderr
    code = (
        "import json, mlflow, sys; mlflow.set_tracking_uri(sys.argv[1])\n"
        "(trace,) = mlflow.search_traces(locations=['0'], return_type='list')\n"
        "(root,) = [s for s in trace.data.spans if s.name == 'ophamin.scenario']\n"
        "print(json.dumps([str(trace.info.state), len(trace.data.spans), [[e.name, dict(e.attributes)] for e in root.events]]))"
    )
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    asked = subprocess.run(
        [sys.executable, "-c", code, tracking_server], capture_output=True, text=True, env=env, check=False
    )
    assert asked.returncode == 0, asked.stderr
    state, spans, ((event, told),) = json.loads(asked.stdout.splitlines()[-1])
    assert "OK" in state
    assert spans == 401
    assert event == "gen_ai.evaluation.result"
    assert told["gen_ai.evaluation.score.label"] == record["verdict"]["outcome"]
    assert told["ophamin.interval.upper"] == pytest.approx(record["verdict"]["interval"]["upper"])
