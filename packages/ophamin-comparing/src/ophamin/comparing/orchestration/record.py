"""The record of a sweep, ``sweep/1.0``, for entry-point group ``ophamin.records``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from ophamin.comparing._signed import time_problems
from ophamin.comparing.orchestration.family import corrected
from ophamin.proof.kinds import Kind
from ophamin.protocols import RecordKind

__all__ = ["SWEEP", "check_sweep"]

JSON = Any
Object = Mapping[str, JSON]


def check_sweep(record: Object) -> list[str]:
    """Contradictions between the parts of a sweep; the family's correction is computed again.

    Args:
        record: A record that fits its schema.

    Returns:
        One sentence each; empty when consistent.
    """
    return [*time_problems(record), *_problems(record)]


def _problems(record: Object) -> Iterator[str]:
    cells, family = record["cells"], record["family"]
    if len({cell["cell"] for cell in cells}) != len(cells):
        yield "a cell is listed twice"
    if any((cell["outcome"] == "FAILED") == bool(cell["proof_id"]) for cell in cells):
        yield "a cell that failed has a proof, or one with a verdict has none"
    if any(set(cell["assignment"]) != set(record["factors"]) for cell in cells):
        yield "a cell does not say the value of every factor, or of one that is none"
    if family["m"] != sum(not cell["exact"] for cell in cells):
        yield "the family does not count its cells"
    for cell, again in zip(cells, corrected(cells, family["alpha"]), strict=True):
        same = again["corrected"] == cell["corrected"] and all(
            again[name] == cell[name]
            or (None not in (again[name], cell[name]) and math.isclose(again[name], cell[name], rel_tol=1e-9))
            for name in ("p_validated_holm", "p_refuted_holm")
        )
        if not same:
            yield f"the corrected verdict of cell {cell['cell'][:23]} does not follow from the family"
    if dict(Counter(cell["corrected"] for cell in cells)) != dict(record["summary"]):
        yield "the summary does not count the cells"


def sweep_cases(record: Object) -> list[dict[str, JSON]]:
    """One row a cell."""
    return [
        {
            "name": f"block {cell['block']}: " + ", ".join(f"{k}={v}" for k, v in sorted(cell["assignment"].items())),
            "outcome": cell["corrected"],
            "message": cell["error"] or f"{cell['metric']} {cell['observed_value']}; alone {cell['outcome']}",
        }
        for cell in record["cells"]
    ]


SWEEP: RecordKind = cast(
    "RecordKind",
    Kind(
        name="sweep",
        id_field="sweep_id",
        version="sweep/1.0",
        schemas={"sweep/1.0": Path(__file__).parent / "schema" / "sweep-1.0.json"},
        checker=check_sweep,
        lister=sweep_cases,
    ),
)
"""A sweep and its cells, ``sweep/1.0``."""
