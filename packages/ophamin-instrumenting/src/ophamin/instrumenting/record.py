"""The profile record: what a program or a run cost, for entry-point group ``ophamin.records``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from ophamin.proof.keeping import time_problems
from ophamin.proof.kinds import Kind
from ophamin.protocols import RecordKind

__all__ = ["PROFILE", "UNITS", "cases", "check_profile"]

JSON = Any

UNITS = {
    "latency_s": "s", "wall_s": "s", "cpu_s": "s", "cpu_user_s": "s", "cpu_system_s": "s", "rss_bytes": "B",
    "rss_peak_bytes": "B", "page_faults": "", "page_faults_minor": "", "page_faults_major": "",
    "context_switches_voluntary": "", "context_switches_involuntary": "", "io_read_bytes": "B",
    "io_written_bytes": "B", "threads": "", "processes": "", "gc_collections": "", "gpu_memory_bytes": "B",
    "gpu_utilization": "fraction",
}  # fmt: skip
"""What a profile may tell, and in which unit."""


def check_profile(record: Mapping[str, JSON]) -> list[str]:
    """Contradictions between the sections of a profile record.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    return [*time_problems(record), *_ending(record), *_resources(record), *_overhead(record)]


def _ending(record: Mapping[str, JSON]) -> Iterator[str]:
    ending, command = record.get("ending"), record["target"]["kind"] == "command"
    if command and not record["target"].get("argv"):
        yield "a profile of a command names no command"
    if command != (ending is not None):
        yield "a profile has an ending exactly when it is one of a command"
    if ending is not None and (ending["exit_code"] is None) == (ending["signal"] is None):
        yield "a program ends by its exit code or by a signal, by one of them"


def _resources(record: Mapping[str, JSON]) -> Iterator[str]:
    for name, found in record["resources"].items():
        values = [found[k] for k in ("min", "median", "max") if k in found]
        if any(a > b for a, b in pairwise(values)):
            yield f"the least, median and greatest {name!r:.60} are not in that order"
        if name in UNITS and found["unit"] != UNITS[name]:
            yield f"{name} is not told in {found['unit']!r:.20}"
        if {"n", "total", "min", "max"} <= found.keys():
            slack = 1e-6 * max(1.0, abs(found["total"]))
            if not found["n"] * found["min"] - slack <= found["total"] <= found["n"] * found["max"] + slack:
                yield f"the total of {name!r:.60} is not that of {found['n']} values between its ends"


def _overhead(record: Mapping[str, JSON]) -> Iterator[str]:
    overhead = record.get("overhead")
    if overhead is None:
        return
    lower, value, upper = overhead["lower"], overhead["value"], overhead["upper"]
    if (lower is None) != (upper is None):
        yield "the overhead has one bound only"
    elif lower is not None and not lower <= value <= upper:
        yield "the overhead lies outside of its own interval"
    elif lower is None and not overhead["problem"]:
        yield "the overhead has no interval and does not say why"
    if not 0.5 < overhead["confidence"] < 1 or not math.isfinite(value):
        yield "the overhead has no one-sided confidence between 0.5 and 1, or no value"


def cases(record: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One row per resource, after one on how the program ended."""
    rows = []
    ending = record.get("ending")
    if ending is not None:
        by_code = ending["signal"] is None
        message = f"exit code {ending['exit_code']}" if by_code else f"ended by {ending['signal']}"
        rows.append({"name": "ending", "outcome": "ok" if ending["exit_code"] == 0 else "error", "message": message})
    for name, found in record["resources"].items():
        told = ", ".join(f"{key} {found[key]:g}" for key in ("total", "min", "median", "max") if key in found)
        rows.append({"name": name, "outcome": "ok", "message": f"{told} {found['unit']}".strip()})
    return rows


PROFILE: RecordKind = cast(
    "RecordKind",
    Kind(
        name="profile",
        id_field="profile_id",
        version="profile/1.0",
        schemas={"profile/1.0": Path(__file__).parent / "schema" / "profile-1.0.json"},
        checker=check_profile,
        lister=cases,
    ),
)
"""The profile record, ``profile/1.0``."""
