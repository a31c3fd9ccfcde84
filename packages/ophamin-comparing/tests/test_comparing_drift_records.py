"""The records of drift, and the command that leaves them."""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from ophamin.comparing._command.drift import drift as command
from ophamin.comparing.drift_detection.record import DRIFT_SCAN, TABLE_DRIFT
from ophamin.proof.errors import ConsistencyError, UnsupportedVersion
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import identify, read, sign, verify
from ophamin.protocols import Settings
from ophamin.testing import check_record_kind

JSON = Any
Drift = Callable[..., Result]


@pytest.fixture
def drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drift:
    """The command in a project of its own."""
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    settings = Settings(str(tmp_path), str(tmp_path / "proofs"))

    def call(*words: object) -> Result:
        return CliRunner().invoke(command, [str(w) for w in words], obj=settings)

    return call


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """Two thousand points of noise, then five hundred two standard deviations higher."""
    rng = np.random.default_rng(0)
    path = tmp_path / "latency.csv"
    np.savetxt(path, np.r_[rng.normal(size=2000), rng.normal(2, 1, 500)], header="latency_s", comments="", fmt="%.9g")
    return path


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """A reference, and the same with one column shifted."""
    rng = np.random.default_rng(1)
    for name, shift in (("training.csv", 0), ("today.csv", 1)):
        frame = pd.DataFrame(
            {"age": rng.normal(40, 10, 6000), "score": rng.normal(shift, 1, 6000), "plan": rng.choice(list("ab"), 6000)}
        )
        frame.to_csv(tmp_path / name, index=False)
    return tmp_path / "training.csv", tmp_path / "today.csv"


def body_of(result: Result) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """What the command said, and the record it left."""
    said = json.loads(result.stdout)
    return said, json.loads(Path(said["record"]).read_bytes())


def test_tables_without_a_column_that_can_be_compared_pass_no_gate(drift: Drift, tmp_path: Path) -> None:
    for name, value in (("a.csv", "1e300"), ("b.csv", "-1e300")):
        (tmp_path / name).write_text("v\n" + f"{value}\n" * 50)
    result = drift("--table", "a.csv", "--reference", "b.csv", "--json")
    assert result.exit_code == 4, result.output
    said, record = body_of(result)
    assert said["exit_code"] == 4
    assert [row["name"] for row in record["skipped"]] == ["v"]


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system takes no such names")
def test_a_file_may_be_called_by_bytes_that_are_no_utf_8(drift: Drift, stream: Path, tables: tuple[Path, Path]) -> None:
    name = os.fsdecode(b"\xff.csv")
    stream.rename(stream.with_name(name))
    assert body_of(drift("--stream", name, "--json"))[1]["source"]["name"] == "\\udcff.csv"
    tables[1].rename(tables[1].with_name(name))
    record = body_of(drift("--table", name, "--reference", tables[0], "--json"))[1]
    assert record["current"]["source"] == "\\udcff.csv"


def test_a_stream_with_a_budget(drift: Drift, stream: Path) -> None:
    result = drift("--stream", stream, "--budget", "1/10,000", "--reference-rows", 1500, "--json")
    assert result.exit_code == 1, result.output
    said, record = body_of(result)
    assert said["exit_code"] == 1
    assert [2000 < e["sample_index"] < 2100 for e in record["events"]] == [True]
    assert record["budget"]["outcome"] == "VALIDATED"
    assert record["budget"]["error_bound"] >= 0.05
    assert (record["n_samples"], record["first_sample"]) == (2500, 1500)
    assert verify(read(said["record"], [DRIFT_SCAN]), Keyring()).ok
    check_record_kind(DRIFT_SCAN, record)
    Draft202012Validator(DRIFT_SCAN.schema).validate(record)
    outcomes = [case["outcome"] for case in DRIFT_SCAN.cases(record)]
    assert outcomes == ["drift", "VALIDATED"]
    shown = drift("--stream", stream, "--budget", "1e-4", "--reference-rows", 1500)
    assert "1 alarms in 1000 points of latency_s" in shown.stdout
    assert "VALIDATED" in shown.stdout


