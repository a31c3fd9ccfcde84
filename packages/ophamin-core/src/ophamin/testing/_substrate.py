"""The contract of a substrate."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

from ophamin.protocols import CycleResult, Record, SubstrateIdentity, SubstrateProbe
from ophamin.testing._stimuli import ODD_RECORDS, RECORDS
from ophamin.testing._values import assert_json, is_number

__all__ = ["assert_cycle", "check_substrate"]

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_GRACE_S = 10.0


def check_substrate(
    make: Callable[[], SubstrateProbe],
    records: Sequence[Record] = RECORDS,
    *,
    odd: Sequence[Record] = ODD_RECORDS,
    slow: Record | None = None,
    deterministic: bool = True,
    timeout_s: float = 30.0,
) -> None:
    """Check that a substrate answers every record once, in order, and never falls over.

    Args:
        make: Makes a fresh substrate, always of the same configuration.
        records: Stimuli it is made for, at least 2.
        odd: Stimuli it may fail on, one cycle at a time, without raising.
        slow: A record it needs more than half a second for: with a timeout below that, its cycle must be
            ``error`` (or ``unmeasured``, where the transport is to blame) and the next one must still be answered.
        deterministic: Whether equal seeds give equal outputs, whatever the order of the records.
        timeout_s: Longest one cycle may take.

    Raises:
        AssertionError: With a sentence on what is wrong.
    """
    substrate = make()
    try:
        assert isinstance(substrate, SubstrateProbe), f"{type(substrate).__name__} lacks a method of SubstrateProbe"
        _check_identity(substrate, make)
        first = _run(substrate, records, 7, timeout_s)
        again = _run(substrate, records, 7, timeout_s)
        assert list(substrate.run_batch([], seed=7, timeout_s=timeout_s)) == [], "an empty batch has no results"
        if deterministic:
            assert _answers(first) == _answers(again), "the same seed gave other results the second time"
            backwards = _run(substrate, records[::-1], 7, timeout_s)
            assert _answers(backwards) == _answers(first), "results depend on the order of the records"
            assert _answers(_run(substrate, records[1:2], 7, timeout_s)).items() <= _answers(first).items(), (
                "a record run alone gave another result; derive randomness from (seed, record.id)"
            )
        _check_abandoned(substrate, records, timeout_s)
        _run(substrate, odd, 7, timeout_s)
        if slow is not None:
            _check_timeout(substrate, slow, records[0])
        pids = substrate.processes()
        assert isinstance(pids, list), "processes() must be a list of pids"
        assert all(isinstance(p, int) and p > 0 for p in pids), f"processes() must hold pids, not {pids}"
    finally:
        substrate.close()
        substrate.close()  # twice, as the contract allows
    other = make()
    try:
        if deterministic:
            fresh = _answers(_run(other, records, 7, timeout_s))
            assert fresh == _answers(first), "a fresh substrate gave other results for the same seed"
    finally:
        other.close()
    make().close()  # one that never ran closes too


def _check_identity(substrate: SubstrateProbe, make: Callable[[], SubstrateProbe]) -> None:
    identity = substrate.identity()
    assert isinstance(identity, SubstrateIdentity), "identity() must be a SubstrateIdentity"
    assert identity.kind, "the identity has no kind"
    assert identity.name, "the identity has no name"
    assert _HASH.fullmatch(identity.config_hash), f"config_hash is 'sha256:' and 64 hex, not {identity.config_hash!r}"
    assert_json(identity, "the identity")
    assert substrate.identity() == identity, "identity() changed between two calls"
    other = make()
    try:
        assert other.identity() == identity, "two substrates of the same configuration have different identities"
    finally:
        other.close()


def _run(substrate: SubstrateProbe, records: Sequence[Record], seed: int, timeout_s: float) -> list[CycleResult]:
    substrate.reset(seed)
    batch = substrate.run_batch(records, seed=seed, timeout_s=timeout_s)
    assert iter(batch) is batch, "run_batch must give an iterator that yields each result as soon as it is there"
    results = list(batch)
    asked, answered = [r.id for r in records], [r.record_id for r in results]
    assert answered == asked, f"one result per record, in order: asked {asked}, answered {answered}"
    for position, result in enumerate(results):
        assert_cycle(result, position)
    return results


def assert_cycle(result: CycleResult, position: int) -> None:
    """Check one cycle's result by itself."""
    what = f"the cycle of {result.record_id!r}"
    assert isinstance(result, CycleResult), f"{what} is a {type(result).__name__}, not a CycleResult"
    assert result.index == position, f"{what} has index {result.index}, but stands at {position} of its batch"
    assert result.status in ("ok", "error", "unmeasured"), f"{what} has status {result.status!r}"
    if result.status == "ok":
        assert result.error is None, f"{what} is ok and has the error {result.error!r}"
        assert_json(result.output, f"the output of {what}")
    else:
        assert isinstance(result.error, str), f"{what} is {result.status} and says no error"
        assert result.error.strip(), f"{what} is {result.status} with an empty error"
        assert "Traceback (most recent" not in result.error, f"{what} has a traceback where one sentence belongs"
        assert result.output is None, f"{what} is {result.status} and has an output"
    assert result.wall_s is None or (is_number(result.wall_s) and result.wall_s >= 0), f"{what}: {result.wall_s} s"
    assert isinstance(result.resources, Mapping), f"{what} has no mapping of resources"
    for name, value in result.resources.items():
        assert isinstance(name, str), f"{what} has a resource named {name!r}"
        assert is_number(value), f"{what}: {name} is {value!r}; what cannot be measured is absent"


def _answers(results: Sequence[CycleResult]) -> dict[str, bytes]:
    return {r.record_id: assert_json([r.status, r.output], "an output") for r in results}


def _check_abandoned(substrate: SubstrateProbe, records: Sequence[Record], timeout_s: float) -> None:
    batch = substrate.run_batch(records, seed=7, timeout_s=timeout_s)
    assert next(batch).record_id == records[0].id, "the first result is not of the first record"
    close = getattr(batch, "close", None)
    if close is not None:
        close()
    # What was left undone must not turn up in the next batch.
    _run(substrate, records[1:2], 7, timeout_s)


def _check_timeout(substrate: SubstrateProbe, slow: Record, other: Record) -> None:
    began = time.monotonic()
    substrate.reset(7)
    results = list(substrate.run_batch([slow, other], seed=7, timeout_s=0.2))
    took = time.monotonic() - began
    assert [r.record_id for r in results] == [slow.id, other.id], "after a timeout the next record must be answered"
    assert results[0].status != "ok", "a cycle that ran out of time is no answer"
    assert results[0].error, "a timeout must say so in 'error'"
    assert results[1].record_id != slow.id, "the late answer was given to the next record"
    assert took < _GRACE_S, f"a timeout of 0.2 s took {took:.1f} s"
