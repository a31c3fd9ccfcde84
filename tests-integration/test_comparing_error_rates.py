"""How often pairing and correction err, on records of a real run whose answers are drawn again."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, norm

from ophamin import registry
from ophamin.comparing.drift.pairing import paired_differences
from ophamin.comparing.drift.proofs import Proof, proof_of
from ophamin.comparing.synthesis import correct
from ophamin.protocols import Estimate

JSON = Any
Draw = Callable[..., Proof]
THETA, DELTA = 0.85, 0.05


@cache
def estimate(k: int, n: int) -> Estimate:
    """What the road decides a share from."""
    found: Estimate = registry.estimators.get("proportion")(
        {"value": [1] * k + [0] * (n - k)}, confidence=0.95, seed=0, threshold=THETA, comparator=">="
    )
    return found


@pytest.fixture
def draw(project: Path) -> Draw:
    """Makes a proof of one real run again, with other answers."""
    words = [
        "run",
        "metric",
        "--claim",
        f"accuracy >= {THETA}",
        "--corpus",
        "simulated?family=stimuli&n=400",
        "--n",
        "60",
    ]
    done = subprocess.run([sys.executable, "-m", "ophamin.cli", *words, "--substrate", "mock?correct=0.9"], check=False)
    assert done.returncode in (0, 1, 4)
    (source,) = project.glob("proofs/proof/*/*/record.json")
    real = json.loads(source.read_text(encoding="utf-8"))
    with gzip.open(source.with_name("observations.jsonl.gz")) as stream:
        row = json.loads(stream.readline())
    count = iter(range(1_000_000))

    def make(right: Sequence[bool], name: str = "", statement: str = "") -> Proof:
        made, n = copy.deepcopy(real), len(right)
        found = estimate(int(sum(right)), n)
        assert found.lower is not None
        assert found.upper is not None
        outcome = "VALIDATED" if found.lower >= THETA else "REFUTED" if found.upper < THETA else "INCONCLUSIVE"
        made["proof_id"] = f"{next(count):064x}"
        made["claim"]["statement"] = statement
        made["claim"]["decision"]["smallest_difference"] = DELTA
        made["verdict"] |= {"observed_value": found.value, "outcome": outcome}
        made["verdict"]["interval"] |= {"lower": found.lower, "upper": found.upper}
        made["evidence"][0]["detail"] |= {"p_validated": found.p_validated, "p_refuted": found.p_refuted}
        if not name:
            return proof_of(made)
        rows = [
            {
                **row,
                "index": i,
                "record": f"r{i:04}",
                "unit": f"u{i}",
                "values": {"answer": "ba"[int(ok)], "truth": "a"},
            }
            for i, ok in enumerate(right)
        ]
        data = b"".join(json.dumps(r).encode() + b"\n" for r in rows)
        made["data"]["observations"]["digest"] = "sha256:" + hashlib.sha256(data).hexdigest()
        folder = project / name
        folder.mkdir(exist_ok=True)
        (folder / "observations.jsonl.gz").write_bytes(gzip.compress(data, 1))
        return proof_of(made, folder / "record.json")

    return make


def at_most(wrong: int, runs: int, rate: float) -> bool:
    """Whether so many are compatible with a rate of at most ``rate``: exact, once in 10,000 by chance."""
    return bool(wrong <= binom.ppf(1 - 1e-4, runs, rate))


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_a_fall_of_exactly_delta_is_shown_as_more_in_at_most_alpha_of_pairs(draw: Draw, shared: float) -> None:
    rng, runs, n, worse, missed = np.random.default_rng(0), 120, 200, 0, 0
    for _ in range(runs):
        before = rng.random(n)
        after = np.where(rng.random(n) < shared, before, rng.random(n))
        (found,) = paired_differences(draw(before < 0.9, "a"), draw(after < 0.9 - DELTA, "b"))
        assert found.paired
        assert found.sides is not None
        assert found.difference is not None
        assert found.difference.lower is not None
        assert found.difference.upper is not None
        worse += found.sides.below <= 0.05
        missed += not found.difference.lower <= -DELTA <= found.difference.upper
    assert at_most(worse, runs, 0.05), worse / runs
    assert at_most(missed, runs, 0.10), missed / runs


@pytest.mark.slow
@pytest.mark.parametrize("method", ["holm", "bh", "by"])
def test_a_corrected_family_validates_what_is_false_no_more_often_than_its_method_says(draw: Draw, method: str) -> None:
    # Of eight claims on the same records half hold, and half are false by nothing.
    rng, runs, n = np.random.default_rng(1), 120, 200
    truth = [0.95] * 4 + [THETA - 1e-9] * 4
    family, shares, alone, found = 0, [], 0, 0
    for _ in range(runs):
        common = rng.normal(size=n)
        proofs = [
            draw(0.7 * common + 0.51**0.5 * rng.normal(size=n) < norm.ppf(p), statement=f"Claim {i}.")
            for i, p in enumerate(truth)
        ]
        said = [claim.outcome == "VALIDATED" for claim in correct(proofs, method=method).claims]
        family += any(said[4:])
        shares.append(sum(said[4:]) / max(1, sum(said)))
        alone += any(proof.outcome == "VALIDATED" for proof in proofs[4:])
        found += sum(said[:4])
    if method == "holm":
        assert at_most(family, runs, 0.05), family / runs
    assert np.mean(shares) - 3.7 * np.std(shares) / runs**0.5 <= 0.05
    # Not by finding nothing, nor because there was nothing to correct.
    assert found > 0.8 * 4 * runs
    assert alone > family
