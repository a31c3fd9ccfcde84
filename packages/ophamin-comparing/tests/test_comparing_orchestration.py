"""The parent of a sweep: designs, the journal, executors, limits, and what a kill leaves behind."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophamin.comparing.drift.family import adjusted
from ophamin.comparing.orchestration import (
    Cell,
    CellResult,
    ExperimentRunner,
    Limits,
    SweepJournal,
    assignments,
    ordered,
)
from ophamin.comparing.orchestration.executors import open_executor
from ophamin.comparing.orchestration.family import corrected, p_values
from ophamin.proof.errors import SubstrateFailure, UsageError
from ophamin.protocols import RunSpec, SweepSpec

JSON = Any
BASE = RunSpec("metric", {"main": "mock"})
GRID = {"n": [10, 20, 30], "alpha": [0.01, 0.05], "corpus": ["a", "b"]}
WORK = """
import os, pathlib, signal, time

def work(data):
    with open(data["log"], "a") as log:
        log.write(f"{data['i']}\\n")
    if data.get("fail"):
        raise RuntimeError("as it was told")
    if data.get("die_once"):
        mark = pathlib.Path(data["log"] + f".{data['i']}")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if data.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if data.get("spin"):
        while True: pass
    if data.get("grow"):
        return len(bytearray(data["grow"] * 2**20))
    if data.get("pid"):
        pathlib.Path(data["pid"]).write_text(str(os.getpid()))
    print("chatter")
    time.sleep(data.get("sleep", 0))
    return data["i"] ** 2

