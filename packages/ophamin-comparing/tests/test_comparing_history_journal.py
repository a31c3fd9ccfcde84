from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ophamin.comparing.history.journal import Journal
from ophamin.proof.errors import UsageError


def lines(folder: Path) -> bytes:
    return (folder / "ab12.jsonl").read_bytes()


def test_what_was_noted_is_found_again(tmp_path):
    with Journal(tmp_path, "ab12") as journal:
        journal.begin(("one", 1), ledger_size=3)
        journal.end(("one", 1), proof_id="ff")
        journal.begin(("two", 1), ledger_size=5)
        journal.end(("two", 1), skipped="does not import")
        journal.begin(("two", 2), ledger_size=6)
    with Journal(tmp_path, "ab12") as journal:
        assert journal.step(("one", 1)) == {"ledger_size": 3, "proof_id": "ff"}
        assert journal.step(("two", 1)) == {"ledger_size": 5, "skipped": "does not import"}
        assert journal.step(("two", 2)) == {"ledger_size": 6}
        assert journal.step(("three", 1)) is None
        journal.forget_skipped()
        assert "skipped" not in journal.step(("two", 1))
    with Journal(tmp_path, "ab12") as journal:
        assert "skipped" not in journal.step(("two", 1))
        assert journal.step(("one", 1))["proof_id"] == "ff"
    with Journal(tmp_path, "ab12", fresh=True) as journal:
        assert journal.step(("one", 1)) is None


def test_a_journal_cut_anywhere_is_whole_up_to_there(tmp_path):
    with Journal(tmp_path, "ab12") as journal:
        for i in range(3):
            journal.begin((f"commit {i}", 1), ledger_size=i)
    whole = lines(tmp_path)
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        (tmp_path / "ab12.jsonl").write_bytes(whole[:cut])
        with Journal(tmp_path, "ab12") as journal:
            known = [journal.step((f"commit {i}", 1)) is not None for i in range(3)]
            assert known == [cut >= end for end in ends]
            journal.begin(("later", 1), ledger_size=9)
        with Journal(tmp_path, "ab12") as journal:
            assert journal.step(("later", 1)) == {"ledger_size": 9}


@pytest.mark.parametrize("line", [b"[]\n", b'{"commit": 3, "try": 1}\n', b'{"try": 1}\n', b"\xff\n", b"nonsense\n"])
def test_lines_of_another_shape_are_left_out_with_all_after_them(tmp_path, line):
    with Journal(tmp_path, "ab12") as journal:
        journal.begin(("one", 1), ledger_size=0)
    good = lines(tmp_path)
    (tmp_path / "ab12.jsonl").write_bytes(good + line + good.replace(b"one", b"two"))
    with Journal(tmp_path, "ab12") as journal:
        assert journal.step(("one", 1)) is not None
        assert journal.step(("two", 1)) is None
    assert lines(tmp_path) == good


@pytest.mark.skipif(sys.platform == "win32", reason="the other process is asked by POSIX signals")
def test_two_processes_are_kept_apart_and_a_killed_one_lets_go(tmp_path):
    holding = (
        "import sys, time; from pathlib import Path; from ophamin.comparing.history.journal import Journal\n"
        f"journal = Journal(Path({str(tmp_path)!r}), 'ab12'); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holding], stdout=subprocess.PIPE, env=dict(os.environ)) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="another process"):
            Journal(tmp_path, "ab12")
        Journal(tmp_path, "cd34").close()
        other.kill()
        other.wait()
    Journal(tmp_path, "ab12").close()
