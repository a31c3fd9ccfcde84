"""An audit of all tools against the best order of the tools alone; again, unchanged; and 25,000 findings as SARIF.

The tree is the installed package ``sqlalchemy`` (258 files, a quarter of a million lines), whose cold audit takes more
than ten seconds. The best schedule is found by trying every assignment of the tools to the cores, with the times that
each took alone in the same run, in turn with the audits. Of each time the least of the rounds counts, on both sides
alike: whatever else the machine does only ever adds, and adds more to an audit, which needs all cores, than to a tool
alone, which needs one.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ophamin.auditing.audit import audit
from ophamin.auditing.examining import _cores
from ophamin.auditing.export.sarif import SarifExporter
from ophamin.auditing.tools.bandit import Bandit
from ophamin.auditing.tools.interrogate import Interrogate
from ophamin.auditing.tools.mypy import Mypy
from ophamin.auditing.tools.radon import Radon
from ophamin.auditing.tools.ruff import Ruff
from ophamin.auditing.tools.vulture import Vulture
from ophamin.protocols import Settings

TREE = "sqlalchemy"
TOOLS = {cls.name: cls for cls in (Ruff, Bandit, Mypy, Vulture, Radon, Interrogate)}
FINDINGS = 25_000
ROUNDS = 7
ROUNDS_OF_AUDITS = 3


def best_schedule(times: list[float], cores: int) -> float:
    """The least makespan; beyond ten million assignments its lower bound, which is stricter."""
    if cores ** len(times) > 1e7:
        return max(max(times), sum(times) / cores)
    return min(
        max(sum(t for t, c in zip(times, where, strict=True) if c == core) for core in range(cores))
        for where in itertools.product(range(cores), repeat=len(times))
    )


def alone(root: Path) -> dict[str, float]:
    """Seconds each tool takes when nothing else runs."""
    took = {}
    for name, cls in TOOLS.items():
        began = time.perf_counter()
        entry = cls(isolated=True).audit(root, timeout_s=600.0)
        took[name] = time.perf_counter() - began
        assert entry["status"] == "ok", f"{name}: {entry['error_message']}"
    return took


def audits() -> list[dict[str, Any]]:
    spec = find_spec(TREE)
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    times: dict[str, list[float]] = {name: [] for name in TOOLS}
    colds, warms = [], []
    home = os.environ.get("OPHAMIN_HOME")
    for _ in range(ROUNDS_OF_AUDITS):
        for name, took in alone(root).items():
            times[name].append(took)
        with tempfile.TemporaryDirectory() as folder:
            os.environ["OPHAMIN_HOME"] = f"{folder}/home"
            settings = Settings(project=f"{folder}/project", store=f"{folder}/proofs")
            for into in (colds, warms):
                began = time.perf_counter()
                done = audit(root, settings, tools=list(TOOLS), isolated=True, timeout_s=600.0)
                into.append(time.perf_counter() - began)
            assert all("cache" in p for p in done.record["pillars"]), "the second audit ran a tool"
    os.environ.pop("OPHAMIN_HOME")
    os.environ |= {"OPHAMIN_HOME": home} if home is not None else {}
    usual = {name: min(took) for name, took in times.items()}
    cold, warm = min(colds), min(warms)
    best = best_schedule(list(usual.values()), _cores())
    named = ", ".join(f"{name} {took:.1f}" for name, took in usual.items())
    ratio, again = cold / best, warm / cold
    return [
        {
            "name": f"audit of {TREE}, cold / best schedule of the tools alone", "ratio": ratio, "bar": "<= 1.15",
            "ok": ratio <= 1.15 and cold >= 10.0,
            "detail": f"{cold:.1f} s against {best:.1f} s on {_cores()} cores, least of {ROUNDS_OF_AUDITS} ({named})",
        },
        {
            "name": f"audit of {TREE}, unchanged / cold", "ratio": again, "bar": "<= 0.1",
            "ok": again <= 0.1 and cold >= 10.0, "detail": f"{warm:.2f} s against {cold:.1f} s",
        },
    ]  # fmt: skip


def sarif() -> list[dict[str, Any]]:
    findings = [
        {
            "pillar_name": "ruff", "rule_id": f"R{i % 300}", "severity": ("high", "medium", "low", "info")[i % 4],
            "message": f"something about `name_{i}` on this line that a person should look at", "line": i % 900 + 1,
            "path": f"package/sub {i % 40}/module_{i % 400}.py", "column": i % 80 + 1, "end_line": i % 900 + 1,
            "end_column": i % 80 + 9, "extra": {"fix": None}, "fingerprint": f"{i:064x}",
        }
        for i in range(FINDINGS)
    ]  # fmt: skip
    pillar = {
        "tool_name": "ruff", "tool_version": "ruff 1.0", "status": "ok", "findings": findings, "exit_code": 0,
        "rules": {f"R{i}": {"name": f"rule-{i}", "url": f"https://example.org/{i}"} for i in range(300)}, "warnings": [],
    }  # fmt: skip
    record = {"audit_id": "0" * 64, "schema_version": "audit/1.2", "pillars": [pillar]}
    first = io.BytesIO()
    SarifExporter().export(record, first)
    results = json.loads(first.getvalue())["runs"][0]["results"]
    assert len(results) == FINDINGS
    ours, bare = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        json.dumps(results)
        middle = time.perf_counter()
        SarifExporter().export(record, io.BytesIO())
        ours.append(time.perf_counter() - middle)
        bare.append(middle - began)
    ratio = statistics.median(ours) / statistics.median(bare)
    detail = f"{statistics.median(ours) * 1e3:.0f} ms against {statistics.median(bare) * 1e3:.0f} ms"
    return [{"name": "25,000 findings into SARIF / json.dumps of the results", "ratio": ratio, "bar": "<= 3.0",
             "ok": ratio <= 3.0, "detail": detail}]  # fmt: skip


def run() -> list[dict[str, Any]]:
    """The three promises."""
    return [*sarif(), *audits()]


if __name__ == "__main__":
    for row in run():
        ok = "ok" if row["ok"] else "MISSED"
        print(f"{row['name']:58} {row['ratio']:8.2f}  bar {row['bar']:<8} {ok}  {row['detail']}")
