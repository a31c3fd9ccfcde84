"""The protocols behind the entry-point groups; satisfied by plain classes, nothing to inherit.

``runtime_checkable`` sees attribute names only. Behaviour is checked by the kits in
``ophamin.testing``, which third parties run too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, runtime_checkable

from ophamin.proof.recordkind import RecordKind
from ophamin.proof.types import Claim
from ophamin.protocols.types import (
    Availability,
    Columns,
    Control,
    CycleResult,
    DatasetInfo,
    Estimate,
    LossReport,
    OptionSpec,
    PillarResult,
    Progress,
    Record,
    RunResult,
    RunSpec,
    Score,
    SubstrateIdentity,
)

if TYPE_CHECKING:
    from ophamin.proof.verification import Verification

__all__ = [
    "Auditor",
    "Check",
    "CheckResult",
    "DatasetConnector",
    "Estimator",
    "Exporter",
    "Instrument",
    "Pillar",
    "RecordKind",
    "Renderer",
    "Runner",
    "ScenarioProtocol",
    "SubstrateProbe",
]

JSON = Any


@runtime_checkable
class SubstrateProbe(Protocol):
    """A system under test (group ``ophamin.substrates``).

    The class is called as ``cls(arg, **params)`` with the strings of the spec
    ``NAME:ARG?key=value``. Optional attributes: ``fields`` (role → path, the adapter's field
    catalog) and ``admit(records)`` (raises ``LeakageError`` for records it was trained on).
    """

    def identity(self) -> SubstrateIdentity:
        """Which system this is; cheap, and stable while it lives."""
        ...

    def reset(self, seed: int) -> None:
        """Return to the initial state, seeded."""
        ...

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """Yield one result per record, in order, as soon as it is there; never raise for one cycle."""
        ...

    def processes(self) -> list[int]:
        """Pids of children whose cost counts as this system's."""
        ...

    def close(self) -> None:
        """Release processes and files; may be called twice."""
        ...


@runtime_checkable
class DatasetConnector(Protocol):
    """A corpus (group ``ophamin.corpora``).

    The class is called as ``cls(arg, data_root=Path | None, **params)`` with the strings of the
    spec; ``folders`` names its folders under the data root.
    """

    name: str
    folders: Sequence[str]

    def availability(self) -> Availability:
        """Whether it is there; never raises."""
        ...

    def records(self) -> Iterator[Record]:
        """All records, lazily, in a stable order; raises ``CorpusUnavailable``."""
        ...

    def sample(self, n: int, seed: int, where: Callable[[Record], bool] | None = None) -> list[Record]:
        """Up to ``n`` records, uniform without replacement, in seeded order, without holding the corpus."""
        ...

    def count(self) -> int:
        """How many records there are."""
        ...

    def content_hash(self) -> str:
        """``sha256:…`` over the bytes that matter."""
        ...

    def describe(self) -> DatasetInfo:
        """Source, licence, citation, size."""
        ...

    def write_sample(self, directory: Path, seed: int) -> Path:
        """Write a small generated sample in the genuine layout; returns the data root to use."""
        ...


@runtime_checkable
class Estimator(Protocol):
    """An interval, a difference, a test (group ``ophamin.estimators``): a plain function."""

    def __call__(self, columns: Columns, *, confidence: float, seed: int, **options: JSON) -> Estimate:
        """Estimate from ``columns``; ``confidence`` is one-sided, for each bound."""
        ...


@runtime_checkable
class Pillar(Protocol):
    """An analysis that wraps one library (group ``ophamin.pillars``); the class takes no arguments.

    ``columns`` maps each column it can read to one line on what it holds. Optional attribute: ``options`` (name →
    ``OptionSpec``), what ``compute`` takes by keyword.
    """

    name: str
    library: str
    columns: Mapping[str, str]

    def compute(self, columns: Columns, *, seed: int, **options: JSON) -> PillarResult:
        """Analyse the columns; attributes every number to its library and version."""
        ...


