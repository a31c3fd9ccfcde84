"""A sweep of real claims, end to end: registered here, measured elsewhere, signed here."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ophamin import registry
from ophamin.proof.errors import IntegrityError, UsageError
from ophamin.proof.keys import Keyring
from ophamin.proof.ledger import Ledger
from ophamin.proof.signed import read, verify
from ophamin.protocols import RunSpec
from ophamin.testing import check_record_kind

JSON = Any
MODEL = """
import time
def right(text): return "yes" if int(text.split()[1]) % 2 == 0 else "no"
def half(text): return "yes"
def slow(text):
    time.sleep(0.005)
    return right(text)
"""
SWEEP = """
scenario: metric
base: {corpus: 'table:rows.csv?text=text&label=label', n: 60}
grid:
  arms.main: ['python:sweepmodel:right', 'python:sweepmodel:half']
  options.claim: ['accuracy >= 0.6', 'accuracy >= 0.9']
"""


@pytest.fixture
def grid(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a corpus, two models and a sweep of four cells."""
    lines = "".join(f"{i},word {i},{('yes', 'no')[i % 2]}\n" for i in range(600))
    (project / "rows.csv").write_text(f"id,text,label\n{lines}")
    (project / "sweepmodel.py").write_text(MODEL)
    (project / "sweep.yaml").write_text(SWEEP)
    monkeypatch.syspath_prepend(project)
    monkeypatch.setenv("PYTHONPATH", str(project))
    return project


@pytest.fixture
def command(grid: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, JSON], str]]:
    """``ophamin sweep`` in this process; exit code, its JSON, and standard error."""
    from ophamin.cli._run import run

    def call(*words: str) -> tuple[int, dict[str, JSON], str]:
        capsys.readouterr()
        code = run(("sweep", "sweep.yaml", *words, "--json"))
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {}, said.err

    return call


def entries(project: Path) -> list[dict[str, JSON]]:
    return [dict(e.value) for e in Ledger(project / ".ophamin" / "ledger").entries()]


def spec_of(**more: JSON) -> RunSpec:
    options = {"claim": "accuracy >= 0.6"}
    return RunSpec(
        "metric", {"main": "python:sweepmodel:right"}, "table:rows.csv?text=text&label=label", options, n=60, **more
    )


def test_a_sweep_registers_all_before_it_measures_and_signs_one_record(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]]
) -> None:
    code, said, err = command("--executor", "process", "--workers", "2", "--parquet", "cells.parquet")
    assert code == said["exit_code"] == 1, err
    outcome = {
        (c["assignment"]["arms.main"][-5:], c["assignment"]["options.claim"][-3:]): c["corrected"]
        for c in said["cells"]
    }
    assert outcome[("right", "0.6")] == "VALIDATED"
    assert outcome[(":half", "0.9")] == "REFUTED"
    kind = registry.records.get("sweep")
    record = read(said["record"], [kind])
    assert verify(record, Keyring()).ok
    check_record_kind(kind, record.object)
    types = [e["type"] for e in entries(grid)]
    assert types == ["sweep", *["registration"] * 4, *["outcome"] * 4]
    assert said["plan"]["ledger_index"] == 0
    names = [e["name"] for e in said["effects"]["found"]]
    assert any("arms.main[" in name for name in names)
    frame = pd.read_parquet(grid / "cells.parquet")
    assert list(frame["corrected"]) == [c["corrected"] for c in said["cells"]]

    code, again, _ = command()
    assert code == 1
    assert all(c["reused"] for c in again["cells"])
    assert [c["proof_id"] for c in again["cells"]] == [c["proof_id"] for c in said["cells"]]

    # A changed system is another run of the same claim.
    (grid / "sweepmodel.py").write_text(MODEL + "# changed\n")
    code, changed, _ = command("grid.options.claim=['accuracy >= 0.9']")
    assert code in (1, 4)
    assert not any(c["reused"] for c in changed["cells"])


def test_a_forged_proof_is_not_taken_into_the_record(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]]
) -> None:
    _, said, _ = command("--executor", "serial")
    proof = said["cells"][0]["proof_id"]
    path = grid / "proofs" / "proof" / proof[:2] / proof / "record.json"
    path.write_text(path.read_text().replace('"n_used": 60', '"n_used": 61'))
    code, _, err = command("--executor", "serial")
    assert code == 3
    assert "is bad" in err


def test_an_executor_that_does_not_exist_is_refused_also_when_nothing_is_left_to_run(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]]
) -> None:
    assert command("--executor", "serial")[0] in (0, 1, 4)
    for words in ("nothing", "dask=head", "process=4"):
        code, _, err = command("--executor", words)
        assert code == 2
        assert f"no executor is called {words!r}" in err


def journal_of(project: Path) -> Path:
    return project / ".ophamin" / "sweeps" / "cells.jsonl"


