"""``ophamin history`` and ``bisect`` on real small repositories: found, skipped, timed out, killed, and gone on."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Command = Callable[..., subprocess.CompletedProcess[str]]
GOOD = "def tell(text):\n    return 'even' if int(text) % 2 == 0 else 'odd'\n"
BAD = "def tell(text):\n    return 'even' if int(text) % 10 in (0, 2, 4) else 'odd'\n"
BROKEN = "import nothing_of_that_name\n" + GOOD
N = 120


class Checkout:
    """A repository whose revisions are written one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", "-C", str(self.folder), *who, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, *sources: str) -> list[str]:
        """One revision for each source; their commits."""
        made = []
        for source in sources:
            (self.folder / "parity.py").write_text(f"# {self.git('rev-list', '--count', '--all')}\n{source}")
            self.git("add", ".")
            self.git("commit", "-qm", f"revision {len(made) + 1}")
            made.append(self.git("rev-parse", "HEAD"))
        return made


@pytest.fixture
def checkout(project: Path) -> Checkout:
    """An empty repository, and a corpus beside it."""
    lines = "".join(f"{i},{'even' if i % 2 == 0 else 'odd'}\n" for i in range(4000))
    (project / "rows.csv").write_text("text,label\n" + lines)
    return Checkout(project / "checkout")


def asked(
    command: str, *words: str, n: int = N, target: str = "parity:tell", claim: str = "accuracy >= 0.9"
) -> list[str]:
    return [
        command, "metric", *words, "--claim", claim, "--n", str(n), "--corpus", "table:rows.csv?text=text&label=label",
        "--substrate", f"repo:checkout?target={target}", "--json",
    ]  # fmt: skip


def outcomes(found: dict[str, JSON]) -> list[str]:
    return [point["outcome"] for point in found["revisions"]]


def test_a_flip_is_found_and_nothing_is_measured_twice(checkout: Checkout, ophamin: Command) -> None:
    made = checkout.commit(GOOD, GOOD, BROKEN, GOOD, BAD, BAD)
    first = ophamin(*asked("history", "--revisions", f"{made[0]}..main"))
    assert first.returncode == 1, first.stderr
    found = json.loads(first.stdout)
    assert [p["commit"] for p in found["revisions"]] == made
    assert outcomes(found) == ["VALIDATED", "VALIDATED", "SKIPPED", "VALIDATED", "REFUTED", "REFUTED"]
    assert "nothing_of_that_name" in found["revisions"][2]["reason"]
    [flip] = found["flips"]
    assert (flip["before"], flip["after"], flip["between"]) == (made[3], made[4], [])
    assert all(p["attempt"] == 1 and p["n_used"] == N for p in found["revisions"] if "attempt" in p)
    # A wider range afterwards measures only what is new.
    made += checkout.commit(GOOD)
    again = json.loads(ophamin(*asked("history", "--revisions", f"{made[0]}..main")).stdout)
    assert again["n_measured_now"] == 1
    assert [p.get("proof_id") for p in again["revisions"][:6]] == [p.get("proof_id") for p in found["revisions"]]
    assert [(f["from"], f["to"]) for f in again["flips"]] == [("VALIDATED", "REFUTED"), ("REFUTED", "VALIDATED")]
    registered = [e for e in ledger_entries() if e["type"] == "registration"]
    assert sum(e["n_planned"] == N for e in registered) == 7, "the broken one was registered, and nothing more"
    # The table says the same; every proof verifies.
    text = ophamin(*asked("history", "--revisions", f"{made[0]}..main")[:-1]).stdout
    assert f"flip: VALIDATED at {made[3][:12]} -> REFUTED at {made[4][:12]}" in text
    paths = [p["path"] for p in again["revisions"] if "path" in p]
    assert ophamin("proof", "verify", *paths).returncode == 0
    # What was found is a record of its own, without a word about this machine.
    assert ophamin("record", "verify", again["record"]).returncode == 0
    record = json.loads(Path(again["record"]).read_text())
    assert record["result"]["flips"] == again["flips"]
    assert str(checkout.folder.parent) not in json.dumps(record)


def ledger_entries() -> list[dict[str, JSON]]:
    from ophamin.proof.ledger import Ledger

    return [entry.value for entry in Ledger(Path(".ophamin/ledger"), create=False).entries()]


