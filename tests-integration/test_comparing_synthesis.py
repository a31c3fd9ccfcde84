"""The commands on a store, with the wheels they ask by name: measuring adjusts p-values and plans."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ophamin.comparing.drift.proofs import Proof, proof_of
from ophamin.comparing.index._walk import SETTLED_NS
from ophamin.comparing.synthesis import correct
from ophamin.measuring.decision import Member, correct_family
from ophamin.proof.keys import Keyring
from ophamin.proof.kinds import PROOF
from ophamin.proof.signed import sign

Ophamin = Callable[..., subprocess.CompletedProcess[str]]
BODY = Path(__file__).parent.parent / "packages/ophamin-core/tests/golden/proof-1.1.json"


def body(statement: str, outcome: str, p: tuple[float, float] | None, **registered: Any) -> dict[str, Any]:
    """One threshold of the golden proof, with another claim, outcome and p-values."""
    made: dict[str, Any] = json.loads(BODY.read_text(encoding="utf-8"))
    for name in ("proof_id", "signature", "attestations", "signing_key"):
        made.pop(name, None)
    made["claim"] |= {"statement": statement, "co_primary": []}
    bounds = {"VALIDATED": (0.01, 0.05), "REFUTED": (0.2, 0.3), "INCONCLUSIVE": (0.05, 0.2)}[outcome]
    value = sum(bounds) / 2
    interval = {
        "lower": bounds[0], "upper": bounds[1], "level": 0.98, "sides": "two one-sided", "lower_confidence": 0.99,
        "upper_confidence": 0.99,
    }  # fmt: skip
    made["verdict"] |= {"outcome": outcome, "observed_value": value, "interval": interval, "co_primary": []}
    evidence = made["evidence"][0] | {"statistic_value": value, "ci_low": bounds[0], "ci_high": bounds[1]}
    evidence["detail"] = {} if p is None else {"p_validated": p[0], "p_refuted": p[1]}
    made["evidence"] = [evidence]
    for name in ("claim_hash", "ledger"):
        made["preregistration"].pop(name)
    made["data"].pop("observations")
    made["preregistration"] |= {"attempt": 1, "alpha_used": 0.05, "error_bound": 0.05, **registered}
    made["preregistration"]["preregistered_at"] = "2026-11-24T09:00:00+00:00"
    return made


@pytest.fixture
def put(project: Path) -> Callable[..., Proof]:
    count = iter(range(100))

    def write(outcome: str, p: tuple[float, float] | None, **registered: Any) -> Proof:
        nth = next(count)
        record = sign(body(f"Claim {nth}.", outcome, p, **registered), PROOF, Keyring().signer())
        path = project / "proofs" / "proof" / str(nth) / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record), encoding="utf-8")
        return proof_of(record, path)

    return write


FAMILY = [
    ("VALIDATED", (0.001, 1.0)), ("VALIDATED", (0.012, 0.9)), ("VALIDATED", (0.04, 0.8)), ("REFUTED", (0.9, 0.002)),
    ("REFUTED", (0.9, 0.03)), ("INCONCLUSIVE", (0.3, 0.6)),
]  # fmt: skip


@pytest.mark.parametrize("method", ["holm", "bh", "by"])
def test_a_family_comes_out_as_measuring_corrects_it(put: Callable[..., Proof], method: str) -> None:
    proofs = [put(*member) for member in FAMILY]
    found = correct(proofs, method=method)
    members = [Member(p.claim, outcome, *ps) for p, (outcome, ps) in zip(proofs, FAMILY, strict=True)]
    expected = correct_family(members, alpha=0.05, method=method)
    assert [one.outcome for one in found.claims] == [one.outcome for one in expected]
    assert [one.adjusted_validated for one in found.claims] == pytest.approx([one.p_validated for one in expected])
    assert [one.adjusted_refuted for one in found.claims] == pytest.approx([one.p_refuted for one in expected])
    assert found.m == 6
    assert found.bound == expected[0].bound


def test_by_hand_holm_twice_at_alpha(put: Callable[..., Proof]) -> None:
    found = correct([put(*member) for member in FAMILY])
    assert [one.adjusted_validated for one in found.claims] == pytest.approx([0.006, 0.06, 0.16, 1, 1, 0.9])
    assert [one.outcome for one in found.claims] == [
        "VALIDATED", "INCONCLUSIVE", "INCONCLUSIVE", "REFUTED", "INCONCLUSIVE", "INCONCLUSIVE",
    ]  # fmt: skip


def test_a_proof_without_p_values_counts_with_one_and_says_so(put: Callable[..., Proof]) -> None:
    found = correct([put("VALIDATED", None), put("VALIDATED", (0.02, 1.0))])
    assert [one.outcome for one in found.claims] == ["INCONCLUSIVE", "VALIDATED"]
    assert "states no p-values" in found.claims[0].note


def test_a_later_attempt_brings_its_p_value_multiplied(put: Callable[..., Proof]) -> None:
    third = {"attempt": 3, "alpha_used": 0.0125, "error_bound": 0.0875}
    (one,) = correct([put("VALIDATED", (0.01, 1.0), **third)]).claims
    assert (one.p_validated, one.outcome) == (pytest.approx(0.04), "VALIDATED")
    (two, _) = correct([put("VALIDATED", (0.01, 1.0), **third), put("INCONCLUSIVE", (0.5, 0.5))]).claims
    assert (two.adjusted_validated, two.outcome) == (pytest.approx(0.08), "INCONCLUSIVE")


def test_claims_that_left_no_proof_are_counted(put: Callable[..., Proof]) -> None:
    family = {"family": {"id": "f", "m": 10, "method": "holm"}}
    found = correct([put("VALIDATED", (0.004, 1.0), **family), put("VALIDATED", (0.006, 1.0), **family)])
    assert (found.m, found.missing) == (10, 8)
    assert [one.adjusted_validated for one in found.claims] == pytest.approx([0.04, 0.054])
    assert [one.outcome for one in found.claims] == ["VALIDATED", "INCONCLUSIVE"]


@pytest.mark.parametrize("method", ["holm", "bh", "by"])
def test_the_command_corrects_the_latest_of_each_series(
    put: Callable[..., Proof], ophamin: Ophamin, method: str
) -> None:
    for member in FAMILY:
        put(*member)
    done = ophamin("correct", "--method", method, "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert (told["method"], told["m"], told["exit_code"]) == (method, 6, 1)
    assert [c["corrected"] for c in told["claims"]].count("REFUTED") >= 1
    shown = ophamin("correct", "--method", method).stdout
    assert "(was VALIDATED)" in shown or method != "holm"


@pytest.mark.slow
def test_after_inconclusive_the_plan_says_how_many_more(project: Path, ophamin: Ophamin) -> None:
    rows = "prompt,label\n" + "".join(f"q{i},{int(i % 11 != 0)}\n" for i in range(90))
    (project / "rows.csv").write_text(rows, encoding="utf-8")
    (project / "model.py").write_text("def f(prompt):\n    return 1\n", encoding="utf-8")
    run = ("run", "metric", "--claim", "accuracy >= 0.9", "--set", "delta=0.02", "--n", "90", "--corpus",
           "table:rows.csv?text=prompt&label=label", "--substrate", "python:model:f", "--json")  # fmt: skip
    done = ophamin(*run, PYTHONPATH=str(project))
    assert done.returncode == 4, done.stderr
    proof_id = json.loads(done.stdout)["proof_id"]
    done = ophamin("diagnose", proof_id[:10], "--json")
    assert done.returncode == 4, done.stderr
    (more,) = json.loads(done.stdout)["more"]
    planned = ophamin(
        "plan", "metric", "--set", "claim=accuracy >= 0.9", "--set", "delta=0.02", "--alpha", "0.025", "--json"
    )
    n = json.loads(planned.stdout)["n"]
    assert f"{n} units" in more
    assert more.startswith("a new registration of ")


def _remembered(cache: Path) -> int:
    """Files an index remembers, while another process writes it."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{cache}?mode=ro", uri=True)) as db,
    ):
        return int(db.execute("SELECT count(*) FROM records").fetchone()[0])
    return 0


