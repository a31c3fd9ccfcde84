"""A cold and a warm index of a large store against a bare loop of read, parse, canonical bytes, SHA-256 and HMAC.

Both sides work in one process, or both in two, on the same files, in alternating order. The bare loop finds its files
by ``os.walk``; all of it is the standard library's, and it checks nothing else. The index is strict about the text, checks schema, consistency, the path in the
ledger and, where there is one, the attestation, and writes its file. ``--n 100000`` measures the promise at its own
size.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import hmac
import json
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ophamin.comparing.index import ProofIndex
from ophamin.proof.canonical import canonical_bytes, content_id
from ophamin.proof.claims import claim_hash
from ophamin.proof.keys import Signer, hmac_key_id
from ophamin.proof.provenance import prov_json
from ophamin.proof.types import (
    Claim,
    DatasetRef,
    Decision,
    EmpiricalProofRecord,
    Interval,
    PillarEvidence,
    PreRegistration,
    Reproduction,
    Threshold,
    Verdict,
)

N, ATTESTED, ROUNDS = 20_000, 4_000, 3
SECRET = "a benchmark signs with this key"
OUTSIDE = ("proof_id", "signature", "attestation", "attestations")
HASH = "sha256:" + "5e" * 32
_SLOT = re.compile(r'"@n_(\w+)@"|@s_(\w+)@')
LEVELS = 17


# --- a store as a team has it: many claims, each measured at many revisions


def _template(number: int) -> list[str]:
    """The text of a proof of one claim as our writer lays it out, split at what differs from proof to proof."""
    threshold = Threshold("accuracy", ">=", 0.9, "fraction")
    decision = Decision(estimator="proportion", method="clopper-pearson", smallest_difference=0.02)
    claim = Claim(
        f"The system answers at least 90 % of the questions of set {number} rightly.",
        "share of right answers among the selected records, errors counted as wrong",
        "accuracy < 0.9", "accuracy >= 0.9", threshold, decision,
    )  # fmt: skip
    value, lower, upper = "@n_value@", "@n_lower@", "@n_upper@"
    interval = Interval(lower, upper, 0.9, lower_confidence=0.95, upper_confidence=0.95)
    selection = {"n_selected": 400, "content_hash": "sha256:@s_selection@", "method": "seeded sample", "seed": 7}
    dataset = DatasetRef("rows", HASH, 4000, f"table:set-{number}.csv", "table", selection)
    ledger = {
        "log_id": "3c" * 16, "index": "@n_index@", "leaf_hash": "@s_leaf@", "tree_size": 1 << LEVELS,
        "root_hash": "@s_root@", "path": [f"@s_path{level}@" for level in range(LEVELS)],
    }  # fmt: skip
    observations = {
        "digest": "sha256:@s_observations@", "media_type": "application/jsonl+gzip", "n_rows": 400,
        "merkle_root": "@s_merkle@",
    }  # fmt: skip
    substrate = {"kind": "python", "name": "model", "config_hash": HASH, "revision": "@s_revision@", "dirty": False}
    plan = {"n_planned": 400, "expected_error_rate": 0.0, "stopping": "fixed", "underpowered": False}
    software = {"ophamin": "0.1.0", "ophamin-core": "0.1.0", "ophamin-measuring": "0.1.0", "scipy": "1.15.3"}
    body = EmpiricalProofRecord(
        identity={"ophamin_version": "0.1.0", "ophamin_git_commit": "", "created_at": "@s_created@"},
        claim=claim,
        preregistration=PreRegistration(
            HASH, HASH, "Count right answers, bound the share on both sides, decide.", "2026-01-01T00:00:00+00:00",
            claim_hash=claim_hash(claim), timing="before_data", attempt=1, alpha_used=0.05, error_bound=0.05,
            seed="@n_seed@", seed_origin="derived", plan=plan, ledger=ledger,
            code={"distribution": "ophamin-measuring", "version": "0.1.0", "source_hash": HASH},
        ),
        data={
            "substrate_name": "model", "substrate_git_commit": "@s_revision@", "substrate": substrate,
            "datasets": [dataset], "observations": observations,
        },
        evidence=[
            PillarEvidence(
                "estimator:proportion", "accuracy", value, "scipy", "1.15.3", ci_low=lower, ci_high=upper, n=400,
                n_groups=400, interval_method="clopper-pearson", guarantee="guaranteed",
                detail={"p_validated": "@n_p@", "p_refuted": 1.0},
            )
        ],
        verdict=Verdict("VALIDATED", value, threshold, "The lower bound lies above 0.9.", interval, 400, 400,
                        decided_by="interval"),
        reproduction=Reproduction(
            f"ophamin run metric --claim 'accuracy >= 0.9' --corpus table:set-{number}.csv --substrate python:model:f",
            environment={"python": "3.11.7", "platform": "Linux x86_64", **software}, seed="@n_seed@",
            argv=["ophamin", "run", "metric", "--claim", "accuracy >= 0.9", "--corpus", f"table:set-{number}.csv"],
        ),
        provenance={},
    ).body()  # fmt: skip
    body["reproduction"]["run_spec"] = {"scenario": "metric", "options": {"claim": "accuracy >= 0.9"}, "n": 400}
    body["provenance"] = prov_json(
        claim=body["claim"], plan=plan, substrates={"main": substrate}, datasets=body["data"]["datasets"],
        observations=observations, software=software, key_id="0" * 16, registration=ledger,
        times=dict.fromkeys(("register", "run", "decide", "sign"), ("2026-01-01T00:00:00+00:00", "@s_created@")),
    )  # fmt: skip
    body["signing_key"] = hmac_key_id(SECRET.encode())
    text = json.dumps(body, indent=2, ensure_ascii=False)
    # The names of what this run made are hashes that differ from proof to proof.
    text = re.sub(r"(oph:(?:proof|register|run|decide|sign|observations|selection)-)[0-9a-f]{32}", r"\1@s_run@", text)
    return _SLOT.split(text)


def _values(number: int, places: list[dict[str, str]]) -> dict[str, str]:
    name = hashlib.sha256(str(number).encode()).hexdigest()
    value = 0.95 + number % 97 / 2500
    moment = f"2026-{1 + number % 12:02}-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:07.{number:06}+00:00"
    return {
        "value": repr(value), "lower": repr(value - 0.0215), "upper": repr(value + 0.0113), "seed": str(number * 7919),
        "p": repr(1e-9 * (1 + number % 89)), "created": moment, "revision": f"{name[:40]}", "run": name[:32],
        "selection": name, "observations": name[::-1], "merkle": name, **places[number % len(places)],
    }  # fmt: skip


def _place(number: int) -> dict[str, str]:
    """A leaf of a log of 2^17 leaves, with the path to the root (RFC 6962)."""
    index = number * 1009 % (1 << LEVELS)
    found = node = hashlib.sha256(f"leaf {number}".encode()).digest()
    slots = {"index": str(index), "leaf": found.hex()}
    for level in range(LEVELS):
        sibling = hashlib.sha256(f"{number} {level}".encode()).digest()
        slots[f"path{level}"] = sibling.hex()
        pair = sibling + node if index >> level & 1 else node + sibling
        node = hashlib.sha256(b"\x01" + pair).digest()
    return {**slots, "root": node.hex()}


def _write_store(root: Path, n: int, *, attested: bool) -> list[str]:
    """Sign and write ``n`` proofs; directly, because putting is not what is measured."""
    signer = Signer(SECRET.encode())
    templates, places = [_template(number) for number in range(50)], [_place(number) for number in range(64)]
    paths = []
    for number in range(n):
        template, values = templates[number % len(templates)], _values(number, places)
        pieces = [piece if i % 3 == 0 else "" if piece is None else values[piece] for i, piece in enumerate(template)]
        text = "".join(pieces)
        data = canonical_bytes(json.loads(text))
        tail = f',\n  "signature": "{signer.hmac(data)}"'
        if attested:
            tail += f',\n  "attestations": {json.dumps([signer.attest(data)], indent=2)}'
        record_id = content_id(data)
        folder = root / "proof" / record_id[:2] / record_id
        folder.mkdir(parents=True)
        path = folder / "record.json"
        path.write_text(f'{{\n  "proof_id": "{record_id}",{text[1:-2]}{tail}\n}}\n', encoding="utf-8")
        paths.append(str(path))
    return sorted(paths)


# --- both sides


def _bare(paths: Sequence[str], public: Any = None) -> int:
    """Read, parse, canonical bytes, SHA-256, HMAC; and Ed25519 where records are attested."""
    sound, key = 0, SECRET.encode()
    for path in paths:
        with open(path, "rb") as file:
            record = json.loads(file.read())
        body = {name: value for name, value in record.items() if name not in OUTSIDE}
        data = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        same = hashlib.sha256(data).hexdigest() == record["proof_id"]
        same &= hmac.new(key, data, hashlib.sha256).hexdigest() == record["signature"]
        if public is not None:
            public.verify(bytes.fromhex(record["attestations"][0]["signature"]), data)
        sound += same
    return sound


def _names(root: Path) -> list[str]:
    """The files, as a bare loop finds them."""
    return [os.path.join(here, "record.json") for here, _, files in os.walk(root) if "record.json" in files]


def _bare_in_two(paths: Sequence[str]) -> int:
    pieces = [paths[i : i + 128] for i in range(0, len(paths), 128)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        return sum(pool.map(_bare, pieces))


def _cold(root: Path, workers: int = 1) -> tuple[float, ProofIndex]:
    file = root.parent / "index.sqlite"
    file.unlink(missing_ok=True)
    index = ProofIndex(root, file=file, workers=workers)
    began = time.perf_counter()
    index.refresh()
    return time.perf_counter() - began, index


@dataclass(frozen=True)
class _Compared:
    """Seconds of the index, and its ratios to a bare loop that finds its files and to one that is handed them."""

    cold: float
    ratio: float
    handed: float


def _compared(root: Path, n: int, rounds: int, workers: int, public: Any = None) -> _Compared:
    """Both sides in alternating order; medians."""

    def bare() -> tuple[float, float]:
        began = time.perf_counter()
        paths = _names(root)
        found = time.perf_counter()
        assert (_bare_in_two(paths) if workers > 1 else _bare(paths, public)) == n
        return time.perf_counter() - began, time.perf_counter() - found

    rows = []
    for turn in range(rounds):
        theirs = bare() if turn % 2 == 0 else None
        own, index = _cold(root, workers)
        index.close()
        whole, handed = theirs or bare()
        rows.append((own, own / whole, own / handed))
    return _Compared(*map(statistics.median, zip(*rows, strict=True)))


def _row(name: str, ratio: float, bar: float, detail: str) -> dict[str, Any]:
    return {"name": name, "ratio": ratio, "bar": f"<= {bar}", "ok": ratio <= bar, "detail": detail}


@contextlib.contextmanager
def _keys(folder: Path) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ("OPHAMIN_HOME", "OPHAMIN_SIGN_KEY")}
    os.environ.update(OPHAMIN_HOME=str(folder / "home"), OPHAMIN_SIGN_KEY=SECRET)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def run(n: int = N, attested: int = ATTESTED, rounds: int = ROUNDS, folder: Path | None = None) -> list[dict[str, Any]]:
    """The rows."""
    with tempfile.TemporaryDirectory(dir=folder) as name, _keys(Path(name)):
        root = Path(name) / "plain" / "proofs"
        paths = _write_store(root, n, attested=False)
        size = statistics.mean(os.path.getsize(path) for path in paths[:100])
        time.sleep(2.1)  # what is younger is not settled and would be read again
        one, two = _compared(root, n, rounds, 1), _compared(root, n, 1, 2)
        detail = (
            f"one process each, {size / 1000:.0f} kB records, {one.cold:.1f} s, {1e6 * one.cold / n:.0f} µs a record; "
            f"{one.handed:.2f} if the loop is handed its files; two processes each: {two.ratio:.2f}, {two.cold:.1f} s"
        )
        rows = [_row(f"cold index of {n:,} proofs / bare loop", one.ratio, 1.3, detail)]
        rows += _warm(root, paths, one.cold, two.cold)

        root = Path(name) / "attested" / "proofs"
        _write_store(root, attested, attested=True)
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(Signer(SECRET.encode()).public_key or ""))
        one = _compared(root, attested, rounds, 1, public)
        detail = f"one process each, {1e6 * one.cold / attested:.0f} µs a record"
        label = f"cold index of {attested:,} attested proofs / bare loop with Ed25519"
        rows.append(_row(label, one.ratio, 1.3, detail))
        return rows


def _warm(root: Path, paths: list[str], cold: float, two: float) -> list[dict[str, Any]]:
    """Looking again, when nothing changed and when a few files did; against the quicker of the two cold ones."""
    _, index = _cold(root, 2)
    with index:
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            assert index.refresh().read == 0
            seconds.append(time.perf_counter() - began)
        changed, gone = paths[::101], paths[50::1009]
        for path in changed:
            with open(path, "r+b") as file:
                file.seek(20)
                file.write(b"x")
        for path in gone:
            os.unlink(path)
        found = index.refresh()
        assert found.read == len(set(changed) - set(gone))
        assert found.gone == len(gone)
        assert len(index.entries()) == len(set(paths) - set(changed) - set(gone))
        assert {problem.state for problem in index.problems()} == {"forged"}
    warm = statistics.median(seconds)
    detail = f"{1000 * warm:.0f} ms, {1e6 * warm / len(paths):.1f} µs a record"
    detail += (
        f"; then {len(changed)} changed files and {len(gone)} deleted ones found; {warm / two:.3f} of the cold one "
    )
    detail += "in two processes"
    return [_row("warm index / cold index", warm / cold, 0.03, detail)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=N)
    parser.add_argument("--attested", type=int, default=ATTESTED)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    table = run(given.n, given.attested, given.rounds, given.folder)
    for row in table:
        print(f"{row['name']:72} {row['ratio']:.3f} {row['bar']} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}")
    sys.exit(not all(row["ok"] for row in table))
