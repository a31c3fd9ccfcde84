"""The run loop against a bare loop: how much of a no-op callable's speed is left.

The bare loop calls the same function on the same records, writes the same row unbuffered, and gzips the rows.
"""

from __future__ import annotations

import gzip
import importlib
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from ophamin import registry
from ophamin.measuring.scenarios import run_scenario
from ophamin.proof.types import Claim, Decision, Threshold
from ophamin.protocols import (
    Availability,
    CycleResult,
    DatasetInfo,
    EstimatorCall,
    Record,
    RunSpec,
    Score,
    SubstrateIdentity,
)

N = 20_000
BAR = 0.25
ROUNDS = 3


def noop(payload):
    return True


class _Corpus:
    name, folders = "bench-lines", ()

    def __init__(self, arg="", data_root=None):
        self.lines = [Record(f"r{i}", f"line {i}") for i in range(N)]

    def availability(self):
        return Availability("ok")

    def records(self):
        return iter(self.lines)

    def sample(self, n, seed, where=None):
        found = [r for r in self.lines if where is None or where(r)]
        random.Random(seed).shuffle(found)
        return found[:n]

    def count(self):
        return N

    def content_hash(self):
        return "sha256:" + "0" * 64

    def describe(self):
        return DatasetInfo("bench-lines", "text", "generated")

    def write_sample(self, directory, seed):
        return directory


class _Function:
    """The bare substrate, for where the ``python`` one is not installed."""

    def __init__(self, arg=""):
        pass

    def identity(self):
        return SubstrateIdentity("bench-function", "noop", "sha256:" + "0" * 64)

    def reset(self, seed):
        pass

    def run_batch(self, records, *, seed, timeout_s):
        for i, record in enumerate(records):
            began = time.perf_counter()
            output = {"output": noop(record.payload)}
            yield CycleResult(i, record.id, "", "ok", output, None, time.perf_counter() - began)

    def processes(self):
        return []

    def close(self):
        pass


class _Scenario:
    name, tier, goal, options = "bench-noop", "engineering", "None.", {}
    observables = {"answer": "anything"}
    default_corpus = "bench-lines"

    def claim(self, options):
        decision = Decision(estimator="proportion", method="clopper-pearson", smallest_difference=0.1)
        return Claim("Yes.", "share of yes", "p < 0.5", "p >= 0.5", Threshold("yes", ">=", 0.5), decision)

    def arms(self, options):
        return ["main"]

    def observe(self, record, result, roles):
        return {"value": roles["answer"]}

    def score(self, columns, options):
        return Score([EstimatorCall("yes", "proportion", {k: columns[k] for k in ("value", "status", "group")})])

    def controls(self):
        return []


def _bare(folder: Path, rows: list[dict]) -> float:
    """Call, write the engine's own row, gzip; seconds."""
    records = _Corpus().lines
    path = folder / "bare.jsonl"
    began = time.perf_counter()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for i, record in enumerate(records):
        start = time.perf_counter()
        answer = noop(record.payload)
        row = {**rows[i], "values": {"value": answer}, "wall_s": time.perf_counter() - start}
        os.write(descriptor, (json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n").encode("ascii"))
    os.close(descriptor)
    (folder / "bare.jsonl.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return time.perf_counter() - began


def _engine(substrate: str) -> tuple[float, Path]:
    with_project = Path(tempfile.mkdtemp())
    spec = RunSpec("bench-noop", {"main": substrate}, n=N, project=str(with_project))
    began = time.perf_counter()
    result = run_scenario(spec)
    return time.perf_counter() - began, Path(result.path)


def run() -> list[dict]:
    """Measure; both sides alternate in one process, the best of each counts."""
    for group, name, plugin in (
        (registry.corpora, "bench-lines", _Corpus),
        (registry.substrates, "bench-function", _Function),
        (registry.scenarios, "bench-noop", _Scenario),
    ):
        if name not in group.names():
            group.register(name, plugin)
    results = []
    home = os.environ.get("OPHAMIN_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OPHAMIN_HOME"] = folder
        try:
            substrates = ["bench-function"]
            if "python" in registry.substrates.names():
                sys.path.insert(0, str(Path(__file__).parent))
                importlib.import_module("bench_engine")
                substrates.append("python:bench_engine:noop")
            for substrate in substrates:
                _, path = _engine(substrate)
                data = gzip.decompress(path.with_name("observations.jsonl.gz").read_bytes())
                rows = [json.loads(line) for line in data.splitlines()]
                bare, engine = [], []
                for _ in range(ROUNDS):
                    bare.append(_bare(Path(folder), rows))
                    engine.append(_engine(substrate)[0])
                ratio = min(bare) / min(engine)
                detail = f"{N} cycles: bare {min(bare):.3f} s, engine {min(engine):.3f} s"
                results.append(
                    {"name": f"run loop, {substrate}", "ratio": ratio, "bar": BAR, "ok": ratio >= BAR, "detail": detail}
                )
        finally:
            os.environ.pop("OPHAMIN_HOME")
            if home is not None:
                os.environ["OPHAMIN_HOME"] = home
    return results


if __name__ == "__main__":
    for line in run():
        print(
            f"{line['name']:40} {line['ratio']:.3f} (bar {line['bar']})  {'ok' if line['ok'] else 'SLOW'}  {line['detail']}"
        )
