"""The observations beside a proof give its estimate, interval and verdict, without the system."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.keys import Keyring

JSON = Any
Ask = Callable[..., subprocess.CompletedProcess[str]]
SYSTEM = """
def answer(payload):
    number = int(payload.split()[1])
    if number % 40 == 7:
        raise ValueError("no answer today")
    return {"answer": "yes" if number % 10 else "no", "confidence": 0.9 if number % 10 else 0.2, "fields": [1]}
"""
ROWS = ("--corpus", "table:rows.csv", "--substrate", "python:road_rows:answer")
CLAIMS = {
    "share": ("metric", "--claim", "accuracy >= 0.7", *ROWS, "--n", "300"),
    "mean": ("metric", "--claim", "mean(confidence) >= 0.5", "--set", "support=0,1", *ROWS, "--n", "300"),
    "cost": ("throughput-ceiling", *ROWS, "--n", "900", "--set", "limit_s=5"),
    "confidence": ("calibrated-confidence", *ROWS, "--n", "600"),
    "undecided": ("metric", "--claim", "accuracy >= 0.7", *ROWS, "--n", "3"),
    "exact": ("metric", "--claim", "accuracy >= 0.7", *ROWS, "--rule", "exact"),
    "noisy": ("metric", "--claim", "accuracy >= 0.7", "--corpus", "table:rows.csv", "--rule", "exact",
              "--substrate", "mock?mode=random"),
}  # fmt: skip


@pytest.fixture
def ask(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The command in this process, with 1,000 rows and a function to measure."""
    from ophamin.cli._run import run

    (project / "rows.csv").write_text("id,text,label\n" + "".join(f"{i},word {i},yes\n" for i in range(1000)))
    (project / "road_rows.py").write_text(SYSTEM)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.delitem(sys.modules, "road_rows", raising=False)
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return call


def measured(ask: Ask, name: str) -> Path:
    done = ask("run", *CLAIMS[name], "--json")
    assert done.returncode in (0, 1, 4), done.stderr
    return Path(json.loads(done.stdout)["path"])