def begin(data):
    with open(data["log"], "a") as log:
        log.write(f"{os.getpid()}\\n")
    time.sleep(300)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each call of the work leaves a line; the work itself is importable here and by every worker."""
    (tmp_path / "sweepwork.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    old = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{old}")
    return tmp_path / "calls"


def cells(log: Path, n: int, **special: dict[str, JSON]) -> list[Cell]:
    """Cells 0 … n−1, ``c3={…}`` adding to the data of the fourth."""
    return [Cell(f"c{i}", {"i": i, "log": str(log), **special.get(f"c{i}", {})}) for i in range(n)]


def run(log: Path, what: list[Cell], **options: JSON) -> list[CellResult]:
    with SweepJournal(log.parent / "sweeps") as journal:
        return ExperimentRunner(journal, **{"executor": "process", "workers": 2, **options}).run(what, "sweepwork:work")


def calls(log: Path) -> Counter[int]:
    return Counter(map(int, log.read_text().split()))


# --- designs


def test_a_full_factorial_has_every_combination_once() -> None:
    runs = assignments(SweepSpec(BASE, GRID))
    assert len({json.dumps(r, sort_keys=True) for r in runs}) == len(runs) == 12


def test_one_factor_at_a_time() -> None:
    runs = assignments(SweepSpec(BASE, GRID, design="one-factor"))
    assert len(runs) == 1 + 2 + 1 + 1
    assert all(sum(r[k] != runs[0][k] for k in r) <= 1 for r in runs)


@given(st.integers(3, 6), st.integers(2, 5))
def test_a_regular_fraction_is_balanced_and_its_main_effects_orthogonal(k: int, m: int) -> None:
    names = [f"options.f{i}" for i in range(k)]
    spec = SweepSpec(BASE, {n: [-1, 1] for n in names}, design="fractional", samples=2**m)
    if not k + 1 <= 2**m < 2**k:
        with pytest.raises(UsageError, match="no regular fraction"):
            assignments(spec)
        return
    runs = assignments(spec)
    assert len({tuple(r.values()) for r in runs}) == 2**m
    for i, a in enumerate(names):
        assert sum(r[a] for r in runs) == 0
        assert all(sum(r[a] * r[b] for r in runs) == 0 for b in names[:i])


def test_a_latin_hypercube_hits_every_slice_once() -> None:
    spec = SweepSpec(
        BASE, {}, ranges={"alpha": [0.0, 1.0], "options.x": [10, 20]}, design="latin-hypercube", samples=16
    )
    runs = assignments(spec, 7)
    assert sorted(int(r["alpha"] * 16) for r in runs) == list(range(16))
    assert sorted(int((r["options.x"] - 10) / 10 * 16) for r in runs) == list(range(16))
    assert runs == assignments(spec, 7) != assignments(spec, 8)


def test_the_order_is_random_within_blocks_and_repeatable() -> None:
    spec = SweepSpec(BASE, GRID, blocks=3)
    order = ordered(spec, 5)
    assert order == ordered(spec, 5) != ordered(spec, 6)
    assert [b for b, _ in order] == [0] * 12 + [1] * 12 + [2] * 12
    blocks = [[json.dumps(r) for b, r in order if b == i] for i in range(3)]
    assert blocks[0] != blocks[1]
    assert sorted(blocks[0]) == sorted(blocks[1]) == sorted(blocks[2])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (SweepSpec(BASE), "no cell"),
        (SweepSpec(BASE, {"n": []}), "0 cells"),
        (SweepSpec(BASE, {f"options.f{i}": list(range(10)) for i in range(6)}), "1,000,000 cells"),
        (SweepSpec(BASE, {"n": [1, 1]}), "twice"),
        (SweepSpec(BASE, {"n": [1, 2]}, design="grid"), "designs: full"),
        (SweepSpec(BASE, {"n": [1, 2]}, blocks=0), "at least one block"),
        (SweepSpec(BASE, {"n": [1, 2]}, ranges={"alpha": [0, 1]}), "latin-hypercube"),
        (SweepSpec(BASE, {"n": [1, 2]}, design="latin-hypercube"), "samples"),
        (SweepSpec(BASE, {"n": [1, 2, 3]}, design="fractional", samples=2), "two values"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_told_what_to_do(spec: SweepSpec, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        assignments(spec)


# --- the family


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_monotone_and_no_smaller_than_p(p: list[float]) -> None:
    found = adjusted(p, "holm")
    assert all(a >= b for a, b in zip(found, p, strict=True))
    order = sorted(range(len(p)), key=p.__getitem__)
    assert sorted(found) == [found[i] for i in order]
    assert found[order[0]] == min(1.0, len(p) * p[order[0]])


def test_a_later_attempt_brings_more_p_into_the_family() -> None:
    def proof(alpha_used: float) -> dict[str, JSON]:
        evidence = [{"role": "primary", "detail": {"p_validated": 0.004, "p_refuted": 1.0}}]
        return {
            "verdict": {"outcome": "VALIDATED"}, "preregistration": {"alpha_used": alpha_used}, "evidence": evidence,
        }  # fmt: skip

    assert [p_values(proof(0.05 / 2**k), 0.05)[0] for k in range(4)] == pytest.approx([0.004, 0.008, 0.016, 0.032])
    # Attempts registered in advance share α equally: none is a later one.
    assert p_values(proof(0.01), 0.05 / 5)[0] == 0.004


def test_a_corrected_verdict_only_weakens_and_exact_ones_stand_outside() -> None:
    rows = [
        ("VALIDATED", False, 0.001, 1.0), ("VALIDATED", False, 0.04, 1.0), ("REFUTED", False, 1.0, 0.012),
        ("INCONCLUSIVE", False, 1.0, 1.0), ("VALIDATED", True, 1.0, 1.0), ("FAILED", False, 1.0, 1.0),
    ]  # fmt: skip
    names = ("outcome", "exact", "p_validated", "p_refuted")
    found = [c["corrected"] for c in corrected([dict(zip(names, row, strict=True)) for row in rows], 0.05)]
    # m = 5: the exact one does not count, the failed one does; 5 × 0.012 > 0.05.
    assert found == ["VALIDATED", "INCONCLUSIVE", "INCONCLUSIVE", "INCONCLUSIVE", "VALIDATED", "FAILED"]


# --- running


@pytest.mark.parametrize("executor", ["serial", "process"])
def test_every_cell_runs_once_and_is_free_the_second_time(
    log: Path, executor: str, capfd: pytest.CaptureFixture[str]
) -> None:
    first = run(log, cells(log, 7), executor=executor)
    assert [r.value for r in first] == [i**2 for i in range(7)]
    second = run(log, cells(log, 8), executor=executor)
    assert [r.reused for r in second] == [True] * 7 + [False]
    assert calls(log) == dict.fromkeys(range(8), 1)
    assert capfd.readouterr().out == ""


def test_a_failed_cell_is_retried_counted_and_does_not_stop_the_others(log: Path) -> None:
    found = run(log, cells(log, 4, c2={"fail": True}), retries=2)
    assert [r.state for r in found] == ["done", "done", "failed", "done"]
    assert (found[2].tries, found[2].error) == (3, "RuntimeError: as it was told")
    assert calls(log)[2] == 3
    again = run(log, cells(log, 4), retries=2)
    assert (again[2].state, again[2].tries) == ("done", 4)


def test_what_makes_no_sense_is_not_retried(log: Path) -> None:
    with SweepJournal(log.parent / "sweeps") as journal:
        [found] = ExperimentRunner(journal, executor="serial", retries=5).run([Cell("x", 1)], "sweepwork:nothing")
    assert (found.tries, found.exit_code) == (1, 2)
    assert "no function 'sweepwork:nothing'" in found.error


def test_a_worker_that_dies_takes_no_finished_and_no_innocent_cell_along(log: Path) -> None:
    found = run(log, cells(log, 8, c1={"die": True}, c4={"die_once": True}), retries=1)
    assert [r.state for r in found] == ["done", "failed", *["done"] * 6]
    assert found[1].error == "its worker died"
    assert all(r.value == i**2 for i, r in enumerate(found) if i != 1)


def test_a_pool_that_is_about_to_find_out_that_a_worker_died_is_broken() -> None:
    def submit() -> None:
        with open_executor("process", 2) as pool:
            # As the pool leaves its queue when a worker died, a moment before it says so.
            pool.executor._call_queue._reader.close()  # type: ignore[attr-defined]
            pool.executor.submit(abs, -1)

    with pytest.raises(BrokenProcessPool, match="a worker died"):
        submit()


def test_limits_end_a_cell_and_all_it_started(log: Path) -> None:
    limits = Limits(time_s=30, cpu_s=1, memory_mb=1024)
    found = run(log, cells(log, 3, c0={"spin": True}, c1={"grow": 4096}), limits=limits)
    assert [r.state for r in found] == ["failed", "failed", "done"]
    assert "more than 1 s of CPU" in found[0].error
    assert found[1].error == "out of memory"
    began = time.monotonic()
    [slow] = run(log, [Cell("slow", {"i": 9, "log": str(log), "sleep": 60})], limits=Limits(time_s=1), retries=0)
    assert "longer than 1 s" in slow.error
    assert time.monotonic() - began < 30


WORKER = """
import os, sys
from ophamin.comparing.orchestration.work import Limits, execute
execute("sweepwork:begin", {"log": sys.argv[1]}, Limits(time_s=600))
"""


def test_a_run_with_limits_ends_with_the_worker_that_is_killed(log: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(log)])
    limit = time.monotonic() + 60
    while not log.exists() or not log.read_text().endswith("\n"):
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.01)
    run_of = int(log.read_text())
    process.kill()
    process.wait()
    limit = time.monotonic() + 20
    try:
        while alive(run_of):
            assert time.monotonic() < limit, "the run went on without its worker"
            time.sleep(0.01)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run_of, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether it runs; one that nobody reaped does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(found.strip()) and not found.strip().startswith("Z")


PARENT = """
import sys
from pathlib import Path
from ophamin.comparing.orchestration import Cell, ExperimentRunner, SweepJournal
if __name__ == "__main__":
    log = sys.argv[1]
    cells = [Cell(f"c{i}", {"i": i, "log": log, "sleep": 0.03}) for i in range(40)]
    with SweepJournal(Path(log).parent / "sweeps") as journal:
        ExperimentRunner(journal, executor="process", workers=2).run(cells, "sweepwork:work")
