"""A self-test that is interrupted, or whose workers are killed, loses nothing: the counts are those of a whole run."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ophamin.measuring.selftest import _journal, _workers
from ophamin.measuring.selftest._check import Tally
from ophamin.measuring.selftest._journal import Journal
from ophamin.measuring.selftest._pieces import Counted, Piece, all_checks, pieces_of
from ophamin.measuring.selftest.running import journal_name, results
from ophamin.proof.errors import UsageError

ONLY = {"mean: normal, n = 5, α = 0.05", "family", "value"}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return results(only=ONLY, seed=3)


def _after(pieces: int) -> Any:
    def progress(done: int, total: int, label: str) -> None:
        if done == pieces:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, whole: dict[str, Any]) -> None:
    journal = tmp_path / "kept" / "selftest.jsonl"
    with pytest.raises(KeyboardInterrupt):
        results(only=ONLY, seed=3, journal=journal, progress=_after(5))
    seen: list[int] = []
    found = results(only=ONLY, seed=3, journal=journal, progress=lambda done, total, label: seen.append(done))
    assert found["run"]["resumed"] == 5
    assert seen[0] == 5
    assert seen[1] == 6
    assert found["checks"] == whole["checks"]
    again = results(only=ONLY, seed=3, journal=journal)
    assert again["run"]["resumed"] == seen[-1]
    assert again["checks"] == whole["checks"]


def test_a_torn_line_is_counted_again(tmp_path: Path, whole: dict[str, Any]) -> None:
    journal = tmp_path / "selftest.jsonl"
    with pytest.raises(KeyboardInterrupt):
        results(only=ONLY, seed=3, journal=journal, progress=_after(4))
    journal.write_bytes(journal.read_bytes()[:-7])
    found = results(only=ONLY, seed=3, journal=journal)
    assert found["run"]["resumed"] == 3
    assert found["checks"] == whole["checks"]
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())


@pytest.mark.parametrize("strange", [b"", b"\x00\xff", b"[1, 2]\n", b'{"mode": "quick"}\n[[]]\n'])
def test_a_strange_journal_is_begun_anew(strange: bytes, tmp_path: Path) -> None:
    path = tmp_path / "selftest.jsonl"
    path.write_bytes(strange)
    with Journal(path, {"seed": 1}) as journal:
        assert not journal.done
        journal.append(Piece("a", -1, 0, 3), Counted(Tally(1, 2, 3, 0, ""), 0.5))
    with Journal(path, {"seed": 1}) as journal:
        assert journal.done == {Piece("a", -1, 0, 3): Counted(Tally(1, 2, 3, 0, ""), 0.5)}


def test_what_other_sources_counted_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "selftest.jsonl"
    results(only={"value"}, journal=journal)
    assert results(only={"value"}, journal=journal)["run"]["resumed"] == 1
    monkeypatch.setattr("ophamin.measuring.selftest.running.source_digest", lambda: "sha256:other")
    assert results(only={"value"}, journal=journal)["run"]["resumed"] == 0


def test_the_digest_sees_an_edited_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "measuring"
    (room / "selftest").mkdir(parents=True)
    (room / "mean.py").write_text("x = 1\n")
    monkeypatch.setattr(_journal, "__file__", str(room / "selftest" / "_journal.py"))
    before = _journal.source_digest()
    (room / "mean.py").write_text("x = 2\n")
    assert _journal.source_digest() != before


def test_two_at_one_journal_are_told(tmp_path: Path) -> None:
    journal = tmp_path / "selftest.jsonl"
    with Journal(journal, {}), pytest.raises(UsageError, match="runs here already"):
        results(only={"value"}, journal=journal)


def _kill_one() -> bool:
    workers = multiprocessing.active_children()
    if workers:
        os.kill(workers[0].pid or 0, signal.SIGKILL)
    return bool(workers)


def test_a_killed_worker_costs_nothing(whole: dict[str, Any]) -> None:
    killed: list[bool] = []

    def progress(done: int, total: int, label: str) -> None:
        if done == 3:
            killed.append(_kill_one())

    found = results(only=ONLY, seed=3, jobs=2, progress=progress)
    assert killed == [True]
    assert found["run"]["workers_lost"] == 1
    assert found["checks"] == whole["checks"]


def test_workers_killed_again_and_again_are_told() -> None:
    over = threading.Event()

    def hunt() -> None:
        while not over.is_set():
            _kill_one()
            time.sleep(0.05)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        pieces = pieces_of([all_checks()["mean: normal, n = 5, α = 0.05"]], "quick")
        with pytest.raises(UsageError, match="--jobs 1"):
            list(_workers.counted(pieces, 3, 2))
    finally:
        over.set()
        hunter.join()


PROGRAM = """
from pathlib import Path
from ophamin.measuring.selftest import running
everything = dict(running.all_checks())
running.all_checks = lambda: {k: v for k, v in everything.items() if k in %r or v.family in %r}
from ophamin.measuring._command.selftest import selftest
selftest()
"""


@pytest.mark.slow
def test_a_killed_command_goes_on_and_leaves_no_journal(tmp_path: Path) -> None:
    env = {**os.environ, "OPHAMIN_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", PROGRAM % (ONLY, ONLY), "--jobs", "1", "--seed", "3", "--json"]
    journal = tmp_path / ".ophamin" / "journals" / journal_name("quick", 3)
    (tmp_path / ".ophamin").mkdir()
    first = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE)
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
        assert first.poll() is None
        time.sleep(0.001)
    first.kill()
    out, _ = first.communicate()
    if out:
        pytest.skip("it was done before it could be killed")
    second = subprocess.run(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, check=True)
    told = json.loads(second.stdout)
    assert told["run"]["resumed"] >= 2
    assert told["summary"]["verdict"] == "ok"
    assert list(journal.parent.iterdir()) == []
