"""The tree of commands: table, foreign commands, missing wheels, broken ones, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from ophamin import registry
from ophamin.cli import _tree
from ophamin.proof.errors import KeyPolicyError, LedgerError, OphaminError, SubstrateFailure

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def register() -> Callable[[str, click.Command], None]:
    """Register a command of this process for one test."""
    names = []

    def add(name: str, command: click.Command) -> None:
        registry.commands.register(name, command)
        names.append(name)

    yield add  # type: ignore[misc]
    for name in names:
        registry.commands.unregister(name)


def _raising(error: BaseException) -> click.Command:
    @click.command(help="Example: none")
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OphaminError("say what to do"), 2),
        (LedgerError("entry 3 was rewritten"), 3),
        (KeyPolicyError("not this key"), 5),
        (SubstrateFailure("it does not start"), 6),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (ZeroDivisionError("we forgot"), 70),
        (FileNotFoundError(2, "No such file or directory", "rows.csv"), 2),
        (click.UsageError("no such thing"), 2),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(
    register: Callable[..., None], command: Command, error: BaseException, code: int
) -> None:
    register("boom", _raising(error))
    got, out, err = command("boom")
    assert got == code
    assert out == ""
    assert "Traceback" not in err
    assert err.strip()


def test_our_own_bug_can_be_traced(
    register: Callable[..., None], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("boom", _raising(ZeroDivisionError("we forgot")))
    monkeypatch.setenv("OPHAMIN_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        command("boom")


def test_messages_cannot_steer_the_terminal(register: Callable[..., None], command: Command) -> None:
    register("boom", _raising(OphaminError("name \x1b[31mred\x07")))
    _, _, err = command("boom")
    assert "\x1b" not in err
    assert "\x07" not in err


def test_a_missing_wheel_stays_listed_and_names_the_pip_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_tree.COMMANDS, "weigh", ("ophamin-weighing", "Weigh a system."))
    monkeypatch.setitem(_tree.COMMANDS, "scale show", ("ophamin-weighing", "Show a scale."))
    code, out, err = command("--help")
    assert code == 0
    assert "Weigh a system." in out
    code, out, err = command("weigh", "it", "--hard")
    assert code == 2
    assert "pip install 'ophamin[weighing]'" in err
    code, out, err = command("scale", "show")
    assert code == 2
    assert "pip install 'ophamin[weighing]'" in err


def test_foreign_commands_join_the_tree(register: Callable[..., None], command: Command) -> None:
    @click.command(help="Say hello.\n\nExample: ophamin greet world")
    @click.argument("who")
    def greet(who: str) -> None:
        click.echo(f"hello {who}")

    register("greet", greet)
    register("corpus greet", greet)
    assert command("greet", "world") == (0, "hello world\n", "")
    assert command("corpus", "greet", "world") == (0, "hello world\n", "")
    assert "greet" in command("corpus", "--help")[1]


def test_a_typo_gets_the_nearest_name(command: Command) -> None:
    code, _, err = command("plugin")
    assert code == 2
    assert "plugins" in err


def test_lists_need_no_wheel(command: Command) -> None:
    for word, group in _tree.KINDS.items():
        code, out, err = command(word, "list", "--json")
        assert (code, err) == (0, "")
        assert isinstance(json.loads(out)[group], list)
        code, out, err = command(word, "show", "no-such-plugin")
        assert code == 2
        assert "no-such-plugin" in err


def test_keys(command: Command, project: Path) -> None:
    code, out, _ = command("key", "create", "--json")
    made = json.loads(out)
    assert code == 0
    assert len(made["public_key"]) == 64
    assert command("key", "create")[0] == 2
    listed = json.loads(command("key", "list", "--json")[1])["keys"]
    assert [k["key_id"] for k in listed] == [made["key_id"]]
    secret = next((project.parent / "home/keys").glob("*.key")).read_text().strip()
    assert secret not in command("key", "list")[1]
    assert command("key", "trust", "alice", "zz")[0] == 2
    assert command("key", "trust", "alice", made["public_key"])[0] == 0


def test_ledger_commands_before_the_first_run(command: Command, project: Path) -> None:
    for name in ("show", "verify"):
        code, _, err = command("log", name)
        assert code == 2
        assert "first" in err
    assert not (project / ".ophamin").exists()


def test_schema_of_a_proof(command: Command) -> None:
    schema = json.loads(command("schema", "info", "proof")[1])
    assert schema["type"] == "object"
    kinds = json.loads(command("schema", "list", "--json")[1])["schemas"]
    assert {"proof": "1.1"}.items() <= {k["kind"]: k["version"] for k in kinds}.items()
