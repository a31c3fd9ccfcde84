"""The real command killed at random moments: nothing torn, the attempt visible, the same command goes on."""

from __future__ import annotations

import gzip
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Command = Callable[..., subprocess.CompletedProcess[str]]
N = 120
CLAIM = "accuracy >= 0.8"

# Writes every id it is asked for to asked.log, so that what was measured twice is known.
PROGRAM = """
import json, os, sys, time
log = os.open("asked.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for line in sys.stdin:
    request = json.loads(line)
    if request.get("op") == "reset":
        continue
    os.write(log, (request["id"] + "\\n").encode())
    time.sleep(0.004)
    right = int(request["id"]) % 20
    print(json.dumps({"id": request["id"], "output": {"answer": "yes" if right else "no"}}), flush=True)
"""


@pytest.fixture
def rows(project: Path) -> Path:
    """A corpus of 300 rows and a program to measure on it, in the project."""
    lines = "".join(f"{i},word {i},yes\n" for i in range(300))
    (project / "rows.csv").write_text(f"id,text,label\n{lines}")
    (project / "program.py").write_text(PROGRAM)
    return project


def slow() -> tuple[str, ...]:
    """A program that takes 4 ms a cycle."""
    return ("--substrate", f"command:{shlex.join([sys.executable, '-S', 'program.py'])}")