def test_fresh_measures_anew_and_retry_tries_what_was_skipped(
    checkout: Checkout, ophamin: Command, project: Path
) -> None:
    flag = project / "there"
    needs = f"import os\nif not os.path.exists({str(flag)!r}): raise RuntimeError('not there yet')\n{GOOD}"
    made = checkout.commit(GOOD, needs)
    words = asked("history", "--revisions", f"{made[0]}..main")
    assert outcomes(json.loads(ophamin(*words).stdout)) == ["VALIDATED", "SKIPPED"]
    flag.touch()
    assert outcomes(json.loads(ophamin(*words).stdout)) == ["VALIDATED", "SKIPPED"]
    retried = json.loads(ophamin(*words, "--retry").stdout)
    assert outcomes(retried) == ["VALIDATED", "VALIDATED"]
    assert retried["n_measured_now"] == 1
    anew = json.loads(ophamin(*words, "--fresh").stdout)
    assert [p["attempt"] for p in anew["revisions"]] == [2, 2]
    assert [p["alpha_used"] for p in anew["revisions"]] == [0.025, 0.025]


def test_a_revision_that_takes_too_long_is_skipped(checkout: Checkout, ophamin: Command) -> None:
    slow = GOOD.replace("    return", "    __import__('time').sleep(0.5)\n    return")
    made = checkout.commit(GOOD, slow, GOOD)
    found = json.loads(ophamin(*asked("history", "--revisions", f"{made[0]}..main", "--limit", "8")).stdout)
    assert outcomes(found) == ["VALIDATED", "SKIPPED", "VALIDATED"]
    assert "timed out after 8 s" in found["revisions"][1]["reason"]
    assert found["seconds"] < 50, "120 cycles of half a second were not waited for"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--revisions", "v9..main"], "no commit 'v9'"),
        (["--revisions", "main...main"], "is not A..B"),
        (["--revisions", "main..main", "--substrate", "other=repo:.?target=a:b"], "not usable as a git repository"),
        (["--revisions", "main..main", "--substrate", "other=repo:absent?target=a:b"], "is no folder"),
        (["--revisions", "main~1..main", "--set", "nothing=1"], "no option 'nothing'"),
        (["--revisions", "main..main", "--set", "nothing=1"], "no option 'nothing'"),
        (["--revisions", "main~1..main", "--limit", "nan"], "positive number of seconds, not nan"),
    ],
)
def test_what_makes_no_sense_is_said_at_once(checkout: Checkout, ophamin: Command, words: list[str], said: str) -> None:
    checkout.commit(GOOD, GOOD)
    done = ophamin(*asked("history", *words))
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_only_systems_that_take_a_revision_move(checkout: Checkout, ophamin: Command) -> None:
    made = checkout.commit(GOOD, BAD)
    done = ophamin(
        "history", "metric", "--revisions", f"{made[0]}..main", "--claim", "accuracy >= 0.9", "--n", str(N),
        "--corpus", "table:rows.csv?text=text&label=label", "--substrate", "mock",
    )  # fmt: skip
    assert done.returncode == 2
    assert "no system here moves" in done.stderr
    # A baseline that names its revision stays where it is.
    moved = ophamin(
        "history", "metric", "--revisions", f"{made[0]}..main", "--claim", "accuracy_difference >= -0.05", "--n", str(N),
        "--corpus", "table:rows.csv?text=text&label=label", "--json",
        "--substrate", f"base=repo:checkout?target=parity:tell&rev={made[0]}",
        "--substrate", "head=repo:checkout?target=parity:tell",
    )  # fmt: skip
    found = json.loads(moved.stdout)
    assert found["moving"] == ["head"]
    assert [p["outcome"] for p in found["revisions"]][1] == "REFUTED"


def test_where_nothing_builds_nothing_is_measured(checkout: Checkout, ophamin: Command) -> None:
    checkout.commit(BROKEN, BROKEN)
    done = ophamin(*asked("history", "--revisions", "main~1..main"))
    assert done.returncode == 6, done.stderr
    assert outcomes(json.loads(done.stdout)) == ["SKIPPED", "SKIPPED"]


