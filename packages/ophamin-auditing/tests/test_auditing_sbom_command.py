from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ophamin import registry
from ophamin.auditing._command import sbom
from ophamin.proof.errors import OphaminError, UsageError

ONE = "--hash=sha256:" + "1" * 64


@pytest.fixture
def command(tree, monkeypatch):
    monkeypatch.chdir(tree({"requirements.txt": f"a==1 {ONE}\n", "a.py": ""}))

    def run(*words):
        return CliRunner().invoke(sbom, [str(w) for w in words])

    return run


def test_it_is_the_command_sbom_with_an_example():
    assert registry.commands.get("sbom") is sbom
    assert "Example: ophamin sbom" in CliRunner().invoke(sbom, ["--help"]).output


def test_standard_output_is_the_bill_itself(command):
    said = command("--requirements", "requirements.txt")
    assert said.exit_code == 0
    assert json.loads(said.stdout)["components"][0]["name"] == "a"


def test_out_is_written_whole_and_json_says_what(command, tree):
    said = command("--requirements", "requirements.txt", "--out", "bom.json", "--json")
    printed = json.loads(said.stdout)
    assert (printed["components"], printed["hashed"], printed["licence_unknown"]) == (1, 1, ["a 1"])
    first = (tree({}) / "bom.json").read_bytes()
    assert command(".", "--requirements", "requirements.txt", "--out", "bom.json").stdout == (
        "bom.json: 1 components, 1 with hashes; licence unknown: a 1\n"
    )
    assert (tree({}) / "bom.json").read_bytes() == first
    assert sorted(p.name for p in tree({}).iterdir()) == ["a.py", "bom.json", "requirements.txt"]


@pytest.mark.parametrize(
    "words",
    [
        ["--json"], ["absent"], ["--lock", "absent"], ["--lock", "."], ["--requirements", "absent"], ["--environment", "absent"],
        ["--environment", "."], ["--lock", "uv.lock", "--requirements", "requirements.txt"],
        ["--requirements", "requirements.txt", "--out", "absent/bom.json"],
    ],
)  # fmt: skip
def test_a_users_mistake_is_one_sentence_with_exit_2(command, words):
    said = command(*words)
    assert isinstance(said.exception, UsageError)
    assert isinstance(said.exception, OphaminError)
    assert said.exception.exit_code == 2
    assert "\n" not in str(said.exception)


def test_what_has_no_hash_is_named(command, tree):
    tree({"requirements.txt": "a==1\n" + "".join(f"p{n}==1\n" for n in range(9))})
    assert isinstance(command("--requirements", "requirements.txt").exception, UsageError)
    said = command("--requirements", "requirements.txt", "--allow-unhashed", "--out", "bom.json")
    assert "10 components, 0 with hashes, 10 without: a, p0, p1, p2, p3 and 5 more" in said.stdout
    assert "a 1 has no hash" in said.stderr


def test_a_terminal_gets_no_control_characters(command, tree):
    tree({"requirements.txt": "a==1 \x1b[31m\n"})
    said = command("--requirements", "requirements.txt")
    assert "\x1b" not in str(said.exception)
