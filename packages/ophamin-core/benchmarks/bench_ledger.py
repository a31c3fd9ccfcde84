"""A ledger append against the least that could be durable: one bare write and one fsync."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ophamin.proof.ledger import Ledger

ROUNDS = 300
ENTRY = {
    "registered_at": "2026-01-01T00:00:00+00:00",
    "scenario": "metric",
    "claim_hash": "sha256:" + "0" * 64,
    "attempt_key": "1" * 64,
    "attempt": 1,
    "alpha_used": 0.05,
    "seed": 12345,
    "config_hash": "sha256:" + "2" * 64,
    "data_hash": "sha256:" + "3" * 64,
    "selection_hash": "sha256:" + "4" * 64,
    "n_planned": 200,
}


def run(folder: Path | None = None) -> list[dict[str, Any]]:
    """Compare both, interleaved; ``folder`` must lie on a disk, default: the temporary folder."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        ledger = Ledger(Path(name) / "ledger")
        ledger.register(ENTRY)
        line = (ledger.directory / "log.jsonl").read_bytes().splitlines(keepends=True)[-1]
        bare = os.open(Path(name) / "bare", os.O_WRONLY | os.O_CREAT, 0o666)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            os.write(bare, line)
            os.fsync(bare)
            middle = time.perf_counter()
            ledger.register(ENTRY)
            ended = time.perf_counter()
            theirs.append(middle - began)
            ours.append(ended - middle)
        os.close(bare)
    own, other = statistics.median(ours), statistics.median(theirs)
    ratio = other / own
    detail = f"{own * 1e3:.3f} ms against {other * 1e3:.3f} ms for {len(line)} bytes"
    return [{"name": "ledger append / bare write + fsync", "ratio": ratio, "bar": 0.5, "ok": ratio >= 0.5,
             "detail": detail}]  # fmt: skip


if __name__ == "__main__":
    results = run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    for row in results:
        print(
            f"{row['name']:45} {row['ratio']:8.2f}  bar {row['bar']:<5} {'ok' if row['ok'] else 'MISSED'}  {row['detail']}"
        )
    sys.exit(not all(row["ok"] for row in results))
