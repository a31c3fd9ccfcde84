"""``make bench``: every wheel's speed promises, as ratios against a named baseline of the same run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def rows() -> list[dict[str, Any]]:
    """The rows of every ``packages/*/benchmarks/bench_*.py``, each a ``run()``."""
    found = []
    for path in sorted((ROOT / "packages").glob("*/benchmarks/bench_*.py")):
        print(f"… {path.relative_to(ROOT)}", file=sys.stderr)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        found += module.run()
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
