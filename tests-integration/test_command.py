"""The command as a user meets it: help, errors, exit codes, hostile records, light start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

SCIENCE = ("numpy", "scipy", "sklearn", "pandas", "statsmodels", "matplotlib", "jinja2", "psutil", "jsonschema")


def _leaves() -> list[str]:
    import click

    from ophamin.cli._tree import root

    found: list[str] = []

    def walk(group: click.Group, words: list[str]) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None, name
            if isinstance(command, click.Group):
                walk(command, [*words, name])
            else:
                found.append(" ".join([*words, name]))

    walk(root, [])
    return found


LEAVES = _leaves()


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_helps_with_an_example(command: str) -> None:
    from click.testing import CliRunner

    from ophamin.cli._tree import root

    result = CliRunner().invoke(root, [*command.split(), "--help"])
    assert result.exit_code == 0, result.output
    assert "Example" in result.output, command


def test_help_a_list_and_proof_verify_import_no_science(ophamin: Run, project: Path) -> None:
    probe = (
        "import sys; sys.argv = ['ophamin', *{args!r}]\n"
        "from ophamin.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in {names!r} if m in sys.modules], file=sys.stderr)"
    )
    (project / "no.json").write_text("{}")
    for args in (
        ["--help"],
        ["proof", "verify", "no.json"],
        ["run", "--help"],
        ["corpus", "--help"],
        ["substrate", "list"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", probe.format(args=args, names=SCIENCE)],
            capture_output=True, text=True, check=True, cwd=project, env=dict(os.environ),
        )  # fmt: skip
        assert done.stderr.splitlines()[-1] == "[]", (args, done.stderr)


def test_version_is_the_distributions(ophamin: Run) -> None:
    from importlib.metadata import version

    assert ophamin("--version").stdout == f"ophamin {version('ophamin')}\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nonsense"], 2, "No such command"),
        (["scenaro", "list"], 2, "scenario"),
        (["run", "metric"], 2, "--substrate"),
        (["run", "metrik", "--substrate", "mock"], 2, "did you mean 'metric'"),
        (["run", "metric", "--claim", "accuracy >= 0.9", "--substrate", "nosuch:thing", "--corpus", "table:rows.csv"], 2, "nosuch"),
        (["run", "metric", "--claim", "accuracy >= 0.9", "--substrate", "mock", "--corpus", "table:absent.csv"], 2, "absent.csv"),
        (["run", "metric", "--claim", "accuracy >= 1", "--substrate", "mock", "--corpus", "table:rows.csv"], 2, ""),
        (["run", "metric", "--claim", "accuracy >= 0.9", "--substrate", "command:/no/such/program", "--corpus", "table:rows.csv"], 6, ""),
        (["proof", "verify", "absent.json"], 2, "absent.json"),
        (["proof", "show", "0123456789abcdef"], 2, ""),
        (["log", "verify", "nowhere"], 2, "nowhere"),
        (["report", "absent.json"], 2, "absent.json"),
        (["audit", "absent"], 2, "absent"),
        (["compare", "absent1", "absent2"], 2, "absent1"),
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_sentence(ophamin: Run, project: Path, words: list[str], code: int, says: str) -> None:
    rows = "".join(f"{i},word{i},yes\n" for i in range(200))
    (project / "rows.csv").write_text("id,text,label\n" + rows)
    done = ophamin(*words)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.strip()


HOSTILE = {
    "empty": b"",
    "not-utf8": b"\xff\xfe{}",
    "bom": b"\xef\xbb\xbf{}",
    "list": b"[]",
    "cut": b'{"proof_id": "ab',
    "duplicate": b'{"proof_id": "a", "proof_id": "b"}',
    "nan": b'{"proof_id": NaN, "schema_version": "1.1"}',
    "deep": b'{"proof_id": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "overflow": b'{"proof_id": 1e999}',
    "huge-integer": b'{"proof_id": ' + b"9" * 5000 + b"}",
    "surrogate": b'{"proof_id": "\\ud800"}',
    "newer-major": b'{"proof_id": "00", "schema_version": "2.0"}',
    "no-kind": b'{"hello": "world"}',
    "100-mb": b'{"proof_id": "' + b"a" * 100_000_000 + b'"}',
}


@pytest.mark.parametrize("fault", [*HOSTILE, "directory"])
@pytest.mark.parametrize("command", ["verify", "show", "validate"])
def test_hostile_records(ophamin: Run, project: Path, fault: str, command: str) -> None:
    path = project / "record.json"
    if fault == "directory":
        path.mkdir()
    else:
        path.write_bytes(HOSTILE[fault])
    done = ophamin("record", command, str(path), timeout=30)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def proof(ophamin: Run, project: Path) -> Path:
    """A real signed proof."""
    rows = "".join(f"{i},word{i},yes\n" for i in range(200))
    (project / "rows.csv").write_text("id,text,label\n" + rows)
    done = ophamin("run", "metric", "--claim", "accuracy >= 0.8", "--corpus", "table:rows.csv?id=id&text=text&label=label",
                   "--substrate", "mock?correct=0.98&seed=3", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["path"])


def test_tampering_is_told_apart(ophamin: Run, project: Path, proof: Path, tmp_path: Path) -> None:
    """Good 0, tampered 3, unknown signer or could not be checked 5, malformed 2."""
    assert ophamin("proof", "verify", str(proof)).returncode == 0
    copy = project / "copy.json"
    whole = json.loads(proof.read_text())

    def tampered(change: Callable[[dict[str, object]], object]) -> int:
        record = json.loads(proof.read_text())
        change(record)
        copy.write_text(json.dumps(record))
        done = ophamin("proof", "verify", str(copy))
        assert "Traceback" not in done.stderr
        return done.returncode

    assert tampered(lambda r: None) == 0  # another spelling of the same object
    assert tampered(lambda r: r["verdict"].__setitem__("n_used", 201)) == 3  # type: ignore[attr-defined]
    assert tampered(lambda r: r["claim"]["threshold"].__setitem__("value", 0.80000001)) == 3  # type: ignore[index]
    assert tampered(lambda r: r.__setitem__("extra", 1)) == 3
    assert tampered(lambda r: r.__setitem__("proof_id", "0" * 64)) == 3
    assert tampered(lambda r: r.__setitem__("signature", "0" * 64)) == 3
    assert tampered(lambda r: r.pop("evidence")) in (2, 3)
    assert tampered(lambda r: r["verdict"].__setitem__("n_used", float(whole["verdict"]["n_used"]))) == 3  # type: ignore[attr-defined]
    stranger = ophamin("proof", "verify", str(proof), OPHAMIN_HOME=str(tmp_path / "somebody-else"))
    assert stranger.returncode == 5
    public = whole["attestations"][0]["public_key"]
    env = {"OPHAMIN_HOME": str(tmp_path / "somebody-else")}
    assert ophamin("key", "trust", "alice", public, **env).returncode == 0
    assert ophamin("proof", "verify", str(proof), **env).returncode == 0


def test_open_key_files_are_refused(ophamin: Run, project: Path, proof: Path) -> None:
    key = project / "team.key"
    key.write_bytes(b"a key that everybody may read\n")
    key.chmod(0o644)
    done = ophamin("proof", "verify", str(proof), "--key-file", str(key))
    assert done.returncode == 5
    assert "chmod" in done.stderr


def test_ledger_answers(ophamin: Run, project: Path, proof: Path) -> None:
    assert ophamin("log", "verify").returncode == 0
    entries = json.loads(ophamin("log", "show", "--json").stdout)["entries"]
    assert [e["type"] for e in entries] == ["registration", "outcome"]
    assert entries[1]["proof_id"] == json.loads(proof.read_text())["proof_id"]
    listed = json.loads(ophamin("proof", "list", "--json").stdout)["records"]
    assert [r["outcome"] for r in listed] == ["VALIDATED"]
