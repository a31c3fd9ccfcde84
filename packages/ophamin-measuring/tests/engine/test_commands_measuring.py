"""``run``, ``plan`` and ``reproduce`` through click: exit codes, one object on stdout, one sentence for a mistake."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from ophamin.measuring._command.road import plan, reproduce, run
from ophamin.proof.errors import OphaminError, UsageError
from ophamin.protocols import Settings


@pytest.fixture
def ask(road):
    settings = Settings(str(road.folder), str(road.folder / "proofs"))

    def ask(command, *words):
        result = CliRunner().invoke(command, list(words), obj=settings)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return ask


@pytest.mark.parametrize("command", [run, plan, reproduce])
def test_help_has_an_example(ask, command):
    result = ask(command, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"ophamin {command.name}" in result.output


@pytest.mark.parametrize(
    ("system", "n", "code", "word"),
    [("tiny?p=0.97", "100", 0, "VALIDATED"), ("tiny?p=0.5", "100", 1, "REFUTED"), ("tiny?p=1", "5", 4, "INCONCLUSIVE")],
)
def test_the_exit_code_is_the_outcome(ask, system, n, code, word):
    result = ask(run, "tiny", "--substrate", system, "--n", n)
    assert result.exit_code == code
    assert result.stdout.startswith(word)
    assert "record.json" in result.stdout
    assert result.stderr == ""


def test_the_summary_names_interval_threshold_n_and_error_bound(ask):
    words = ask(run, "tiny", "--substrate", "tiny?p=0.97", "--n", "100").stdout
    for part in ("interval [", "against >= 0.8", "100 of 100", "0.05", "proof "):
        assert part in words


def test_after_inconclusive_it_says_how_many_a_new_registration_takes(ask):
    result = ask(run, "tiny", "--substrate", "tiny:other?p=0.8", "--n", "100")
    assert result.exit_code == 4
    assert "next " in result.stdout


def test_json_is_one_object(ask):
    result = ask(run, "tiny", "--substrate", "tiny?p=0.97", "--n", "100", "--json")
    found = json.loads(result.stdout)
    assert found["outcome"] == "VALIDATED"
    assert found["n_planned"] == 100
    assert found["proof_id"] in found["path"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny"], "--substrate python:pkg.mod:func"),
        (["tiny", "--substrate", "tiny", "--set", "theta"], "is not NAME=VALUE"),
        (["tiny", "--substrate", "tiny", "--set", "theta=1", "--set", "theta=2"], "given twice"),
        (["tiny", "--substrate", "tiny", "--substrate", "tiny"], "ARM=SPEC"),
        (["tiny", "--substrate", "tiny", "--claim", "x", "--set", "claim=y"], "give one of them"),
        (["tiny", "--substrate", "tiny", "--claim", "x"], "no option 'claim'"),
    ],
)
def test_a_mistake_is_one_sentence(ask, words, message):
    with pytest.raises(UsageError, match=message) as raised:
        ask(run, *words)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_arms_options_fields_and_seed_reach_the_record(ask, road):
    result = ask(
        run, "tiny", "--substrate", "arm0=tiny:a?p=0.9", "--substrate", "arm1=tiny:b?p=0.9", "--set", "arms=2",
        "--set", "theta=0.5", "--field", "answer=answer", "--seed", "7", "--n", "40", "--alpha", "0.1", "--json",
    )  # fmt: skip
    found = json.loads(result.stdout)
    record = json.loads(open_bytes(found["path"]))
    assert (found["seed"], found["alpha_used"]) == (7, 0.1)
    spec = record["reproduction"]["run_spec"]
    assert spec["arms"] == {"arm0": "tiny:a?p=0.9", "arm1": "tiny:b?p=0.9"}
    assert spec["fields"] == {"answer": "answer"}
    assert "--seed" in record["reproduction"]["argv"]


def open_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def test_the_command_in_the_record_runs_the_same(ask, road):
    found = json.loads(
        ask(run, "tiny", "--substrate", "tiny?p=0.9", "--set", "theta=0.7", "--n", "30", "--json").stdout
    )
    argv = json.loads(open_bytes(found["path"]))["reproduction"]["argv"]
    assert argv[:2] == ["ophamin", "run"]
    again = json.loads(ask(run, *argv[2:], "--json").stdout)
    assert again["threshold"] == found["threshold"]
    assert again["attempt"] == 2


def test_interrupted_it_says_how_to_resume(ask, road):
    result = ask(run, "tiny", "--substrate", "tiny?fault=interrupt&at=10", "--n", "50")
    assert result.exit_code == 130
    assert "resumes this attempt" in result.stderr
    assert result.stdout == ""
    assert len(road.journals()) == 1


def test_errors_carry_their_exit_codes(ask):
    for words, code in ((["tiny?fault=start"], 6), (["tiny?fault=missing"], 2), (["nothing"], 2)):
        with pytest.raises(OphaminError) as raised:
            ask(run, "tiny", "--substrate", *words, "--n", "20")
        assert raised.value.exit_code == code


# --- plan


def test_plan_gives_n_and_registers_nothing(ask, road):
    found = json.loads(ask(plan, "tiny", "--json").stdout)
    assert (found["n"], found["n_cycles"], found["underpowered"]) == (127, 127, False)
    assert found["power_validate"] >= 0.8
    assert found["power_refute"] >= 0.8
    assert not (road.folder / ".ophamin").exists()
    words = ask(plan, "tiny").stdout
    assert "n = 127 units" in words


def test_plan_with_n_gives_the_smallest_difference(ask):
    found = json.loads(ask(plan, "tiny", "--n", "50", "--json").stdout)
    assert found["underpowered"] is True
    assert 0.1 < found["smallest_difference"] < 0.3


def test_plan_of_parts_is_per_part_and_joint(ask):
    found = json.loads(ask(plan, "tiny-pair", "--json").stdout)
    assert found["strata"] == ["attack", "benign"]
    assert len(found["parts"]) == 2
    assert found["n"] > max(p["n"] for p in found["parts"])
    assert found["n_cycles"] == 2 * found["n"]
    assert "in each of attack, benign" in ask(plan, "tiny-pair").stdout


def test_plan_times_a_few_cycles_without_reading_them(ask):
    found = json.loads(ask(plan, "tiny", "--substrate", "tiny?sleep=0.01", "--json").stdout)
    assert found["seconds"] >= 127 * 0.01
    assert "nobody read" in ask(plan, "tiny", "--substrate", "tiny").stdout


def test_plan_refuses_what_no_sample_can_validate(ask):
    with pytest.raises(UsageError, match="no sample can validate"):
        ask(plan, "tiny", "--set", "theta=1")


def test_plan_of_the_exact_rule_needs_no_n(ask):
    assert "twice" in ask(plan, "tiny", "--set", "rule=exact").stdout


# --- reproduce


def test_the_same_system_agrees_exactly_and_it_is_no_attempt(ask, road):
    found = json.loads(ask(run, "tiny", "--substrate", "tiny?p=0.9", "--n", "60", "--json").stdout)
    for name in (found["path"], found["proof_id"][:12]):
        result = ask(reproduce, name, "--json")
        assert result.exit_code == 0
        again = json.loads(result.stdout)
        assert (again["answer"], again["exact"], again["n"]) == ("AGREE", True, 60)
    assert [e["answer"] for e in road.entries("reproduction")] == ["AGREE", "AGREE"]
    assert len(road.entries("registration")) == 1


@pytest.mark.parametrize(
    ("change", "code", "answer"),
    [("tiny?p=0.91", 0, "AGREE"), ("tiny?p=0.3", 1, "DISAGREE"), ("tiny?p=0.78", 4, "INCONCLUSIVE")],
)
def test_a_changed_system_is_compared_with_the_margin(ask, change, code, answer):
    found = json.loads(ask(run, "tiny", "--substrate", "tiny?p=0.9", "--n", "300", "--json").stdout)
    result = ask(reproduce, found["path"], "--substrate", change, "--json")
    again = json.loads(result.stdout)
    (part,) = again["comparisons"]
    assert (result.exit_code, again["answer"], again["exact"]) == (code, answer, False)
    assert part["margin"] == 0.1
    assert part["lower"] <= part["difference"] <= part["upper"]
    assert answer in ask(reproduce, found["path"], "--substrate", change).stdout


def test_cycles_that_fail_in_one_run_only_leave_it_open_or_disagree(ask):
    found = json.loads(ask(run, "tiny", "--substrate", "tiny?p=0.9", "--n", "300", "--json").stdout)
    few = json.loads(ask(reproduce, found["path"], "--substrate", "tiny?p=0.9&fault=error&at=150", "--json").stdout)
    many = json.loads(ask(reproduce, found["path"], "--substrate", "tiny?p=0.9&fault=error&at=2", "--json").stdout)
    # Two missing halves cannot move 300 pairs by the margin; 150 can, in either direction.
    assert (few["answer"], many["answer"]) == ("AGREE", "INCONCLUSIVE")
    assert many["comparisons"][0]["lower"] < -0.3
    assert many["comparisons"][0]["upper"] > 0.3


def test_another_edition_of_the_corpus_is_refused(ask, world, monkeypatch):
    found = json.loads(ask(run, "tiny", "--substrate", "tiny?p=0.9", "--n", "30", "--json").stdout)
    monkeypatch.setattr(world.TinyCorpus, "content_hash", lambda self: "sha256:" + "1" * 64)
    with pytest.raises(UsageError, match="not the one this proof was run on"):
        ask(reproduce, found["path"])


def test_a_changed_record_or_changed_rows_are_not_run(ask, road):
    from pathlib import Path

    from ophamin.proof.errors import IntegrityError

    found = json.loads(ask(run, "tiny", "--substrate", "tiny?p=0.9", "--n", "30", "--json").stdout)
    path = Path(found["path"])
    rows = path.with_name("observations.jsonl.gz")
    good = rows.read_bytes()
    import gzip

    rows.write_bytes(gzip.compress(gzip.decompress(good).replace(b'"value":1', b'"value":0', 1), mtime=0))
    with pytest.raises(IntegrityError):
        ask(reproduce, str(path))
    rows.unlink()
    with pytest.raises(UsageError, match="missing"):
        ask(reproduce, str(path))
    rows.write_bytes(good)
    path.write_bytes(path.read_bytes().replace(b'"VALIDATED"', b'"REFUTED"', 1))
    with pytest.raises(IntegrityError):
        ask(reproduce, str(path))
    assert road.entries("reproduction") == []


def test_commands_are_click_commands():
    assert all(isinstance(c, click.Command) for c in (run, plan, reproduce))
