"""First stretch: from the words of a ``RunSpec`` to a scenario, a claim, a corpus and arms that stand ready."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.measuring.decision import check_claim
from ophamin.measuring.scenarios._road.checks import check_settings
from ophamin.measuring.scenarios._road.design import Design, design_of, instruments_of
from ophamin.measuring.scenarios._road.fresh import FreshProcesses
from ophamin.measuring.scenarios._road.rehearsal import rehearse
from ophamin.measuring.scenarios._road.stopping import looks_option
from ophamin.measuring.scenarios.roles import RoleReader, kinds_of, roles_of
from ophamin.proof.canonical import digest
from ophamin.proof.claims import attempt_key, claim_hash
from ophamin.proof.errors import CorpusUnavailable, NotApplicable, UsageError
from ophamin.proof.types import Claim, Decision, to_json
from ophamin.protocols import (
    DatasetConnector,
    DatasetInfo,
    Instrument,
    Record,
    RunSpec,
    ScenarioProtocol,
    SubstrateIdentity,
    SubstrateProbe,
)
from ophamin.protocols.options import typed_options

__all__ = [
    "Arm",
    "Setup",
    "check_applicable",
    "open_corpus",
    "payload_hash",
    "payload_unit",
    "prepare",
    "resolve_claim",
]

JSON = Any


@dataclass(frozen=True)
class Arm:
    """One system under test, and how its output is read."""

    name: str
    spec: str
    bare: SubstrateProbe
    substrate: SubstrateProbe
    identity: SubstrateIdentity
    reader: RoleReader


@dataclass(frozen=True)
class Setup:
    """Everything that is fixed before a single record is chosen."""

    spec: RunSpec
    scenario: ScenarioProtocol
    options: Mapping[str, JSON]
    claim: Claim
    claim_hash: str
    attempt_key: str
    corpus: DatasetConnector
    corpus_spec: str
    dataset: DatasetInfo
    data_hash: str
    source: str
    n_records: int
    arms: Sequence[Arm]
    instruments: Sequence[Instrument]
    roles: Mapping[str, str]
    strata: Mapping[str, Callable[[Record], bool]]
    unit: Callable[[Record], str]
    one_per_unit: bool
    config_hash: str
    run_key: str
    design: Design = field(default_factory=Design)

    @property
    def exact(self) -> bool:
        """Whether the value itself decides, because the whole target is measured."""
        return self.claim.decision.rule == "exact"

    @property
    def sequential(self) -> bool:
        """Whether the run may stop before its n, which is then a maximum."""
        return self.claim.decision.rule == "sequential"


def resolve_claim(spec: RunSpec) -> tuple[ScenarioProtocol, dict[str, JSON], Claim]:
    """The scenario, its options and the claim under the decision settings of ``spec``.

    Raises:
        UsageError: An option, α, the number of attempts or the rule makes no sense.
        UnknownPlugin: No such scenario.
    """
    if not 0 < spec.alpha < 0.5:
        raise UsageError(f"alpha must lie between 0 and 0.5, not {spec.alpha}")
    if spec.attempts < 1:
        raise UsageError(f"attempts must be at least 1, not {spec.attempts}")
    if spec.rule not in ("", "interval", "sequential", "exact"):
        raise UsageError(f"rule {spec.rule!r} is not one of interval, sequential, exact")
    scenario = registry.get_scenario(spec.scenario)()
    given, looks = looks_option(scenario, spec)
    options = typed_options(f"scenario {scenario.name!r}", scenario.options, given)
    claim = scenario.claim(options)

    def decided(decision: Decision) -> Decision:
        return replace(
            decision,
            rule=spec.rule or decision.rule,
            method=looks or decision.method,
            alpha=spec.alpha,
            confidence=1 - spec.alpha,
            attempts=spec.attempts,
            error_policy=spec.error_policy or decision.error_policy,
        )

    parts = [replace(part, decision=decided(part.decision)) for part in claim.co_primary]
    claim = replace(claim, decision=decided(claim.decision), co_primary=parts)
    if len({d.rule for _, d in claim.parts()}) > 1:
        raise UsageError("one claim has one decision rule; state parts with different rules as separate claims")
    return scenario, options, claim


REGISTERED = "the registered corpus"


def _targeted(claim: Claim, corpus: str = "") -> Claim:
    """The claim with its population named: the registered corpus, and no more, unless it says otherwise."""

    def named(decision: Decision) -> Decision:
        target = decision.target or REGISTERED
        return replace(decision, target=target.replace(REGISTERED, f"{REGISTERED} {corpus}".rstrip()))

    parts = [replace(part, decision=named(part.decision)) for part in claim.co_primary]
    return replace(claim, decision=named(claim.decision), co_primary=parts)


def open_corpus(spec: str, data_root: str) -> DatasetConnector:
    """The corpus a spec names, known to be there.

    Raises:
        CorpusUnavailable: It is not; says where it looked, what it is and how to get it.
    """
    corpus = registry.make_corpus(spec, Path(data_root) if data_root else None)
    state = corpus.availability()
    if state.state != "ok":
        looked = ", ".join(str(p) for p in state.looked_in) or "nowhere"
        about = "; ".join(
            filter(
                None,
                (
                    f"looked in {looked}",
                    state.found and f"found {state.found}",
                    state.how_to_get and f"to get it: {state.how_to_get}",
                    state.size and f"size {state.size}",
                    state.licence and f"licence {state.licence}",
                ),
            )
        )
        raise CorpusUnavailable(f"corpus {spec!r} is {state.state}: {about}")
    return corpus


def _place(dataset: DatasetInfo) -> str:
    """Where a corpus comes from, the same however its path is spelled."""
    if dataset.source and os.path.exists(dataset.source):
        return os.path.realpath(dataset.source)
    return f"{dataset.name}: {dataset.source}"


def payload_unit(record: Record) -> str:
    """The independent unit of a record that names none: identical inputs are one unit, not many."""
    return payload_hash(record)[:16] if record.group is None else str(record.group)


def payload_hash(record: Record) -> str:
    """SHA-256 of what a record gives the system, whatever its id and group; 64 hex digits."""
    payload = record.payload
    if isinstance(payload, str):
        data = payload.encode("utf-8", "surrogatepass")
    elif isinstance(payload, (bytes, bytearray)):
        data = bytes(payload)
    elif hasattr(payload, "tobytes"):
        data = payload.tobytes()
    else:
        data = repr(payload).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()


def _open_arms(
    spec: RunSpec,
    names: Sequence[str],
    roles: Mapping[str, str],
    kinds: Mapping[str, str],
    instruments: Sequence[Instrument],
    stack: ExitStack,
    *,
    fresh: bool = False,
) -> list[Arm]:
    given = dict(spec.arms)
    if len(names) == 1 and len(given) == 1:
        given = {names[0]: next(iter(given.values()))}
    if set(given) != set(names):
        raise UsageError(
            f"scenario {spec.scenario!r} measures the arms {', '.join(names)}, and "
            f"{', '.join(given) or 'none'} was given; write --substrate ARM=SPEC once for each"
        )
    for role in spec.fields:
        if role not in roles:
            near = get_close_matches(role, roles, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it asks for: {', '.join(roles) or 'none'}"
            # Settings may hold a whole catalog; only a role that looks like a slip is refused.
            if near:
                raise UsageError(f"scenario {spec.scenario!r} asks for no role {role!r}; {hint}")
    arms = []
    for name in names:
        root = Path(spec.data_root) if spec.data_root else None
        bare: SubstrateProbe = (
            FreshProcesses(given[name], root) if fresh else registry.make_substrate(given[name], root)
        )
        stack.callback(bare.close)
        substrate = bare
        for instrument in instruments:
            substrate = instrument.wrap(substrate)
        reader = RoleReader(list(roles), spec.fields, getattr(bare, "fields", None) or {}, kinds)
        arms.append(Arm(name, given[name], bare, substrate, bare.identity(), reader))
    return arms


def prepare(spec: RunSpec, stack: ExitStack) -> Setup:
    """Resolve everything a run needs; what is opened is closed by ``stack``.

    Raises:
        UsageError: The request makes no sense as written.
        UnknownPlugin: A scenario, corpus, substrate or instrument is not installed.
        CorpusUnavailable: The corpus is not there.
        SubstrateFailure: A substrate cannot be made.
    """
    check_settings(spec)
    scenario, options, claim = resolve_claim(spec)
    check_claim(claim)  # what no sample can decide is refused before anything is opened
    corpus_spec = spec.corpus or scenario.default_corpus
    if not corpus_spec:
        raise UsageError(f"scenario {spec.scenario!r} has no corpus of its own; name one with --corpus")
    corpus = open_corpus(corpus_spec, spec.data_root)
    data_hash, n_records, dataset = corpus.content_hash(), corpus.count(), corpus.describe()
    if n_records < 1:
        raise CorpusUnavailable(f"corpus {corpus_spec!r} holds no record; check its columns and its filter")
    # Which corpus it is stands beside the key, by content and by place: another spelling is no other corpus.
    counted = _targeted(claim)
    claim = _targeted(claim, f"{dataset.name} {data_hash[:23]}")
    roles = roles_of(scenario, options)
    instruments = [registry.instruments.get(name)() for name in instruments_of(scenario, spec.instruments)]
    design = design_of(scenario, options)
    kinds = kinds_of(scenario, options)
    arms = _open_arms(spec, list(scenario.arms(options)), roles, kinds, instruments, stack, fresh=design.fresh)
    rehearse(scenario, options, claim, next(iter(corpus.records()), None), list(roles))
    strata = getattr(scenario, "strata", None)
    identities = [{"arm": a.name, **to_json(a.identity)} for a in arms]
    hashed = claim_hash(claim)
    config_hash = digest(
        {
            "scenario": spec.scenario,
            "options": to_json(options),
            "arms": identities,
            "fields": {k: v for k, v in spec.fields.items() if k in roles},
            "n": spec.n,
            "instruments": list(spec.instruments),
            "timeout_s": float(spec.timeout_s),
        }
    )
    return Setup(
        spec=spec,
        scenario=scenario,
        options=options,
        claim=claim,
        claim_hash=hashed,
        attempt_key=attempt_key(counted, identities),
        corpus=corpus,
        corpus_spec=corpus_spec,
        dataset=dataset,
        data_hash=data_hash,
        source=_place(dataset),
        n_records=n_records,
        arms=arms,
        instruments=instruments,
        roles=roles,
        strata=dict(strata(options)) if strata is not None else {},
        unit=getattr(scenario, "unit", None) or payload_unit,
        one_per_unit=bool(getattr(scenario, "one_per_unit", False)),
        config_hash=config_hash,
        run_key=digest([config_hash, to_json(claim), data_hash, spec.seed, *(["own"] if spec.own_records else [])]),
        design=design,
    )


def check_applicable(role: str, reason: str, arm: str, output: JSON) -> NotApplicable:
    """The error that says which observable is missing, what there is, and how to point at it."""
    if isinstance(output, Mapping):
        keys = ", ".join(sorted(map(str, output))[:20]) or "none"
        there = f"its keys are: {keys}"
    else:
        there = f"it is a {type(output).__name__}"
    return NotApplicable(
        f"not applicable: arm {arm!r} gives no {role!r}: {reason}; {there}; "
        f"if it lies elsewhere in the output, say so with --field {role}=PATH"
    )