"""


def test_a_parent_killed_with_nine_loses_nothing_finished_and_runs_none_of_it_again(log: Path, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    journal = tmp_path / "sweeps" / "cells.jsonl"
    process = subprocess.Popen([sys.executable, tmp_path / "parent.py", log], start_new_session=True)
    limit = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 8:
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = {
        json.loads(line)["cell"] for line in journal.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"
    }
    with journal.open("ab") as torn:
        torn.write(b'{"cell":"c39","state":"do')
    before = calls(log)
    found = run(log, [Cell(f"c{i}", {"i": i, "log": str(log)}) for i in range(40)])
    assert [r.value for r in found] == [i**2 for i in range(40)]
    assert {r.key for r in found if r.reused} == finished
    after = calls(log)
    assert all(after[int(key[1:])] == before[int(key[1:])] == 1 for key in finished)
    # The line after the torn one counts too.
    assert all(r.reused for r in run(log, [Cell(f"c{i}", {"i": i, "log": str(log)}) for i in range(40)]))


def test_a_second_sweep_of_the_project_is_refused_while_one_runs(tmp_path: Path) -> None:
    with SweepJournal(tmp_path), pytest.raises(UsageError, match="another sweep"):
        SweepJournal(tmp_path)
    SweepJournal(tmp_path).close()


def test_a_run_is_not_blamed_for_an_idle_worker_that_died(log: Path) -> None:
    idle: list[int] = []

    def kill_the_idle(progress: JSON) -> None:
        # Two of three are done: one worker has nothing to do any more.
        busy = int(log.with_suffix(".pid").read_text()) if log.with_suffix(".pid").exists() else 0
        others = {child.pid for child in multiprocessing.active_children()} - {busy}
        if progress.done == 2 and busy and not idle:
            idle.append(others.pop())
            os.kill(idle[0], signal.SIGKILL)

    what = cells(log, 3, c0={"sleep": 4, "pid": str(log.with_suffix(".pid"))})
    with SweepJournal(log.parent / "sweeps") as journal:
        runner = ExperimentRunner(journal, executor="process", workers=2, retries=0, progress=kill_the_idle)
        found = runner.run(what, "sweepwork:work")
    assert idle
    assert [(r.state, r.tries) for r in found] == [("done", 1)] * 3
    assert calls(log) == {0: 2, 1: 1, 2: 1}


def test_what_is_written_has_reached_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced = os.fsync, []
    journal = SweepJournal(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_size), real(number)))
    with journal:
        for i in range(3):
            journal.write({"cell": f"c{i}", "state": "done"})
            assert synced[-1] == journal.path.stat().st_size
    assert synced == sorted(set(synced))


LOUD = """
import ctypes, subprocess, sys

