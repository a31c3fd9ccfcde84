"""The schema document: a signed record of what a substrate emits, for entry-point group ``ophamin.records``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from ophamin.proof.kinds import Kind
from ophamin.protocols import RecordKind
from ophamin.seeing._signed import time_problems

__all__ = ["SCHEMA_DOCUMENT", "check_schema_document"]

JSON = Any


def check_schema_document(record: Mapping[str, JSON]) -> list[str]:
    """Contradictions between the sections of a schema document.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    problems = time_problems(record)
    cycles = record["cycles"]
    if cycles["n"] != cycles["n_ok"] + cycles["n_error"] + cycles["n_unmeasured"]:
        problems.append("the cycles are not those that were ok, failed and were not measured together")
    selected, partial = record["corpus"]["n_selected"], record.get("partial") is not None
    if cycles["n"] > selected or (cycles["n"] < selected) != partial:
        problems.append("a document is partial when not every selected stimulus has its cycle, and only then")
    groups = cycles.get("groups")
    if groups and not (groups["n_failed"] <= groups["n"] <= cycles["n"] and groups["n_ok"] <= cycles["n_ok"]):
        problems.append("there are more groups than cycles")
    paths = [f["path"] for f in record["fields"]]
    if len(set(paths)) != len(paths):
        problems.append("a field is listed twice")
    for field in record["fields"]:
        if reason := next(_contradictions(field, cycles["n_ok"]), ""):
            problems.append(f"field {field['path']!r:.80}: {reason}")
            break
    return problems


def _contradictions(field: Mapping[str, JSON], n_ok: int) -> Iterator[str]:
    kinds = field["types"].values()
    if field.get("n_groups", 0) > field["n_cycles"]:
        yield "it is seen in more groups than cycles"
    if field["n_cycles"] > n_ok or field["n_cycles"] > field["n_occurrences"]:
        yield "it is seen in more cycles than there are"
    if abs(field["missing_rate"] - (1 - field["n_cycles"] / n_ok if n_ok else 0.0)) > 1e-9:
        yield "its missing rate is not what the cycles give"
    if sum(t["n_occurrences"] for t in kinds) != field["n_occurrences"]:
        yield "its types are not all it was"
    if any(t["n_cycles"] > field["n_cycles"] for t in kinds):
        yield "a type is seen in more cycles than it"
    for name in ("values", "lengths"):
        spread = field[name]
        if spread and not spread["min"] <= spread["mean"] <= spread["max"]:
            yield f"the mean of its {name} lies outside their range"
        if spread and any(not spread["min"] <= v <= spread["max"] for v in spread["sample"]):
            yield f"a sample of its {name} lies outside their range"


def schema_cases(record: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """One row a field."""
    return [
        {
            "name": field["path"],
            "outcome": "|".join(field["types"]),
            "message": f"in {field['n_cycles']} of {record['cycles']['n_ok']} answers",
        }
        for field in record["fields"]
    ]


SCHEMA_DOCUMENT: RecordKind = cast(
    "RecordKind",
    Kind(
        name="schema-document",
        id_field="document_id",
        version="schema-document/1.0",
        schemas={"schema-document/1.0": Path(__file__).parent / "schema" / "schema-document-1.0.json"},
        checker=check_schema_document,
        lister=schema_cases,
    ),
)
"""The schema document; writes and reads 1.0, no earlier form is known."""
