"""The self-test record: what this installation's instruments were found to do, for group ``ophamin.records``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from ophamin.measuring.selftest._judging import agrees, limits, passes, union_bound
from ophamin.proof.keeping import time_problems
from ophamin.proof.kinds import Kind
from ophamin.protocols import RecordKind

__all__ = ["SELFTEST", "cases", "check_selftest"]

JSON = Any


def check_selftest(record: Mapping[str, JSON]) -> list[str]:
    """Contradictions between the sections of a self-test record.

    Limits, verdicts and the chance of a false failure are computed again from the counts.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    return [*time_problems(record), *_rows(record), *_whole(record)]


def _rows(record: Mapping[str, JSON]) -> Iterator[str]:
    share = record["run"]["share"]
    for row in record["checks"]:
        name, n, bound = f"{row['label']!r:.80}", row["n"], row["bound"]
        if row["limit"] != limits(n, bound["least"], bound["most"], share):
            yield f"the limits of {name} do not follow from its bounds and runs"
        if not all(0 <= row[side] <= (n or 1) for side in ("below", "above")):
            yield f"{name} counted more than it ran"
        if row["verdict"] != ("ok" if passes(row) else "FAIL"):
            yield f"the verdict of {name} does not follow from its counts"
    for row in record["references"]:
        if row["verdict"] != ("ok" if agrees(row) else "FAIL"):
            yield f"the verdict of {row['label']!r:.80} does not follow from its numbers"


def _whole(record: Mapping[str, JSON]) -> Iterator[str]:
    rows = [*record["checks"], *record["references"]]
    labels = [row["label"] for row in rows]
    if len(set(labels)) != len(labels):
        yield "two rows have one label"
    summary, run = record["summary"], record["run"]
    if summary["failed"] != [row["label"] for row in rows if row["verdict"] == "FAIL"]:
        yield "summary.failed does not name the rows that failed"
    if summary["verdict"] != ("FAIL" if summary["failed"] else "ok"):
        yield "summary.verdict does not follow from the rows"
    if (summary["n_checks"], summary["n_references"]) != (len(record["checks"]), len(record["references"])):
        yield "the summary does not count the rows"
    if not math.isclose(run["false_failure_bound"], union_bound(record["checks"]), rel_tol=1e-6, abs_tol=1e-12):
        yield "run.false_failure_bound is not the sum over the limits"
    elif run["false_failure_bound"] > run["false_failures"]:
        yield "the limits let a right installation fail more often than stated"


def cases(record: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One row per check, then one per reference."""
    rows = []
    for row in record["checks"]:
        n = row["n"] or 1
        told = ", ".join(f"{side} {row[side] / n:.4f}" for side in row["sides"])
        message = f"{row['kind']}, {row['method']}: {told}" + (f"; {row['why']}" if row["why"] else "")
        rows.append({"name": row["label"], "outcome": row["verdict"], "message": message})
    for row in record["references"]:
        message = row["why"] or f"{row['value']:.10g}, expected {row['expected']:.10g}: {row['source']}"
        rows.append({"name": row["label"], "outcome": row["verdict"], "message": message})
    return rows


SELFTEST: RecordKind = cast(
    "RecordKind",
    Kind(
        name="selftest",
        id_field="selftest_id",
        version="selftest/1.0",
        schemas={"selftest/1.0": Path(__file__).parent / "schema" / "selftest-1.0.json"},
        checker=check_selftest,
        lister=cases,
    ),
)
"""The self-test record, ``selftest/1.0``."""