def begin(project: Path, *words: str, claim: str = CLAIM) -> subprocess.Popen[str]:
    """Start ``ophamin run`` in a session of its own, as a terminal does."""
    asked = ("run", "metric", "--claim", claim, "--corpus", "table:rows.csv", "--n", str(N), *words, "--json")
    return subprocess.Popen(
        [sys.executable, "-m", "ophamin.cli", *asked],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def until(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    """Wait, busily, until ``ready`` or the process has ended."""
    limit = time.monotonic() + 60
    while process.poll() is None and not ready():
        assert time.monotonic() < limit, "nothing happened for a minute"
        time.sleep(0.0002)


def kill(process: subprocess.Popen[str]) -> int:
    """Kill -9, wherever it is; its exit code, which is 0 when it was done before."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode


def journals(project: Path) -> Iterator[Path]:
    """Attempts that are not filed yet; a folder without a plan was killed while it was being removed."""
    return (plan.parent for plan in (project / ".ophamin" / "journals").glob("*-*/plan.json"))


def measured(project: Path) -> int:
    """Whole rows in the journal of the only attempt."""
    for folder in journals(project):
        try:
            return (folder / "observations.jsonl").read_bytes().count(b"\n")
        except FileNotFoundError:
            pass
    return 0


def signed(project: Path) -> bool:
    return any((folder / "proof.json").exists() for folder in journals(project))


def nothing_torn(project: Path) -> list[dict[str, JSON]]:
    """The ledger, read without writing to it, and every stored record are whole; the ledger's entries."""
    from ophamin.proof.keys import Keyring
    from ophamin.proof.ledger import Ledger
    from ophamin.proof.signed import verify
    from ophamin.registry import read_record

    ledger = Ledger(project / ".ophamin" / "ledger", create=False)
    report = ledger.verify()
    assert report.ok or not report.size, report.problem
    for path in (project / "proofs").glob("proof/[!.]*/[!.]*/record.json"):
        states = {c.name: c.state for c in verify(read_record(path), Keyring()).checks}
        # A record may be stored before its outcome is in the ledger, so the ledger is asked for itself only.
        assert states.pop("ledger") == "could not be checked"
        assert set(states.values()) == {"good"}, states
    return [entry.value for entry in ledger.entries()]


def ended_whole(ophamin: Command, project: Path, said: str) -> dict[str, JSON]:
    """One attempt, one proof that verifies, every record in it once, nothing left over."""
    result = json.loads(said)
    assert result["attempt"] == 1
    assert (result["n_planned"], result["n_used"]) == (N, N)
    path = Path(result["path"])
    data = gzip.decompress(path.with_name("observations.jsonl.gz").read_bytes())
    rows = [json.loads(line) for line in data.splitlines()]
    assert [row["index"] for row in rows] == list(range(N))
    assert len({row["record"] for row in rows}) == N
    assert ophamin("proof", "verify", str(path)).returncode == 0
    assert ophamin("log", "verify").returncode == 0
    entries = json.loads(ophamin("log", "show", "--json").stdout)["entries"]
    assert Counter(e["type"] for e in entries)["registration"] == 1
    outcomes = [e for e in entries if e["type"] == "outcome" and e["outcome"] != "ABORTED"]
    assert [(e["outcome"], e["proof_id"]) for e in outcomes] == [(result["outcome"], result["proof_id"])]
    listed = json.loads(ophamin("proof", "list", "--json").stdout)["records"]
    assert [r["id"] for r in listed] == [result["proof_id"]]
    assert list(journals(project)) == []
    return {row["record"]: row["values"] for row in rows}


def again_and_again(project: Path, kills: int, moment: Callable[[subprocess.Popen[str]], None], *words: str) -> str:
    """Kill the same command at ``kills`` moments, looking at what is left each time; then let it finish."""
    for _ in range(kills):
        process = begin(project, *words)
        moment(process)
        code = kill(process)
        entries = nothing_torn(project)
        assert code in (0, -signal.SIGKILL)
        decided = any(e["type"] == "outcome" and e["outcome"] != "ABORTED" for e in entries)
        if code == 0 or (decided and not any(journals(project))):
            break  # it was faster than we: all is filed, and the same command would be another attempt
        assert sum(e["type"] == "registration" for e in entries) <= 1
    else:
        process = begin(project, *words)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out
    return json.dumps(_stored(project))


def _stored(project: Path) -> dict[str, JSON]:
    """What ``run --json`` said, when its process was killed after it had said it."""
    (path,) = (project / "proofs").glob("proof/*/*/record.json")
    record = json.loads(path.read_bytes())
    counts = {name: record["verdict"][name] for name in ("outcome", "n_planned", "n_used")}
    return {
        **counts,
        "attempt": record["preregistration"]["attempt"],
        "proof_id": record["proof_id"],
        "path": str(path),
    }


@pytest.mark.slow
def test_killed_during_cycles(ophamin: Command, rows: Path) -> None:
    rng = random.Random(9)
    turns = iter(sorted(rng.sample(range(1, N - 5), 6)))

    def moment(process: subprocess.Popen[str]) -> None:
        turn = next(turns)
        until(process, lambda: measured(rows) >= turn)
        time.sleep(rng.random() * 0.004)

    said = again_and_again(rows, 6, moment, *slow())
    values = ended_whole(ophamin, rows, said)
    assert json.loads(said)["outcome"] == "VALIDATED"
    asked = Counter((rows / "asked.log").read_text().split())
    # Only the cycle in flight is lost, once for each kill.
    assert set(asked) == set(values)
    assert sum(asked.values()) - N <= 6
    assert all(v["answer"] == ("yes" if int(record) % 20 else "no") for record, v in values.items())
    entries = nothing_torn(rows)
    assert Counter(e["type"] for e in entries) == {"registration": 1, "outcome": 7, "resumption": 6}
    assert {e["reason"] for e in entries if e.get("outcome") == "ABORTED"} == {"its process is gone"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_while_registering(ophamin: Command, rows: Path, seed: int) -> None:
    rng = random.Random(seed)
    log = rows / ".ophamin" / "ledger" / "log.jsonl"
    sign = [log.exists, lambda: any(journals(rows)), lambda: log.exists() and log.stat().st_size > 200]

    def moment(process: subprocess.Popen[str]) -> None:
        until(process, rng.choice(sign))
        time.sleep(rng.random() * 0.002)

    said = again_and_again(rows, 1, moment, "--substrate", "mock?seed=4&correct=0.95")
    ended_whole(ophamin, rows, said)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_while_storing(ophamin: Command, rows: Path, seed: int) -> None:
    rng = random.Random(seed)

    def moment(process: subprocess.Popen[str]) -> None:
        sign = [lambda: measured(rows) >= N, lambda: signed(rows), (rows / "proofs").exists]
        until(process, rng.choice(sign))
        time.sleep(rng.random() * 0.004)

    said = again_and_again(rows, 2, moment, "--substrate", "mock?seed=4&correct=0.95")
    ended_whole(ophamin, rows, said)


def test_a_killed_run_is_visible_before_anybody_resumes_it(ophamin: Command, rows: Path) -> None:
    process = begin(rows, *slow())
    until(process, lambda: measured(rows) >= 10)
    assert kill(process) == -signal.SIGKILL
    shown = json.loads(ophamin("log", "show", "--json").stdout)["entries"]
    assert [e["type"] for e in shown] == ["registration"]
    assert (shown[0]["scenario"], shown[0]["attempt"], shown[0]["n_planned"]) == ("metric", 1, N)
    assert ophamin("log", "verify").returncode == 0
    # Somebody who does not want it resumed starts a new attempt, on fresh records and half the α.
    process = begin(rows, *slow(), "--fresh")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert (result["attempt"], result["alpha_used"]) == (2, 0.025)
    assert result["error_bound"] == pytest.approx(0.075)
    asked = Counter((rows / "asked.log").read_text().split())
    assert max(asked.values()) == 1
    entries = nothing_torn(rows)
    assert [e["outcome"] for e in entries if e["type"] == "outcome"] == ["ABORTED", "VALIDATED"]


def test_ctrl_c_says_so_and_resumes(ophamin: Command, rows: Path) -> None:
    process = begin(rows, *slow())
    until(process, lambda: measured(rows) >= 20)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "resumes this attempt" in err
    entries = nothing_torn(rows)
    assert [e["type"] for e in entries] == ["registration", "outcome"]
    assert entries[1]["outcome"] == "ABORTED"
    process = begin(rows, *slow())
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    values = ended_whole(ophamin, rows, out)
    asked = Counter((rows / "asked.log").read_text().split())
    assert set(asked) == set(values)
    assert sum(asked.values()) <= N + 1


def test_ctrl_c_while_it_is_still_importing(project: Path) -> None:
    code = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'click':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "sys.argv = ['ophamin', 'plugins']\n"
        "from ophamin.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=project)
    # CPython may answer as one killed by SIGINT, which a shell calls 130 too.
    assert done.returncode in (130, -signal.SIGINT)
    assert done.stderr == ""


def test_runs_at_once_in_one_project_lose_nothing(ophamin: Command, rows: Path) -> None:
    """Two of the same claim become two attempts on different records; one of another does not disturb them."""
    mock = ("--substrate", "mock?seed=4&correct=0.95&latency_s=0.002")
    processes = [begin(rows, *mock, claim=claim) for claim in (CLAIM, CLAIM, "accuracy >= 0.75")]
    results = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(json.loads(out))
    assert sorted(r["attempt"] for r in results[:2]) == [1, 2]
    assert sorted(r["alpha_used"] for r in results[:2]) == [0.025, 0.05]
    assert results[2]["attempt"] == 1
    selected = []
    for result in results[:2]:
        data = gzip.decompress(Path(result["path"]).with_name("observations.jsonl.gz").read_bytes())
        selected.append({json.loads(line)["record"] for line in data.splitlines()})
    assert [len(s) for s in selected] == [N, N]
    assert not selected[0] & selected[1]
    entries = nothing_torn(rows)
    assert Counter(e["type"] for e in entries) == {"registration": 3, "outcome": 3}
    listed = json.loads(ophamin("proof", "list", "--json").stdout)["records"]
    assert {r["id"] for r in listed} == {r["proof_id"] for r in results}
    assert ophamin("log", "verify").returncode == 0
    for result in results:
        assert ophamin("proof", "verify", result["path"]).returncode == 0
