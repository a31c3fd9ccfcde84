"""The wiring record: a signed census of a source tree, for entry-point group ``ophamin.records``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ophamin.protocols import RecordKind
from ophamin.seeing._signed import SeeingKind, time_problems
from ophamin.seeing.wiring._worklist import strata_of, summarise, worklist

__all__ = ["INVENTORY", "WIRING", "check_wiring"]

JSON = Any


def check_wiring(record: Mapping[str, JSON]) -> list[str]:
    """Contradictions between the sections of a wiring record: every count is made again from the modules.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent. Of the first form, whose counts nobody documented, none.
    """
    if cast("SeeingKind", WIRING).is_first_form(record):
        return []
    problems = time_problems(record)
    modules = record["modules"]
    paths = [m["path"] for m in modules]
    if len(set(paths)) != len(paths):
        return [*problems, "a file is listed twice"]
    if any(b["path"] not in set(paths) for b in record["broken_imports"]):
        return [*problems, "a broken import stands in a file that is not listed"]
    if record["summary"] != summarise(modules):
        problems.append("the summary is not what the modules give")
    if record["strata"] != strata_of(modules, record["config"]["strata"]):
        problems.append("the strata are not what the modules give")
    if record["worklist"] != worklist(modules, record["broken_imports"]):
        problems.append("the worklist is not what the modules give")
    return problems


def wiring_cases(record: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One row a stratum."""
    rows = []
    for s in record.get("strata") or record.get("per_stratum") or []:
        counts = ", ".join(
            f"{s[key]} {key.removeprefix('n_').replace('_', ' ')}"
            for key in ("n_wired", "n_wire_candidate", "n_archived", "n_stub", "n_orphan", "n_unparsed")
            if s.get(key)
        )
        state = "ok" if s.get("as_expected", True) is not False else "below expectation"
        rows.append({"name": f"stratum {s.get('stratum', '')}", "outcome": state, "message": counts or "no modules"})
    return rows


def inventory_cases(record: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One row a stratum of an inventory."""
    return [
        {
            "name": f"stratum {s['stratum']}",
            "outcome": "live" if s["is_live"] else "below expectation",
            "message": f"{s['count']} of {s['expected_count']} expected",
        }
        for s in record["strata"]
    ]


def check_inventory(record: Mapping[str, JSON]) -> list[str]:
    """Contradictions in an inventory: a stratum is live when it holds at least what was expected."""
    return [
        f"stratum {s['stratum']!r:.80} is called live or not against its own counts"
        for s in record["strata"]
        if s["is_live"] != (s["count"] >= s["expected_count"])
    ]


_SCHEMAS = Path(__file__).parent / "schema"

WIRING: RecordKind = cast(
    "RecordKind",
    SeeingKind(
        name="wiring",
        id_field="report_id",
        version="wiring/1.0",
        schemas={1: _SCHEMAS / "wiring-first.json", "wiring/1.0": _SCHEMAS / "wiring-1.0.json"},
        checker=check_wiring,
        lister=wiring_cases,
        spaced="wiring/1.0",
    ),
)
"""The wiring record; writes 1.0, and reads the completeness report of an earlier implementation (integer 1)."""

INVENTORY: RecordKind = cast(
    "RecordKind",
    SeeingKind(
        name="inventory",
        id_field="inventory_id",
        version=1,
        schemas={1: _SCHEMAS / "inventory-1.json"},
        checker=check_inventory,
        lister=inventory_cases,
        spaced=2,
    ),
)
"""The inventory of an earlier implementation, which is read and verified and no longer written: see ``WIRING``."""
