"""The instrument that tells a run to OpenTelemetry."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import format_exception
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, Status, StatusCode

from ophamin.instrumenting._watched import WatchedSubstrate
from ophamin.instrumenting.tracing._environment import telemetry
from ophamin.instrumenting.tracing._events import EVENT
from ophamin.instrumenting.tracing._file import SpanFile
from ophamin.instrumenting.tracing._verdict import evaluations
from ophamin.protocols import CycleResult, Record, RunSpec, SubstrateProbe

__all__ = ["TracingInstrument"]

JSON = Any
FILE = "trace.otlp.jsonl"


class TracingInstrument:
    """A run as a trace: ``ophamin.scenario``, below it one ``ophamin.cycle`` per stimulus, and the verdict as an event.

    A cycle whose system failed has the status ERROR; a REFUTED claim has not: it is a result. The verdict is the
    event ``gen_ai.evaluation.result`` of the GenAI semantic conventions, one per threshold, with its interval: a log
    record in the scenario's context where somebody collects those, and on the scenario's span, where traces are shown.
    Metrics, where somebody collects them: ``ophamin.cycle.duration`` (histogram, s), ``ophamin.cycles`` by status and
    ``ophamin.verdicts`` by outcome.

    Everything is set up by ``OTEL_*``. The spans also stand in the file ``trace.otlp.jsonl`` beside the proof,
    whoever else gets them; a receiver that is down costs the run nothing and is named once on stderr.

    Raises:
        MissingDependency: ``OTEL_TRACES_EXPORTER`` asks for an exporter that is not installed.
        UsageError: There is no such exporter.

    Example:
        >>> TracingInstrument().name
        'tracing'
    """

    name = "tracing"

    def __init__(self) -> None:
        self._telemetry = telemetry()
        self._arms: list[str] = []
        self._wrapped = 0
        self._root: Span | None = None
        self._context: Context | None = None
        self._scenario = ""
        self._spans = 0
        self._file: SpanFile | None = None
        self._meters = _Meters(self._telemetry.meter) if self._telemetry.meter is not None else None
        if self._telemetry.file:
            folder = tempfile.mkdtemp(prefix="ophamin-trace-")
            weakref.finalize(self, shutil.rmtree, folder, True)
            self._file = SpanFile(Path(folder) / FILE)

    def wrap(self, substrate: SubstrateProbe) -> SubstrateProbe:
        """The same substrate, whose cycles are spans."""
        self._wrapped += 1
        return _Traced(substrate, self, self._wrapped - 1)

    @contextmanager
    def scenario(self, spec: RunSpec) -> Iterator[None]:
        """The span around the run; it ends with the verdict, or with the error that ended the run."""
        self._arms = list(spec.arms) if len(spec.arms) > 1 else []
        self._scenario = spec.scenario
        attributes: dict[str, JSON] = {"ophamin.scenario.name": spec.scenario, "ophamin.arms": list(spec.arms.values())}
        if spec.corpus:
            attributes["ophamin.corpus"] = spec.corpus
        parent = _parent()
        root = self._telemetry.tracer.start_span("ophamin.scenario", parent, attributes=attributes)
        self._root, self._context = root, trace.set_span_in_context(root, parent)
        token = contexts.attach(self._context)
        try:
            yield
        except BaseException as error:
            _failed(root, error)
            self._finish()
            raise
        finally:
            contexts.detach(token)

    def verdict(self, record: Mapping[str, JSON]) -> None:
        """Put the verdict on the span of the run, end it, and send what is left."""
        for attributes in evaluations(record):
            if self._root is not None:
                self._root.add_event(EVENT, attributes)
                if self._telemetry.events is not None:
                    self._telemetry.events.emit(attributes, self._context)
            if self._meters is not None:
                outcome = attributes["gen_ai.evaluation.score.label"]
                self._meters.verdicts.add(1, {"ophamin.scenario.name": self._scenario, "ophamin.outcome": outcome})
        self._finish()

    def artifacts(self) -> Sequence[Path]:
        """The trace in OTLP's JSON lines, if there is one."""
        self._finish()
        return (self._file.path,) if self._file is not None and self._file.path.exists() else ()

    def _finish(self) -> None:
        root, self._root = self._root, None
        if root is None:
            return
        self.end(root)
        if self._file is not None:
            self._file.flush()
        if self._telemetry.sending is not None:
            events = self._telemetry.events
            told = (0, ()) if events is None else (events.emitted, events.exporters)
            lost = self._telemetry.sending.finish(self._spans, *told)
            if lost:
                kept = f"; all of them stand beside the proof in {FILE}" if self._file is not None else ""
                print(f"ophamin: tracing: {lost}; the run is not affected{kept}", file=sys.stderr)

    # --- for the cycles

    def start(self, index: int, record: str, position: int) -> Span:
        """Begin the span of a cycle."""
        attributes: dict[str, JSON] = {"ophamin.cycle.index": index, "ophamin.record.id": _text(record)}
        if position < len(self._arms):
            attributes["ophamin.arm"] = self._arms[position]
        return self._telemetry.tracer.start_span("ophamin.cycle", self._context, attributes=attributes)

    def end(self, span: Span) -> None:
        """End a span and keep it."""
        span.end()
        if span.get_span_context().trace_flags.sampled and isinstance(span, ReadableSpan):
            self._spans += 1
            if self._file is not None:
                self._file.add(span)

    def ended(self, span: Span, result: CycleResult) -> None:
        """End the span of a cycle with what came of it."""
        if span.is_recording():
            # One attribute costs the SDK half of what a mapping with one does.
            span.set_attribute("ophamin.cycle.status", result.status)
            if result.resources:
                span.set_attributes({f"ophamin.resources.{name}": value for name, value in result.resources.items()})
            if result.status != "ok":
                span.set_attribute("error.type", "substrate_error" if result.status == "error" else "unmeasured")
                span.set_status(Status(StatusCode.ERROR, _text(result.error or result.status)))
        self.end(span)
        if self._meters is not None:
            self._meters.cycle(self._scenario, result.status, result.wall_s)


