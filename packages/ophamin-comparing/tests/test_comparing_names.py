"""Files called by bytes that are no UTF-8: said in valid UTF-8, and nothing else is held up by them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ophamin import registry
from ophamin.comparing._command import synthesis
from ophamin.comparing._command.changes import changes
from ophamin.comparing._command.compare import compare
from ophamin.comparing._output import json_line
from ophamin.comparing.drift.record import REGRESSION_ALERT
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import read, verify
from ophamin.protocols import Settings

NAME = os.fsdecode(b"\xff\xfe")

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="the file system takes no such names")


@pytest.fixture
def call(project: Settings) -> Any:
    def run(command: click.Command, *words: Any) -> Result:
        return CliRunner().invoke(command, [str(word) for word in words], obj=project)

    return run


@pytest.fixture
def store(write_proof: Any, body: Any, tmp_path: Path) -> Path:
    """A sound proof, and one that was torn in a folder with such a name."""
    write_proof("store/good/record.json", body())
    torn = tmp_path / "store" / NAME / "record.json"
    torn.parent.mkdir()
    torn.write_text("{")
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("command", "words"),
    [(synthesis.summarize, []), (synthesis.analyze, ["accuracy"]), (synthesis.correct, []), (changes, ["accuracy"])],
)
def test_an_answer_is_utf_8_and_gives_the_name_back(
    call: Any, store: Path, command: click.Command, words: list[str]
) -> None:
    if command is synthesis.correct and "holm" not in registry.estimators.names():
        pytest.skip("what corrects lies in another wheel")
    answer = json.loads(call(command, *words, store, "--json").stdout_bytes.decode("utf-8"))
    [problem] = answer["problems"]
    assert problem["state"] == "torn"
    assert os.fsencode(problem["path"]) == os.fsencode(store / NAME / "record.json")
    assert "\\udcff\\udcfe" in call(command, *words, store).stderr


def test_one_such_name_stops_no_comparison(call: Any, store: Path, write_proof: Any, body: Any) -> None:
    worse = write_proof("worse/record.json", body(0.8, 0.78, 0.82, "REFUTED", revision="r2"))
    done = call(compare, store, worse.parent, "--json")
    assert done.exit_code == 1, done.output
    answer = json.loads(done.stdout_bytes.decode("utf-8"))
    assert answer["transition"] == "regression"
    record = read(answer["record"], [REGRESSION_ALERT])
    assert verify(record, Keyring()).ok
    assert [NAME.encode("ascii", "backslashreplace").decode() in p["path"] for p in record.object["problems"]] == [True]


def test_json_keeps_what_is_utf_8() -> None:
    assert json_line({"a": "αβ\n"}) == '{"a": "αβ\\n"}'
    assert json.loads(json_line({"a": "\udcff"})) == {"a": "\udcff"}
