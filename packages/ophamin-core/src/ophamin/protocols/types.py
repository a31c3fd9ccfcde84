"""The values that cross from wheel to wheel; standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ophamin.proof.types import PillarEvidence

__all__ = [
    "Availability",
    "Columns",
    "Control",
    "CycleResult",
    "DatasetInfo",
    "Estimate",
    "EstimatorCall",
    "LossReport",
    "OptionSpec",
    "PillarResult",
    "Progress",
    "Record",
    "RunResult",
    "RunSpec",
    "Score",
    "SubstrateIdentity",
    "SweepSpec",
]

JSON = Any
Columns = Mapping[str, Sequence[Any]]
"""A table by column: equal lengths, a missing value is ``None``."""


@dataclass(frozen=True, slots=True)
class Record:
    """One stimulus.

    Args:
        id: Unique within its corpus and stable between runs.
        payload: Text, bytes, or an array-like.
        group: The unit of resampling and of n (author, document, template, session); ``None``: itself.
        labels: What is known about it, e.g. ``{"kind": "attack"}``.
        meta: Anything else, JSON-able.
    """

    id: str
    payload: Any
    group: str | None = None
    labels: Mapping[str, JSON] = field(default_factory=dict)
    meta: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What one stimulus did to one substrate.

    Args:
        index: Position in the run, from 0; within the batch when a substrate yields it.
        record_id: Id of the stimulus.
        arm: Name of the arm; "" when a substrate yields it, the engine fills it in.
        status: ``ok``; ``error``: the system failed or did not answer in time, which is behaviour and therefore
            data; ``unmeasured``: we failed to look (the transport broke), never behaviour.
        output: Raw output as JSON, whole; ``None`` unless ok.
        error: One sentence unless ok.
        wall_s: Seconds for this cycle; ``None`` when several were in flight at once.
        resources: What instruments add, flat names in SI units (``cpu_s``, ``rss_bytes``…); what the
            platform cannot give is absent, never 0.
    """

    index: int
    record_id: str
    arm: str = ""
    status: Literal["ok", "error", "unmeasured"] = "ok"
    output: JSON = None
    error: str | None = None
    wall_s: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubstrateIdentity:
    """Which system this is.

    Args:
        kind: Plug-in name, e.g. ``python``.
        name: Human name, e.g. ``mypkg.filters:is_attack``.
        config_hash: ``sha256:…`` over everything that configures it.
        revision: Git commit or version; "" when unknown.
        dirty: Whether its working tree had uncommitted changes; ``None`` when unknown.
    """

    kind: str
    name: str
    config_hash: str
    revision: str = ""
    dirty: bool | None = None


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a corpus is there, and if not, how to get it.

    Args:
        state: ``ok``, ``absent``, ``partial`` or ``wrong`` (something else lies there).
        looked_in: Paths that were tried.
        found: What was found there, in words.
        how_to_get: The command that gets it.
        size: Its size in words, e.g. "1.7 GB".
        licence: Its licence.
    """

    state: Literal["ok", "absent", "partial", "wrong"]
    looked_in: Sequence[str] = ()
    found: str = ""
    how_to_get: str = ""
    size: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What a corpus says of itself; ``revision`` is e.g. a git tip."""

    name: str
    kind: str
    source: str
    licence: str = ""
    citation: str = ""
    size_bytes: int | None = None
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with two one-sided bounds.

    Args:
        value: Point estimate; ``None`` when it cannot be formed (empty denominator).
        lower: Bound L with one-sided confidence as asked; ``None`` when it cannot be formed.
        upper: Bound U, likewise.
        n: Observations used.
        p_validated: p-value dual to the validating bound, when a threshold was passed.
        p_refuted: p-value dual to the refuting bound.
        method: Interval method, e.g. ``clopper-pearson``.
        library: Distribution that computed it.
        version: Its installed version, read from the distribution.
        guarantee: ``guaranteed`` or ``approximate``.
        n_groups: Independent units; equals ``n`` when ungrouped.
        computed: False when the bounds are themselves observations (order statistics) or exact
            values; computed bounds are widened by 1e-9 of themselves before deciding.
        problem: Why it cannot decide (too few groups, no support…), one sentence, or "".
        detail: Anything a reader recomputing by hand would want.
    """

    value: float | None
    lower: float | None
    upper: float | None
    n: int
    p_validated: float | None = None
    p_refuted: float | None = None
    method: str = ""
    library: str = ""
    version: str = ""
    guarantee: Literal["guaranteed", "approximate"] = "approximate"
    n_groups: int | None = None
    computed: bool = True
    problem: str = ""
    detail: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PillarResult:
    """What a pillar found: attributed evidence, tables to plot, diagnostics, warnings on assumptions."""

    evidence: Sequence[PillarEvidence]
    tables: Mapping[str, Columns] = field(default_factory=dict)
    diagnostics: Mapping[str, JSON] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def to_dict(self) -> dict[str, JSON]:
        """The result as plain JSON values."""
        from ophamin.proof.types import to_json

        return {
            "evidence": to_json(list(self.evidence)),
            "tables": {name: {c: list(v) for c, v in table.items()} for name, table in self.tables.items()},
            "diagnostics": to_json(self.diagnostics),
            "warnings": list(self.warnings),
        }

    def summary(self) -> str:
        """One line per evidence item, then the warnings."""
        lines = []
        for item in self.evidence:
            interval = "" if item.ci_low is None and item.ci_high is None else f" [{item.ci_low}, {item.ci_high}]"
            lines.append(
                f"{item.statistic_name} = {item.statistic_value}{interval} ({item.library} {item.library_version})"
            )
        return "\n".join([*lines, *(f"warning: {w}" for w in self.warnings)])


@dataclass(frozen=True, slots=True)
class EstimatorCall:
    """One threshold of the claim, and the estimator call that decides it.

    Args:
        metric: Metric of the threshold this call answers.
        estimator: Name in group ``ophamin.estimators``.
        columns: The rows in scope, failed ones included, with columns ``value`` (``None`` when the
            cycle gave none), ``status`` (``ok``/``error``/``unmeasured``) and, where units are not single
            rows, ``group``; more as the estimator asks.
        options: Passed to the estimator.
    """

    metric: str
    estimator: str
    columns: Columns
    options: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """What a scenario makes of its observations: one call per threshold, in the claim's order,
    and further evidence (role ``secondary`` or ``control``) that never decides."""

    calls: Sequence[EstimatorCall]
    evidence: Sequence[PillarEvidence] = ()


@dataclass(frozen=True, slots=True)
class Control:
    """A substrate whose truth is known, to show that a claim can fail.

    Args:
        name: e.g. ``inside``, ``outside-detection``, ``dumb-constant``.
        kind: ``inside`` (truth 2δ inside θ), ``outside`` (2δ outside), ``dumb``, ``boundary`` (exactly at θ).
        substrate: Substrate spec, or one per arm joined by ``,`` as ``arm=spec``; ``{seed}`` is filled in.
        expect: Verdicts allowed: for ``inside`` ``{"VALIDATED"}``…; for ``dumb`` normally everything but VALIDATED.
        options: Scenario options of this control.
        corpus: Corpus spec; "" means the scenario's default.
        why: Where a dumb substrate makes the claim literally true, the sentence that says so.
    """

    name: str
    kind: Literal["inside", "outside", "dumb", "boundary"]
    substrate: str
    expect: frozenset[str]
    options: Mapping[str, JSON] = field(default_factory=dict)
    corpus: str = ""
    n: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class OptionSpec:
    """One ``--set name=value`` option of a scenario; the default fixes the type."""

    default: JSON
    help: str
    units: str = ""


@dataclass(frozen=True)
class RunSpec:
    """All that defines a run; JSON-able, so it can be shipped to another process.

    Args:
        scenario: Scenario name.
        arms: Arm name → substrate spec; one arm is usually called ``main``.
        corpus: Corpus spec; "" means the scenario's default.
        options: ``--set`` values by name.
        fields: ``--field`` role → path into the raw output.
        n: Units to measure; ``None``: what the plan asks for, bounded by the corpus.
        seed: Hand-chosen seed; ``None`` (normal): derived from claim and attempt.
        rule: Decision rule; "" means the scenario's.
        instruments: Names in group ``ophamin.instruments``.
        alpha: One-sided error rate of the first attempt.
        attempts: Attempts registered in advance (α/K each).
        error_policy: "" means the scenario's (``bound``).
        timeout_s: Longest one cycle may take, seconds.
        project: Folder whose ``.ophamin/`` and ``proofs/`` are used; "" means found from the working folder.
        store: Folder for the proofs, "" means ``proofs/`` of the project.
        data_root: Corpus root; "" means ``$OPHAMIN_DATA_ROOT``.
        key_file: Signing key; "" means ``$OPHAMIN_SIGN_KEY`` or the installation's own.
        argv: The command that asked, for the reproduction section.
        fresh: Start a new attempt although an interrupted one could be resumed.
        own_records: Measure no record that another run of this claim measured, whatever the revision of its system.
    """

    scenario: str
    arms: Mapping[str, str]
    corpus: str = ""
    options: Mapping[str, JSON] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    n: int | None = None
    seed: int | None = None
    rule: str = ""
    instruments: Sequence[str] = ()
    alpha: float = 0.05
    attempts: int = 1
    error_policy: str = ""
    timeout_s: float = 60.0
    project: str = ""
    store: str = ""
    data_root: str = ""
    key_file: str = ""
    argv: Sequence[str] = ()
    fresh: bool = False
    own_records: bool = False


@dataclass(frozen=True)
class RunResult:
    """What a run left behind.

    Args:
        outcome: VALIDATED, REFUTED or INCONCLUSIVE.
        reasoning: The verdict in one sentence.
        proof_id: Id of the stored proof.
        path: Its ``record.json``.
        record: The signed record as stored.
    """

    outcome: str
    reasoning: str
    proof_id: str
    path: str
    record: Mapping[str, JSON]


@dataclass(frozen=True)
class SweepSpec:
    """A grid of runs: a base run and, per parameter, the values it takes.

    Args:
        base: What all runs share.
        grid: Field of a run (``n``, ``corpus``, ``options.limit``, ``arms.main``…) → its values; for the designs
            ``latin-hypercube`` and ``fractional``, that draw, a stretch is given as ``ranges``.
        ranges: Field → (lowest, highest) of a continuous parameter; design ``latin-hypercube`` only.
        design: ``full``, ``fractional``, ``latin-hypercube`` or ``one-factor``.
        samples: Runs of a ``fractional`` or ``latin-hypercube`` design.
        blocks: Times the whole design is run, each in an order of its own.
        retries: Times a failed run is tried again.
        time_s: Longest a run may take, seconds; ``None``: no limit.
        cpu_s: Most CPU time a run may use, seconds.
        memory_mb: Most memory a run may have, MiB of address space.
    """

    base: RunSpec
    grid: Mapping[str, Sequence[JSON]] = field(default_factory=dict)
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    design: str = "full"
    samples: int = 0
    blocks: int = 1
    retries: int = 1
    time_s: float | None = None
    cpu_s: float | None = None
    memory_mb: int | None = None


@dataclass(frozen=True)
class LossReport:
    """What an export could not carry over, field by field; empty when nothing was lost."""

    lost: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """A tick of long work: counts and time, never a running result."""

    phase: str
    done: int
    total: int | None
    elapsed_s: float
