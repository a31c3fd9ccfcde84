"""``ophamin cost-gate``: two real revisions, timed in processes of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Command = Callable[..., subprocess.CompletedProcess[str]]
# Sleeping is what a loaded machine disturbs least.
STEADY = "import time\ndef work(text):\n    time.sleep({s})\n"
NOISY = "import os, time\nS = 0.002 * (1 + os.urandom(1)[0] / 64)\ndef work(text):\n    time.sleep(S)\n"


@pytest.fixture
def revisions(project: Path) -> Callable[..., list[str]]:
    """Makes a repository of these sources, one a commit."""
    (project / "rows.csv").write_text("text,label\n" + "".join(f"row {i},x\n" for i in range(5)))
    folder = project / "checkout"

    def git(*words: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def make(*sources: str) -> list[str]:
        folder.mkdir()
        git("init", "-q", "-b", "main")
        made = []
        for source in sources:
            (folder / "work.py").write_text(source)
            git("add", ".")
            git("commit", "-qm", "a revision", "--allow-empty")
            made.append(git("rev-parse", "HEAD"))
        return made

    return make


def gate(base: str, *words: str) -> list[str]:
    return [
        "cost-gate", "--base", base, "--head", "main", "--corpus", "table:rows.csv?text=text", "--n", "3", "--inner",
        "0.1", "--substrate", "repo:checkout?target=work:work", "--json", *words,
    ]  # fmt: skip


def test_a_slow_down_alarms_and_the_session_is_registered_first(
    revisions: Callable[..., list[str]], ophamin: Command
) -> None:
    made = revisions(STEADY.format(s=0.008), STEADY.format(s=0.014))
    done = ophamin(*gate(made[0], "--noise-limit", "0.3"))
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)
    [system] = found["systems"]
    assert system["outcome"] == "REFUTED"
    assert system["looks"][-1]["lower"] > 1.03
    assert (found["base"], found["head"]) == tuple(made)
    from ophamin.proof.ledger import Ledger

    entries = [e.value for e in Ledger(Path(".ophamin/ledger"), create=False).entries()]
    assert [e["type"] for e in entries] == ["cost-gate", "cost-gate-outcome"]
    assert entries[0]["margin"] == 0.03
    assert entries[1]["outcome"] == "REFUTED"
    # The same again is another attempt, at half the error.
    again = json.loads(ophamin(*gate(made[0], "--noise-limit", "0.3")).stdout)
    assert (found["attempt"], found["rule"]["alpha"]) == (1, 0.01)
    assert (again["attempt"], again["rule"]["alpha"]) == (2, 0.005)
    # The other way round nothing is slower.
    reverse = ophamin(*gate("main", "--head", made[0], "--noise-limit", "0.3"))
    assert reverse.returncode == 0, reverse.stdout


def test_identical_code_that_is_noisy_neither_alarms_nor_passes(
    revisions: Callable[..., list[str]], ophamin: Command
) -> None:
    made = revisions(NOISY, NOISY)
    done = ophamin(*gate(made[0], "--rounds", "6"))
    assert done.returncode == 4, done.stdout
    [system] = json.loads(done.stdout)["systems"]
    assert system["reason"].startswith("too noisy")
    assert len(system["base_s"]) == len(system["head_s"]) == 6


@pytest.mark.parametrize(
    ("head", "words", "code", "said"),
    [
        ("def work(text):\n    raise ValueError('no')\n", [], 6, "head fails on record"),
        ("import nothing_of_that_name\n", [], 6, "nothing_of_that_name"),
        (STEADY.format(s=0.001), ["--base", "v9"], 2, "no commit 'v9'"),
        (STEADY.format(s=0.001), ["--margin", "nan"], 2, "margin"),
        (STEADY.format(s=0.001), ["--timeout", "nan"], 2, "positive number of seconds, not nan"),
        (STEADY.format(s=0.001), ["--corpus", "table:absent.csv?text=text"], 2, "absent.csv"),
        (STEADY.format(s=0.001), ["--substrate", "other=mock"], 2, "no system here moves"),
    ],
)
def test_what_cannot_be_timed_is_said(
    revisions: Callable[..., list[str]], ophamin: Command, head: str, words: list[str], code: int, said: str
) -> None:
    made = revisions(STEADY.format(s=0.001), head)
    done = ophamin(*gate(made[0], *words))
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    from ophamin.proof.ledger import Ledger

    # A session that broke before its first round taught nobody anything, so it is no attempt.
    ophamin(*gate(made[0], *words))
    entries = [e.value for e in Ledger(Path(".ophamin/ledger"), create=False).entries()]
    ends = [(e["outcome"], e["rounds"]) for e in entries if e["type"] == "cost-gate-outcome"]
    assert ends == ([("ABORTED", 0)] * 2 if code == 6 else [])
    assert all((e["attempt"], e["alpha_used"]) == (1, 0.01) for e in entries if e["type"] == "cost-gate")


def test_several_systems_share_the_error(revisions: Callable[..., list[str]], ophamin: Command) -> None:
    two = "import time\ndef work(text):\n    time.sleep(0.004)\ndef rest(text):\n    time.sleep({s})\n"
    made = revisions(two.format(s=0.004), two.format(s=0.009))
    done = ophamin(
        "cost-gate", "--base", made[0], "--head", "main", "--corpus", "table:rows.csv?text=text", "--n", "3", "--inner",
        "0.05", "--substrate", "same=repo:checkout?target=work:work", "--substrate",
        "slower=repo:checkout?target=work:rest", "--noise-limit", "0.3", "--json",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert {s["name"]: s["outcome"] == "REFUTED" for s in found["systems"]} == {"same": False, "slower": True}
    assert sum(found["rule"]["levels"]) == pytest.approx(0.005)