def test_a_journal_that_gives_a_cell_another_cells_proof_is_not_believed(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]]
) -> None:
    _, said, _ = command("--executor", "serial")
    one, other = said["cells"][0], next(c for c in said["cells"] if c["outcome"] != said["cells"][0]["outcome"])
    lines = [json.loads(line) for line in journal_of(grid).read_bytes().splitlines()]
    done = {line["cell"]: line for line in lines if line["state"] == "done"}
    done[one["cell"]]["value"], done[other["cell"]]["value"] = (
        done[other["cell"]]["value"], done[one["cell"]]["value"],
    )  # fmt: skip
    journal_of(grid).write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, _, err = command("--executor", "serial")
    assert code == 3
    assert "another run's proof" in err


@pytest.mark.parametrize("factor", ["alpha=[0.01,0.05]", "seed=[7,8]"])
def test_a_proof_of_the_same_claim_at_another_alpha_or_seed_is_another_runs(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]], factor: str
) -> None:
    words = ("--executor", "serial", "grid.arms.main=['python:sweepmodel:right']",
             "grid.options.claim=['accuracy >= 0.6']", f"grid.{factor}", "base.attempts=2")  # fmt: skip
    code, _, err = command(*words)
    assert code in (0, 1, 4), err
    lines = [json.loads(line) for line in journal_of(grid).read_bytes().splitlines()]
    one, other = [line for line in lines if line["state"] == "done"]
    one["value"], other["value"] = other["value"], one["value"]
    journal_of(grid).write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, _, err = command(*words)
    assert code == 3
    assert "another run's proof" in err


def test_a_proof_that_the_ledger_does_not_know_is_not_taken_into_the_record(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]]
) -> None:
    words = ("--executor", "serial", "grid.options.claim=['accuracy >= 0.6']")
    command(*words)
    shutil.rmtree(grid / ".ophamin" / "ledger")
    code, _, err = command(*words)
    assert code == 3
    assert "ledger is bad" in err


def test_a_project_that_was_moved_runs_nothing_again(
    grid: Path, ophamin: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("sweep", "sweep.yaml", "--executor", "serial", "--json")
    first = json.loads(ophamin(*words).stdout)
    moved = grid.with_name("moved")
    grid.rename(moved)
    monkeypatch.setenv("PYTHONPATH", str(moved))
    done = subprocess.run(
        [Path(sys.executable).with_name("ophamin"), *words], cwd=moved, capture_output=True, text=True, check=False
    )
    again = json.loads(done.stdout)
    assert all(c["reused"] for c in again["cells"])
    assert [c["proof_id"] for c in again["cells"]] == [c["proof_id"] for c in first["cells"]]
    assert Counter(e["type"] for e in entries(moved))["registration"] == 4


@pytest.mark.parametrize("target", ["nowhere/cells.parquet", "proofs"])
def test_a_table_that_cannot_be_written_is_said_before_anything_runs(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]], target: str
) -> None:
    (grid / "proofs").mkdir(exist_ok=True)
    code, _, err = command("--executor", "serial", "--parquet", target)
    assert code == 2
    assert target in err
    assert not (grid / ".ophamin" / "ledger").exists()


@pytest.mark.parametrize("value", [None, "x", {"proof_id": 1}, {"path": "a\0b", "proof_id": "x"}])
def test_a_journal_line_that_makes_no_sense_costs_only_its_cell(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]], value: JSON
) -> None:
    words = ("--executor", "serial", "grid.options.claim=['accuracy >= 0.6']")
    _, said, _ = command(*words)
    with journal_of(grid).open("a") as file:
        file.write(json.dumps({"cell": said["cells"][0]["cell"], "state": "done", "value": value}) + "\n")
    code, again, err = command(*words)
    assert code in (0, 1, 4), err
    assert [c["reused"] for c in again["cells"]] == [False, True]


def test_a_proof_that_nobody_known_signed_is_not_taken_into_the_record(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]], monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    command("--executor", "serial")
    # Another installation, which has not been told to trust the key of this one.
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("OPHAMIN_HOME", str(home))
    monkeypatch.delenv("OPHAMIN_SIGN_KEY", raising=False)
    code, _, err = command("--executor", "serial")
    assert code == 3
    assert "nobody known signed it" in err


def test_the_worker_needs_no_key_and_its_parcel_is_not_believed(grid: Path, tmp_path: Path) -> None:
    from ophamin.measuring.scenarios.cell import measure

    desk = registry.runners.get("scenario-cell").desk(spec_of(project=str(grid)))
    ticket = desk.register(spec_of(project=str(grid)))
    assert not {"project", "store", "key_file"} & {k for k, v in ticket["spec"].items() if v}
    parcel = measure(json.loads(json.dumps(ticket)))
    assert "signature" not in parcel["body"]
    for spoil, words in (
        (lambda p: p["body"]["claim"].update(statement="another"), "claim"),
        (lambda p: p["body"]["preregistration"].update(seed=1), "registration"),
        (lambda p: p["body"]["verdict"].update(outcome="REFUTED"), "verdict"),
        (lambda p: p["body"]["verdict"].update(observed_value=0.9), "verdict"),
        (lambda p: p.update(rows=p["rows"].replace(b'"status":"ok"', b'"status":"no"')), "observations"),
        (lambda p: p.update(artifacts={"../x": b""}), "files"),
    ):
        bad = copy.deepcopy(parcel)
        spoil(bad)
        with pytest.raises(IntegrityError, match=words):
            desk.sign(ticket, bad)
    other = {**ticket, "config_hash": "sha256:" + "0" * 64}
    with pytest.raises(UsageError, match="another config"):
        measure(other)
    result = desk.sign(ticket, parcel)
    desk.close()
    assert result.outcome == "VALIDATED"
    assert verify(read(result.path, [registry.records.get("proof")]), Keyring()).ok


