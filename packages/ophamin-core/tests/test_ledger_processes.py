"""The ledger among real processes: two at once, and ones that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from ophamin.proof.ledger import Ledger

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")

APPEND = """
    import sys
    from pathlib import Path
    from ophamin.proof.ledger import Ledger

    ledger = Ledger(Path(sys.argv[1]))
    for number in range(int(sys.argv[3])):
        ref = ledger.register({"attempt_key": sys.argv[2], "seed": number})
        print(ref.index, ref.root_hash, ref.tree_size, flush=True)
        ledger.close(ref.index, "VALIDATED")
"""


def start(code, *args):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_processes_that_append_at_once_lose_nothing(tmp_path):
    folder = tmp_path / "ledger"  # not there yet: they also race to make it
    writers = [start(APPEND, folder, f"k{n}", 60) for n in range(4)]
    told = [line.split() for writer in writers for line in finished(writer).splitlines()]
    ledger = Ledger(folder, create=False)
    report = ledger.verify({"log_id": ledger.log_id, "root_hash": r, "tree_size": int(s)} for _, r, s in told)
    assert report.ok, report
    assert report.size == 4 * 60 * 2
    assert len({index for index, _, _ in told}) == 240
    for n in range(4):
        attempts = ledger.attempts(f"k{n}")
        assert [a.value["seed"] for a in attempts] == list(range(60))
        assert {a.outcome for a in attempts} == {"VALIDATED"}


class Seeds:
    """A view that keeps what was registered, in order."""

    def __init__(self):
        self.seen = []

    def note(self, entry):
        if entry.value["type"] == "registration":
            self.seen.append((entry.index, entry.value["attempt_key"], entry.value["seed"]))


def test_a_view_follows_what_other_processes_append(tmp_path):
    ledger = Ledger(tmp_path)
    assert ledger.view(Seeds).seen == []
    writers = [start(APPEND, tmp_path, f"k{n}", 40) for n in range(2)]
    lengths = []
    while any(writer.poll() is None for writer in writers):
        lengths.append(len(ledger.view(Seeds).seen))
        ledger.register({"attempt_key": "mine", "seed": len(lengths)})
        ledger.check()
    for writer in writers:
        finished(writer)
    seen = ledger.view(Seeds).seen
    assert lengths == sorted(lengths)
    assert seen == Ledger(tmp_path, create=False).view(Seeds).seen
    assert [seed for _, key, seed in seen if key == "mine"] == list(range(1, len(lengths) + 1))
    for n in range(2):
        assert [seed for _, key, seed in seen if key == f"k{n}"] == list(range(40))
    assert ledger.verify().ok


def test_writers_killed_at_any_moment_tear_nothing_and_what_they_were_told_stays(tmp_path):
    folder = tmp_path / "ledger"
    told = []
    for round_ in range(12):
        writers = [start(APPEND, folder, f"k{n}", 100_000) for n in range(2)]
        for writer in writers:  # running before the clock starts
            told.append(writer.stdout.readline().split())
        time.sleep(0.003 * round_)
        for writer in writers:
            writer.kill()
        for writer in writers:
            # Not communicate(): it would pass over what readline() has read ahead.
            with writer:
                lines = writer.stdout.read().splitlines(keepends=True)
            told += [line.split() for line in lines if line.endswith("\n")]
            assert writer.returncode == -signal.SIGKILL
        ledger = Ledger(folder, create=False)
        kept = [{"log_id": ledger.log_id, "root_hash": r, "tree_size": int(s)} for _, r, s in told]
        report = ledger.verify(kept)
        assert report.ok, report
    ledger = Ledger(folder)  # the first to open it for writing closes what they left open
    outcomes = [a.outcome for n in range(2) for a in ledger.attempts(f"k{n}")]
    assert set(outcomes) == {"VALIDATED", "ABORTED"}
    assert 2 <= outcomes.count("ABORTED") <= 24
    assert ledger.verify(kept).ok


HOLD = """
    import os, signal, sys, time
    from pathlib import Path
    from ophamin.proof.ledger import Ledger

    ref = Ledger(Path(sys.argv[1])).register({"attempt_key": "k"})
    print(ref.index, flush=True)
    time.sleep(120)
"""


def test_a_killed_run_is_closed_and_resumes_as_the_same_attempt(tmp_path):
    holder = start(HOLD, tmp_path)
    index = int(holder.stdout.readline())
    assert [a.outcome for a in Ledger(tmp_path).attempts("k")] == [None], "it lives, so it stays open"
    holder.kill()
    # Not waited for: a zombie still has a pid, and is gone all the same.
    deadline = time.monotonic() + 10
    while Ledger(tmp_path).attempts("k")[0].outcome is None and time.monotonic() < deadline:
        time.sleep(0.01)
    ledger = Ledger(tmp_path)
    assert [a.outcome for a in ledger.attempts("k")] == ["ABORTED"]
    holder.communicate()
    ledger.resume(index)
    ledger.close(index, "REFUTED", proof_id="p")
    assert [a.outcome for a in Ledger(tmp_path).attempts("k")] == ["REFUTED"]


FORK = """
    import os, sys
    from pathlib import Path
    from ophamin.proof.ledger import Ledger

    ledger = Ledger(Path(sys.argv[1]))
    ledger.register({"attempt_key": "parent"})
    child = os.fork()
    ledger.register({"attempt_key": "parent" if child else "child"})
    if child:
        assert os.waitpid(child, 0)[1] == 0
        print(ledger.size, ledger.verify().ok, len(ledger.attempts("child")))
"""


def test_a_forked_child_has_its_own_turn(tmp_path):
    assert finished(start(FORK, tmp_path)).split() == ["3", "True", "1"]