def test_a_quiet_stream_and_a_budget_out_of_reach(drift: Drift, stream: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.csv"
    quiet.write_text("\n".join(stream.read_text().splitlines()[:900]))
    assert drift("--stream", quiet).exit_code == 0
    unreachable = drift(
        "--stream",
        quiet,
        "--budget",
        "1/10000",
        "--reference",
        stream,
        "--set",
        "delta=0.9",
        "--set",
        "clock=1",
        "--json",
    )
    assert unreachable.exit_code in (1, 4), unreachable.output
    _, record = body_of(unreachable)
    assert record["budget"]["outcome"] == "INCONCLUSIVE"
    assert unreachable.exit_code == (1 if record["events"] else 4)


def test_few_points_are_called_model_based(drift: Drift, stream: Path) -> None:
    result = drift("--stream", stream, "--detector", "page-hinkley", "--budget", "1/1000", "--reference-rows", 200)
    assert "model-based" in result.stdout


def test_an_observable_of_a_proof(drift: Drift, body: Any, write_proof: Any) -> None:
    rows = [
        {"index": i, "record": str(i), "status": "ok", "values": {"latency_s": float(i >= 300)}} for i in range(600)
    ]
    path = write_proof("some/record.json", body(), rows)
    result = drift("--observable", "latency_s", "--proof", path, "--json")
    assert result.exit_code == 1, result.output
    _, record = body_of(result)
    assert record["source"]["kind"] == "observations"
    assert [e["sample_index"] for e in record["events"]] == [319]


def test_tables(drift: Drift, tables: tuple[Path, Path]) -> None:
    reference, current = tables
    result = drift("--table", current, "--reference", reference, "--json")
    assert result.exit_code == 1, result.output
    said, record = body_of(result)
    assert record["summary"] == {"drift": ["score"], "stable": 2, "undecided": 0}
    assert verify(read(said["record"], [TABLE_DRIFT]), Keyring()).ok
    check_record_kind(TABLE_DRIFT, record)
    Draft202012Validator(TABLE_DRIFT.schema).validate(record)
    assert [c["outcome"] for c in TABLE_DRIFT.cases(record)] == ["stable", "drift", "stable"]
    shown = drift("--table", current, "--reference", reference)
    assert "1 drifted, 2 stable" in shown.stdout
    assert drift("--table", reference, "--reference", reference).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give one of --stream"),
        (("--stream", "a.csv", "--table", "b.csv"), "give one of --stream"),
        (("--table", "b.csv"), "--reference"),
        (("--observable", "latency_s"), "--proof"),
        (("--observable", "latency_s", "--proof", "feed"), "no such file"),
        (("--stream", "latency.csv", "--budget", "often"), "a budget is a rate"),
        (("--stream", "latency.csv", "--budget", "1/0"), "a budget is a rate"),
        (("--stream", "latency.csv", "--budget", "1/1000"), "calibrated on a reference"),
        (("--stream", "latency.csv", "--detector", "magic"), "a drift detector is"),
        (("--stream", "latency.csv", "--set", "delta"), "NAME=VALUE"),
        (("--stream", "latency.csv", "--set", "width=3"), "does not take"),
        (("--stream", "latency.csv", "--detector", "ddm"), "errors 0 and 1"),
        (("--stream", "latency.csv", "--budget", "1/1000", "--reference-rows", "2500"), "leave none"),
    ],
)
def test_mistakes_are_one_sentence(drift: Drift, stream: Path, words: tuple[str, ...], said: str) -> None:
    result = drift(*words)
    assert said in str(result.exception)
    assert getattr(result.exception, "exit_code", None) == 2