class _Meters:
    """The metrics of a run."""

    def __init__(self, meter: JSON) -> None:
        self._duration = meter.create_histogram("ophamin.cycle.duration", "s", "Time a cycle took")
        self._cycles = meter.create_counter("ophamin.cycles", "{cycle}", "Cycles by status")
        self.verdicts = meter.create_counter("ophamin.verdicts", "{verdict}", "Verdicts by outcome")
        self._attributes: dict[str, dict[str, str]] = {}

    def cycle(self, scenario: str, status: str, seconds: float | None) -> None:
        """Count one cycle; one that ran beside others has no time of its own."""
        attributes = self._attributes.get(status)
        if attributes is None:
            attributes = {"ophamin.scenario.name": scenario, "ophamin.cycle.status": status}
            self._attributes[status] = attributes
        if seconds is not None:
            self._duration.record(seconds, attributes)
        self._cycles.add(1, attributes)


class _Traced(WatchedSubstrate):
    def __init__(self, substrate: SubstrateProbe, instrument: TracingInstrument, position: int) -> None:
        super().__init__(substrate)
        self._instrument, self._position, self._count = instrument, position, 0

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        instrument, position = self._instrument, self._position
        cycles = iter(self._wrapped.run_batch(records, seed=seed, timeout_s=timeout_s))
        try:
            for record in records:
                span = instrument.start(self._count, record.id, position)
                self._count += 1
                token = contexts.attach(trace.set_span_in_context(span))
                try:
                    result = next(cycles)
                except StopIteration:
                    return  # fewer results than records, which the caller judges; a span never ended is never sent
                except BaseException as error:
                    _failed(span, error)
                    instrument.end(span)
                    raise
                finally:
                    contexts.detach(token)
                instrument.ended(span, result)
                yield result
            yield from cycles
        finally:
            close = getattr(cycles, "close", None)
            if close is not None:
                close()


def _failed(span: Span, error: BaseException) -> None:
    clean = {"exception.message": _text(str(error)), "exception.stacktrace": _text("".join(format_exception(error)))}
    span.record_exception(error, clean)
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR, _text(f"{type(error).__name__}: {error}")))


def _text(text: str) -> str:
    """The text as UTF-8 can carry it: half a surrogate pair would cost the whole batch."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _parent() -> Context:
    """The span the caller is in; else the one that the environment hands down, as CI systems do."""
    current = contexts.get_current()
    if trace.get_current_span(current).get_span_context().is_valid or "TRACEPARENT" not in os.environ:
        return current
    carrier = {"traceparent": os.environ["TRACEPARENT"], "tracestate": os.environ.get("TRACESTATE", "")}
    return extract(carrier, current)
