"""Units that run in a process of their own, and corpora that are measured whole."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path

import pytest

from ophamin.measuring.scenarios import run_scenario
from ophamin.measuring.scenarios._road.design import Design
from ophamin.measuring.scenarios._road.fresh import FreshProcesses
from ophamin.measuring.scenarios._road.worker import Worker
from ophamin.proof.errors import SubstrateFailure
from ophamin.protocols import Record, RunSpec

RECORDS = [Record(str(i), "text") for i in range(3)]
OPTIONS = {"cycles": 20, "warmup": 2}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))


def spec(project, substrate="costs?leak_bytes=64&clock=virtual", **more):
    given = {"options": OPTIONS, "corpus": "simulated?family=stimuli&n=400", "n": 8, **more}
    return RunSpec("memory-growth", {"main": substrate}, project=str(project), **given)


def rows_of(result):
    text = gzip.decompress((Path(result.path).parent / "observations.jsonl.gz").read_bytes()).decode()
    return [json.loads(line) for line in text.splitlines()]


def test_every_unit_runs_in_a_process_of_its_own(tmp_path):
    result = run_scenario(spec(tmp_path))
    rows = rows_of(result)
    assert len(rows) == 8 * 22
    assert [r["values"]["process"] for r in rows] == [i // 22 * 22 for i in range(8 * 22)]
    # Fresh ones: what is kept begins anew.
    assert [r["values"]["rss_bytes"] for r in rows[::22]] == [20_000_064.0] * 8
    assert result.record["preregistration"]["plan"]["n_units_for_power"] >= 8


def test_a_run_that_was_interrupted_goes_on_in_another_process(tmp_path):
    def stop(progress):
        if progress.done >= 30 and progress.done % 22:  # within a unit, not between two
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scenario(spec(tmp_path), progress=stop)
    result = run_scenario(spec(tmp_path))
    rows = rows_of(result)
    assert len(rows) == 8 * 22
    begun = sorted({r["values"]["process"] for r in rows})
    [between] = set(begun) - {i * 22 for i in range(8)}
    assert rows[between]["index"] == between  # the successor's first cycle is its number
    assert "resumed once" in result.reasoning.lower()


def test_a_system_with_processes_of_its_own_needs_no_worker(tmp_path):
    assert Design(5, fresh=True).end_of_process(7) == 10
    assert Design().end_of_process(7) > 10**9
    system = FreshProcesses("costs?clock=virtual")
    assert system.identity().kind == "costs"
    assert system.processes() == []
    assert not hasattr(system, "fields")
    system.renew(1, 40)
    [pid] = system.processes()
    assert pid != os.getpid()
    assert [r.resources["process"] for r in system.run_batch(RECORDS, seed=0, timeout_s=9)] == [40] * 3
    system.renew(2, 43)
    assert system.processes() != [pid]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    system.close()
    system.close()
    assert system.processes() == []


def test_a_process_that_dies_is_an_error_of_its_cycle_and_another_goes_on():
    system = FreshProcesses("costs?clock=virtual")
    system.renew(1, 0)
    cycles = system.run_batch(RECORDS, seed=0, timeout_s=9)
    first = next(cycles)
    os.kill(system.processes()[0], signal.SIGKILL)
    second, third = cycles
    system.close()
    assert (first.status, second.status, third.status) == ("ok", "error", "ok")
    assert "signal 9" in second.error
    assert [r.index for r in (first, second, third)] == [0, 1, 2]
    assert third.resources["process"] == 2


def test_a_process_that_says_nothing_is_killed(monkeypatch):
    monkeypatch.setattr("ophamin.measuring.scenarios._road.worker.GRACE_S", 0.3)
    worker = Worker("costs")
    os.kill(worker.processes()[0], signal.SIGSTOP)
    with pytest.raises(Exception, match="no answer"):
        worker.ask(RECORDS[0], 0, 0.1)
    worker.close()
    with pytest.raises(SubstrateFailure, match="no-such"):
        Worker("no-such-substrate")


def test_a_corpus_is_measured_whole_and_again_by_a_second_attempt(tmp_path):
    scaling = RunSpec("cost-scaling", {"main": "costs?unit_s=1e-6&noise=0.1&clock=virtual"},
                      corpus="simulated?family=sizes&repeats=3", project=str(tmp_path))  # fmt: skip
    first, second = run_scenario(scaling), run_scenario(scaling)
    assert first.record["data"]["datasets"][0]["selection"]["n_selected"] == 33
    assert second.record["data"]["datasets"][0]["selection"]["n_selected"] == 33
    assert (first.record["preregistration"]["attempt"], second.record["preregistration"]["attempt"]) == (1, 2)
    assert second.record["preregistration"]["alpha_used"] == 0.025