def test_uncommitted_changes_are_not_measured(checkout: Checkout, ophamin: Command) -> None:
    made = checkout.commit(GOOD, GOOD)
    (checkout.folder / "parity.py").write_text(BAD)
    done = ophamin(*asked("history", "--revisions", f"{made[0]}..main"))
    assert outcomes(json.loads(done.stdout)) == ["VALIDATED", "VALIDATED"]
    assert "uncommitted changes" in done.stderr
    assert (checkout.folder / "parity.py").read_text() == BAD


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGINT])
def test_killed_at_any_moment_it_goes_on_and_measures_nothing_twice(
    checkout: Checkout, ophamin: Command, project: Path, signal_: signal.Signals
) -> None:
    # Every call is noted with its revision, so that what was measured twice is known.
    noting = (
        "import os\nlog = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "def tell(text):\n    os.write(log, ('{name} ' + text + '\\n').encode())\n"
        "    __import__('time').sleep(0.002)\n    return 'even' if int(text) % 2 == 0 else 'odd'\n"
    )
    log = str(project / "asked.log")
    made = checkout.commit(*(noting.format(log=log, name=name) for name in "abcdef"))
    words = asked("history", "--revisions", f"{made[0]}..main", n=80)
    rng, kills = random.Random(int(signal_)), 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "ophamin.cli", *words], cwd=project, env=dict(os.environ), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        before = Path(log).stat().st_size if Path(log).exists() else 0
        wait_for, limit = rng.randrange(40, 1200), time.monotonic() + 60
        while process.poll() is None and (Path(log).stat().st_size if Path(log).exists() else 0) - before < wait_for:
            assert time.monotonic() < limit
            time.sleep(0.001)
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal_)
        process.communicate(timeout=60)
        kills += process.returncode in (-signal_, 130)
    assert kills >= 3, "it was killed while it worked"
    done = ophamin(*words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert outcomes(found) == ["VALIDATED"] * 6
    assert [p["attempt"] for p in found["revisions"]] == [1] * 6
    assert [p["n_used"] for p in found["revisions"]] == [80] * 6
    counts = Counter(Path(log).read_text().split("\n")[:-1])
    # At most the cycle that was in flight is asked again.
    assert sum(counts.values()) <= 6 * 80 + kills
    assert len(counts) == 6 * 80
    entries = ledger_entries()
    assert sum(e["type"] == "registration" for e in entries) == 6
    assert sum(e["type"] == "outcome" and bool(e["proof_id"]) for e in entries) == 6


def test_a_run_that_was_filed_but_not_noted_is_found_by_its_proof(
    checkout: Checkout, ophamin: Command, project: Path
) -> None:
    made = checkout.commit(GOOD, BAD)
    words = asked("history", "--revisions", f"{made[0]}..main")
    found = json.loads(ophamin(*words).stdout)
    [journal] = (project / ".ophamin" / "history").glob("*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))  # as a kill after the last run had filed its proof leaves it
    again = json.loads(ophamin(*words).stdout)
    assert [p["proof_id"] for p in again["revisions"]] == [p["proof_id"] for p in found["revisions"]]
    assert again["n_measured_now"] == 0
    assert sum(e["type"] == "registration" for e in ledger_entries()) == 2


def test_a_stored_proof_that_was_changed_stops_it(checkout: Checkout, ophamin: Command) -> None:
    made = checkout.commit(GOOD, BAD)
    words = asked("history", "--revisions", f"{made[0]}..main")
    found = json.loads(ophamin(*words).stdout)
    path = Path(found["revisions"][1]["path"])
    path.write_text(path.read_text().replace("REFUTED", "VALIDATED"))
    done = ophamin(*words)
    assert done.returncode == 3, done.stdout


# --- bisect


def test_bisect_finds_the_commit_within_its_error(checkout: Checkout, ophamin: Command) -> None:
    made = checkout.commit(*[GOOD] * 6, *[BAD] * 3)
    words = asked("bisect", "--good", made[0], "--bad", "main", n=400)
    done = ophamin(*words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [r["commit"] for r in found["first_bad"]] == [made[6]]
    assert found["alpha_step"] == pytest.approx(0.05 / 3)
    assert found["error_bound"] <= 0.05 + 1e-12
    assert len(found["runs"]) <= 2 + 3
    assert [r["commit"] for r in found["runs"][:2]] == [made[0], made[8]]
    assert all(r["alpha_used"] == pytest.approx(0.05 / 3) for r in found["runs"])
    assert "assumed" in found["assumption"]
    assert ophamin("record", "verify", found["record"]).returncode == 0
    again = json.loads(ophamin(*words).stdout)
    assert all(r["measured_before"] for r in again["runs"])
    assert again["first_bad"] == found["first_bad"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_bisection_goes_on_with_the_same_attempts(checkout: Checkout, ophamin: Command, project: Path) -> None:
    slow = "import time\n{}".format(GOOD.replace("    return", "    time.sleep(0.003)\n    return"))
    made = checkout.commit(*[slow] * 4, *[slow.replace("% 2 == 0", "% 10 == 0")] * 3)
    words, killed = asked("bisect", "--good", made[0], "--bad", "main", n=150), 0
    for number in range(1, 4):
        process = subprocess.Popen(
            [sys.executable, "-m", "ophamin.cli", *words], cwd=project, env=dict(os.environ), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + 60
        while process.poll() is None and len(list(project.glob("proofs/proof/*/*/record.json"))) < number:
            assert time.monotonic() < limit
            time.sleep(0.002)
        process.kill()
        killed += process.wait(timeout=60) == -signal.SIGKILL
    assert killed >= 2
    found = json.loads(ophamin(*words).stdout)
    assert [r["commit"] for r in found["first_bad"]] == [made[4]]
    assert [r["attempt"] for r in found["runs"]] == [1] * len(found["runs"])
    # A kill between the store and the ledger leaves filing to the next process; nothing is run for it.
    assert sum(r["measured_before"] for r in found["runs"]) >= killed - 1
    registered = [e for e in ledger_entries() if e["type"] == "registration"]
    assert len(registered) == len(found["runs"])


def test_bisect_passes_over_what_does_not_build_and_may_answer_a_range(checkout: Checkout, ophamin: Command) -> None:
    made = checkout.commit(GOOD, GOOD, BROKEN, BROKEN, BAD, BAD)
    done = ophamin(*asked("bisect", "--good", made[0], "--bad", "main"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [r["commit"] for r in found["first_bad"]] == made[2:5]
    assert "cannot be measured" in found["reason"]
    assert {r["commit"] for r in found["runs"] if r["outcome"] == "SKIPPED"} == {made[2], made[3]}


def test_an_undecided_step_gets_more_data_on_fresh_records(checkout: Checkout, ophamin: Command) -> None:
    # Right in 95 of 100: too near to 0.9 for 60 records, not for more of them.
    near = (
        "def tell(text):\n    i = int(text)\n    return ('even' if i % 2 == 0 else 'odd') if i % 100 >= 4 else 'none'\n"
    )
    made = checkout.commit(GOOD, near, BAD)
    done = ophamin(*asked("bisect", "--good", made[0], "--bad", "main", "--tries", "4", n=60))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [r["commit"] for r in found["first_bad"]] == [made[2]]
    tries = [r for r in found["runs"] if r["commit"] == made[1]]
    assert [r["n_used"] for r in tries] == [60 * 2**i for i in range(len(tries))]
    assert [r["alpha_used"] for r in tries] == [pytest.approx(0.05 / 2**i) for i in range(len(tries))]
    assert len(tries) > 1
    assert tries[-1]["outcome"] == "VALIDATED"
    assert found["error_bound"] == pytest.approx(sum(r["alpha_used"] for r in tries))


@pytest.mark.parametrize(
    ("sources", "code", "said"),
    [
        ((BAD, BAD), 1, "the good end"),
        ((GOOD, GOOD), 1, "the bad end"),
        ((BROKEN, BAD), 6, "cannot be measured"),
    ],
)
def test_ends_that_are_not_as_stated(
    checkout: Checkout, ophamin: Command, sources: tuple[str, ...], code: int, said: str
) -> None:
    made = checkout.commit(*sources)
    done = ophamin(*asked("bisect", "--good", made[0], "--bad", "main"))
    assert done.returncode == code, done.stderr
    assert said in json.loads(done.stdout)["reason"]
    assert json.loads(done.stdout)["first_bad"] == []


def test_an_end_that_stays_undecided_is_no_end(checkout: Checkout, ophamin: Command) -> None:
    coin = "import random\ndef tell(text):\n    right = 'even' if int(text) % 2 == 0 else 'odd'\n    return right if random.random() < 0.9 else 'none'\n"
    made = checkout.commit(coin, BAD)
    done = ophamin(*asked("bisect", "--good", made[0], "--bad", "main", "--tries", "1", n=60))
    assert done.returncode == 4, done.stdout
    assert "stays INCONCLUSIVE" in json.loads(done.stdout)["reason"]


def test_one_commit_is_no_range(checkout: Checkout, ophamin: Command) -> None:
    checkout.commit(GOOD, BAD)
    done = ophamin(*asked("bisect", "--good", "main", "--bad", "main"))
    assert done.returncode == 2
    assert "same commit" in done.stderr
    done = ophamin(*asked("bisect", "--good", "main~1", "--bad", "main", "--set", "nothing=1"))
    assert done.returncode == 2
    assert "no option 'nothing'" in done.stderr


# --- records of each revision's own


def measured_records(point: dict[str, JSON]) -> set[str]:
    raw = gzip.decompress(Path(point["path"]).with_name("observations.jsonl.gz").read_bytes())
    return {json.loads(line)["record"] for line in raw.splitlines()}


def test_revisions_on_records_of_their_own_share_none_and_are_pooled(checkout: Checkout, ophamin: Command) -> None:
    made = checkout.commit(GOOD, BROKEN, GOOD)
    words = ["--records", "own", "--revisions", f"{made[0]}..main"]
    first = json.loads(ophamin(*asked("history", *words)).stdout)
    assert outcomes(first) == ["VALIDATED", "SKIPPED", "VALIDATED"]
    assert ophamin("cumulative", "register", "accuracy", "--commits", "3").returncode == 0
    made += checkout.commit(GOOD, GOOD)
    # A wider range measures only what is new, on records that none of the others had.
    done = ophamin(*asked("history", *words))
    found = json.loads(done.stdout)
    assert (found["n_measured_now"], found["exit_code"]) == (2, 0), done.stderr
    points = [p for p in found["revisions"] if "path" in p]
    sets = [measured_records(p) for p in points]
    assert [len(records) for records in sets] == [N] * 4
    assert len(set.union(*sets)) == 4 * N
    assert all((p["attempt"], p["alpha_used"]) == (1, 0.05) for p in points)
    record = json.loads(Path(found["record"]).read_text())
    assert record["request"]["own_records"] is True
    assert "--records own" in record["reproduction"]["command"]
    assert ophamin("record", "verify", found["record"], *(p["path"] for p in points)).returncode == 0
    # Pooled, which the same records never are.
    pooled = json.loads(ophamin("cumulative", "look", "accuracy", "--json").stdout)
    assert [p["revision"] for p in pooled["points"]] == made[3:]
    assert pooled["problems"] == []
    # Two of them are compared without pairing, and it is said.
    text = ophamin("compare", points[2]["path"], points[3]["path"]).stdout
    assert "unpaired: the runs have no record in common" in text
    assert ophamin("reproduce", points[3]["path"]).returncode == 0


def test_the_same_records_are_still_the_default_and_paired(checkout: Checkout, ophamin: Command) -> None:
    made = checkout.commit(GOOD, GOOD)
    found = json.loads(ophamin(*asked("history", "--revisions", f"{made[0]}..main")).stdout)
    one, two = (measured_records(p) for p in found["revisions"])
    assert one == two
    paths = [p["path"] for p in found["revisions"]]
    assert "paired by record over 120 rows" in ophamin("compare", *paths).stdout
    assert "own_records" not in Path(paths[0]).read_text()


def test_a_corpus_that_is_too_small_for_records_of_their_own_is_refused_at_once(
    checkout: Checkout, ophamin: Command
) -> None:
    made = checkout.commit(GOOD, GOOD, GOOD)
    done = ophamin(*asked("history", "--records", "own", "--revisions", f"{made[0]}..main", n=1400))
    assert done.returncode == 2
    assert "3 revisions with 1400 records of their own each ask for 4,200" in done.stderr
    assert "has 4,000" in done.stderr
    assert not list(Path(".ophamin").glob("ledger/*")) or not ledger_entries(), "nothing was registered"
