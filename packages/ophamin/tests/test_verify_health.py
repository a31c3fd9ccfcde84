"""The health of an installation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ophamin.proof.ledger import Ledger
from ophamin.verify import _health

Command = Callable[..., tuple[int, str, str]]


def _lines(command: Command) -> tuple[int, dict[str, dict[str, str]]]:
    code, out, _ = command("verify", "--json")
    return code, {c["name"]: c for c in json.loads(out)["checks"]}


def test_every_pinned_wheel_has_a_line(command: Command) -> None:
    _, lines = _lines(command)
    assert {"python", "ophamin", "keys", "ledger", *_health.pinned()} <= set(lines)
    assert lines["ophamin-core"]["state"] == "ok"


def test_a_version_off_the_pinned_set_is_said(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_health, "pinned", lambda: {"ophamin-core": "9.9.9", "ophamin-nowhere": "0.1.0"})
    _, lines = _lines(command)
    assert "off the pinned set, which has 9.9.9" in lines["ophamin-core"]["detail"]
    assert lines["ophamin-nowhere"]["state"] == "missing"


def test_a_rewritten_ledger_is_broken(command: Command, project: Path) -> None:
    ledger = Ledger(project / ".ophamin/ledger")
    ledger.register({"scenario": "a", "attempt_key": "k"})
    ledger.register({"scenario": "b", "attempt_key": "k"})
    assert _lines(command)[1]["ledger"]["state"] == "ok"
    (file,) = [p for p in (project / ".ophamin/ledger").rglob("*") if p.is_file() and b'"scenario"' in p.read_bytes()]
    file.write_bytes(file.read_bytes().replace(b'"a"', b'"z"', 1))
    code, lines = _lines(command)
    assert lines["ledger"]["state"] == "broken"
    assert code == 1


def test_an_open_key_file_is_broken(command: Command, project: Path) -> None:
    command("key", "create")
    next((project.parent / "home/keys").glob("*.key")).chmod(0o644)
    code, lines = _lines(command)
    assert lines["keys"]["state"] == "broken"
    assert "chmod" in lines["keys"]["detail"]
    assert code == 1
