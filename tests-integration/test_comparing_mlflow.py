"""Proofs as runs of a real MLflow server with an SQLite store, and back again."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ophamin import registry

Run = Callable[..., subprocess.CompletedProcess[str]]
SWEEP_KEY = "ophamin.record_id"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def at(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command on what could be another machine: another project, the same keys."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "ophamin.cli", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


ARGS = ("run", "metric", "--claim", "accuracy >= 0.8", "--corpus", "simulated?family=stimuli&n=600", "--json")


def run_one(ophamin: Run, correct: float) -> tuple[Path, dict[str, Any]]:
    done = ophamin(*ARGS, "--substrate", f"mock?seed=3&correct={correct}")
    assert done.returncode in (0, 1, 4), done.stderr
    path = Path(json.loads(done.stdout)["path"])
    return path, json.loads(path.read_bytes())


def test_proofs_go_to_the_server_and_come_back_verified(
    tracking_server: str, ophamin: Run, project: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    path, record = run_one(ophamin, 0.9)
    _, other = run_one(ophamin, 0.5)
    done = ophamin("mlflow", "log", "proofs", "--uri", tracking_server, "--experiment", "nightly", "--json")
    assert done.returncode == 0, done.stderr
    runs = {run["record_id"]: run for run in json.loads(done.stdout)["runs"]}
    assert set(runs) == {record["proof_id"], other["proof_id"]}
    assert all(run["new"] for run in runs.values())

    client = MlflowClient(tracking_uri=tracking_server)
    run = client.get_run(runs[record["proof_id"]]["run_id"])
    verdict = record["verdict"]
    metrics = run.data.metrics
    assert metrics["accuracy"] == verdict["observed_value"]
    assert metrics["accuracy.lower"] == verdict["interval"]["lower"]
    assert ("accuracy.upper" in metrics) == (verdict["interval"]["upper"] is not None)
    assert metrics["n_used"] == verdict["n_used"]
    assert run.data.params["claim"] == record["claim"]["statement"]
    assert run.data.params["corpus_digest"] == record["data"]["datasets"][0]["content_hash"]
    tags = run.data.tags
    assert tags["ophamin.record_digest"] == f"sha256:{record['proof_id']}"
    assert tags["ophamin.claim_digest"].startswith("sha256:")
    assert tags["ophamin.outcome"] == verdict["outcome"]
    assert run.info.status == "FINISHED"
    there = {file.path for file in client.list_artifacts(run.info.run_id, "record")}
    assert there == {"record/record.json", "record/observations.jsonl.gz"}
    got = Path(client.download_artifacts(run.info.run_id, "record/record.json", str(tmp_path)))
    assert got.read_bytes() == path.read_bytes()

    # Once is enough.
    again = json.loads(
        ophamin("mlflow", "log", "proofs", "--uri", tracking_server, "--experiment", "nightly", "--json").stdout
    )
    assert [(r["run_id"], r["new"]) for r in again["runs"]] == [
        (r["run_id"], False) for r in json.loads(done.stdout)["runs"]
    ]

    # Another machine, with the same key; and a run of somebody else's in the experiment.
    experiment = client.get_experiment_by_name("nightly").experiment_id
    foreign = client.create_run(experiment, run_name="not ours", tags={"mlflow.parentRunId": run.info.run_id})
    client.log_metric(foreign.info.run_id, "loss", 0.25)
    elsewhere = tmp_path / "elsewhere"
    back = at(elsewhere, "mlflow", "import", "--uri", tracking_server, "--experiment", "nightly", "--json")
    assert back.returncode == 0, back.stderr
    found = json.loads(back.stdout)
    assert sorted(found["records"]) == sorted(runs)
    assert found["left_out"] == {}
    stored = next((elsewhere / "proofs").rglob(f"{record['proof_id']}/record.json"))
    assert stored.read_bytes() == path.read_bytes()
    assert (stored.parent / "observations.jsonl.gz").read_bytes() == (
        path.parent / "observations.jsonl.gz"
    ).read_bytes()
    assert at(elsewhere, "proof", "verify", str(stored)).returncode == 0
    listed = {r["run_id"]: r for r in json.loads(at(elsewhere, "lineage", "list", "--json").stdout)["runs"]}
    mine = f"mlflow:{foreign.info.run_id}"
    assert listed[mine]["attributes"]["metrics"] == {"loss": 0.25}
    assert listed[mine]["parents"] == [f"mlflow:{run.info.run_id}"]
    assert listed[record["proof_id"]]["parents"] == [f"mlflow:{run.info.run_id}"]
    assert at(elsewhere, "mlflow", "import", "--uri", tracking_server, "--experiment", "nightly").returncode == 0


def test_what_was_changed_on_the_server_is_not_taken(
    tracking_server: str, ophamin: Run, project: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    _, record = run_one(ophamin, 0.9)
    done = ophamin("mlflow", "log", "proofs", "--uri", tracking_server, "--experiment", "forged", "--json")
    [run] = json.loads(done.stdout)["runs"]
    record["verdict"]["reasoning"] = "because I say so"
    forged = tmp_path / "record.json"
    forged.write_text(json.dumps(record))
    MlflowClient(tracking_uri=tracking_server).log_artifact(run["run_id"], str(forged), "record")
    elsewhere = tmp_path / "elsewhere"
    back = at(elsewhere, "mlflow", "import", "--uri", tracking_server, "--experiment", "forged", "--json")
    assert back.returncode == 3
    found = json.loads(back.stdout)
    assert found["records"] == []
    assert set(found["left_out"]) == {run["run_id"]}
    assert not (elsewhere / "proofs").exists()


def test_only_files_a_record_was_signed_with_come_back(
    tracking_server: str, ophamin: Run, project: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    run_one(ophamin, 0.9)
    run_one(ophamin, 0.5)
    done = ophamin("mlflow", "log", "proofs", "--uri", tracking_server, "--experiment", "loaded", "--json")
    swapped, loaded = json.loads(done.stdout)["runs"]
    client = MlflowClient(tracking_uri=tracking_server)
    for name, run in (("observations.jsonl.gz", swapped), ("evil name.sh", loaded)):
        (tmp_path / name).write_bytes(gzip.compress(b"{}\n"))
        client.log_artifact(run["run_id"], str(tmp_path / name), "record")
    elsewhere = tmp_path / "elsewhere"
    back = at(elsewhere, "mlflow", "import", "--uri", tracking_server, "--experiment", "loaded", "--json")
    assert back.returncode == 3, back.stderr
    found = json.loads(back.stdout)
    assert found["records"] == [loaded["record_id"]]
    assert set(found["left_out"]) == {swapped["run_id"]}
    assert "observations" in found["left_out"][swapped["run_id"]]
    assert found["files_left_out"] == {f"{loaded['run_id']}/evil name.sh": "the record does not speak of it"}
    there = {path.name for path in (elsewhere / "proofs" / "proof").rglob("*") if path.is_file()}
    assert there == {"record.json", "observations.jsonl.gz"}


def test_a_composite_record_is_the_parent_of_the_runs_it_names(
    tracking_server: str, ophamin: Run, project: Path
) -> None:
    from mlflow import MlflowClient

    from ophamin.comparing.provenance.tracking import ToLog, Tracking

    _, record = run_one(ophamin, 0.9)
    proof = registry.records.get("proof")

    class Sweep:
        name, id_field = "sweep", "sweep_id"

        def cases(self, record: Any) -> Any:
            return [{"name": "size 10", "outcome": "VALIDATED", "message": ""}]

    sweep = {"sweep_id": "5e" * 32, "schema_version": "sweep/1.0", "cells": [{"proof_id": record["proof_id"]}]}
    logged = Tracking(tracking_server, "sweeps").log([ToLog(record, proof), ToLog(sweep, Sweep())])  # type: ignore[arg-type]
    client = MlflowClient(tracking_uri=tracking_server)
    child, parent = (client.get_run(item.run_id) for item in logged)
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    table = Path(client.download_artifacts(parent.info.run_id, "cases.json"))
    assert json.loads(table.read_text()) == {
        "columns": ["name", "outcome", "message"],
        "data": [["size 10", "VALIDATED", ""]],
    }


def test_the_exporter_takes_any_tracking_address(
    ophamin: Run, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, record = run_one(ophamin, 0.9)
    monkeypatch.chdir(tmp_path)  # MLflow puts the artifacts of a bare SQLite store beside it
    exporter = registry.exporters.get("mlflow")()
    assert "proof" in exporter.kinds
    out = io.BytesIO()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    loss = exporter.export(record, out, uri=uri, experiment="here", folder=str(path.parent))
    address = json.loads(out.getvalue())
    assert address["new"] is True
    assert list(loss.lost) == []
    again = io.BytesIO()
    exporter.export(record, again, uri=uri, experiment="here")
    assert json.loads(again.getvalue()) == {**address, "new": False}


def test_a_server_that_is_down_is_said_at_once(ophamin: Run, project: Path) -> None:
    run_one(ophamin, 0.9)
    uri = f"http://someone:secret@127.0.0.1:{free_port()}"
    for words in (("log", "proofs"), ("import",)):
        begun = time.monotonic()
        done = ophamin("mlflow", *words, "--uri", uri)
        assert done.returncode == 6, done.stderr
        assert "no tracking server answers" in done.stderr
        assert "mlflow server" in done.stderr
        assert "secret" not in done.stderr
        assert "Traceback" not in done.stderr
        assert time.monotonic() - begun < 30
    assert ophamin("mlflow", "log", "proofs").returncode == 2
    for address in ("nonsense://x", "http://me:secret@[bad", "http://me:secret@127.0.0.1:port"):
        done = ophamin("mlflow", "log", "proofs", "--uri", address)
        assert done.returncode == 2, done.stderr
        assert "secret" not in done.stderr


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"])
def test_what_answers_and_is_no_tracking_server_is_said(ophamin: Run, project: Path, answer: bytes) -> None:
    run_one(ophamin, 0.9)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):  # until it is closed
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = ophamin("mlflow", "log", "proofs", "--uri", f"http://127.0.0.1:{server.getsockname()[1]}")
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert done.returncode == 6, done.stderr
    assert "no tracking server answers" in done.stderr
    assert "Traceback" not in done.stderr


SWEEP = """
scenario: metric
base: {arms: {main: 'mock?seed=3&correct=0.9'}, corpus: 'simulated?family=stimuli&n=600', n: 60}
grid: {options.claim: ['accuracy >= 0.6', 'accuracy >= 0.95']}
"""


def test_a_sweep_goes_to_the_server_above_its_proofs_and_comes_back(
    tracking_server: str, ophamin: Run, project: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    (project / "sweep.yaml").write_text(SWEEP)
    done = ophamin("sweep", "sweep.yaml", "--executor", "serial", "--json")
    assert done.returncode in (0, 1, 4), done.stderr
    said = json.loads(done.stdout)
    proofs = {cell["proof_id"] for cell in said["cells"]}
    done = ophamin("mlflow", "log", "proofs", "--uri", tracking_server, "--experiment", "a-real-sweep", "--json")
    assert done.returncode == 0, done.stderr
    runs = {run["record_id"]: run["run_id"] for run in json.loads(done.stdout)["runs"]}
    assert set(runs) == {said["sweep_id"], *proofs}

    client = MlflowClient(tracking_uri=tracking_server)
    above = runs[said["sweep_id"]]
    assert client.get_run(above).data.tags["ophamin.kind"] == "sweep"
    assert {client.get_run(runs[p]).data.tags["mlflow.parentRunId"] for p in proofs} == {above}
    table = json.loads(Path(client.download_artifacts(above, "cases.json", str(tmp_path))).read_text())
    assert len(table["data"]) == len(proofs) == 2

    back = at(
        tmp_path / "there", "mlflow", "import", "--uri", tracking_server, "--experiment", "a-real-sweep", "--json"
    )
    assert back.returncode == 0, back.stderr
    assert set(json.loads(back.stdout)["records"]) == set(runs)
