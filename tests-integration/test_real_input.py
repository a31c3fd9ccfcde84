"""The immune siege on real public payloads, from the command line: the demo filter, and any callable.

What is checked holds whatever the verdict is: nobody knows beforehand how good a filter is on real input.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Command = Callable[..., subprocess.CompletedProcess[str]]
CODES = {"VALIDATED": 0, "REFUTED": 1, "INCONCLUSIVE": 4}
SIEGE = "concentrated-immune-siege"
SOURCES = ("httpparams", "libinjection", "httpparams,libinjection")


@pytest.fixture(scope="session")
def real_corpora() -> Path:
    """The folder of real corpora. A test that asks for this fixture is a data-dependent case."""
    named = os.environ.get("OPHAMIN_DATA_ROOT")
    if not named:
        pytest.skip("OPHAMIN_DATA_ROOT is not set: the real public samples are not at hand")
    folder = Path(named)
    assert (folder / "cyber").is_dir(), f"OPHAMIN_DATA_ROOT is set, but there is no {folder / 'cyber'}"
    return folder


@pytest.fixture
def command(project: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process, so that a filter is trained once for all tests."""
    from ophamin.cli._run import run

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, said.out, said.err)

    return call


def template(text: str) -> str:
    """What the scenario calls a template, said once more and on its own: numerals, case and spacing folded."""
    return " ".join(re.sub(r"\d+(?:[.,]\d+)*", "#", text.casefold()).split())


def corpus(folder: Path, spec: str) -> dict[str, JSON]:
    """The records of a corpus spec by id."""
    from ophamin import registry

    return {record.id: record for record in registry.make_corpus(spec, folder).records()}


def siege(run: Command, *words: str) -> tuple[dict[str, JSON], list[dict[str, JSON]], Path]:
    """Run the siege; its record, its observations and its path, when the exit code is the outcome's."""
    done = run("run", SIEGE, *words, "--json")
    assert done.returncode in CODES.values(), done.stderr
    said = json.loads(done.stdout)
    assert done.returncode == CODES[said["outcome"]]
    path = Path(said["path"])
    record = json.loads(path.read_bytes())
    assert record["verdict"]["outcome"] == said["outcome"]
    rows = gzip.decompress(path.with_name("observations.jsonl.gz").read_bytes()).splitlines()
    return record, [json.loads(row) for row in rows], path


def hold_together(record: dict[str, JSON], rows: list[dict[str, JSON]], known: dict[str, JSON]) -> None:
    """What is true of every siege: templates are counted once, labels are the corpus's, counts add up."""
    verdict, parts = record["verdict"], [e for e in record["evidence"] if e["role"] == "primary"]
    assert [e["statistic_name"] for e in parts] == ["false_positive_rate", "detection_rate"]
    assert verdict["n_planned"] == len(rows) == verdict["n_used"] + verdict["n_errors"] + verdict["n_unmeasured"]
    assert len({row["record"] for row in rows}) == len(rows)
    for evidence, kind in zip(parts, ("benign", "attack"), strict=True):
        there = {template(r.payload) for r in known.values() if r.labels["kind"] == kind}
        mine = [row for row in rows if known[row["record"]].labels["kind"] == kind]
        assert {row["values"]["kind"] for row in mine} == {kind}
        measured = {template(known[row["record"]].payload) for row in mine}
        # One record of each template, so n counts independent inputs.
        assert evidence["n_groups"] == evidence["n"] == len(mine) == len(measured) <= len(there)
        assert {row["unit"] for row in mine} == measured
        blocked = [row["values"]["blocked"] for row in mine]
        assert set(blocked) <= {True, False}
        assert evidence["statistic_value"] == pytest.approx(sum(blocked) / len(blocked), abs=1e-12)
        assert 0 <= evidence["ci_low"] <= evidence["statistic_value"] <= evidence["ci_high"] <= 1
    dataset = record["data"]["datasets"][0]
    assert dataset["n_records"] == len(known)
    assert dataset["content_hash"].startswith("sha256:")


def verified(run: Command, path: Path) -> None:
    done = run("proof", "verify", str(path), "--json")
    assert done.returncode == 0, done.stdout
    checks = {c["name"]: c["state"] for c in json.loads(done.stdout)["records"][0]["checks"]}
    assert set(checks.values()) == {"good"}
    assert {"id", "signature", "schema", "consistency", "ledger", "observations"} <= set(checks)


