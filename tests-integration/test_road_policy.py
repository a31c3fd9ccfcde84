"""What may be tried how often, what is run again, who signs, and what a script sees."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Command = Callable[..., subprocess.CompletedProcess[str]]
SYSTEM = "def answer(payload):\n    return 'yes' if int(payload.split()[1]) % {every} else 'no'\n"
ASK = ("metric", "--claim", "accuracy >= 0.8", "--corpus", "table:rows.csv")
PYTHON = (*ASK, "--substrate", "python:road_policy_system:answer")


@pytest.fixture
def command(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in this process; 300 rows, all labelled yes, and a function to measure on them."""
    from ophamin.cli._run import run

    (project / "rows.csv").write_text("id,text,label\n" + "".join(f"{i},word {i},yes\n" for i in range(300)))
    (project / "road_policy_system.py").write_text(SYSTEM.format(every=20))

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.delitem(sys.modules, "road_policy_system", raising=False)
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return call


def road(command: Command, *words: str) -> tuple[dict[str, JSON], set[str], Path]:
    """Run; the record, the ids it measured, and its path."""
    done = command("run", *words, "--json")
    assert done.returncode in (0, 1, 4), done.stderr
    path = Path(json.loads(done.stdout)["path"])
    rows = gzip.decompress(path.with_name("observations.jsonl.gz").read_bytes()).splitlines()
    return json.loads(path.read_bytes()), {json.loads(row)["record"] for row in rows}, path


def entries(command: Command, kind: str) -> list[dict[str, JSON]]:
    shown = json.loads(command("log", "show", "--json").stdout)["entries"]
    return [e for e in shown if e["type"] == kind]


# --- attempts


def test_each_attempt_has_half_the_alpha_and_fresh_records(command: Command) -> None:
    seen: set[str] = set()
    spent = 0.0
    for attempt, alpha in enumerate((0.05, 0.025, 0.0125), 1):
        record, ids, path = road(command, *PYTHON, "--n", "90")
        registered = record["preregistration"]
        assert (registered["attempt"], registered["alpha_used"]) == (attempt, alpha)
        spent += alpha
        assert registered["error_bound"] == pytest.approx(spent)
        assert record["verdict"]["interval"]["level"] == pytest.approx(1 - 2 * alpha)
        assert registered["plan"]["n_planned"] == 90
        assert not ids & seen
        seen |= ids
        assert command("proof", "verify", str(path)).returncode == 0
    assert len({e["seed"] for e in entries(command, "registration")}) == 3
    assert [e["attempt"] for e in entries(command, "registration")] == [1, 2, 3]
    # 30 records are left, and after them none: a claim is not measured twice on one record.
    record, ids, _ = road(command, *PYTHON, "--n", "90")
    assert (len(ids), record["preregistration"]["plan"]["underpowered"]) == (30, True)
    done = command("run", *PYTHON, "--n", "90")
    assert done.returncode == 2
    assert "no fresh record" in done.stderr
    assert len(entries(command, "registration")) == 4


def test_whatever_seed_n_and_alpha_it_is_another_attempt(command: Command) -> None:
    record, _, _ = road(command, *PYTHON, "--n", "60")
    assert record["preregistration"]["seed_origin"] == "derived"
    record, _, _ = road(command, *PYTHON, "--n", "60", "--seed", "7")
    registered = record["preregistration"]
    assert (registered["seed"], registered["seed_origin"], registered["attempt"]) == (7, "chosen", 2)
    assert record["data"]["datasets"][0]["selection"]["seed"] == 7
    record, _, _ = road(command, *PYTHON, "--n", "50", "--alpha", "0.04")
    assert (record["preregistration"]["attempt"], record["preregistration"]["alpha_used"]) == (3, 0.01)
    other, _, _ = road(command, *PYTHON[:1], "--claim", "accuracy >= 0.7", *PYTHON[3:], "--n", "60")
    assert other["preregistration"]["attempt"] == 1


def test_attempts_registered_first_share_alpha(command: Command) -> None:
    words = (*PYTHON, "--n", "40", "--attempts", "3")
    for attempt in (1, 2, 3):
        registered = road(command, *words)[0]["preregistration"]
        assert (registered["attempt"], registered["alpha_used"]) == (attempt, pytest.approx(0.05 / 3))
        assert registered["error_bound"] == pytest.approx(attempt * 0.05 / 3)
    done = command("run", *words)
    assert done.returncode == 2
    assert "alpha is spent" in done.stderr
    done = command("run", *PYTHON, "--n", "40")
    assert done.returncode == 2
    assert "registered 3 attempts" in done.stderr


