"""The contract of an instrument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.protocols import CycleResult, Instrument, Record, RunSpec, SubstrateIdentity, SubstrateProbe
from ophamin.testing._stimuli import RECORDS
from ophamin.testing._substrate import assert_cycle
from ophamin.testing._values import snapshot

__all__ = ["check_instrument"]


class _Plain:
    """A substrate to watch: answers every second record and fails on the others."""

    def __init__(self) -> None:
        self.closed = self.resets = 0

    def identity(self) -> SubstrateIdentity:
        return SubstrateIdentity("plain", "plain", digest({}))

    def reset(self, seed: int) -> None:
        self.resets += 1

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        for index, record in enumerate(records):
            resources = {"given": 1.0}
            if index % 2:
                yield CycleResult(index, record.id, status="error", error="it failed", wall_s=0.0, resources=resources)
            else:
                yield CycleResult(index, record.id, output={"seed": seed, "text": record.payload}, resources=resources)

    def processes(self) -> list[int]:
        return []

    def close(self) -> None:
        self.closed += 1


class _Boom(Exception):
    pass


def check_instrument(cls: type[Instrument], record: Mapping[str, Any] | None = None) -> None:
    """Check that an instrument watches without touching: results, identity and errors stay as they are.

    Args:
        cls: The instrument.
        record: A decided record to show it; default: an empty one.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    instrument, plain = cls(), _Plain()
    assert isinstance(instrument, Instrument), f"{cls.__name__} lacks a member of Instrument"
    assert instrument.name, "the instrument has no name"
    spec = RunSpec(scenario="metric", arms={"main": "mock"})
    with instrument.scenario(spec):
        wrapped = instrument.wrap(plain)
        _check_wrapped(wrapped, plain)
    swallowed = False
    try:
        with cls().scenario(spec):
            raise _Boom
    except _Boom:
        pass
    else:
        swallowed = True
    assert not swallowed, "the instrument swallowed an error of the run it watched"

    shown = dict(record or {})
    before = snapshot(shown)
    instrument.verdict(shown)
    assert shown == before, "the instrument changed the record it was shown"
    for artifact in instrument.artifacts():
        assert isinstance(artifact, Path), f"artifacts are paths, not {type(artifact).__name__}"
        assert artifact.is_file(), f"the artifact {artifact.name} is not there"


def _check_wrapped(wrapped: SubstrateProbe, plain: _Plain) -> None:
    assert isinstance(wrapped, SubstrateProbe), "wrap() does not give a substrate"
    assert wrapped.identity() == plain.identity(), "the watched system has another identity"
    wrapped.reset(1)
    assert plain.resets == 1, "reset() does not reach the watched system"
    bare = list(plain.run_batch(RECORDS, seed=1, timeout_s=5.0))
    seen = list(wrapped.run_batch(RECORDS, seed=1, timeout_s=5.0))
    assert [r.record_id for r in seen] == [r.record_id for r in bare], "cycles were lost, added or moved"
    for position, (one, other) in enumerate(zip(seen, bare, strict=True)):
        assert_cycle(one, position)
        for name in ("index", "status", "output", "error"):
            assert getattr(one, name) == getattr(other, name), f"the instrument changed the {name} of a cycle"
        assert other.resources.items() <= one.resources.items(), "the instrument dropped or changed resources"
    assert wrapped.processes() == [], "the instrument changed processes()"
    wrapped.close()
    assert plain.closed, "close() does not reach the watched system"
    wrapped.close()