def loud(i):
    print("python")
    ctypes.CDLL(None).puts(b"of a C library")
    subprocess.run(["echo", "of a child"], check=True)
    return i
"""
ANSWER = """
import sys
from pathlib import Path
from ophamin.comparing.orchestration import Cell, ExperimentRunner, SweepJournal
if __name__ == "__main__":
    with SweepJournal(Path("sweeps")) as journal:
        found = ExperimentRunner(journal, executor=sys.argv[1], workers=1).run([Cell("a", 7)], "loud:loud")
    print("answer", found[0].value)
"""


@pytest.mark.parametrize("executor", ["serial", "process", pytest.param("dask", marks=pytest.mark.slow)])
def test_standard_output_is_for_the_answer_whoever_else_prints(log: Path, executor: str) -> None:
    (log.parent / "loud.py").write_text(LOUD)
    (log.parent / "answer.py").write_text(ANSWER)
    words = [sys.executable, "answer.py", executor]
    # With it, C libraries buffer nothing either.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    said = subprocess.run(words, cwd=log.parent, env=env, capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout == "answer 7\n"
    assert {"python", "of a C library", "of a child"} <= set(said.stderr.splitlines())


def test_a_sweep_may_hold_more_files_than_a_process_has_by_default(log: Path) -> None:
    code = (
        "import resource, sys; from ophamin.comparing.orchestration._files import allow_files\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))\n"
        "allow_files(2000); held = [open('/dev/null') for _ in range(2000)]"
    )
    for hard, failed in (("4096", False), ("1024", True)):
        said = subprocess.run([sys.executable, "-c", code, hard], capture_output=True, text=True, check=False)
        assert bool(said.returncode) == failed, said.stderr
    assert "UsageError: 2,000 registered cells" in said.stderr
    assert "split the sweep" in said.stderr


@pytest.mark.parametrize("words", ["threads", "dask=head", "dask=tcp://127.0.0.1:1"])
def test_an_executor_that_is_not_there(log: Path, words: str) -> None:
    with pytest.raises(UsageError, match=r"executor|no dask scheduler answers"):
        run(log, cells(log, 1), executor=words)


# --- a cluster


@pytest.fixture
def cluster(log: Path, dask_cluster: Callable[[Path], Any]) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A real cluster whose workers can import the work; its address and the workers."""
    with dask_cluster(log.parent) as found:
        yield found


