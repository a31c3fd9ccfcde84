"""``ophamin demo``: five claims, one refuted on purpose, and a page that shows them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

JSON = Any
Command = Callable[..., subprocess.CompletedProcess[str]]


def whole(ophamin: Command, folder: Path) -> list[dict[str, JSON]]:
    """All five records of a demo's folder: each verifies, and the ledger knows each as a first attempt."""
    from ophamin.proof.ledger import Ledger

    paths = sorted((folder / "proofs").glob("proof/*/*/record.json"))
    done = ophamin("proof", "verify", *map(str, paths), "--json")
    assert done.returncode == 0, done.stdout
    verified = json.loads(done.stdout)["records"]
    assert len(verified) == 5
    assert {check["state"] for record in verified for check in record["checks"]} == {"good"}
    ledger = Ledger(folder / ".ophamin" / "ledger", create=False)
    assert ledger.verify().ok
    values = [entry.value for entry in ledger.entries()]
    assert [v["type"] for v in values] == ["registration", "outcome"] * 5
    assert {v["attempt"] for v in values if v["type"] == "registration"} == {1}
    return [json.loads(path.read_bytes()) for path in paths]


@pytest.mark.slow
def test_the_demo_twice(ophamin: Command, project: Path) -> None:
    from ophamin.cli.demo import CLAIMS

    done = ophamin("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    report = Path(lines[-1])
    assert report == project / "demo" / "run-1" / report.name
    page = report.read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html")
    records = whole(ophamin, report.parent)

    # What is expected is said before it is measured, and it is what came out.
    assert len(CLAIMS) == 5
    said = [line.strip() for line in lines]
    for number, claim in enumerate(CLAIMS, 1):
        (stated,) = [i for i, line in enumerate(said) if line.startswith(f"{number}. {claim.title}")]
        assert claim.expected in said[stated]
        assert said[stated + 1].startswith(claim.expected)
    outcomes = sorted(record["verdict"]["outcome"] for record in records)
    assert outcomes == sorted(claim.expected for claim in CLAIMS)
    assert outcomes.count("REFUTED") == 1
    assert outcomes.count("VALIDATED") >= 3
    assert len({record["claim"]["statement"] for record in records}) == 5
    for record in records:
        assert record["proof_id"] in page
        assert record["data"]["datasets"][0]["n_records"] > 1000
        assert record["data"]["substrate"]["kind"] == "payload-filter"
    # One file, no network: nothing is fetched from anywhere.
    for fetched in ('src="http', "src='http", "<link", "@import", "url(http"):
        assert fetched not in page
    assert page.count("<svg") >= 4

    # A second demo is a project of its own, of the same data, and finds the same.
    done = ophamin("demo", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["report"]).is_file()
    assert Path(found["report"]).parent == project / "demo" / "run-2"
    assert [(c["outcome"], c["expected"]) for c in found["claims"]] == [(c.expected, c.expected) for c in CLAIMS]
    again = whole(ophamin, project / "demo" / "run-2")
    assert {record["proof_id"] for record in again} == {claim["proof_id"] for claim in found["claims"]}
    assert {r["preregistration"]["seed"] for r in again} == {r["preregistration"]["seed"] for r in records}
    print(f"the second demo took {found['elapsed_s']} s")


def test_the_demo_says_what_it_needs(ophamin: Command, project: Path) -> None:
    (project / "taken").write_text("a file, not a folder")
    done = ophamin("demo", "--out", "taken")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "taken" in done.stderr
