"""``make bench``: every wheel's speed promises, as ratios against a named baseline of the same run.

Each ``packages/*/benchmarks/bench_*.py`` runs in a process of its own: threads, children and memory that one leaves behind
are no part of what the next one measures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_ONE = "import json, runpy, sys; rows = runpy.run_path(sys.argv[1])['run'](); print('\\n' + json.dumps(rows))"


def rows() -> list[dict[str, Any]]:
    """The rows of every benchmark, each a ``run()``."""
    found = []
    for path in sorted((ROOT / "packages").glob("*/benchmarks/bench_*.py")):
        print(f"… {path.relative_to(ROOT)}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-c", _ONE, path], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        found += json.loads(done.stdout.rstrip("\n").rpartition("\n")[2])
    return found


def main() -> int:
    """Print the table; exit 1 when a promise was missed."""
    table = rows()
    width = max(len(r["name"]) for r in table)
    for row in table:
        ok = "ok" if row["ok"] else "MISSED"
        print(f"{row['name']:<{width}}  {row['ratio']:8.2f}  {row['bar']!s:<9} {ok:<7} {row.get('detail', '')}")
    return 0 if all(r["ok"] for r in table) else 1


if __name__ == "__main__":
    raise SystemExit(main())
