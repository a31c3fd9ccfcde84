"""The substrate kit: a good substrate passes, each planted fault is named."""

from __future__ import annotations

import dataclasses
import random
import time

import pytest

from ophamin.proof.canonical import digest
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.testing import RECORDS, check_instrument, check_substrate

SLOW = Record("slow", "slow")


class Good:
    """Answers by the record; fails on what is no text; stops waiting for "slow" in time."""

    def __init__(self):
        self.closed = False

    def identity(self):
        return SubstrateIdentity("good", "good", digest({"version": 1}))

    def reset(self, seed):
        pass

    def run_batch(self, records, *, seed, timeout_s):
        for index, record in enumerate(records):
            yield self.cycle(index, record, seed, timeout_s)

    def cycle(self, index, record, seed, timeout_s):
        if record.id == "slow" and timeout_s < 1:
            return CycleResult(index, record.id, status="unmeasured", error="no answer in time")
        if not isinstance(record.payload, str):
            return CycleResult(index, record.id, status="error", error="it takes text only", wall_s=0.0)
        draw = random.Random(f"{seed}:{record.id}").random()
        return CycleResult(index, record.id, output={"length": len(record.payload), "draw": draw}, wall_s=0.001)

    def processes(self):
        return []

    def close(self):
        self.closed = True


def change(**fields):
    """A substrate whose every result has these fields."""

    class Changed(Good):
        def cycle(self, index, record, seed, timeout_s):
            return dataclasses.replace(super().cycle(index, record, seed, timeout_s), **fields)

    return Changed


class NoReset(Good):
    reset = None

    def __getattribute__(self, name):
        if name == "reset":
            raise AttributeError(name)
        return super().__getattribute__(name)


class Listed(Good):
    def run_batch(self, records, *, seed, timeout_s):
        return list(super().run_batch(records, seed=seed, timeout_s=timeout_s))


class Dropping(Good):
    def run_batch(self, records, *, seed, timeout_s):
        yield from list(super().run_batch(records, seed=seed, timeout_s=timeout_s))[:3]


class Backwards(Good):
    def run_batch(self, records, *, seed, timeout_s):
        yield from list(super().run_batch(records, seed=seed, timeout_s=timeout_s))[::-1]


class Unseeded(Good):
    def cycle(self, index, record, seed, timeout_s):
        result = super().cycle(index, record, seed, timeout_s)
        return dataclasses.replace(result, output=random.random()) if result.status == "ok" else result


class OrderDependent(Good):
    def reset(self, seed):
        self.rng = random.Random(seed)

    def cycle(self, index, record, seed, timeout_s):
        return dataclasses.replace(super().cycle(index, record, seed, timeout_s), output=self.rng.random())


class Carrying(Good):
    """Remembers what it was asked, so that results depend on what went before."""

    seen = 0

    def cycle(self, index, record, seed, timeout_s):
        self.seen += 1
        return dataclasses.replace(super().cycle(index, record, seed, timeout_s), output=self.seen)


class Raising(Good):
    def cycle(self, index, record, seed, timeout_s):
        return CycleResult(index, record.id, output=record.payload.encode().hex())


class Restless(Good):
    def identity(self):
        return SubstrateIdentity("good", "good", digest({"now": time.monotonic_ns()}))


class ShortHash(Good):
    def identity(self):
        return SubstrateIdentity("good", "good", "abc")


class ClosesOnce(Good):
    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


class ClosesOnlyAfterUse(Good):
    process = None

    def cycle(self, index, record, seed, timeout_s):
        self.process = self.process or []
        return super().cycle(index, record, seed, timeout_s)

    def close(self):
        self.process.clear()


class SlowIsAnAnswer(Good):
    def cycle(self, index, record, seed, timeout_s):
        if record.id == "slow":
            return CycleResult(index, record.id, output={"late": True})
        return super().cycle(index, record, seed, timeout_s)


class GivesUpAfterTimeout(Good):
    def run_batch(self, records, *, seed, timeout_s):
        for result in super().run_batch(records, seed=seed, timeout_s=timeout_s):
            yield result
            if result.status == "unmeasured":
                return


class Pids(Good):
    def processes(self):
        return [0]