def unsigned(record: dict[str, JSON]) -> dict[str, JSON]:
    return {k: v for k, v in record.items() if k not in ("scan_id", "drift_id", "signature", "attestations")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["events"].append({**r["events"][0], "sample_index": 0}), "order of the stream"),
        (lambda r: r["events"][0].update(sample_index=2500), "behind the end"),
        (lambda r: r["events"][0].update(sample_index=5), "was the reference"),
        (lambda r: r["events"][0].update(detector_name="kswin"), "another detector"),
        (lambda r: r.update(captured_at="yesterday"), "not a time"),
        (lambda r: r["budget"].update(outcome="INCONCLUSIVE"), "does not follow from the last check"),
        (lambda r: r["budget"].update(rate=1e-9), "does not follow from the last check"),
        (lambda r: r["budget"]["tried"][-1].update(alarms=30), "does not follow from its alarms"),
        (lambda r: r["budget"].update(error_bound=0.01), "alpha for each check"),
        (lambda r: r["detector_config"].update(delta=0.5), "value tried last"),
    ],
)
def test_a_scan_that_contradicts_itself_is_not_signed(
    drift: Drift, stream: Path, change: Callable[[dict[str, JSON]], None], said: str
) -> None:
    _, record = body_of(drift("--stream", stream, "--budget", "1/1000", "--reference-rows", 1500, "--json"))
    changed = copy.deepcopy(unsigned(record))
    change(changed)
    with pytest.raises(ConsistencyError, match=said):
        sign(changed, DRIFT_SCAN, Keyring().signer())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["columns"][1].update(state="stable"), "state of column 'score'"),
        (lambda r: r["columns"][1].update(effect=0.0), "do not follow from its effect"),
        (lambda r: r["columns"][0].update(lower=0.2), "do not follow from its effect"),
        (lambda r: r["columns"][1].update(p_drift=0.9), "p_drift is not p_beyond corrected"),
        (lambda r: r["columns"].append(r["columns"][0]), "listed twice"),
        (lambda r: r["columns"][0].update(n=[6000, 6001]), "more rows than its table"),
        (lambda r: r["summary"].update(stable=3), "does not count"),
        (lambda r: r["settings"].update(smallest=0.9), "do not follow"),
        (lambda r: r["identity"].update(captured_at="x"), "not a time"),
    ],
)
def test_a_table_that_contradicts_itself_is_not_signed(
    drift: Drift, tables: tuple[Path, Path], change: Callable[[dict[str, JSON]], None], said: str
) -> None:
    _, record = body_of(drift("--table", tables[1], "--reference", tables[0], "--json"))
    changed = copy.deepcopy(unsigned(record))
    change(changed)
    with pytest.raises(ConsistencyError, match=said):
        sign(changed, TABLE_DRIFT, Keyring().signer())


@pytest.mark.parametrize("version", [1, 2])
def test_scans_of_an_earlier_implementation_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    event = {"sample_index": 5, "detector_name": "page_hinkley", "value_at_event": 0.5, "detail": {}}
    old = {
        "schema_version": version, "ophamin_version": "0.0.9", "ophamin_git_commit": "", "captured_at": "2025-01-01T00:00:00+00:00",
        "detector_name": "page_hinkley", "detector_config": {"delta": 0.005}, "stream_name": "phi_value", "n_samples": 10,
        "stream_hash": "ab" * 32, "events": [event],
    }  # fmt: skip
    record = sign(old, DRIFT_SCAN, Keyring().signer())
    assert "signing_key" not in record
    path = tmp_path / "old.json"
    path.write_text(json.dumps(record))
    assert verify(read(path, [DRIFT_SCAN]), Keyring()).ok
    with pytest.raises(ConsistencyError, match="behind the end"):
        sign({**old, "n_samples": 5}, DRIFT_SCAN, Keyring().signer())


def test_a_later_scan_is_refused() -> None:
    with pytest.raises(UnsupportedVersion):
        identify({"scan_id": "0" * 64, "schema_version": 4}, [DRIFT_SCAN])
    with pytest.raises(UnsupportedVersion):
        identify({"scan_id": "0" * 64, "schema_version": "3"}, [DRIFT_SCAN])