@pytest.mark.slow
def test_ctrl_c_ends_a_long_look_with_130_and_keeps_what_it_found(put: Callable[..., Proof], project: Path) -> None:
    proof = put("VALIDATED", (0.001, 1.0))
    assert proof.path is not None
    data = proof.path.read_bytes()
    for i in range(20_000):
        folder = project / "proofs" / f"copy{i % 100}" / str(i)
        folder.mkdir(parents=True)
        (folder / "record.json").write_bytes(data)
    time.sleep(SETTLED_NS / 1e9)  # what is as new as that is read again in any case
    started = subprocess.Popen(
        [sys.executable, "-m", "ophamin.cli", "summarize"], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    cache = Path(os.environ["OPHAMIN_HOME"]) / "cache" / "proofs"
    deadline = time.monotonic() + 120
    while not any(map(_remembered, cache.glob("*.sqlite"))):
        assert started.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert started.returncode == 130, err
    assert "Traceback" not in err
    assert out == ""
    # In a process of its own: what other tests registered here belongs to what an index remembers.
    look = "import sys; from ophamin.comparing.index import ProofIndex; index = ProofIndex(sys.argv[1])\n"
    look += "print(index.refresh().read, len(index.entries()))"
    done = subprocess.run([sys.executable, "-c", look, project / "proofs"], capture_output=True, text=True, check=True)
    read, proofs = map(int, done.stdout.split())
    assert read < 20_000
    assert proofs == 1