@pytest.mark.slow
def test_two_hundred_cells_on_two_dask_workers_of_which_one_is_killed(
    log: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    killed: list[int] = []

    def watch(progress: JSON) -> None:
        if progress.done >= 40 and not killed:
            killed.append(progress.done)
            workers[0].kill()

    many = [Cell(f"c{i}", {"i": i, "log": str(log), "sleep": 0.02}) for i in range(200)]
    with SweepJournal(log.parent / "sweeps") as journal:
        runner = ExperimentRunner(journal, executor=f"dask={address}", progress=watch)
        found = runner.run(many, "sweepwork:work")
    assert killed
    assert workers[0].poll() is not None
    assert [r.value for r in found] == [i**2 for i in range(200)]
    lines = [json.loads(line) for line in (log.parent / "sweeps" / "cells.jsonl").read_bytes().splitlines()]
    assert Counter(line["cell"] for line in lines) == {f"c{i}": 1 for i in range(200)}
    # Only what was on the killed worker ran a second time.
    assert sum(n - 1 for n in calls(log).values()) <= 8


@pytest.mark.slow
def test_a_cluster_that_nobody_works_in_is_given_up_and_the_same_call_goes_on(
    log: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ophamin.comparing.orchestration.dask_executor.WORKERLESS_S", 2.0)
    address, workers = cluster

    def kill_all(progress: JSON) -> None:
        if progress.done >= 3:
            for worker in workers:
                worker.kill()

    many = [Cell(f"c{i}", {"i": i, "log": str(log), "sleep": 0.2}) for i in range(30)]
    with SweepJournal(log.parent / "sweeps") as journal:
        runner = ExperimentRunner(journal, executor=f"dask={address}", progress=kill_all)
        with pytest.raises(SubstrateFailure, match="no worker for 2 s"):
            runner.run(many, "sweepwork:work")
        done = [key for key, known in journal.cells.items() if known["state"] == "done"]
        assert 3 <= len(done) < 30
        assert all(known["state"] == "done" for known in journal.cells.values()), "nobody is blamed for it"
        # From the beginning nobody works there.
        with pytest.raises(SubstrateFailure, match=f"cluster at {address} has had no worker"):
            ExperimentRunner(journal, executor=f"dask={address}").run(many, "sweepwork:work")
        found = ExperimentRunner(journal, executor="serial").run(many, "sweepwork:work")
    assert [r.value for r in found] == [i**2 for i in range(30)]
    assert {r.key for r in found if r.reused} == set(done)


# dask leaves behind the socket of a cluster that did not start.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_cluster_of_this_machine_that_cannot_start_is_one_sentence(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    nowhere = log.parent / "file"
    nowhere.write_text("")
    broken = dask.config.set({"temporary-directory": str(nowhere / "folder")})
    with broken, pytest.raises(SubstrateFailure, match="does not start") as caught:
        run(log, cells(log, 1), executor="dask", workers=1)
    assert "\n" not in str(caught.value)
