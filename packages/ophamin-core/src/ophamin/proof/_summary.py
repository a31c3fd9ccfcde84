"""What a list of records shows of each: a few fields, found where each kind keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["SUMMARY_FIELDS", "summarise"]

JSON = Any
SUMMARY_FIELDS = (
    "schema_version",
    "created_at",
    "scenario",
    "metric",
    "threshold",
    "outcome",
    "observed_value",
    "substrate",
    "revision",
)

# The first path that holds something wins: a proof's own place, then where other kinds keep the like.
_PATHS: dict[str, tuple[str, ...]] = {
    "schema_version": ("schema_version",),
    "created_at": (
        "identity.created_at",
        "identity.captured_at",
        "created_at",
        "captured_at",
        "completed_at",
        "generated_at",
        "scraped_at",
    ),
    "scenario": (
        "reproduction.run_spec.scenario",
        "identity.scenario",
        "preregistration.code.scenario",
        "preregistration.plan.scenario",
        "scenario",
    ),
    "metric": ("claim.threshold.metric", "verdict.threshold.metric"),
    "threshold": (),
    "outcome": ("verdict.outcome",),
    "observed_value": ("verdict.observed_value",),
    "substrate": ("data.substrate_name", "target.target_path", "target_name", "stream_name"),
    "revision": ("data.substrate.revision", "data.substrate_git_commit", "target_git_commit"),
}
_INT64 = 1 << 63


def _find(record: JSON, path: str) -> JSON:
    for key in path.split("."):
        if not isinstance(record, Mapping):
            return None
        record = record.get(key)
    return record


def _cell(value: JSON) -> str | int | float | None:
    """As a database keeps it: numbers and text as they are, anything else as JSON text."""
    if value is None or isinstance(value, (str, float)):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64:
        return value
    return json.dumps(value)


def _scenario_of_argv(record: Mapping[str, JSON]) -> str | None:
    argv = _find(record, "reproduction.argv")
    if isinstance(argv, list) and "run" in argv[:-1]:
        name = argv[argv.index("run") + 1]
        return name if isinstance(name, str) and not name.startswith("-") else None
    return None


def _threshold(record: Mapping[str, JSON]) -> str | None:
    stated = _find(record, "claim.threshold")
    if not isinstance(stated, Mapping) or not {"comparator", "value"} <= stated.keys():
        return None
    return f"{stated['comparator']} {stated['value']}"


def summarise(record: Mapping[str, JSON]) -> tuple[str | int | float | None, ...]:
    """The cells of ``SUMMARY_FIELDS``, in that order; what a record does not have is ``None``."""
    cells = {}
    for name, paths in _PATHS.items():
        values = (_find(record, path) for path in paths)
        cells[name] = _cell(next((v for v in values if v not in (None, "")), None))
    cells["threshold"] = _threshold(record)
    if cells["scenario"] is None:
        cells["scenario"] = _scenario_of_argv(record)
    return tuple(cells[name] for name in SUMMARY_FIELDS)
