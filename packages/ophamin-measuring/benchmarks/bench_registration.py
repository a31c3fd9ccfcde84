"""Registering a claim in a ledger of 10,000 entries against one of 100: what came before must not be read again.

All entries are registrations of other claims on the same metric, system and corpus, as in a sweep: each new one tells
how many those are and what they spent.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ophamin.measuring.scenarios.cell import CellDesk
from ophamin.proof.canonical import canonical_bytes
from ophamin.proof.ledger import Ledger, _frame
from ophamin.proof.merkle import Frontier, leaf_hash
from ophamin.protocols import RunSpec

SMALL, LARGE = 100, 10_000
ROUNDS = 31
BAR = 2.0


def _spec(project: Path, number: int) -> RunSpec:
    claim = f"accuracy >= {0.5 + number * 1e-4:.4f}"
    corpus = f"table:{project / 'rows.csv'}?text=text&label=label"
    return RunSpec("metric", {"main": "python:string:capwords"}, corpus, {"claim": claim}, n=60, project=str(project))


def _filled(project: Path, size: int) -> CellDesk:
    """A project whose ledger has ``size`` entries, each like the first and by another claim."""
    (project / "rows.csv").parent.mkdir(parents=True)
    rows = "".join(f"{i},word {i},{('yes', 'no')[i % 2]}\n" for i in range(600))
    (project / "rows.csv").write_text(f"id,text,label\n{rows}")
    first = CellDesk(_spec(project, 0))
    first.register(_spec(project, 0))
    first.close()
    folder = project / ".ophamin" / "ledger"
    ledger, tree = Ledger(folder, create=False), Frontier()
    entry = ledger.entry(0)
    tree.push(entry.leaf_hash)
    lines = []
    for number in range(1, size):
        leaf = canonical_bytes({**entry.value, "attempt_key": f"{number:064x}"})
        tree.push(leaf_hash(leaf))
        lines.append(_frame.encode(leaf, number + 1, tree.root))
    with (folder / "log.jsonl").open("ab") as log:
        log.write(b"".join(lines))
    desk = CellDesk(_spec(project, 0))
    assert Ledger(folder, create=False).size == size
    return desk


def run() -> list[dict[str, Any]]:
    """Register one claim in either ledger, in turn."""
    before = os.environ.get("OPHAMIN_HOME")
    with tempfile.TemporaryDirectory() as name:
        os.environ["OPHAMIN_HOME"] = str(Path(name) / "home")
        desks = {size: _filled(Path(name) / f"of-{size}", size) for size in (SMALL, LARGE)}
        times: dict[int, list[float]] = {SMALL: [], LARGE: []}
        try:
            for number in range(ROUNDS):
                for size, desk in desks.items():
                    spec = _spec(Path(name) / f"of-{size}", number + 1)
                    began = time.perf_counter()
                    ticket = desk.register(spec)
                    times[size].append(time.perf_counter() - began)
                    assert ticket["plan"]["related"]["registrations"] == size + number
        finally:
            for desk in desks.values():
                desk.close()
            if before is None:
                del os.environ["OPHAMIN_HOME"]
            else:
                os.environ["OPHAMIN_HOME"] = before
    # The first of each reads the plug-ins, and the ledger once.
    small, large = (statistics.median(times[size][1:]) for size in (SMALL, LARGE))
    ratio = large / small
    detail = f"{large * 1e3:.1f} ms at {LARGE:,} entries against {small * 1e3:.1f} ms at {SMALL}"
    return [
        {
            "name": "registering a claim, 10,000 entries / 100",
            "ratio": ratio,
            "bar": f"<= {BAR:g}",
            "ok": ratio <= BAR,
            "detail": detail,
        }
    ]


if __name__ == "__main__":
    results = run()
    for row in results:
        print(
            f"{row['name']:45} {row['ratio']:6.2f}  bar {row['bar']}  {'ok' if row['ok'] else 'MISSED'}  {row['detail']}"
        )
    sys.exit(not all(row["ok"] for row in results))