@pytest.mark.data
@pytest.mark.parametrize("source", SOURCES)
def test_the_demo_filter_on_what_it_was_not_trained_on(command: Command, real_corpora: Path, source: str) -> None:
    trained = f"payload-filter?corpus=cyber-payloads%3Fsplit%3Dtrain%26source%3D{source}"
    tested = f"cyber-payloads?split=test&source={source}"
    record, rows, path = siege(command, "--substrate", trained, "--corpus", tested, "--data-root", str(real_corpora))
    known = corpus(real_corpora, tested)
    hold_together(record, rows, known)
    verified(command, path)
    seen = corpus(real_corpora, f"cyber-payloads?split=train&source={source}")
    assert not {row["record"] for row in rows} & set(seen)
    assert not {r.payload.strip() for r in seen.values()} & {known[row["record"]].payload.strip() for row in rows}
    assert record["data"]["substrate"]["kind"] == "payload-filter"


@pytest.mark.data
def test_numerals_are_one_template(command: Command, real_corpora: Path) -> None:
    """HttpParams holds more than a thousand plain numerals; blocking none of them is one right answer."""
    spec = "cyber-payloads?source=httpparams"
    known = corpus(real_corpora, spec)
    numerals = {i for i, r in known.items() if template(r.payload) == "#"}
    assert len(numerals) > 1000
    record, rows, _ = siege(
        command, "--substrate", "mock?seed=1&detect=1&false_positive=0", "--corpus", spec, "--n", "100000",
        "--data-root", str(real_corpora),
    )  # fmt: skip
    hold_together(record, rows, known)
    assert sum(row["record"] in numerals for row in rows) <= 2  # one benign, and one attack where one is labelled so
    everything = {(r.labels["kind"], template(r.payload)) for r in known.values()}
    assert len(rows) == len(everything)
    assert record["verdict"]["outcome"] == "VALIDATED"


FILTERS = """
def bare(payload):
    return any(sign in payload.lower() for sign in ("'", "<", "select", "../", ";"))

def nested(payload):
    return {"verdict": {"is_blocked": bare(payload), "score": len(payload)}}

def everything(payload):
    return True
"""


@pytest.mark.data
@pytest.mark.parametrize("source", SOURCES[:2])
def test_any_callable(command: Command, project: Path, real_corpora: Path, source: str) -> None:
    (project / "my_waf.py").write_text(FILTERS)
    spec = f"cyber-payloads?source={source}"
    words = ("--corpus", spec, "--data-root", str(real_corpora))
    record, rows, path = siege(command, "--substrate", "python:my_waf:bare", *words)
    known = corpus(real_corpora, spec)
    hold_together(record, rows, known)
    verified(command, path)
    signs = ("'", "<", "select", "../", ";")
    for row in rows:
        assert row["values"]["blocked"] is any(sign in known[row["record"]].payload.lower() for sign in signs)
    mapped, again, _ = siege(
        command, "--substrate", "python:my_waf:nested", "--field", "blocked=verdict.is_blocked", *words
    )
    hold_together(mapped, again, known)
    assert len(again) == len(rows)
    # A filter that blocks everything detects every attack, and is no filter.
    record, rows, _ = siege(command, "--substrate", "python:my_waf:everything", *words)
    assert record["verdict"]["outcome"] == "REFUTED"
    assert [e["statistic_value"] for e in record["evidence"][:2]] == [1.0, 1.0]


@pytest.mark.data
def test_from_a_shell_as_a_user_would(ophamin: Command, project: Path, real_corpora: Path) -> None:
    """The issue's words: OPHAMIN_DATA_ROOT set, the default corpus, the demo filter."""
    record, rows, path = siege(
        lambda *words: ophamin(*words, OPHAMIN_DATA_ROOT=str(real_corpora)), "--substrate", "payload-filter"
    )
    hold_together(record, rows, corpus(real_corpora, "cyber-payloads?split=test"))
    verified(ophamin, path)
    assert record["data"]["datasets"][0]["kind"] == "labelled text"


@pytest.mark.data
def test_a_filter_is_not_measured_on_what_it_learnt(command: Command, project: Path, real_corpora: Path) -> None:
    done = command(
        "run", SIEGE, "--substrate", "payload-filter?corpus=cyber-payloads%3Fsplit%3Dtrain%26source%3Dlibinjection",
        "--corpus", "cyber-payloads?split=train&source=libinjection", "--data-root", str(real_corpora),
    )  # fmt: skip
    assert done.returncode == 2
    assert "was trained on" in done.stderr
    assert "split=test" in done.stderr
    assert not (project / "proofs").exists()


@pytest.mark.parametrize("root", ["", "/nonexistent-data-root"])
def test_an_absent_corpus_says_how_to_get_it(ophamin: Command, project: Path, root: str) -> None:
    done = ophamin("run", SIEGE, "--substrate", "mock", OPHAMIN_DATA_ROOT=root)
    assert done.returncode == 2
    for words in ("absent", "git clone https://", "ophamin corpus sample cyber-payloads", "MB", "licence"):
        assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not (project / ".ophamin").exists()
