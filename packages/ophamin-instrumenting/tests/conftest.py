"""Real substrates: they burn, sleep, allocate and start processes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from ophamin.instrumenting.resources import ResourceInstrument
from ophamin.proof.canonical import digest
from ophamin.protocols import CycleResult, Record, SubstrateIdentity


class Calls:
    """Calls one function per record, in this process."""

    def __init__(self, function, timed=True):
        self.function, self.timed, self.closed = function, timed, 0

    def identity(self):
        return SubstrateIdentity("test", getattr(self.function, "__name__", "f"), digest({}))

    def reset(self, seed):
        self.seed = seed

    def run_batch(self, records, *, seed, timeout_s):
        try:
            for index, record in enumerate(records):
                began = time.perf_counter()
                output = self.function(record.payload)
                wall = time.perf_counter() - began
                yield CycleResult(index, record.id, output=output, wall_s=wall if self.timed else None)
        finally:
            self.ended = True

    def processes(self):
        return []

    def close(self):
        self.closed += 1


class Child(Calls):
    """Sends each record, a Python statement, to a process kept alive; ``fresh``: one process per record."""

    def __init__(self, fresh=False, prefix=()):
        super().__init__(self.ask)
        self.fresh, self.prefix, self.process = fresh, list(prefix), None

    def start(self):
        code = "import sys\nkeep = []\nfor line in sys.stdin:\n    exec(line)\n    print(flush=True)"
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, statement):
        if self.process is None:
            self.start()
        self.process.stdin.write(statement + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()
        if self.fresh:
            self.close()

    def processes(self):
        return [self.process.pid] if self.process else []

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


@pytest.fixture
def calls():
    return Calls


@pytest.fixture
def child():
    made = []

    def make(**options):
        made.append(Child(**options))
        return made[-1]

    yield make
    for substrate in made:
        substrate.close()


@pytest.fixture
def measure():
    """Resources of each cycle over these payloads."""

    def run(substrate, payloads):
        records = [Record(str(i), payload) for i, payload in enumerate(payloads)]
        cycles = ResourceInstrument().wrap(substrate).run_batch(records, seed=0, timeout_s=30.0)
        return [cycle.resources for cycle in cycles]

    return run
