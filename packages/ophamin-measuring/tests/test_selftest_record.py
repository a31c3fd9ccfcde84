"""The record of a self-test, and the command that writes it."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from ophamin import registry
from ophamin.measuring._command.selftest import selftest as command
from ophamin.measuring.selftest import running
from ophamin.measuring.selftest.record import SELFTEST
from ophamin.measuring.selftest.report import text_report
from ophamin.proof.errors import ConsistencyError
from ophamin.proof.keys import Keyring, Signer
from ophamin.proof.schemas import violations
from ophamin.proof.signed import read, sign, verify
from ophamin.protocols import RecordKind
from ophamin.testing import check_record_kind

GOLDEN = Path(__file__).parent / "golden" / "selftest-1.0.json"
KEY = b"ophamin-measuring-golden-key"
FEW = ("value: the whole target", "mean: normal, n = 5, α = 0.05", "family: Holm, 5 true: any rejected")


@pytest.fixture
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text("utf-8"))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A project, and a table of three checks."""
    everything = dict(running.all_checks())
    monkeypatch.setattr(running, "all_checks", lambda: {label: everything[label] for label in FEW})
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OPHAMIN_SIGN_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_announced_as_a_record_kind() -> None:
    assert isinstance(SELFTEST, RecordKind)
    assert registry.records.get("selftest") is SELFTEST


def test_the_golden_record_verifies_for_ever(golden: dict[str, Any]) -> None:
    check_record_kind(SELFTEST, golden)
    found = verify(read(GOLDEN, [SELFTEST]), Keyring(), extra_keys=[KEY])
    states = {c.name: c.state for c in found.checks if not c.name.startswith("attestation")}
    assert states == dict.fromkeys(("id", "signature", "schema", "consistency"), "good")
    assert verify(read(GOLDEN, [SELFTEST]), Keyring(), extra_keys=[b"another key, quite long"]).exit_code == 3
    assert golden["checks"][0]["stress"]


def test_our_reader_and_jsonschema_agree(golden: dict[str, Any]) -> None:
    schema = SELFTEST.schema
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(golden)
    for place, value in (
        (("checks", 0, "verdict"), "fine"),
        (("checks", 0, "n"), -1),
        (("checks", 0, "sides"), []),
        (("references", 0, "tolerance"), 1.0),
        (("run", "mode"), "slow"),
        (("signature",), "x"),
    ):
        broken = copy.deepcopy(golden)
        section: Any = broken
        for step in place[:-1]:
            section = section[step]
        section[place[-1]] = value
        assert violations(broken, schema)
        assert not Draft202012Validator(schema).is_valid(broken)


def _more_misses(body: dict[str, Any]) -> None:
    body["checks"][0]["above"] = body["checks"][0]["limit"]["most"] + 1


def _wider_limit(body: dict[str, Any]) -> None:
    body["checks"][0]["limit"]["most"] += 50


def _greater_share(body: dict[str, Any]) -> None:
    body["run"]["share"] = 0.05


def _forgotten(body: dict[str, Any]) -> None:
    body["checks"].pop()


def _wrong_number(body: dict[str, Any]) -> None:
    body["references"][0]["value"] += 1.0


def _unanswered(body: dict[str, Any]) -> None:
    body["checks"][0]["unanswered"] = 1


def _same_name(body: dict[str, Any]) -> None:
    body["checks"][1]["label"] = body["checks"][0]["label"]


def _no_time(body: dict[str, Any]) -> None:
    body["identity"]["captured_at"] = "2026-01-01T00:00:00"


@pytest.mark.parametrize(
    "change",
    [_more_misses, _wider_limit, _greater_share, _forgotten, _wrong_number, _unanswered, _same_name, _no_time],
)
def test_a_record_that_contradicts_itself_is_not_signed(
    golden: dict[str, Any], change: Callable[[dict[str, Any]], None]
) -> None:
    body = {k: v for k, v in golden.items() if k not in ("selftest_id", "signature", "signing_key")}
    sign(body, SELFTEST, Signer(KEY))
    changed = copy.deepcopy(body)
    change(changed)
    with pytest.raises(ConsistencyError):
        sign(changed, SELFTEST, Signer(KEY))


def test_the_command_writes_a_record_that_verifies(few: Path) -> None:
    done = CliRunner().invoke(command, ["--jobs", "1", "--seed", "5", "--json", "--store", "kept"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    record = read(told["record"], [SELFTEST])
    assert Path(told["record"]).resolve().is_relative_to(few / "kept" / "selftest")
    assert verify(record, Keyring()).exit_code == 0
    assert told["run"]["seed"] == 5
    assert told["run"]["mode"] == "quick"
    assert [row["label"] for row in told["checks"]] == list(FEW)


def test_the_command_exits_1_on_a_planted_fault(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = registry.estimators.get("mean")
    monkeypatch.setitem(
        registry.estimators._registered, "mean", lambda c, *, confidence, **k: right(c, confidence=0.9, **k)
    )
    done = CliRunner().invoke(command, ["--jobs", "1"])
    assert done.exit_code == 1
    assert "FAIL mean: normal, n = 5, α = 0.05" in done.stdout
    assert "record: " in done.stdout
    assert done.stderr == ""  # no progress where nobody looks


@pytest.mark.parametrize("words", [["--seed", "-1"], ["--jobs", "0"], ["--seed", "x"], ["--quickly"]])
def test_mistakes_are_told(words: list[str]) -> None:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_a_place_that_cannot_be_written_is_told(few: Path) -> None:
    from ophamin.proof.errors import UsageError

    (few / "file").write_text("")
    done = CliRunner().invoke(command, ["--jobs", "1", "--store", "file/below"])
    assert isinstance(done.exception, UsageError)
    assert "cannot be written" in str(done.exception)


def test_the_table_says_all(golden: dict[str, Any]) -> None:
    text = text_report(golden)
    head = text.splitlines()[0].split()
    assert head == ["check", "method", "guarantee", "below", "above", "bound", "limit", "sees", "worst", "n", "verdict"]
    for row in golden["checks"]:
        assert row["label"] in text
    assert "of the time" in text.splitlines()[-1]
    assert "Beyond their promise" in text


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    program = "from ophamin.measuring._command.selftest import selftest; selftest()"
    running = subprocess.Popen(
        [sys.executable, "-c", program, "--jobs", "2"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "OPHAMIN_HOME": str(tmp_path / "home")}, start_new_session=True,
    )  # fmt: skip
    # As soon as it has workers, which are still importing then.
    children, limit = Path(f"/proc/{running.pid}/task/{running.pid}/children"), time.monotonic() + 120
    while len(children.read_text().split()) < 3 if children.exists() else time.monotonic() < limit - 100:
        assert running.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1  # click's own code for an abort; the command of the family makes it 130
    assert out == b""
    assert err.strip() == b"Aborted!"
    assert not (tmp_path / "proofs").exists()


@pytest.mark.slow
def test_the_whole_quick_table_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, ["--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["run"]["complete"]
    assert told["not_checked"] == []
    assert 0 < told["run"]["false_failure_bound"] <= 0.01
