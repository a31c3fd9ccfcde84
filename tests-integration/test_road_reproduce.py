"""A cost claim and a claim about stated confidence, run again on the same system and on a changed one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Ask = Callable[..., tuple[int, JSON]]

# Real time: every eighth record takes 25 ms when it is slow.
COST = """
import time

def answer(payload):
    if {slow} and int(payload.split()[1]) % 8 == 0:
        time.sleep(0.025)
    return "yes"
"""
# Right as often as it says, but for {flips} and a confidence that is off by {off}.
SURE = """
import hashlib

def answer(payload):
    luck = int(hashlib.sha256(payload.encode()).hexdigest()[:8], 16) / 2**32
    number = int(payload.split()[1])
    share = (0.55, 0.95)[number % 2]
    right = luck < share
    if {flips} and number % 250 == 0:
        right = not right
    return {{"answer": "yes" if right else "no", "confidence": min(1.0, share + {off})}}
"""


@pytest.fixture
def ask(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The command in this process, on 1,500 rows labelled yes and a function in ``road_again.py``."""
    from ophamin.cli._run import run

    (project / "rows.csv").write_text("id,text,label\n" + "".join(f"{i},word {i},yes\n" for i in range(1500)))

    def call(*words: str) -> tuple[int, JSON]:
        monkeypatch.delitem(sys.modules, "road_again", raising=False)
        capsys.readouterr()
        code = run((*words, "--json"))
        said = capsys.readouterr()
        assert said.out, said.err
        return code, json.loads(said.out)

    return call


def stated(scenario: str, *options: str) -> list[str]:
    words = ["run", scenario, "--corpus", "table:rows.csv", "--substrate", "python:road_again:answer"]
    return [*words, "--n", "1320", *(w for option in options for w in ("--set", option))]


def test_a_cost_claim_is_reproduced_by_round(ask: Ask, project: Path) -> None:
    system = project / "road_again.py"
    system.write_text(COST.format(slow=False))
    code, first = ask(*stated("throughput-ceiling", "limit_s=0.02", "blocks=120", "delta=0.05"))
    assert (code, first["outcome"]) == (0, "VALIDATED")
    code, again = ask("reproduce", first["path"])
    (part,) = again["comparisons"]
    # Times are never the same to the digit; by round they are near enough.
    assert (code, again["answer"], again["exact"], part["margin"]) == (0, "AGREE", False, 0.05)
    assert -0.05 <= part["lower"] <= part["upper"] <= 0.05
    system.write_text(COST.format(slow=True))
    code, again = ask("reproduce", first["path"])
    (part,) = again["comparisons"]
    assert (code, again["answer"]) == (1, "DISAGREE")
    assert 0.05 < part["lower"] < 0.125 < part["upper"] + 0.01


def test_a_cost_claim_on_too_few_rounds_says_how_many_would_do(ask: Ask, project: Path) -> None:
    (project / "road_again.py").write_text(COST.format(slow=False))
    _, first = ask(*stated("throughput-ceiling", "limit_s=0.02", "blocks=60"))
    code, again = ask("reproduce", first["path"])
    (part,) = again["comparisons"]
    assert (code, again["answer"]) == (4, "INCONCLUSIVE")
    assert part["n_needed"] > 60
    assert str(part["n_needed"]) in part["reason"]


def test_stated_confidence_is_reproduced(ask: Ask, project: Path) -> None:
    system = project / "road_again.py"
    system.write_text(SURE.format(flips=False, off=0))
    code, first = ask(*stated("calibrated-confidence"))
    assert (code, first["outcome"]) == (0, "VALIDATED")
    assert ask("reproduce", first["path"])[1]["exact"] is True
    # Five answers of 1,320 turn out otherwise.
    system.write_text(SURE.format(flips=True, off=0))
    code, again = ask("reproduce", first["path"])
    assert (code, again["answer"], again["exact"]) == (0, "AGREE", False), again
    assert [part["answer"] for part in again["comparisons"]] == ["AGREE", "AGREE"]
    # The same answers, far too sure of themselves.
    system.write_text(SURE.format(flips=False, off=0.3))
    code, again = ask("reproduce", first["path"])
    assert (code, again["answer"]) == (1, "DISAGREE")
    error, skill = again["comparisons"]
    assert (error["answer"], skill["answer"]) == ("DISAGREE", "DISAGREE")
    assert error["lower"] > 0.04
    assert skill["upper"] < -0.01