@runtime_checkable
class ScenarioProtocol(Protocol):
    """A falsifiable experiment (group ``ophamin.scenarios``); the class takes no arguments.

    ``tier`` is one of scientific, engineering, philosophical, measurement-machinery, structural.
    ``observables`` maps each role asked for to one line on what it means.
    """

    name: str
    tier: str
    goal: str
    options: Mapping[str, OptionSpec]
    observables: Mapping[str, str]
    default_corpus: str

    def claim(self, options: Mapping[str, JSON]) -> Claim:
        """The claim under these options, with a decision for every threshold."""
        ...

    def arms(self, options: Mapping[str, JSON]) -> Sequence[str]:
        """Names of the arms it needs, usually ``("main",)``."""
        ...

    def observe(self, record: Record, result: CycleResult, roles: Mapping[str, JSON]) -> dict[str, JSON] | None:
        """One row of columns for one cycle; pure.

        Called for every cycle: for one that is not ok all ``roles`` are ``None`` and the row says what
        is known without them. ``None`` means the record lies outside the claim's scope.
        """
        ...

    def score(self, columns: Columns, options: Mapping[str, JSON]) -> Score:
        """From all rows to one estimator call per threshold.

        ``columns`` holds what ``observe`` gave, plus ``record_id``, ``group``, ``arm``, ``status``,
        ``block`` and ``wall_s``.
        """
        ...

    def controls(self) -> Sequence[Control]:
        """Substrates of known truth."""
        ...


@runtime_checkable
class Runner(Protocol):
    """Runs a spec (group ``ophamin.runners``)."""

    def __call__(self, spec: RunSpec, *, progress: Callable[[Progress], None] | None = None) -> RunResult:
        """Walk the whole road once and return what it left behind."""
        ...


@runtime_checkable
class Instrument(Protocol):
    """Watches a run from inside (group ``ophamin.instruments``); the class takes no arguments."""

    name: str

    def wrap(self, substrate: SubstrateProbe) -> SubstrateProbe:
        """The same substrate, whose cycles carry more ``resources``."""
        ...

    def scenario(self, spec: RunSpec) -> AbstractContextManager[None]:
        """Around the whole run."""
        ...

    def verdict(self, record: Mapping[str, JSON]) -> None:
        """Told of the decided record before it is signed."""
        ...

    def artifacts(self) -> Sequence[Path]:
        """Files to store beside the proof, bound to it by digest."""
        ...


@runtime_checkable
class Exporter(Protocol):
    """Writes a record in a foreign format (group ``ophamin.exporters``); the class takes no arguments."""

    name: str
    media_type: str
    kinds: Sequence[str]

    def export(self, record: Mapping[str, JSON], out: BinaryIO, **options: JSON) -> LossReport:
        """Write ``record`` to ``out``; says what the format could not carry."""
        ...


@runtime_checkable
class Renderer(Protocol):
    """Shows records to people (group ``ophamin.renderers``); the class takes no arguments."""

    name: str
    media_type: str
    suffix: str

    def render(
        self,
        records: Sequence[Mapping[str, JSON]],
        *,
        title: str = "",
        verifications: Sequence[Verification | None] = (),
    ) -> bytes:
        """One document for these records, in this order; never needs the network.

        ``verifications`` says of each record what verifying it found; without it the document says that
        nobody checked.
        """
        ...


@runtime_checkable
class Auditor(Protocol):
    """One static-analysis tool (group ``ophamin.auditors``); the class takes no arguments."""

    name: str

    def audit(self, path: Path, *, timeout_s: float) -> Mapping[str, JSON]:
        """Run the tool; one entry of the audit record's ``pillars`` list."""
        ...


class CheckResult(tuple[str, str, str]):
    """``(name, state, detail)``, state one of ``ok``, ``missing``, ``broken``; ``missing`` is not a failure."""

    __slots__ = ()

    def __new__(cls, name: str, state: str, detail: str = "") -> CheckResult:
        """Make one line of ``ophamin verify``."""
        if state not in ("ok", "missing", "broken"):
            raise ValueError(f"state must be ok, missing or broken, not {state!r}")
        return super().__new__(cls, (name, state, detail))


@runtime_checkable
class Check(Protocol):
    """A line or more of ``ophamin verify`` (group ``ophamin.checks``): a plain function."""

    def __call__(self) -> Sequence[CheckResult]:
        """Look and report; never raises for what it found."""
        ...