def test_what_was_filed_before_a_kill_is_found_in_the_ledger(grid: Path) -> None:
    from ophamin.measuring.scenarios.cell import measure

    desk = registry.runners.get("scenario-cell").desk(spec_of(project=str(grid)))
    ticket = desk.register(spec_of(project=str(grid)))
    assert desk.recover(ticket["index"]) is None
    result = desk.sign(ticket, measure(ticket))
    found = desk.recover(ticket["index"])
    assert found == result


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_no_claim_is_tried_twice(
    grid: Path, ophamin: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    words = ("grid.arms.main=['python:sweepmodel:slow']", "grid.n=[60,61,62,63]", "base.n=30")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("ophamin"), "sweep", "sweep.yaml", *words, "--executor", "serial"],
        cwd=grid, start_new_session=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    journal, limit = grid / ".ophamin" / "sweeps" / "cells.jsonl", time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b'"state":"done"') < 2:
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # In a process of its own: here the model of another test's project would still be imported.
    done = ophamin("sweep", "sweep.yaml", *words, "--executor", "serial", "--json")
    assert done.returncode in (0, 1, 4), done.stderr
    said = json.loads(done.stdout)
    assert sum(c["reused"] for c in said["cells"]) >= 2
    assert all(c["outcome"] != "FAILED" for c in said["cells"])
    verdicts = [e for e in entries(grid) if e["type"] == "outcome" and e["proof_id"]]
    assert len(verdicts) == len({e["proof_id"] for e in verdicts}) == 8
    assert Counter(e["type"] for e in entries(grid))["registration"] == 8


@pytest.fixture
def cluster(grid: Path, dask_cluster: Callable[[Path], Any]) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A real cluster whose workers can import the models; its address and the workers."""
    with dask_cluster(grid) as found:
        yield found


@pytest.mark.slow
def test_two_hundred_claims_on_two_dask_workers_of_which_one_is_killed(
    grid: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    claims = [f"accuracy >= {0.4 + 0.005 * i:.3f}" for i in range(100)]
    # In a process of its own: here the model of another test's project would still be imported.
    with subprocess.Popen(
        [Path(sys.executable).with_name("ophamin"), "sweep", "sweep.yaml", f"grid.options.claim={json.dumps(claims)}",
         "--executor", f"dask={address}", "--json"],
        cwd=grid, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            limit = time.monotonic() + 600
            while not journal_of(grid).exists() or journal_of(grid).read_bytes().count(b'"state":"done"') < 20:
                assert process.poll() is None
                assert time.monotonic() < limit
                time.sleep(0.01)
            workers[0].kill()
            finished = journal_of(grid).read_bytes().count(b'"state":"done"')
            out, err = process.communicate(timeout=600)
        finally:
            process.kill()
    assert process.returncode in (0, 1, 4), err
    assert finished < 200
    assert workers[0].wait(30) == -signal.SIGKILL
    cells = json.loads(out)["cells"]
    assert len({cell["proof_id"] for cell in cells}) == 200
    counts = Counter(e["type"] for e in entries(grid))
    assert counts["registration"] == counts["outcome"] == 200
    right = [c for c in cells if c["assignment"]["arms.main"].endswith("right")]
    assert {c["outcome"] for c in right if c["assignment"]["options.claim"] <= "accuracy >= 0.8"} == {"VALIDATED"}
    for cell in cells:
        path = grid / "proofs" / "proof" / cell["proof_id"][:2] / cell["proof_id"] / "record.json"
        assert verify(read(path, [registry.records.get("proof")]), Keyring()).ok


def test_a_sweep_stands_in_the_lineage_above_its_proofs(
    grid: Path, command: Callable[..., tuple[int, dict[str, JSON], str]], capsys: pytest.CaptureFixture[str]
) -> None:
    from ophamin.cli._run import run

    _, said, _ = command("--executor", "serial")
    proofs = {c["proof_id"] for c in said["cells"]}
    capsys.readouterr()
    assert run(("lineage", "list", "--json")) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {said["sweep_id"], *proofs} <= set(re.findall(r"[0-9a-f]{64}", json.dumps(listed)))
    assert run(("lineage", "show", said["sweep_id"], "--json")) == 0
    shown = json.loads(capsys.readouterr().out)
    assert proofs <= set(re.findall(r"[0-9a-f]{64}", json.dumps(shown)))
    # One proof is wrong: the sweep that counted it falls with it.
    assert run(("lineage", "impact", min(proofs), "--json")) in (0, 1)
    fallen = json.loads(capsys.readouterr().out)
    assert said["sweep_id"] in json.dumps(fallen)
