"""The telemetry snapshot: a signed record of what an endpoint exposes, for entry-point group ``ophamin.records``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ophamin.protocols import RecordKind
from ophamin.seeing._signed import SeeingKind, time_problems

__all__ = ["TELEMETRY", "check_telemetry"]

JSON = Any


def check_telemetry(record: Mapping[str, JSON]) -> list[str]:
    """Contradictions between the sections of a snapshot.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent. Of the first form none, as nothing in it is said twice.
    """
    if cast("SeeingKind", TELEMETRY).is_first_form(record):
        return []
    problems = time_problems(record)
    last = record["scrapes"][-1]
    samples = [s for f in record["families"] for s in f["samples"]]
    if (last["n_families"], last["n_samples"]) != (len(record["families"]), len(samples)):
        problems.append("the last scrape does not have as many families or series as are listed")
    keys = {(s["name"], tuple(map(tuple, s["labels"]))) for s in samples}
    if len(keys) != len(samples):
        problems.append("a series is listed twice")
    if (record["window_s"] is None) != (len(record["scrapes"]) == 1):
        problems.append("a window lies between two scrapes, and only there")
    for row in record["changes"]:
        here = (row["name"], tuple(map(tuple, row["labels"]))) in keys
        if here == (row["state"] == "missing"):
            problems.append(f"{row['name']!r:.80} is called missing or not against the series listed")
            break
        if (row["state"] in ("missing", "new", "ambiguous")) != (row["delta"] is None):
            problems.append(f"the increase of {row['name']!r:.80} does not go with its state")
            break
    if any((m["name"], tuple(map(tuple, m["labels"]))) in keys for m in record["missing"]):
        problems.append("a series is called missing that is listed")
    return problems


def telemetry_cases(record: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One row a family; of a window, one a series that is missing or was reset."""
    rows = []
    for row in record.get("changes", []):
        if row["state"] in ("reset", "missing", "ambiguous"):
            rows.append({"name": row["name"], "outcome": row["state"], "message": f"{row['before']} → {row['after']}"})
    for family in record["families"]:
        kind = family.get("type", family.get("metric_type", ""))
        rows.append({"name": family["name"], "outcome": kind, "message": f"{len(family['samples'])} series"})
    return rows


_SCHEMAS = Path(__file__).parent / "schema"

TELEMETRY: RecordKind = cast(
    "RecordKind",
    SeeingKind(
        name="telemetry",
        id_field="snapshot_id",
        version="telemetry/1.0",
        schemas={1: _SCHEMAS / "telemetry-first.json", "telemetry/1.0": _SCHEMAS / "telemetry-1.0.json"},
        checker=check_telemetry,
        lister=telemetry_cases,
        spaced="telemetry/1.0",
    ),
)
"""The telemetry snapshot; writes 1.0, and reads that of an earlier implementation (integer 1)."""
