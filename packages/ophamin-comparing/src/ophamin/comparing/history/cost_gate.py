"""``ophamin cost-gate``: two revisions timed side by side, in one session, in processes of their own."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ophamin import registry
from ophamin.comparing.history.gate_rule import GateRule, Look
from ophamin.comparing.history.history import worst
from ophamin.comparing.history.revisions import Moving, commit_of, moving
from ophamin.proof.canonical import digest
from ophamin.proof.errors import CorpusUnavailable, NotApplicable, SubstrateFailure, UsageError
from ophamin.proof.ledger import Ledger, LedgerEntry
from ophamin.proof.project import Project
from ophamin.proof.types import to_json
from ophamin.protocols import Progress, Record, Settings, SubstrateProbe

__all__ = ["GateResult", "GateSpec", "SystemResult", "cost_gate", "gate_request", "gate_words"]

JSON = Any
Report = Callable[[Progress], None]
SIDES = ("base", "head")
_LEAST_PASSES = 3
_REGISTRATION, _OUTCOME = "cost-gate", "cost-gate-outcome"
_NEAR_THE_PIPE_S = 1e-3


@dataclass(frozen=True)
class GateSpec:
    """All that defines a session.

    Args:
        systems: Name → substrate spec of each system, without ``rev``.
        base: Revision the other is held against.
        head: Revision that may have become slower.
        corpus: Corpus spec; its records are what one pass works through.
        n: Records of a pass.
        rule: See :class:`GateRule`.
        inner_s: Least time each process works, seconds; it makes whole passes, three at least.
        timeout_s: Longest one cycle may take, seconds.
        data_root: Where corpora lie.
    """

    systems: Mapping[str, str]
    base: str
    head: str
    corpus: str
    n: int = 20
    rule: GateRule = field(default_factory=GateRule)
    inner_s: float = 1.0
    timeout_s: float = 60.0
    data_root: str = ""


@dataclass
class SystemResult:
    """What was found of one system.

    Args:
        name: Its name.
        spec: Its substrate spec.
        base_s: Least time of a pass in each round, seconds.
        head_s: Likewise.
        looks: What each look said.
    """

    name: str
    spec: str
    base_s: list[float] = field(default_factory=list)
    head_s: list[float] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """Of the last look; a look that decided is the last."""
        return self.looks[-1].outcome if self.looks else "INCONCLUSIVE"


@dataclass(frozen=True)
class GateResult:
    """What a session found.

    Args:
        spec: What was asked.
        commits: Commit of each side.
        systems: One each.
        attempt: Which session it is that compares these revisions so; each halves α.
        rule: The rule with the α of this attempt.
        remarks: What a reader has to know, one sentence each.
    """

    spec: GateSpec
    commits: Mapping[str, str]
    systems: tuple[SystemResult, ...]
    attempt: int
    rule: GateRule
    remarks: tuple[str, ...]

    @property
    def outcome(self) -> str:
        """REFUTED (an alarm) when any system is, else INCONCLUSIVE when any is, else VALIDATED."""
        return worst([system.outcome for system in self.systems])

    @property
    def exit_code(self) -> int:
        """0 not slower, 1 slower, 4 neither was shown."""
        return {"VALIDATED": 0, "REFUTED": 1, "INCONCLUSIVE": 4}[self.outcome]

    def reason(self, system: SystemResult) -> str:
        """One sentence on one system."""
        look, margin = system.looks[-1], f"{self.rule.margin:.3g}"
        change = f"{look.ratio - 1:+.1%} [{look.lower - 1:+.1%}, {look.upper - 1:+.1%}] after {look.rounds} rounds"
        if look.noisy:
            return f"too noisy: identical code spreads by {look.spread:.1%} here, beyond {self.rule.noise_limit:.1%}"
        if look.outcome == "REFUTED":
            return f"slower than the margin of {margin}: {change}"
        if look.outcome == "VALIDATED":
            return f"not slower than the margin of {margin}: {change}"
        more = self.rule.rounds_to_tell(look)
        advice = "" if more is None else f"; about {more} rounds would tell, if they are like these"
        return f"neither shown slower than the margin of {margin} nor within it: {change}{advice}"


def cost_gate(spec: GateSpec, settings: Settings, *, progress: Report | None = None) -> GateResult:
    """Time two revisions of each system and decide whether head is slower by more than the margin.

    In every round each side of each system works in a fresh process, in an order that is drawn for one round and
    reversed for the next. The session is registered in the ledger before the first round. One that is interrupted
    begins anew, as another attempt: its rounds would not have been measured side by side.

    Args:
        spec: What to compare.
        settings: Of the project, whose ledger has the registration.
        progress: Told of rounds and time; never of a running result.

    Raises:
        UsageError: No system moves through revisions, no such revision, or a number makes no sense.
        CorpusUnavailable: The corpus is not there.
        NotApplicable: A system gives no time of a cycle.
        SubstrateFailure: A side does not start, or fails on a record.
    """
    _check(spec)
    moved = {name: moving({name: text}) for name, text in spec.systems.items()}
    first = next(iter(moved.values()))
    commits = {side: commit_of(first.repository, getattr(spec, side)) for side in SIDES}
    for other in moved.values():
        for commit in commits.values():
            commit_of(other.repository, commit)
    # Whatever can fail is made before anything is registered.
    corpus = registry.make_corpus(spec.corpus, Path(spec.data_root) if spec.data_root else None)
    state = corpus.availability()
    if state.state != "ok":
        raise CorpusUnavailable(f"corpus {spec.corpus!r} is {state.state}: {state.how_to_get or state.found}")
    ledger = Ledger(Project(Path(settings.project)).ledger_dir)
    with contextlib.ExitStack() as stack:
        sides = {(name, side): _open(stack, moved[name], commits[side]) for name in spec.systems for side in SIDES}
        rule, attempt, index, seed = _register(ledger, spec, commits, sides, corpus.content_hash())
        systems = tuple(SystemResult(name, text) for name, text in spec.systems.items())
        ended = "ABORTED"
        try:
            records = corpus.sample(spec.n, seed)
            if not records:
                raise CorpusUnavailable(f"corpus {spec.corpus!r} holds no record; check its columns and its filter")
            _session(spec, rule, systems, sides, records, seed, progress)
            result = GateResult(spec, commits, systems, attempt, rule, tuple(_remarks(systems, len(records))))
            ended = result.outcome
        finally:
            found = {system.name: system.outcome for system in systems}
            rounds = len(systems[0].base_s)
            end = {"type": _OUTCOME, "registration": index, "outcome": ended, "systems": found, "rounds": rounds}
            ledger.append(end)
    return result


def _check(spec: GateSpec) -> None:
    if not spec.systems:
        raise UsageError("name the system to time: --substrate 'repo:.?target=pkg.mod:func'")
    if spec.n < 1 or not 0 < spec.inner_s < math.inf:
        raise UsageError("a pass works through at least one record, for a positive number of seconds")
    if not 0 < spec.timeout_s < math.inf:
        raise UsageError(f"a cycle may take a positive number of seconds, not {spec.timeout_s:g}")


def _open(stack: contextlib.ExitStack, moved: Moving, commit: str) -> SubstrateProbe:
    [text] = moved.at(commit).values()
    system = registry.make_substrate(text)
    stack.callback(system.close)
    return system


def _register(
    ledger: Ledger,
    spec: GateSpec,
    commits: Mapping[str, str],
    sides: Mapping[tuple[str, str], SubstrateProbe],
    corpus_hash: str,
) -> tuple[GateRule, int, int, int]:
    """Enter the session in the ledger; returns its rule, attempt, place and seed."""
    systems = {f"{name} {side}": system.identity().config_hash for (name, side), system in sides.items()}
    key = digest({"systems": systems, "commits": dict(commits), "corpus": corpus_hash, "margin": spec.rule.margin})
    with ledger.exclusive():
        ledger.check()  # what is known of it is answered from memory
        earlier = ledger.view(_Sessions).of(key)
        attempt = earlier + 1
        rule = GateRule(
            spec.rule.margin, spec.rule.alpha / 2**earlier, spec.rule.rounds, spec.rule.noise_limit, len(spec.systems)
        )
        # Nobody picks the order of the rounds or the records.
        seed = int(digest([key, attempt])[7:15], 16)
        entry = {
            "type": _REGISTRATION,
            "key": key,
            "attempt": attempt,
            "alpha_used": rule.alpha,
            "margin": rule.margin,
            "looks": list(rule.looks),
            "noise_limit": rule.noise_limit,
            "inner_s": spec.inner_s,
            "systems": dict(spec.systems),
            **{side: commits[side] for side in SIDES},
            "n": spec.n,
            "seed": seed,
        }
        return rule, attempt, ledger.append(entry).index, seed


class _Sessions:
    """Sessions by what they compare: a view of the ledger."""

    def __init__(self) -> None:
        self._by_key: dict[str, set[int]] = {}
        self._empty: set[int] = set()

    def note(self, entry: LedgerEntry) -> None:
        value = entry.value
        if value.get("type") == _REGISTRATION and isinstance(key := value.get("key"), str):
            self._by_key.setdefault(key, set()).add(entry.index)
        elif value.get("type") == _OUTCOME and not value.get("rounds") and isinstance(value.get("registration"), int):
            self._empty.add(value["registration"])

    def of(self, key: str) -> int:
        """How many compared the same; one that ended before its first round taught nobody anything."""
        return len(self._by_key.get(key, set()) - self._empty)


def _session(
    spec: GateSpec,
    rule: GateRule,
    systems: Sequence[SystemResult],
    sides: Mapping[tuple[str, str], SubstrateProbe],
    records: Sequence[Record],
    seed: int,
    progress: Report | None,
) -> None:
    began = time.monotonic()
    for number, order in zip(range(1, rule.rounds + 1), _orders(list(sides), seed), strict=False):
        least = {key: _least_time(spec, key, sides[key], records, seed + number) for key in order}
        for system in systems:
            system.base_s.append(least[system.name, "base"])
            system.head_s.append(least[system.name, "head"])
        if progress is not None:
            progress(Progress("rounds", number, rule.rounds, time.monotonic() - began))
        if number in rule.looks:
            for system in systems:
                # A look that decided latches; the others of the session go on.
                if system.outcome == "INCONCLUSIVE":
                    system.looks.append(rule.look(system.base_s, system.head_s))
            if all(system.outcome != "INCONCLUSIVE" for system in systems):
                return


def _orders(keys: Sequence[tuple[str, str]], seed: int) -> Iterator[list[tuple[str, str]]]:
    """A drawn order, then the same backwards: a drift that is a line over two rounds favours no side."""
    rng = random.Random(seed)
    while True:
        drawn = list(keys)
        rng.shuffle(drawn)
        yield drawn
        yield drawn[::-1]


def _least_time(
    spec: GateSpec, key: tuple[str, str], system: SubstrateProbe, records: Sequence[Record], seed: int
) -> float:
    """Least time of a whole pass in a new process, seconds."""
    where = f"{key[1]} of {key[0]}" if len(spec.systems) > 1 else key[1]
    system.reset(seed % 2**32)
    least, passes, began = math.inf, 0, time.perf_counter()
    while passes < _LEAST_PASSES or time.perf_counter() - began < spec.inner_s:
        took = 0.0
        for result in system.run_batch(records, seed=seed % 2**32, timeout_s=spec.timeout_s):
            if result.status != "ok":
                raise SubstrateFailure(f"{where} fails on record {result.record_id}, so it has no cost: {result.error}")
            if result.wall_s is None:
                raise NotApplicable(f"{where} gives no time of a cycle; one request at a time does")
            took += result.wall_s
        least, passes = min(least, took), passes + 1
    return least


def gate_request(spec: GateSpec) -> dict[str, JSON]:
    """What was asked, as plain JSON; nothing about this machine."""
    return {name: value for name, value in to_json(spec).items() if name != "data_root"}


def gate_words(spec: GateSpec) -> list[str]:
    """The command line that says the same as a specification."""
    words, rule, default = ["ophamin", "cost-gate", "--base", spec.base, "--head", spec.head], spec.rule, GateRule()
    for name, text in spec.systems.items():
        words += ["--substrate", f"{name}={text}"]
    words += ["--corpus", spec.corpus, "--n", str(spec.n), "--inner", str(spec.inner_s)]
    for option, field_ in (("--margin", "margin"), ("--alpha", "alpha"), ("--rounds", "rounds"),
                           ("--noise-limit", "noise_limit")):  # fmt: skip
        if getattr(rule, field_) != getattr(default, field_):
            words += [option, str(getattr(rule, field_))]
    return words


def _remarks(systems: Sequence[SystemResult], n: int) -> Iterator[str]:
    for system in systems:
        if system.base_s and (cycle := min(system.base_s) / n) < _NEAR_THE_PIPE_S:
            yield (
                f"a cycle of {system.name} takes {cycle * 1e6:.0f} µs, of which asking is a good part, so a "
                "slow-down is understated; let one call do more"
            )