@pytest.mark.parametrize("name", CLAIMS)
def test_the_rows_give_what_the_proof_states(ask: Ask, project: Path, name: str) -> None:
    path = measured(ask, name)
    (project / "road_rows.py").unlink()  # no system, no corpus: the rows are enough
    (project / "rows.csv").unlink()
    done = ask("recompute", str(path), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found, record = json.loads(done.stdout), json.loads(path.read_bytes())
    assert (found["agrees"], found["differences"], found["same_code"]) == (True, [], True)
    assert (found["outcome"], found["proof_id"]) == (record["verdict"]["outcome"], record["proof_id"])
    assert record["verdict"]["outcome"] in ask("recompute", record["proof_id"][:12]).stdout


def forged(path: Path, change: Callable[[JSON], None], rows: bytes | None = None) -> Path:
    """The record changed and signed again with our own key, as somebody with every right could: no hash is off."""
    record = json.loads(path.read_bytes())
    body = {k: v for k, v in record.items() if k not in ("proof_id", "signature", "attestations")}
    change(body)
    folder = path.parent.parent / "forged"
    folder.mkdir()
    beside = path.with_name("observations.jsonl.gz")
    data = beside.read_bytes() if rows is None else gzip.compress(rows)
    (folder / beside.name).write_bytes(data)
    signer, data = Keyring().signer(), canonical_bytes(body)
    whole = {
        "proof_id": content_id(data),
        **body,
        "signature": signer.hmac(data),
        "attestations": [signer.attest(data)],
    }
    (folder / "record.json").write_text(json.dumps(whole))
    return folder / "record.json"


def change_bound(body: JSON) -> None:
    """A narrower interval, in all places that must agree."""
    lower = body["verdict"]["interval"]["lower"] + 0.01
    body["verdict"]["interval"]["lower"] = body["evidence"][0]["ci_low"] = lower


def change_value(body: JSON) -> None:
    value = body["verdict"]["observed_value"] + 1e-6
    body["verdict"]["observed_value"] = body["evidence"][0]["statistic_value"] = value


def change_outcome(body: JSON) -> None:
    interval = body["verdict"]["interval"]
    interval["lower"] = body["evidence"][0]["ci_low"] = 0.1
    interval["upper"] = body["evidence"][0]["ci_high"] = 0.99
    body["verdict"]["outcome"] = "INCONCLUSIVE"


def change_counts(body: JSON) -> None:
    body["verdict"]["n_used"] -= 1
    body["verdict"]["n_errors"] += 1


def change_options(body: JSON) -> None:
    body["reproduction"]["run_spec"]["options"]["claim"] = "accuracy >= 0.5"


def change_digest(body: JSON) -> None:
    body["data"]["observations"]["values_digest"] = "sha256:" + "0" * 64


def drop_evidence(body: JSON) -> None:
    body["evidence"][0]["n"] -= 1


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (change_bound, "verdict.interval.lower"),
        (change_value, "verdict.observed_value"),
        (change_outcome, "verdict.outcome"),
        (change_counts, "verdict.n_used"),
        (change_options, "claim.threshold.value"),
        (change_digest, "data.observations.values_digest"),
        (drop_evidence, ".n"),
    ],
)
def test_a_proof_signed_with_other_numbers_than_its_rows_give(
    ask: Ask, change: Callable[[JSON], None], where: str
) -> None:
    path = forged(measured(ask, "share"), change)
    checks = json.loads(ask("proof", "verify", str(path), "--json").stdout)["records"][0]["checks"]
    states = {c["name"]: c["state"] for c in checks}
    # Nothing but the rows can tell (the ledger knows no outcome of that id).
    assert {states[n] for n in ("id", "signature", "attestation[0]", "schema", "consistency", "observations")} == {
        "good"
    }
    done = ask("recompute", str(path), "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["agrees"] is False
    assert any(where in d["what"] for d in found["differences"]), found["differences"]
    assert "NOT what" in ask("recompute", str(path)).stdout


def test_a_changed_record_is_bad_before_anything_is_recomputed(ask: Ask) -> None:
    path = measured(ask, "share")
    path.write_bytes(path.read_bytes().replace(b'"VALIDATED"', b'"REFUTED"', 1))
    done = ask("recompute", str(path))
    assert done.returncode == 3
    assert "nothing was recomputed" in done.stderr


def with_rows(path: Path, rows: bytes) -> Path:
    """The same claim over other rows, signed as if they had been measured."""
    from ophamin.proof.merkle import leaf_hash, root_hash

    def bind(body: JSON) -> None:
        lines = rows.splitlines(keepends=True)
        body["data"]["observations"].update(
            digest="sha256:" + hashlib.sha256(rows).hexdigest(),
            n_rows=len(lines),
            merkle_root=root_hash([leaf_hash(line) for line in lines]),
        )

    return forged(path, bind, rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: {**row, "values": "text"},
        lambda row: {**row, "index": "0"},
        lambda row: {**row, "unit": None},
        lambda row: {**row, "values": {**row["values"], "value": "text"}},
        lambda row: {**row, "values": {**row["values"], "value": [1]}},
        lambda row: {**row, "values": {**row["values"], "value": {"a": 1}}},
        lambda row: {**row, "values": {"other": 1}},
        lambda row: {**row, "values": None},
        lambda row: {k: v for k, v in row.items() if k != "block"},
    ],
)
def test_rows_nobody_could_score_are_one_sentence(ask: Ask, change: Callable[[JSON], JSON]) -> None:
    path = measured(ask, "share")
    rows = [
        json.loads(row) for row in gzip.decompress(path.with_name("observations.jsonl.gz").read_bytes()).splitlines()
    ]
    rows = [change(row) for row in copy.deepcopy(rows)]
    done = ask("recompute", str(with_rows(path, b"".join(canonical_bytes(row) + b"\n" for row in rows))))
    assert done.returncode in (2, 3), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len((done.stdout + done.stderr).strip()) > 20


def test_what_cannot_be_recomputed_says_why(ask: Ask, project: Path) -> None:
    path = measured(ask, "share")
    for words, sentence in (
        ({"scenario": "no-such-scenario"}, "no-such-scenario"),
        ({"later": 1}, "upgrade"),
        ({"options": []}, "another type"),
        ({"arms": {"main": 1}}, "another type"),
        ({"options": {"colour": "red"}}, "no option 'colour'"),
    ):
        other = forged(path, lambda body, words=words: body["reproduction"]["run_spec"].update(words))  # type: ignore[misc]
        done = ask("recompute", str(other))
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
        done = ask("reproduce", str(other))
        assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
        for file in other.parent.iterdir():
            file.unlink()
        other.parent.rmdir()
    path.with_name("observations.jsonl.gz").unlink()
    done = ask("recompute", str(path))
    assert (done.returncode, "is missing" in done.stderr) == (2, True)
    assert ask("recompute", str(project / "absent.json")).returncode == 2
    (project / "audit.json").write_text("{}")
    assert ask("recompute", str(project / "audit.json")).returncode == 2


def test_a_strangers_proof_is_recomputed_but_does_not_choose_what_runs_here(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = measured(ask, "share")
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "another home"))
    assert ask("recompute", str(path)).returncode == 0
    done = ask("reproduce", str(path))
    assert (done.returncode, "python:road_rows:answer" in done.stderr) == (5, True)
    assert ask("reproduce", str(path), "--substrate", "python:road_rows:answer").returncode == 0
    public = json.loads(path.read_bytes())["attestations"][0]["public_key"]
    assert ask("key", "trust", "them", public).returncode == 0
    assert ask("reproduce", str(path)).returncode == 0
