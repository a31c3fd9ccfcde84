"""Where a metric changed over commits, as a signed record: ``change-points/1.0``, for group ``ophamin.records``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from ophamin.comparing._signed import time_problems
from ophamin.comparing.drift.family import adjusted
from ophamin.comparing.series.watching import alpha_of_look
from ophamin.proof.kinds import Kind
from ophamin.protocols import RecordKind

__all__ = ["CHANGE_POINTS", "check_changes"]

JSON = Any
Object = Mapping[str, JSON]


def check_changes(record: Object) -> list[str]:
    """Contradictions between the parts of a record; levels, corrections and means are computed again.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    found = time_problems(record)
    for i, series in enumerate(record["series"]):
        found += [f"series {i}: {problem}" for problem in _series_problems(record["settings"], series)]
    return [*found, *_family_problems(record)]


def _series_problems(settings: Object, series: Object) -> Iterator[str]:
    n, changes = len(series["points"]), series["changes"]
    if series["n"] != n:
        yield "n does not count the points"
    places = [c["index"] for c in changes]
    if any(not 0 < c["index"] < n or not c["first"] <= c["index"] <= c["last"] < n for c in changes):
        yield "a change lies outside of the series, or of its own confidence set"
        return
    if any(a >= b for a, b in pairwise(places)):
        yield "the changes are not in order of time"
        return
    if any(c["p_value"] > c["alpha"] or c["alpha"] > series["alpha"] for c in changes):
        yield "a change is shown that its level does not show"
    wanted = alpha_of_look(series["look"], series["family_alpha"]) if settings["watched"] else settings["alpha"]
    if not math.isclose(series["alpha"], wanted, rel_tol=1e-9):
        yield "its alpha is not what this look may spend"
    means = _means(series["points"], [0, *places, n]) if n else []
    if any(
        not math.isclose(c[side], means[i + step], rel_tol=1e-9, abs_tol=1e-12)
        for i, c in enumerate(changes)
        for step, side in enumerate(("before", "after"))
    ):
        yield "a mean is not that of its points"


def _means(points: Sequence[Object], edges: Sequence[int]) -> list[float]:
    """Weighted means of the segments."""
    errors = [p["se"] for p in points]
    # In units of one of them: the square of a small one alone may be no number.
    weights = [(errors[0] / e) ** 2 for e in errors] if all(errors) else [1.0] * len(points)
    return [
        math.fsum(p["value"] * w for p, w in zip(points[a:b], weights[a:b], strict=True)) / math.fsum(weights[a:b])
        for a, b in pairwise(edges)
    ]


def _family_problems(record: Object) -> Iterator[str]:
    settings, series = record["settings"], record["series"]
    p_values = [s["p_value"] for s in series]
    corrected = p_values if settings["watched"] else adjusted(p_values, "holm")
    if any(not math.isclose(s["corrected_p"], p, rel_tol=1e-9) for s, p in zip(series, corrected, strict=True)):
        yield "a corrected p-value is not that of the family"
    shared = settings["alpha"] / max(1, len(series)) if settings["watched"] else settings["alpha"]
    if any(not math.isclose(s["family_alpha"], shared, rel_tol=1e-9) for s in series):
        yield "the alpha of a series is not its share of the family's"
    if not settings["watched"] and any(s["changes"] and s["corrected_p"] > settings["alpha"] for s in series):
        yield "a change is shown in a series that the correction clears"
    if record["summary"] != {"series": len(series), "changed": sum(bool(s["changes"]) for s in series)}:
        yield "the summary does not count the series"


def changes_cases(record: Object) -> list[dict[str, JSON]]:
    """One row a change; of a series without any, one that says so."""
    rows = []
    for series in record["series"]:
        points = series["points"]
        for c in series["changes"]:
            at = points[c["index"]]
            message = (
                f"{c['before']:.6g} → {c['after']:.6g} at {at['revision'] or at['created_at']}, "
                f"p {c['p_value']:.3g} at level {c['alpha']:.3g}"
            )
            rows.append({"name": record["metric"], "outcome": "change", "message": message})
        if not series["changes"]:
            why = series["problem"] or f"p {series['p_value']:.3g} at level {series['alpha']:.3g}"
            rows.append({"name": record["metric"], "outcome": "no change shown", "message": why})
    return rows


CHANGE_POINTS: RecordKind = cast(
    "RecordKind",
    Kind(
        name="change-points",
        id_field="changes_id",
        version="change-points/1.0",
        schemas={"change-points/1.0": Path(__file__).parent / "schema" / "change-points-1.0.json"},
        checker=check_changes,
        lister=changes_cases,
    ),
)
"""Change points of a metric over commits, ``change-points/1.0``."""
