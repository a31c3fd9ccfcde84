"""The difference by record, where both runs measured the same records and kept what they saw.

The scenario, found by its name, makes values of the rows again; both means must come out as the records state
them, so a scenario that has changed since is noticed and not believed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from ophamin import registry
from ophamin.comparing.drift.classes import COMPARATORS
from ophamin.comparing.drift.effects import Effect, Sides
from ophamin.comparing.drift.mover import Bounds
from ophamin.comparing.drift.proofs import Part, Proof
from ophamin.proof.errors import OphaminError
from ophamin.protocols import Estimate, EstimatorCall

__all__ = ["Unpaired", "measured_records", "paired_differences"]

JSON = Any
Row = Mapping[str, JSON]
OBSERVATIONS = "observations.jsonl.gz"
MOST_BYTES = 256 << 20
_ADDED = {"record_id": "record", "group": "unit", **{name: name for name in ("arm", "status", "block", "wall_s")}}


class Unpaired(Exception):
    """Why two proofs cannot be paired by record; a clause that follows "because". No failure: intervals remain.

    Args:
        reason: The clause.
        apart: Whether the runs have no record in common, so that there is nothing to pair and nothing lost.
    """

    def __init__(self, reason: str, *, apart: bool = False) -> None:
        super().__init__(reason)
        self.apart = apart


def paired_differences(before: Proof, after: Proof) -> list[Effect]:
    """After minus before, paired by record, for every part of the claim.

    Args:
        before: First run.
        after: Second run.

    Returns:
        For each part, the mean difference with its bounds, and its p-values where a δ is registered.

    Raises:
        Unpaired: They cannot be paired; says why.
    """
    first, second = _rows(before), _rows(after)
    if list(first) != list(second):
        shared = {record for record, _ in first} & {record for record, _ in second}
        if not shared:
            raise Unpaired("the runs have no record in common", apart=True)
        raise Unpaired("the runs measured different records")
    old, new = _calls(before, list(first.values())), _calls(after, list(second.values()))
    if not len(old) == len(new) == len(before.parts) == len(after.parts):
        raise Unpaired("the scenario answers another number of thresholds than the proofs")
    return [_difference(*each) for each in zip(before.parts, after.parts, old, new, strict=True)]


def measured_records(proof: Proof) -> frozenset[str] | None:
    """Ids of the records that a run measured; ``None`` where its observations are not at hand."""
    try:
        return frozenset(record for record, _ in _rows(proof))
    except Unpaired:
        return None


def _rows(proof: Proof) -> dict[tuple[str, str], Row]:
    """Rows by record and arm, in that order; checked against the digest that was signed."""
    stated = proof.body["data"].get("observations")
    if proof.path is None or not isinstance(stated, Mapping) or not stated.get("digest"):
        raise Unpaired("no observations belong to one of the records")
    try:
        with gzip.open(proof.path.with_name(OBSERVATIONS)) as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise Unpaired(f"{OBSERVATIONS} is not beside one of the records") from None
    if len(data) > MOST_BYTES:
        raise Unpaired(f"the observations are longer than {MOST_BYTES >> 20} MiB")
    if "sha256:" + hashlib.sha256(data).hexdigest() != stated["digest"]:
        raise Unpaired("observations are not those that were signed")
    try:
        rows = [json.loads(line) for line in data.splitlines()]
        keyed = {(row["record"], row["arm"]): row for row in rows}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Unpaired("a row of the observations is not what this version knows") from None
    if len(keyed) != len(rows):
        raise Unpaired("a record was measured more than once in one run")
    return dict(sorted(keyed.items()))


def _calls(proof: Proof, rows: Sequence[Row]) -> Sequence[EstimatorCall]:
    options = (proof.body["reproduction"].get("run_spec") or {}).get("options") or {}
    try:
        scenario = registry.scenarios.get(proof.key.scenario)()
        defaults = {name: spec.default for name, spec in scenario.options.items()}
        return scenario.score(_columns(rows), {**defaults, **options}).calls
    except OphaminError as error:
        raise Unpaired(f"its scenario is not at hand ({error})") from error
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        # Rows of another version of the scenario: what it makes of them is its affair, not a reason to end here.
        raise Unpaired(f"the installed scenario {proof.key.scenario!r} cannot read these rows") from error


def _columns(rows: Sequence[Row]) -> dict[str, list[JSON]]:
    inside = [row for row in rows if row["values"] is not None]
    names = {name: None for row in inside for name in row["values"]}
    columns = {name: [row["values"].get(name) for row in inside] for name in names}
    return {**columns, **{name: [row.get(key) for row in inside] for name, key in _ADDED.items()}}


def _difference(before: Part, after: Part, old: EstimatorCall, new: EstimatorCall) -> Effect:
    x, y = _values(before, old), _values(after, new)
    if len(x) != len(y) or old.columns.get("group") != new.columns.get("group"):
        raise Unpaired("the runs have different rows in scope")
    columns: dict[str, list[JSON]] = {"value": [b - a for a, b in zip(x, y, strict=True)]}
    if "group" in old.columns:
        columns["group"] = list(old.columns["group"])
    ends = (0.0, 1.0) if before.estimator == "proportion" else before.support
    options: dict[str, JSON] = {}
    if isinstance(ends, Sequence) and len(ends) == 2 and None not in ends:
        options["support"] = [ends[0] - ends[1], ends[1] - ends[0]]
    # One-sided, for both bounds: as careful as the more careful of the four that stand in the records.
    stated = [b.lower_confidence for b in (before.bounds, after.bounds) if b]
    stated += [b.upper_confidence for b in (before.bounds, after.bounds) if b]
    confidence = max((c for c in stated if c is not None), default=0.95)
    delta = before.smallest_difference

    def estimate(**threshold: JSON) -> Estimate:
        found: Estimate = registry.estimators.get("mean")(
            columns, confidence=confidence, seed=0, **options, **threshold
        )
        if found.problem or found.value is None:
            raise Unpaired(found.problem or "the mean difference cannot be formed")
        return found

    try:
        if delta is None or delta <= 0 or before.comparator not in COMPARATORS:
            found, sides = estimate(), None
        else:
            # One call against each margin: its two p-values are dual to the two bounds.
            found, other = estimate(threshold=delta, comparator="<="), estimate(threshold=-delta, comparator=">=")
            sides = Sides(_p(found.p_refuted), _p(other.p_refuted), _p(found.p_validated), _p(other.p_validated))
    except OphaminError as error:
        raise Unpaired(f"a paired interval needs the estimator 'mean' ({error})") from error
    bounds = Bounds(found.value or 0.0, found.lower, found.upper, confidence, confidence)
    method = f"paired by record over {len(x):,} rows, {found.method} ({found.guarantee})"
    return Effect(bounds, method, paired=True, sides=sides)


def _p(value: float | None) -> float:
    return 1.0 if value is None else value


def _values(part: Part, call: EstimatorCall) -> list[float]:
    """Values whose mean is what the record states, or a reason why not."""
    values = call.columns.get("value", ())
    if call.metric != part.metric or call.estimator not in ("proportion", "mean"):
        raise Unpaired(f"{part.metric} is no average over records")
    if not values or any(not isinstance(v, (bool, int, float)) for v in values):
        raise Unpaired(f"a cycle of {part.metric} gave no value")
    numbers = [float(v) for v in values]
    mean = math.fsum(numbers) / len(numbers)
    if part.bounds is None or not math.isclose(mean, part.bounds.value, rel_tol=1e-9, abs_tol=1e-12):
        raise Unpaired(f"the installed scenario makes another {part.metric} of the rows than the record states")
    return numbers
