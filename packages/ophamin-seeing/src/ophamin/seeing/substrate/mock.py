"""A seeded system of known truth: it uses the stimulus, and fails on demand."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import UsageError
from ophamin.protocols import CycleResult, Record, SubstrateIdentity
from ophamin.seeing._params import choice, integer, number, probability
from ophamin.seeing._payload import payload_text
from ophamin.seeing._versions import own_version

__all__ = ["MockSubstrate"]

KEYS = ("blocked", "answer", "label", "confidence", "value", "length", "text")
MODES = ("model", "constant", "random", "echo", "error")
CONFIDENCES = ("calibrated", "overconfident", "underconfident")
LOGNORMAL_SIGMA = 0.5


class MockSubstrate:
    """A mock system whose every property can be set, so that a claim's truth is known.

    The output is always an object with ``blocked`` (bool), ``answer`` and ``label`` (the same text),
    ``confidence`` (0..1), ``value`` (float), ``length`` (characters of the payload) and ``text`` (the payload).

    ==================  =============  =====================================================================
    knob                default        meaning
    ==================  =============  =====================================================================
    seed                the run's      fixes every draw; without it ``reset(seed)`` does
    mode                model          ``model`` obeys the knobs below; ``constant`` one output for every stimulus;
                                       ``random`` coin flips that ignore the stimulus; ``echo`` answers with the
                                       payload, blocks when there is one, confidence 1; ``error`` always fails
    detect              0.95           P(blocked) when ``labels["kind"] == "attack"``
    false_positive      0.05           P(blocked) otherwise
    correct             0.9            P(answer is ``labels["label"]``, or ``labels["kind"]`` where there is none)
    confidence          0.9            a number, or ``calibrated``: c ~ U(0.5, 1) and right with probability c
                                       (overrides ``correct``); ``overconfident``: with c - gap;
                                       ``underconfident``: with c + gap
    gap                 0.1            see ``confidence``
    mean, sd            0, 1           ``value`` ~ N(mean, sd)
    bernoulli                          ``value`` is 1 with this probability, else 0 (overrides mean and sd)
    autocorrelation     0              correlation of neighbouring ``value`` s, -1 < . < 1 (first-order autoregressive)
    drift               0              added to ``mean`` in every cycle since the last reset
    rate_drift          0              added to ``detect`` and ``correct`` in every cycle since the last reset (0 to 1)
    leak_bytes          0              memory a cycle takes and keeps until the next reset, resident
    latency_s           0              seconds a cycle takes
    latency_law         constant       ``exponential``: mean latency_s; ``lognormal``: median latency_s, log-sd 0.5
    latency_p           0              with this probability the cycle takes ``latency_high_s`` instead
    latency_high_s      0              see ``latency_p``
    clock               real           ``real`` sleeps; ``virtual`` reports the drawn latency as ``wall_s``
    error_rate          0              P(status error)
    unmeasured_rate     0              P(status unmeasured)
    drop                               this key is missing from the output with probability ``fault_rate``
    retype                             this key has another type with probability ``fault_rate``
    fault_rate          1              see ``drop`` and ``retype``
    ==================  =============  =====================================================================

    Every draw comes from ``random.Random(f"{seed}:{record.id}:{purpose}")``, so neither order, batching nor
    resuming changes a result; ``autocorrelation``, ``drift`` and ``rate_drift`` alone make cycles depend on their
    place after the last reset.

    Example:
        >>> from ophamin.protocols import Record
        >>> mock = MockSubstrate("", seed="1", detect="1", clock="virtual", latency_s="0.02")
        >>> [r] = mock.run_batch([Record("a", "' or 1=1", labels={"kind": "attack"})], seed=0, timeout_s=1)
        >>> r.output["blocked"], r.wall_s
        (True, 0.02)
    """

    def __init__(
        self,
        arg: str = "",
        *,
        seed: str | int = "",
        mode: str = "model",
        detect: str | float = 0.95,
        false_positive: str | float = 0.05,
        correct: str | float = 0.9,
        confidence: str | float = 0.9,
        gap: str | float = 0.1,
        mean: str | float = 0.0,
        sd: str | float = 1.0,
        bernoulli: str | float = "",
        autocorrelation: str | float = 0.0,
        drift: str | float = 0.0,
        rate_drift: str | float = 0.0,
        leak_bytes: str | int = 0,
        latency_s: str | float = 0.0,
        latency_law: str = "constant",
        latency_p: str | float = 0.0,
        latency_high_s: str | float = 0.0,
        clock: str = "real",
        error_rate: str | float = 0.0,
        unmeasured_rate: str | float = 0.0,
        drop: str = "",
        retype: str = "",
        fault_rate: str | float = 1.0,
    ) -> None:
        if arg:
            raise UsageError(f"mock takes no argument, only parameters such as mock?detect=0.9, not {arg!r}")
        self._fixed_seed = None if seed == "" else integer("seed", seed)
        self._seed = self._fixed_seed
        self._mode = choice("mode", mode, MODES)
        self._detect = probability("detect", detect)
        self._false_positive = probability("false_positive", false_positive)
        self._correct = probability("correct", correct)
        self._style = confidence if confidence in CONFIDENCES else ""
        self._confidence = 0.0 if self._style else probability("confidence", confidence)
        self._gap = probability("gap", gap)
        self._mean, self._sd = number("mean", mean), number("sd", sd, low=0.0)
        self._bernoulli = None if bernoulli == "" else probability("bernoulli", bernoulli)
        self._autocorrelation = number("autocorrelation", autocorrelation, low=-0.9999, high=0.9999)
        self._drift, self._rate_drift = number("drift", drift), number("rate_drift", rate_drift, low=-1.0, high=1.0)
        self._leak_bytes = integer("leak_bytes", leak_bytes)
        self._latency_s = number("latency_s", latency_s, low=0.0)
        self._law = choice("latency_law", latency_law, ("constant", "lognormal", "exponential"))
        self._latency_p = probability("latency_p", latency_p)
        self._latency_high_s = number("latency_high_s", latency_high_s, low=0.0)
        self._virtual = choice("clock", clock, ("real", "virtual")) == "virtual"
        self._error_rate = probability("error_rate", error_rate)
        self._unmeasured_rate = probability("unmeasured_rate", unmeasured_rate)
        self._drop = drop and choice("drop", drop, KEYS)
        self._retype = retype and choice("retype", retype, KEYS)
        self._fault_rate = probability("fault_rate", fault_rate)
        knobs = {k: v for k, v in vars(self).items() if k != "_seed"}
        self._rng = Random()
        self._cycle = 0
        self._deviation: float | None = None
        self._leaked: list[bytes] = []
        version = own_version()
        self._identity = SubstrateIdentity(
            "mock", f"mock {self._mode}", digest({"knobs": knobs, "version": version}), version, False
        )

    def identity(self) -> SubstrateIdentity:
        """The knobs, hashed, and the version of this distribution."""
        return self._identity

    def reset(self, seed: int) -> None:
        """Take ``seed`` for all draws to come, unless the spec fixed one; undo drift and leaks."""
        self._cycle, self._deviation = 0, None
        self._leaked.clear()
        if self._fixed_seed is None:
            self._seed = seed

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        """One result per record, in order.

        Args:
            records: The stimuli.
            seed: Used when neither the spec nor a reset gave one.
            timeout_s: A cycle that would take longer is an error after this long.
        """
        used = seed if self._seed is None else self._seed
        for index, record in enumerate(records):
            prefix = f"{used}:{record.id}:"
            if self._happens(prefix + "unmeasured", self._unmeasured_rate):
                yield CycleResult(index, record.id, "", "unmeasured", None, "mock: not measured on demand")
                continue
            started = time.perf_counter()
            error = self._error(prefix)
            output = None if error else self._output(prefix, record)
            if self._leak_bytes:
                self._leaked.append(b"\x01" * self._leak_bytes)
            self._cycle += 1
            planned = self._latency(prefix)
            if planned > timeout_s:
                error, output, planned = f"timeout after {timeout_s:g} s", None, timeout_s
            if not self._virtual and planned:
                time.sleep(planned)
            wall_s = planned if self._virtual else time.perf_counter() - started
            yield CycleResult(index, record.id, "", "error" if error else "ok", output, error, wall_s)

    def processes(self) -> list[int]:
        """None: it runs in this process."""
        return []

    def close(self) -> None:
        """Nothing to release."""

    def _uniform(self, name: str) -> float:
        self._rng.seed(name)
        return self._rng.random()

    def _happens(self, name: str, p: float) -> bool:
        # Certain events need no draw, and seeding a generator is what a cycle costs.
        return p > 0.0 and (p >= 1.0 or self._uniform(name) < p)

    def _error(self, prefix: str) -> str | None:
        if self._mode == "error" or self._happens(prefix + "error", self._error_rate):
            return "mock: failed on demand"
        return None

    def _latency(self, prefix: str) -> float:
        if self._happens(prefix + "latency_high", self._latency_p):
            return self._latency_high_s
        if self._law == "constant" or not self._latency_s:
            return self._latency_s
        self._rng.seed(prefix + "latency")
        if self._law == "exponential":
            return self._rng.expovariate(1.0 / self._latency_s)
        return self._rng.lognormvariate(math.log(self._latency_s), LOGNORMAL_SIGMA)

    def _value(self, prefix: str) -> float:
        if self._bernoulli is not None:
            return float(self._happens(prefix + "value", self._bernoulli))
        mean = self._mean + self._drift * self._cycle
        if not self._sd:
            return mean
        self._rng.seed(prefix + "value")
        deviation = self._rng.gauss(0.0, self._sd)
        if self._autocorrelation:
            if self._deviation is not None:
                kept = self._autocorrelation
                deviation = kept * self._deviation + math.sqrt(1 - kept * kept) * deviation
            self._deviation = deviation
        return mean + deviation

    def _output(self, prefix: str, record: Record) -> dict[str, Any]:
        if self._mode == "constant":
            output = _row(False, "constant", self._confidence, self._mean, 0, "")
        elif self._mode == "random":
            guess = self._happens(prefix + "blocked", 0.5)
            answer = "attack" if self._happens(prefix + "answer", 0.5) else "benign"
            output = _row(guess, answer, self._uniform(prefix + "confidence"), self._value(prefix), 0, "")
        else:
            text = payload_text(record.payload)
            if self._mode == "echo":
                output = _row(bool(text), text, 1.0, _as_number(text), len(text), text)
            else:
                answer, confidence = self._answer(prefix, record.labels)
                attack = record.labels.get("kind") == "attack"
                p = self._drifted(self._detect) if attack else self._false_positive
                blocked = self._happens(prefix + "blocked", p)
                output = _row(blocked, answer, confidence, self._value(prefix), len(text), text)
        if self._drop and self._happens(prefix + "drop", self._fault_rate):
            del output[self._drop]
        if self._retype in output and self._happens(prefix + "retype", self._fault_rate):
            value = output[self._retype]
            output[self._retype] = len(value) if isinstance(value, str) else str(value)
        return output

    def _drifted(self, rate: float) -> float:
        return min(1.0, max(0.0, rate + self._rate_drift * self._cycle)) if self._rate_drift else rate

    def _answer(self, prefix: str, labels: Mapping[str, Any]) -> tuple[str, float]:
        right_with, confidence = self._drifted(self._correct), self._confidence
        if self._style:
            confidence = 0.5 + self._uniform(prefix + "confidence") / 2
            shift = {"calibrated": 0.0, "overconfident": -self._gap, "underconfident": self._gap}[self._style]
            right_with = min(1.0, max(0.0, confidence + shift))
        truth = str(labels.get("label", labels.get("kind", "")))
        return (truth if self._happens(prefix + "answer", right_with) else f"not {truth}"), confidence


def _row(blocked: bool, answer: str, confidence: float, value: float, length: int, text: str) -> dict[str, Any]:
    return dict(zip(KEYS, (blocked, answer, answer, confidence, value, length, text), strict=True))


def _as_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0
