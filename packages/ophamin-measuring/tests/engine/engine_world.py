"""A tiny world for the engine's tests: one corpus, one substrate, three scenarios; also run as a child process."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from ophamin import registry
from ophamin.proof.errors import LeakageError, SubstrateFailure
from ophamin.proof.types import Claim, CoPrimary, Decision, Threshold
from ophamin.protocols import (
    Availability,
    CycleResult,
    DatasetInfo,
    EstimatorCall,
    OptionSpec,
    Record,
    RunSpec,
    Score,
    SubstrateIdentity,
)


class TinyCorpus:
    """``tiny:N``: records with a payload of their own; ``?groups=`` puts them into groups, ``?state=`` hides it."""

    name = "tiny"
    folders = ()

    def __init__(self, arg="300", data_root=None, groups="", state="ok", edition="1", same="", source="", ids="r"):
        self.n, self.groups, self.state, self.edition, self.same = int(arg or 300), groups, state, edition, same
        self.source, self.ids = source or "made here", ids

    def availability(self):
        return Availability(
            self.state, ["/data/tiny"], "a folder of cats", "ophamin corpus sample tiny", "2 kB", "CC0-1.0"
        )

    def records(self):
        for i in range(self.n):
            group = f"g{i % int(self.groups)}" if self.groups else None
            payload = "same" if self.same else f"payload {i}"
            yield Record(f"{self.ids}{i}", payload, group, {"kind": "attack" if i % 2 else "benign"})

    def sample(self, n, seed, where=None):
        found = [r for r in self.records() if where is None or where(r)]
        random.Random(seed).shuffle(found)
        return found[:n]

    def count(self):
        return self.n

    def content_hash(self):
        return "sha256:" + hashlib.sha256(f"{self.n} {self.edition}".encode()).hexdigest()

    def describe(self):
        return DatasetInfo("tiny", "table", self.source)

    def write_sample(self, directory, seed):
        return directory


class TinySystem:
    """``tiny?p=0.95``: right with probability p, by (seed, record); the other parameters make it misbehave."""

    fields = {"deep": "a.b[0].c"}
    deadly = True

    def __init__(self, arg="", p="0.95", fault="", at="5", sleep="0", trained="", name="", kill="", rev="rev1"):
        self.p, self.fault, self.at, self.sleep = float(p), fault, int(at), float(sleep)
        self.trained, self.kill, self.name, self.rev = trained, kill, name or arg or "system", rev
        self.seen = 0
        self.seed = 0
        if fault == "make":
            raise SubstrateFailure("the system cannot be started; install it first")

    def identity(self):
        config = f"{self.p} {self.fault} {self.name}".encode()
        return SubstrateIdentity("tiny", self.name, "sha256:" + hashlib.sha256(config).hexdigest(), self.rev, False)

    def admit(self, records):
        if self.trained and any(r.id == self.trained for r in records):
            raise LeakageError(f"record {self.trained} was in the training set; use ?split=test")

    def reset(self, seed):
        self.seed = seed
        if self.fault == "start":
            raise RuntimeError("no such model")

    def run_batch(self, records, *, seed, timeout_s):
        for i, record in enumerate(records):
            if self.sleep:
                time.sleep(self.sleep)
            self.seen += 1
            if self.deadly and self.kill and self.seen == int(self.kill):
                os.kill(os.getpid(), signal.SIGKILL)
            yield self._one(i, record, seed)

    def _one(self, i, record, seed):
        draw = random.Random(f"{seed}:{record.id}").random()
        fault, turn = self.fault, self.seen
        if fault == "raise" and turn > self.at:
            raise RuntimeError("segmentation fault")
        if fault == "wrong-id":
            return CycleResult(i, "someone else", "", "ok", {"answer": True})
        if fault == "not-a-result":
            return {"answer": True}
        if fault == "interrupt" and turn > self.at:
            raise KeyboardInterrupt
        if fault == "unmeasured" and turn % self.at == 0:
            return CycleResult(i, record.id, "", "unmeasured", None, "timeout", 0.001)
        if fault == "error" and turn % self.at == 0:
            return CycleResult(i, record.id, "", "error", None, "crashed \ud800", 0.001)
        answer = draw < self.p
        if fault == "flaky":
            answer = random.random() < self.p
        output = {"answer": answer, "noise": draw}
        if fault == "missing":
            output = {"verdict": {"is_right": answer}}
        if fault == "sometimes-missing" and turn % self.at == 0:
            output = {"noise": draw}
        if fault == "nan" and turn % self.at == 0:
            output = {"answer": float("nan")}
        if fault == "surrogate" and turn % self.at == 0:
            output = {"answer": "\udcff"}
        if fault == "string":
            output = {"answer": "yes"}
        if fault == "bare":
            output = {"output": answer}
        return CycleResult(i, record.id, "", "ok", output, None, 0.001)

    def processes(self):
        return []

    def close(self):
        pass


class Tiny:
    """The share of right answers is at least theta."""

    name = "tiny"
    tier = "engineering"
    goal = "Be right."
    options = {
        "theta": OptionSpec(0.8, "least share"),
        "rule": OptionSpec("interval", "decision rule"),
        "broken": OptionSpec("", "how the scenario misbehaves"),
        "arms": OptionSpec(1, "number of arms"),
        "strict": OptionSpec(False, "refuse answers that are no booleans"),
    }
    observables = {"answer": "whether it is right"}
    default_corpus = "tiny:300"

    def claim(self, options):
        return Claim(
            "It is right.", "share of right answers", "p < theta", "p >= theta",
            Threshold("accuracy", ">=", options["theta"]),
            Decision(rule=options["rule"], method="auto" if options["rule"] == "interval" else "",
                     estimator="value" if options["rule"] == "exact" else "proportion",
                     smallest_difference=0.1, support=[0, 1] if options["rule"] == "exact" else None),
        )  # fmt: skip

    def arms(self, options):
        return [f"arm{i}" for i in range(options["arms"])] if options["arms"] > 1 else ["main"]

    def observe(self, record, result, roles):
        if roles["answer"] is None:
            return {"value": None, "label": record.labels["kind"]}
        if isinstance(roles["answer"], str):
            raise TypeError(f"answer is {roles['answer']!r}, not a boolean")
        row = {"value": int(roles["answer"]), "label": record.labels["kind"]}
        return {**row, "status": 1} if "reserved" in record.labels or self.reserved else row

    reserved = False

    def score(self, columns, options):
        if options["broken"] == "score":
            raise ZeroDivisionError("oops")
        metric = "precision" if options["broken"] == "metric" else "accuracy"
        table = {name: columns[name] for name in ("value", "status", "group")}
        if options["rule"] == "exact":
            return Score([EstimatorCall(metric, "value", table, {"statistic": "mean"})])
        return Score([EstimatorCall(metric, "proportion", table)])

    def controls(self):
        return []


class TinyPair(Tiny):
    """Right on attacks and right on benign inputs; one record a group, strata by kind."""

    name = "tiny-pair"
    one_per_unit = True

    def strata(self, options):
        return {k: lambda r, k=k: r.labels["kind"] == k for k in ("attack", "benign")}

    def claim(self, options):
        first = super().claim(options)
        more = CoPrimary(Threshold("accuracy_benign", ">=", options["theta"]), first.decision)
        return Claim(
            first.statement, first.operationalization, first.h0, first.h1, first.threshold, first.decision, [more]
        )

    def score(self, columns, options):
        calls = []
        for metric, kind in (("accuracy", "attack"), ("accuracy_benign", "benign")):
            keep = [i for i, label in enumerate(columns["label"]) if label == kind]
            table = {name: [columns[name][i] for i in keep] for name in ("value", "status", "group")}
            calls.append(EstimatorCall(metric, "proportion", table))
        return Score(calls)


class TinyDeep(Tiny):
    """Reads a role from the substrate's own field catalog."""

    name = "tiny-deep"
    observables = {"deep": "whether it is right"}

    def observe(self, record, result, roles):
        return super().observe(record, result, {"answer": roles["deep"]})