def test_a_claim_no_sample_can_validate_is_refused(command: Command) -> None:
    for claim in ("accuracy >= 1", "accuracy > 0.9999999999999999999", "error_rate <= 0"):
        for verb in ("run", "plan"):
            done = command(verb, "metric", "--claim", claim, *PYTHON[3:])
            assert done.returncode == 2, claim
            assert "no sample can validate" in done.stderr


# --- run again


def test_the_same_system_agrees_exactly(command: Command) -> None:
    record, _, path = road(command, *PYTHON, "--n", "100")
    for name in (str(path), str(path.parent), record["proof_id"][:8]):
        done = command("reproduce", name, "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["answer"], found["exact"], found["n"]) == ("AGREE", True, 100)
        assert found["values_digest"] == record["data"]["observations"]["values_digest"]
    assert len(entries(command, "reproduction")) == 3
    # A reproduction is logged as such and is no attempt.
    assert road(command, *PYTHON, "--n", "100")[0]["preregistration"]["attempt"] == 2


def test_a_changed_system_disagrees(command: Command, project: Path) -> None:
    _, _, path = road(command, *PYTHON, "--n", "100")
    (project / "road_policy_system.py").write_text(SYSTEM.format(every=2))
    done = command("reproduce", str(path), "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    (part,) = found["comparisons"]
    assert (found["answer"], found["exact"], part["metric"], part["margin"]) == ("DISAGREE", False, "accuracy", 0.05)
    assert part["upper"] < -0.05
    assert entries(command, "reproduction")[0]["answer"] == "DISAGREE"


def test_a_difference_smaller_than_the_margin_agrees(command: Command, project: Path) -> None:
    _, _, path = road(command, *PYTHON, "--n", "300")
    (project / "road_policy_system.py").write_text(SYSTEM.format(every=20) + "# the same, by another file\n")
    assert json.loads(command("reproduce", str(path), "--json").stdout)["exact"] is True
    (project / "road_policy_system.py").write_text(
        "def answer(payload):\n    return 'no' if int(payload.split()[1]) % 21 == 0 else 'yes'\n"
    )
    done = command("reproduce", str(path), "--json")
    found = json.loads(done.stdout)
    assert found["exact"] is False
    assert done.returncode == {"AGREE": 0, "DISAGREE": 1, "INCONCLUSIVE": 4}[found["answer"]]
    assert found["answer"] in ("AGREE", "INCONCLUSIVE")


def test_what_cannot_be_run_again_is_refused(command: Command, project: Path) -> None:
    _, _, path = road(command, *PYTHON, "--n", "100")
    rows = (project / "rows.csv").read_text()
    (project / "rows.csv").write_text(rows + "300,word 300,yes\n")
    done = command("reproduce", str(path))
    assert done.returncode == 2
    assert "not the one this proof was run on" in done.stderr
    (project / "rows.csv").write_text(rows)
    beside = path.with_name("observations.jsonl.gz")
    kept = beside.read_bytes()
    beside.write_bytes(gzip.compress(gzip.decompress(kept).replace(b'"answer":"no"', b'"answer":"yes"')))
    done = command("reproduce", str(path))
    assert done.returncode == 3
    assert "nothing was run" in done.stderr
    assert command("proof", "verify", str(path)).returncode == 3
    beside.unlink()
    assert command("reproduce", str(path)).returncode == 2
    # The record by itself is still what was signed; that its rows are not there is said.
    checks = json.loads(command("proof", "verify", str(path), "--json").stdout)["records"][0]["checks"]
    assert {c["name"]: c["state"] for c in checks}["observations"] == "could not be checked"
    assert entries(command, "reproduction") == []


# --- keys


def test_a_key_file_or_the_environment_signs(
    command: Command, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = project / "team.key"
    key.write_bytes(b"the team's own secret key\n")
    key.chmod(0o600)
    signed, _, path = road(command, *PYTHON, "--n", "60", "--key-file", str(key))
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "stranger"))
    assert command("proof", "verify", str(path)).returncode == 5  # whole, and signed by nobody we know
    assert command("proof", "verify", str(path), "--key-file", str(key)).returncode == 0
    other = project / "other.key"
    other.write_bytes(b"somebody else's secret key")
    other.chmod(0o600)
    assert command("proof", "verify", str(path), "--key-file", str(other)).returncode == 3
    # The environment's key is the bytes of its value: the same key as the file less its newline.
    monkeypatch.setenv("OPHAMIN_SIGN_KEY", "the team's own secret key")
    assert command("proof", "verify", str(path)).returncode == 0
    again, _, _ = road(command, *PYTHON, "--n", "60")
    assert again["attestations"][0]["key_id"] == signed["attestations"][0]["key_id"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_a_key_that_others_may_read_signs_nothing(command: Command, project: Path) -> None:
    key = project / "team.key"
    key.write_bytes(b"a key that everybody may read\n")
    key.chmod(0o644)
    for words in (("--key-file", str(key)), ("--key-file", str(project / "absent.key"))):
        done = command("run", *PYTHON, *words)
        assert done.returncode == 5
        assert not (project / ".ophamin").exists()
    key.write_bytes(b"short")
    key.chmod(0o600)
    assert command("run", *PYTHON, "--key-file", str(key)).returncode == 5


def test_a_swapped_signature_is_told_from_an_unknown_key(
    command: Command, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, path = road(command, *PYTHON, "--n", "60")
    other, _, _ = road(command, *PYTHON, "--n", "60")
    record = json.loads(path.read_bytes())
    record.pop("attestations")  # as core alone signs, or as an attacker leaves it

    def verified(signature: str, where: Path) -> tuple[int, dict[str, str]]:
        where.write_text(json.dumps({**record, "signature": signature}))
        found = json.loads(command("proof", "verify", str(where), "--json").stdout)
        return found["exit_code"], {c["name"]: c["state"] for c in found["records"][0]["checks"]}

    assert verified(record["signature"], path)[0] == 0
    code, states = verified(other["signature"], path)
    assert (code, states["id"], states["signature"]) == (3, "good", "bad")
    # Without the key, the ledger beside it still knows what the signature was.
    monkeypatch.setenv("OPHAMIN_HOME", str(tmp_path / "another home"))
    code, states = verified(other["signature"], path)
    assert (code, states["signature"], states["ledger"]) == (3, "could not be checked", "bad")
    assert verified(record["signature"], path)[0] == 5
    # With neither, nobody can tell.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    code, states = verified(other["signature"], elsewhere / "record.json")
    assert (code, states["signature"]) == (5, "could not be checked")


# --- what a script sees


def test_json_is_one_object_on_stdout(command: Command, project: Path) -> None:
    _, _, path = road(command, *PYTHON, "--n", "60")
    road(command, *PYTHON, "--n", "60")
    (project / "old").mkdir()
    kinds = ("auditor", "corpus", "estimator", "exporter", "instrument", "pillar", "renderer", "runner", "scenario",
             "substrate")  # fmt: skip
    commands = [
        "plugins", "verify", "key list", "key create spare", "log show", "log verify", "schema list",
        "schema info proof", f"recompute {path}",
        f"schema validate {path}", f"report {path}", f"reproduce {path}", f"compare {path} {path}", "proof index",
        "proof list", "record list", "record index", f"audit {project / 'road_policy_system.py'}", "audit-record list",
        "corpus sample cyber-payloads --out sampled", "plan metric --claim accuracy>=0.9",
        *(f"{kind} list" for kind in kinds),
        *(f"{group} {word} {path}" for group in ("proof", "record") for word in ("verify", "show", "validate")),
        *(f"{kind} show {name}" for kind, name in (("corpus", "table"), ("scenario", "metric"), ("substrate", "mock"))),
    ]  # fmt: skip
    for words in commands:
        done = command(*words.split(), "--json")
        assert done.returncode in (0, 1), (words, done.stderr)
        assert isinstance(json.loads(done.stdout), dict), words  # raises on anything beside the one value
        assert done.stdout.count("\n") == 1, words


def test_progress_is_for_terminals_only(ophamin: Command, command: Command, project: Path) -> None:
    words = ("run", *ASK, "--n", "100", "--substrate", "mock?seed=1&latency_s=0.005&correct=0.93")
    done = ophamin(*words)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].split()[0] in ("VALIDATED", "INCONCLUSIVE")
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-m", "ophamin.cli", *words], cwd=project, stdout=subprocess.PIPE, stderr=theirs
    ):
        os.close(theirs)
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # how a terminal says that nobody writes any more
                break
            if not part:
                break
            shown += part
    os.close(ours)
    text = shown.decode()
    assert "cycles: 100 of 100" in text
    assert text.count("cycles:") > 2
    # Counts and time, never a running result.
    for word in ("accuracy", "VALIDATED", "REFUTED", "0.9"):
        assert word not in text