class LeftOver(Good):
    """After an abandoned batch the next one begins with the answers still in the pipe."""

    def __init__(self):
        super().__init__()
        self.pipe = []

    def run_batch(self, records, *, seed, timeout_s):
        self.pipe += [self.cycle(i, r, seed, timeout_s) for i, r in enumerate(records)]
        for _ in records:
            yield self.pipe.pop(0)


def test_a_good_substrate_passes():
    check_substrate(Good, slow=SLOW)
    check_substrate(Unseeded, slow=SLOW, deterministic=False)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (NoReset, "lacks a method"),
        (Listed, "iterator"),
        (Dropping, "one result per record"),
        (Backwards, "one result per record"),
        (change(record_id="r0"), "one result per record"),
        (change(index=0), "index"),
        (change(status="failed"), "status"),
        (change(error="?"), "is ok and has the error"),
        (change(status="error", error=None), "says no error|has an output"),
        (change(status="error", error=" ", output=None), "empty error"),
        (change(status="error", error="it failed"), "has an output"),
        (change(status="error", error="Traceback (most recent call last)", output=None), "traceback"),
        (change(output={1: 2}, error=None, status="ok"), "plain JSON"),
        (change(output=float("nan"), error=None, status="ok"), "plain JSON"),
        (change(wall_s=-1.0), "-1.0 s"),
        (change(wall_s=float("nan")), "nan s"),
        (change(resources={"cpu_s": None}), "what cannot be measured is absent"),
        (Unseeded, "same seed"),
        (OrderDependent, "order"),
        (Carrying, "same seed"),
        (Restless, "changed between two calls"),
        (ShortHash, "config_hash"),
        (SlowIsAnAnswer, "is no answer"),
        (GivesUpAfterTimeout, "next record must be answered"),
        (Pids, "pids"),
        (LeftOver, "stands at 0 of its batch"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_planted_fault_is_named(fault, named):
    with pytest.raises(AssertionError, match=named):
        check_substrate(fault, slow=SLOW)


@pytest.mark.parametrize("fault", [Raising, ClosesOnce, ClosesOnlyAfterUse])
def test_what_falls_over_falls_over_in_the_kit(fault):
    with pytest.raises((AttributeError, RuntimeError)):
        check_substrate(fault, RECORDS)


# --- instruments watch substrates, so theirs stands here


class Watch:
    """Adds one number to every cycle."""

    name = "watch"
    fault = ""

    def __init__(self):
        self.files = []

    def wrap(self, substrate):
        return Watched(substrate, self.fault)

    def scenario(self, spec):
        return Around(self.fault)

    def verdict(self, record):
        if self.fault == "verdict":
            record["seen"] = True

    def artifacts(self):
        return self.files


class Around:
    def __init__(self, fault):
        self.fault = fault

    def __enter__(self):
        return None

    def __exit__(self, *error):
        return self.fault == "swallow"


class Watched:
    def __init__(self, inner, fault):
        self.inner, self.fault = inner, fault

    def identity(self):
        inner = self.inner.identity()
        return dataclasses.replace(inner, name="watched") if self.fault == "identity" else inner

    def reset(self, seed):
        if self.fault != "reset":
            self.inner.reset(seed)

    def run_batch(self, records, *, seed, timeout_s):
        for result in self.inner.run_batch(records, seed=seed, timeout_s=timeout_s):
            if self.fault == "drop" and result.index == 3:
                continue
            if self.fault == "output" and result.status == "ok":
                result = dataclasses.replace(result, output=None)
            if self.fault == "hide" and result.status == "error":
                result = dataclasses.replace(result, status="unmeasured")
            given = {} if self.fault == "resources" else result.resources
            yield dataclasses.replace(result, resources={**given, "cpu_s": 0.01})

    def processes(self):
        return self.inner.processes()

    def close(self):
        if self.fault != "close":
            self.inner.close()


def test_a_good_instrument_passes():
    check_instrument(Watch, {"claim": {}})


@pytest.mark.parametrize(
    ("planted", "named"),
    [
        ("identity", "another identity"),
        ("reset", "reset"),
        ("drop", "lost, added or moved"),
        ("output", "changed the output"),
        ("hide", "changed the status"),
        ("resources", "dropped or changed resources"),
        ("close", "close"),
        ("swallow", "swallowed"),
        ("verdict", "changed the record"),
    ],
)
def test_an_instrument_that_touches_is_named(planted, named):
    with pytest.raises(AssertionError, match=named):
        check_instrument(type("Faulty", (Watch,), {"fault": planted}))
