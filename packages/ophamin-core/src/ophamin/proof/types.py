"""The vocabulary of a proof: frozen dataclasses, one per section, plain JSON inside.

A dataclass here is how code *writes* a record. Reading and verifying work on the object as read
(``ophamin.proof.read``), so fields this version does not know survive and stay signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

__all__ = [
    "Claim",
    "CoPrimary",
    "DatasetRef",
    "Decision",
    "EmpiricalProofRecord",
    "Interval",
    "PillarEvidence",
    "PreRegistration",
    "Reproduction",
    "Threshold",
    "Verdict",
    "to_json",
]

JSON = Any


@dataclass(frozen=True)
class Threshold:
    """``metric comparator value``, e.g. accuracy >= 0.9.

    Args:
        metric: Name of the metric.
        comparator: One of ``>= <= > < ==``.
        value: θ; a finite number, or for ``==`` under rule *exact* also a string.
        units: Units of the metric, "" when it has none.
    """

    metric: str
    comparator: str
    value: JSON
    units: str = ""

    def __str__(self) -> str:
        return f"{self.metric} {self.comparator} {self.value}{' ' + self.units if self.units else ''}"


@dataclass(frozen=True)
class Decision:
    """How one threshold is decided; registered before the first cycle.

    Args:
        rule: ``interval``, ``sequential``, ``exact`` (``point`` only reads old records).
        method: Interval method, e.g. ``clopper-pearson``.
        alpha: One-sided error rate of each bound at the first attempt, in (0, 0.5).
        confidence: 1 − alpha, one-sided.
        estimator: Name in entry-point group ``ophamin.estimators``.
        error_policy: ``bound``, ``fail`` or ``exclude``.
        support: ``[low, high]`` of one value, for means; ``None`` when unbounded.
        smallest_difference: δ > 0, the smallest difference worth knowing, in units of the metric.
        target: The population the claim speaks of.
        group: What one independent unit is.
        attempts: K when several attempts were registered in advance (α/K each), else 1.
    """

    rule: str = "interval"
    method: str = ""
    alpha: float = 0.05
    confidence: float = 0.95
    estimator: str = ""
    error_policy: str = "bound"
    support: Sequence[float | None] | None = None
    smallest_difference: float | None = None
    target: str = ""
    group: str = ""
    attempts: int = 1


@dataclass(frozen=True)
class CoPrimary:
    """A further threshold that must hold together with the claim's own."""

    threshold: Threshold
    decision: Decision


@dataclass(frozen=True)
class Claim:
    """A falsifiable statement and how it is decided."""

    statement: str
    operationalization: str
    h0: str
    h1: str
    threshold: Threshold
    decision: Decision = field(default_factory=Decision)
    co_primary: Sequence[CoPrimary] = ()

    def parts(self) -> list[tuple[Threshold, Decision]]:
        """All thresholds with their decisions, the claim's own first."""
        return [(self.threshold, self.decision), *((c.threshold, c.decision) for c in self.co_primary)]


@dataclass(frozen=True)
class PreRegistration:
    """What was fixed before the first cycle, and where the ledger says so."""

    config_hash: str
    data_hash: str
    analysis_plan: str
    preregistered_at: str
    sweep_grid: Mapping[str, JSON] = field(default_factory=dict)
    claim_hash: str = ""
    timing: str = "before_data"
    attempt: int = 1
    alpha_used: float = 0.05
    error_bound: float = 0.05
    seed: int = 0
    seed_origin: str = "derived"
    family: Mapping[str, JSON] | None = None
    plan: Mapping[str, JSON] = field(default_factory=dict)
    code: Mapping[str, JSON] = field(default_factory=dict)
    ledger: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetRef:
    """One dataset by content.

    Args:
        name: Connector name.
        content_hash: ``sha256:…`` over the bytes that matter.
        n_records: Records in the dataset, at least 1.
        source: Where it comes from.
        kind: e.g. ``table``, ``adversarial_corpus``, ``parallel_text``.
        selection: ``{n_selected, content_hash, method, seed}``.
    """

    name: str
    content_hash: str
    n_records: int
    source: str
    kind: str
    selection: Mapping[str, JSON] | None = None


@dataclass(frozen=True)
class PillarEvidence:
    """One computed number, attributed to the library that computed it."""

    pillar: str
    statistic_name: str
    statistic_value: JSON
    library: str
    library_version: str
    effect_size: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    cross_check: str = "n/a"
    detail: Mapping[str, JSON] = field(default_factory=dict)
    n: int | None = None
    n_groups: int | None = None
    interval_method: str | None = None
    guarantee: str | None = None
    role: str = "primary"
    seed: int | None = None


@dataclass(frozen=True)
class Interval:
    """Two one-sided bounds; a side that could not be computed is ``None``, never 0.

    Args:
        lower: Lower bound L.
        upper: Upper bound U.
        level: Two-sided level when both sides have one confidence (1 − 2α), as drawn.
        sides: Always ``two one-sided``.
        lower_confidence: One-sided confidence of L.
        upper_confidence: One-sided confidence of U; differs from L's for co-primary claims, where the
            refuting side is held to α/K.
    """

    lower: float | None
    upper: float | None
    level: float
    sides: str = "two one-sided"
    lower_confidence: float | None = None
    upper_confidence: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What was decided, from what."""

    outcome: str
    observed_value: JSON
    threshold: Threshold
    reasoning: str
    interval: Interval | None = None
    n_planned: int = 0
    n_used: int = 0
    n_errors: int = 0
    n_unmeasured: int = 0
    decided_by: str = "interval"
    co_primary: Sequence[Mapping[str, JSON]] = ()


@dataclass(frozen=True)
class Reproduction:
    """How to do it again."""

    command: str
    environment: Mapping[str, str] = field(default_factory=dict)
    lineage_chain: Sequence[JSON] = ()
    argv: Sequence[str] = ()
    seed: int | None = None
    working_tree_dirty: bool | None = None
    artifacts: Sequence[Mapping[str, JSON]] = ()


@dataclass(frozen=True)
class EmpiricalProofRecord:
    """The nine sections of a proof, version 1.1, before signing.

    ``body()`` gives the plain object that is hashed and signed.
    """

    identity: Mapping[str, JSON]
    claim: Claim
    preregistration: PreRegistration
    data: Mapping[str, JSON]
    evidence: Sequence[PillarEvidence]
    verdict: Verdict
    reproduction: Reproduction
    provenance: Mapping[str, JSON]
    schema_version: str = "1.1"

    def body(self) -> dict[str, JSON]:
        """The record as plain JSON values, without id, signature and attestations."""
        body = to_json(self)
        assert isinstance(body, dict)
        return body


def to_json(value: JSON) -> JSON:
    """Turn dataclasses, mappings and sequences into plain dicts and lists, recursively.

    Optional fields that are ``None`` stay, as ``null``: a reader sees that they were not given.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {k: to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value
