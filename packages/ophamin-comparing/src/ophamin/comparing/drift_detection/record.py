"""The records of drift: of a stream (``DriftScan``) and of a table, for entry-point group ``ophamin.records``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from ophamin.comparing._signed import time_problems
from ophamin.comparing.drift.family import adjusted
from ophamin.proof.kinds import Kind
from ophamin.protocols import RecordKind

__all__ = ["DRIFT_SCAN", "TABLE_DRIFT", "check_scan", "check_table"]

JSON = Any
Object = Mapping[str, JSON]


@dataclass(frozen=True)
class _ScanKind(Kind):
    """Versions are bare integers."""

    def accepts(self, record: Object) -> bool:
        stored = record.get("schema_version")
        return self.id_field in record and type(stored) is int and stored in (1, 2, 3)


def check_scan(record: Object) -> list[str]:
    """Contradictions between the parts of a scan; the alarm budget is decided again from its counts.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    return list(_scan_problems(record))


def _scan_problems(record: Object) -> Iterator[str]:
    at = [event["sample_index"] for event in record["events"]]
    if any(a >= b for a, b in pairwise(at)):
        yield "the events are not in the order of the stream"
    if at and at[-1] >= record["n_samples"]:
        yield "an event lies behind the end of the stream"
    if any(event["detector_name"] != record["detector_name"] for event in record["events"]):
        yield "an event is of another detector"
    if record["schema_version"] != 3:
        return
    yield from time_problems(record, "")
    if at and at[0] < record["first_sample"]:
        yield "an event lies in the part of the stream that was the reference"
    if record["budget"] is not None:
        yield from _budget_problems(record, record["budget"])


def _budget_problems(record: Object, budget: Object) -> Iterator[str]:
    tried = budget["tried"]
    last, alpha = tried[-1], budget["alpha"]
    kept = last["fresh"] and last["upper"] <= budget["rate"]
    if (budget["outcome"] == "VALIDATED") != kept:
        yield "the budget's outcome does not follow from the last check"
    for row in tried:
        # An exact upper bound: at that rate, so few alarms are seen with probability alpha.
        if not math.isclose(_at_most(row["alarms"], row["upper"] * row["points"]), alpha, rel_tol=1e-6):
            yield "a bound does not follow from its alarms and points"
            break
    if not math.isclose(budget["error_bound"], alpha * sum(row["fresh"] for row in tried), abs_tol=1e-12):
        yield "the error bound is not alpha for each check"
    if record["detector_config"].get(budget["knob"]) != last["value"]:
        yield "the detector is not set to the value tried last"


def _at_most(count: int, mean: float) -> float:
    """Poisson distribution function."""
    term = total = math.exp(-mean)
    for k in range(1, count + 1):
        term *= mean / k
        total += term
    return total


def scan_cases(record: Object) -> list[dict[str, JSON]]:
    """One row an alarm, and one for the budget."""
    rows = [
        {"name": f"sample {e['sample_index']}", "outcome": "drift", "message": f"value {e['value_at_event']}"}
        for e in record["events"]
    ]
    if budget := record.get("budget"):
        message = f"at most {budget['rate']:g} false alarms per point; shown {budget['tried'][-1]['upper']:.3g}"
        rows.append({"name": "alarm budget", "outcome": budget["outcome"], "message": message})
    return rows


def check_table(record: Object) -> list[str]:
    """Contradictions between the parts of a table's drift; every p-value and state is computed again.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    return [*time_problems(record), *_table_problems(record)]


def _table_problems(record: Object) -> Iterator[str]:
    settings, columns = record["settings"], record["columns"]
    alpha, smallest = settings["alpha"], settings["smallest"]
    if len({c["name"] for c in columns}) != len(columns):
        yield "a column is listed twice"
    for c in columns:
        if min(c["n"]) < 1 or any(n > units for n, units in zip(c["n"], record["units"], strict=True)):
            yield f"column {c['name']!r:.80} has more rows than its table, or none"
            return
        root = 1 / math.sqrt(c["n"][0]) + 1 / math.sqrt(c["n"][1])
        terms = 4 if c["kind"] == "number" else 2
        margin = c["slack"] + root * math.sqrt(math.log(terms / alpha) / 2)
        excess = (c["effect"] - smallest - c["slack"], smallest - c["effect"] - c["slack"])
        wanted = [
            max(0.0, c["effect"] - margin),
            min(1.0, c["effect"] + margin),
            *(1.0 if e <= 0 else min(1.0, terms * math.exp(-2 * (e / root) ** 2)) for e in excess),
        ]
        if not _close(wanted, [c[name] for name in ("lower", "upper", "p_beyond", "p_within")]):
            yield f"the bounds or p-values of column {c['name']!r:.80} do not follow from its effect"
    for raw, name in (("p_beyond", "p_drift"), ("p_within", "p_stable")):
        if not _close(adjusted([c[raw] for c in columns], settings["method"]), [c[name] for c in columns]):
            yield f"{name} is not {raw} corrected over the columns"
    for c in columns:
        state = "drift" if c["p_drift"] <= alpha else "stable" if c["p_stable"] <= alpha else "undecided"
        if c["state"] != state:
            yield f"the state of column {c['name']!r:.80} does not follow from its p-values"
    states = [c["state"] for c in columns]
    wanted_summary = {
        "drift": [c["name"] for c in columns if c["state"] == "drift"],
        "stable": states.count("stable"),
        "undecided": states.count("undecided"),
    }
    if any(record["summary"][name] != value for name, value in wanted_summary.items()):
        yield "the summary does not count the columns"


def _close(wanted: list[float], stored: list[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(wanted, stored, strict=True))


def table_cases(record: Object) -> list[dict[str, JSON]]:
    """One row a column."""
    return [
        {
            "name": c["name"],
            "outcome": c["state"],
            "message": f"effect {c['effect']:.4g} [{c['lower']:.4g}, {c['upper']:.4g}], "
            f"worth knowing from {record['settings']['smallest']:g}",
        }
        for c in record["columns"]
    ]


_SCHEMAS = Path(__file__).parent / "schema"

DRIFT_SCAN: RecordKind = cast(
    "RecordKind",
    _ScanKind(
        name="drift-scan",
        id_field="scan_id",
        version=3,
        schemas={1: _SCHEMAS / "drift-scan-1.json", 3: _SCHEMAS / "drift-scan-3.json"},
        checker=check_scan,
        lister=scan_cases,
        majors=(1, 2, 3),
        spaced=3,
    ),
)
"""The drift scan of a stream; writes 3, reads 1 and 2."""

TABLE_DRIFT: RecordKind = cast(
    "RecordKind",
    Kind(
        name="table-drift",
        id_field="drift_id",
        version="table-drift/1.0",
        schemas={"table-drift/1.0": _SCHEMAS / "table-drift-1.0.json"},
        checker=check_table,
        lister=table_cases,
    ),
)
"""The drift of a table, ``table-drift/1.0``."""
