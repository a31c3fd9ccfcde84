"""A traced run against the bare SDK making the same spans with a BatchSpanProcessor, to the same receiver.

Both sides are set up, deliver every span and are shut down before the clock stops. Rounds are interleaved, and the least
time of each side counts: what else runs on the machine only ever adds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from ophamin.instrumenting.tracing._file import SpanFile
from ophamin.instrumenting.tracing.instrument import TracingInstrument
from ophamin.protocols import CycleResult, Record, RunSpec

CYCLES, ROUNDS, BATCH = 4000, 15, 64
# The least a receiver can do: take the request and say yes; it prints its port first.
RECEIVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class _Substrate:
    """Answers at once, so that what is measured is the spans."""

    def run_batch(self, records: Sequence[Record], *, seed: int, timeout_s: float) -> Iterator[CycleResult]:
        for index, record in enumerate(records):
            yield CycleResult(index, record.id, output=1, wall_s=0.0)


class _ToFile(SpanExporter):
    def __init__(self, path: Path) -> None:
        self._file = SpanFile(path)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._file.add(span)
        self._file.flush()
        return SpanExportResult.SUCCESS


RECORDS = [Record(str(i), "") for i in range(CYCLES)]


def _bare(exporter: SpanExporter) -> float:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=65_536))
    tracer, substrate = provider.get_tracer("bare"), _Substrate()
    begin = time.perf_counter()
    index = 0
    with tracer.start_as_current_span("ophamin.scenario"):
        for at in range(0, CYCLES, BATCH):
            batch = RECORDS[at : at + BATCH]
            cycles = substrate.run_batch(batch, seed=0, timeout_s=1.0)
            for record in batch:
                attributes = {"ophamin.cycle.index": index, "ophamin.record.id": record.id}
                with tracer.start_as_current_span("ophamin.cycle", attributes=attributes) as span:
                    result = next(cycles)
                    span.set_attribute("ophamin.cycle.status", result.status)
                index += 1
    provider.force_flush()
    provider.shutdown()
    return time.perf_counter() - begin


def _ours(environment: Mapping[str, str]) -> float:
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("OTEL_")}
    os.environ.update(environment)
    try:
        begin = time.perf_counter()
        instrument = TracingInstrument()
        substrate = instrument.wrap(_Substrate())  # type: ignore[arg-type]
        with instrument.scenario(RunSpec(scenario="bench", arms={"main": "bench"})):
            for at in range(0, CYCLES, BATCH):
                for _ in substrate.run_batch(RECORDS[at : at + BATCH], seed=0, timeout_s=1.0):
                    pass
        instrument.verdict({})
        seconds = time.perf_counter() - begin
        (path,) = instrument.artifacts()
        assert path.read_bytes().count(b'"spanId"') == CYCLES + 1
    finally:
        for name in environment:
            del os.environ[name]
        os.environ.update(kept)
    return seconds


def run() -> list[dict[str, Any]]:
    """The least of interleaved rounds on either side, one row for each way the spans go."""
    receiver = subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True)
    rows = []
    try:
        assert receiver.stdout is not None
        endpoint = f"http://127.0.0.1:{receiver.stdout.readline().strip()}/v1/traces"
        with tempfile.TemporaryDirectory() as name:
            ways = {
                "to an OTLP receiver, and to the file": (
                    lambda: OTLPSpanExporter(endpoint=endpoint),
                    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint},
                ),
                "to the file": (lambda: _ToFile(Path(name) / str(time.perf_counter_ns())), {}),
            }
            for words, (exporter, environment) in ways.items():
                ratios, ours, bare = [], [], []
                for number in range(ROUNDS):
                    if number % 2:
                        bare.append(_bare(exporter()))
                        ours.append(_ours(environment))
                    else:
                        ours.append(_ours(environment))
                        bare.append(_bare(exporter()))
                    ratios.append(ours[-1] / bare[-1])
                ratio = min(ours) / min(bare)
                rows.append(
                    {
                        "name": f"traced run {words} / bare SDK batch spans to the same",
                        "ratio": ratio,
                        "bar": "<= 1.3",
                        "ok": ratio <= 1.3,
                        "detail": f"{min(ours) / CYCLES * 1e6:.0f} µs a cycle against {min(bare) / CYCLES * 1e6:.0f} µs, least of {ROUNDS} rounds; median of their ratios {statistics.median(ratios):.2f}",
                    }
                )
    finally:
        receiver.terminate()
        receiver.wait()
        if receiver.stdout is not None:
            receiver.stdout.close()
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
