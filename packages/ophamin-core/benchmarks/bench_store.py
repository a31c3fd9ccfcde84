"""Listing 10,000 stored proofs from the warm index against parsing them."""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ophamin.proof.reading import read_object
from ophamin.proof.store import Store

RECORDS = 10_000
ROUNDS = 5
SIZE = 9_000


def _record(number: int) -> tuple[str, bytes]:
    record_id = hashlib.sha256(str(number).encode()).hexdigest()
    record: dict[str, Any] = {
        "proof_id": record_id,
        "schema_version": "1.1",
        "identity": {"created_at": f"2026-01-01T00:00:00.{number:06}+00:00"},
        "claim": {"threshold": {"metric": "accuracy", "comparator": ">=", "value": 0.9, "units": ""}},
        "data": {"substrate_name": "mock", "substrate": {"revision": "abc"}},
        "verdict": {"outcome": "VALIDATED", "observed_value": number / RECORDS},
        "reproduction": {"argv": ["ophamin", "run", "metric"]},
        "evidence": [],
    }
    item = {"pillar": "proportion", "statistic_name": "accuracy", "statistic_value": 0.91, "library": "scipy",
            "ci_low": 0.88, "ci_high": 0.93, "detail": {"k": 182, "n": 200, "method": "clopper-pearson"}}  # fmt: skip
    while len(json.dumps(record, indent=2)) < SIZE:
        record["evidence"].append(item)
    return record_id, json.dumps(record, indent=2).encode()


def run(folder: Path | None = None) -> list[dict[str, Any]]:
    """Compare both, interleaved, on a store of 10,000 proofs of 9 KB each."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        root = Path(name) / "proofs"
        for number in range(RECORDS):  # written directly: putting is not what is measured
            record_id, data = _record(number)
            path = root / "proof" / record_id[:2] / record_id / "record.json"
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        store = Store(root, Path(name) / "index.sqlite")
        time.sleep(2.1)  # younger folders are looked into again
        began = time.perf_counter()
        rows = store.rows()
        building = time.perf_counter() - began
        assert len(rows) == RECORDS
        paths = [row.location for row in rows]
        ours, theirs = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for path_ in paths:
                read_object(path_)
            middle = time.perf_counter()
            rows = store.rows()
            ended = time.perf_counter()
            theirs.append(middle - began)
            ours.append(ended - middle)
        assert [row.location for row in rows] == paths
    own, other = statistics.median(ours), statistics.median(theirs)
    ratio = other / own
    detail = f"{own * 1e3:.0f} ms against {other * 1e3:.0f} ms; the index was built in {building:.1f} s"
    return [{"name": "list 10,000 proofs from the index / parsing them", "ratio": ratio, "bar": 20.0,
             "ok": ratio >= 20, "detail": detail}]  # fmt: skip


if __name__ == "__main__":
    results = run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    for row in results:
        print(
            f"{row['name']:50} {row['ratio']:8.2f}  bar {row['bar']:<5} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}"
        )
    sys.exit(not all(row["ok"] for row in results))