class TinyReserved(Tiny):
    name = "tiny-reserved"
    reserved = True


def install():
    for register, known, name, plugin in (
        (registry.register_corpus, registry.list_corpora, "tiny", TinyCorpus),
        (registry.register_substrate, registry.list_substrates, "tiny", TinySystem),
        (registry.register_scenario, registry.list_scenarios, "tiny", Tiny),
        (registry.register_scenario, registry.list_scenarios, "tiny-pair", TinyPair),
        (registry.register_scenario, registry.list_scenarios, "tiny-deep", TinyDeep),
        (registry.register_scenario, registry.list_scenarios, "tiny-reserved", TinyReserved),
    ):
        if name not in known():
            register(name, plugin)


def remove():
    registry.corpora.unregister("tiny")
    registry.substrates.unregister("tiny")
    for name in ("tiny", "tiny-pair", "tiny-deep", "tiny-reserved"):
        registry.scenarios.unregister(name)


def crash_at(point):
    """Kill this process at a named moment of the road."""

    def die(*args, **more):
        os.kill(os.getpid(), signal.SIGKILL)

    from ophamin.measuring.scenarios import engine
    from ophamin.measuring.scenarios._road import journal, recording, registration
    from ophamin.proof.ledger import Ledger
    from ophamin.proof.store import Store

    if point == "before-register":
        Ledger.register = die
    elif point == "after-register":
        real = Ledger.register

        def register(self, entry):
            real(self, entry)
            die()

        Ledger.register = register
    elif point == "before-decide":
        engine.decide = die
    elif point == "before-sign":
        recording.sign = die
    elif point == "after-sign":
        engine.file_proof = die
    elif point == "after-store":
        put = Store.put

        def stored(self, *args, **more):
            put(self, *args, **more)
            die()

        Store.put = stored
    elif point == "after-outcome":
        journal.Journal.remove = die
    elif point == "in-selection-file":
        registration.keep_selection = die
    else:
        raise ValueError(point)


if __name__ == "__main__":
    install()
    words = json.loads(Path(sys.argv[1]).read_text())
    if words.get("point"):
        crash_at(words["point"])
    from ophamin.measuring.scenarios import run_scenario

    result = run_scenario(RunSpec(**words["spec"]))
    print(json.dumps({"proof_id": result.proof_id, "path": result.path, "outcome": result.outcome}))
