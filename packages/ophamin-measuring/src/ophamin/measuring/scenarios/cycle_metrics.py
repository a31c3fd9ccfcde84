"""The metrics of a run, one flat bundle per cycle, from the rows the engine stored and the claim it registered.

Nothing is run and nothing is guessed: the rows are those that were signed, tier 3 holds what the scenario observed by
the names it gave, and tier 2 follows what the claim fixed before the first cycle. A bundle of a running claim would be
a running result, so there is none before the proof.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ophamin.measuring.metrics.bundle import Bundle, CycleMetrics
from ophamin.measuring.metrics.validity import Registered
from ophamin.measuring.scenarios._road.deciding import columns_of
from ophamin.measuring.scenarios._road.setup import resolve_claim
from ophamin.measuring.scenarios._road.stored import open_proof, spec_of, stored_rows
from ophamin.proof.errors import OphaminError, UsageError
from ophamin.proof.types import Decision, Threshold
from ophamin.protocols import CycleResult, RunSpec, ScenarioProtocol

__all__ = ["RunMetrics", "metrics_of"]

JSON = Any
_FOLLOWED = ("proportion", "mean", "quantile")
"""Estimators of which a row of the table is a cycle's own value."""
_UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class RunMetrics:
    """The bundles of a run.

    Args:
        proof_id: The proof they are of.
        metric: Metric whose value of each cycle tier 2 follows; "" where no cycle has one of its own.
        registered: What tier 2 compares with, and each number's name.
        bundles: One per cycle, in the order they ran.
    """

    proof_id: str
    metric: str
    registered: Mapping[str, JSON]
    bundles: Sequence[Bundle]

    def to_dict(self) -> dict[str, JSON]:
        """Plain JSON values."""
        return {
            "proof_id": self.proof_id,
            "metric": self.metric,
            "registered": dict(self.registered),
            "skipped": sorted({role for bundle in self.bundles for role in bundle.skipped}),
            "bundles": [bundle.to_dict() for bundle in self.bundles],
        }


def metrics_of(path: Path | str, reference: Mapping[str, float] | None = None) -> RunMetrics:
    """One bundle for each cycle of a stored proof.

    Tier 2 follows, where the claim fixes it: the allocation of cycles to arms (planned equal); and in a run of one arm
    the value of each cycle as the scenario scores it, its drift (ADWIN), for shares the log likelihood ratio of θ
    moved by δ to where the claim holds, against θ, and for shares and means with a support the always-valid p that
    the mean is θ. The latter takes half the width of the support as standard deviation, with which it is valid for
    any values within the support (Hoeffding's lemma).

    Source: Wald (1945), Ann. Math. Stat. 16:117; Johari et al. (2022), Oper. Res. 70:1806; Lindon & Malek (2022),
    NeurIPS; Bifet & Gavaldà (2007), SDM.

    Args:
        path: ``record.json`` of the proof, with its observations beside it.
        reference: Fields of :class:`~ophamin.measuring.metrics.validity.Registered` in place of what follows from the
            claim, such as the mean and sigma of an earlier run.

    Raises:
        IntegrityError: The record or its observations are not what was signed.
        UsageError: It does not say how it was run, its rows are not there, or ``reference`` names no field.
        UnknownPlugin: The scenario is not installed.
    """
    record, _ = open_proof(path, "no metrics were made of it")
    rows, spec = stored_rows(record), spec_of(record)
    scenario, options, claim = resolve_claim(spec)
    one = len({row["arm"] for row in rows}) <= 1
    values = _claimed(scenario, options, rows, claim.threshold, claim.decision) if one else None
    known = _registered(spec, rows, claim.threshold, claim.decision, values, reference or {})
    share = claim.decision.estimator == "proportion"
    bundles = list(_bundles(CycleMetrics(known), rows, values or [None] * len(rows), share=share))
    return RunMetrics(record.id, "" if values is None else claim.threshold.metric, _used(known), bundles)


def _used(known: Registered) -> dict[str, JSON]:
    """What is compared with; a test that is not followed has no settings."""
    idle = {"concentration"} if known.shares is None else set()
    idle |= {"weight"} if known.sigma is None else set()
    return {name: value for name, value in asdict(known).items() if value is not None and name not in idle}


def _bundles(
    metrics: CycleMetrics, rows: Sequence[Mapping[str, JSON]], values: Sequence[float | None], *, share: bool
) -> Iterator[Bundle]:
    for row, value in zip(rows, values, strict=True):
        resources = row.get("resources")
        numbers = {k: v for k, v in resources.items() if _number(v) is not None} if isinstance(resources, dict) else {}
        result = CycleResult(
            row["index"], row["record"], row["arm"], row["status"], None, row["error"], row["wall_s"], numbers
        )
        yield metrics.cycle(result, row["values"], outcome=value if share else None, value=value)


def _claimed(
    scenario: ScenarioProtocol,
    options: Mapping[str, JSON],
    rows: Sequence[Mapping[str, JSON]],
    threshold: Threshold,
    decision: Decision,
) -> list[float | None] | None:
    """Each cycle's own value of the claim's metric: what the scenario makes of its row alone.

    Only where those values together are the table the verdict was formed from; a scenario that makes one value of
    several cycles has none per cycle.
    """
    if decision.estimator not in _FOLLOWED:
        return None

    def table(some: Sequence[Mapping[str, JSON]]) -> list[JSON]:
        calls = scenario.score(columns_of(some), options).calls
        return list(next(call for call in calls if call.metric == threshold.metric).columns["value"])

    try:
        alone = [table([row]) if row["values"] is not None else [] for row in rows]
        if [value for one in alone for value in one] != table(rows) or any(len(one) > 1 for one in alone):
            return None
    except (OphaminError, StopIteration, *_UNUSABLE):
        return None  # a row alone is nothing it can score
    return [_number(one[0]) if one else None for one in alone]


def _number(value: JSON) -> float | None:
    return float(value) if isinstance(value, (bool, int, float)) and math.isfinite(value) else None


def _registered(
    spec: RunSpec,
    rows: Sequence[Mapping[str, JSON]],
    threshold: Threshold,
    decision: Decision,
    values: Sequence[float | None] | None,
    reference: Mapping[str, float],
) -> Registered:
    fixed: dict[str, JSON] = {}
    if len(spec.arms) > 1:
        fixed["shares"] = dict.fromkeys(spec.arms, 1.0)
    theta, delta = float(threshold.value), decision.smallest_difference
    if values is not None:
        ends = (0.0, 1.0) if decision.estimator == "proportion" else decision.support
        if decision.estimator == "proportion" and delta is not None:
            inside = theta + (delta if threshold.comparator in (">=", ">") else -delta)
            if 0 < theta < 1 and 0 < inside < 1:
                fixed |= {"h0": theta, "h1": inside}
        if decision.estimator != "quantile" and ends is not None and None not in ends:
            low, high = (float(end) for end in ends if end is not None)
            fixed |= {"mean": theta, "sigma": (high - low) / 2}
    try:
        return Registered(**{**fixed, **reference})
    except TypeError:
        names = [name for name in Registered.__dataclass_fields__ if name != "shares"]
        raise UsageError(f"metrics follow {', '.join(names)}, not {', '.join(reference)}") from None
