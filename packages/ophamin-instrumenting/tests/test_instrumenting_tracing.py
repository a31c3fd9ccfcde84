"""A run as a trace: read back by the protocol's own library, sent to a real receiver, and never in the run's way."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from ophamin.instrumenting.tracing._file import request
from ophamin.instrumenting.tracing.instrument import TracingInstrument
from ophamin.proof.errors import MissingDependency, UsageError
from ophamin.protocols import CycleResult, Record, RunSpec

SPEC = RunSpec(scenario="metric", arms={"main": "test"}, corpus="table:rows.csv")
RECORD = {
    "claim": {
        "threshold": {"metric": "accuracy", "comparator": ">=", "value": 0.9, "units": "fraction"},
        "decision": {"rule": "interval"},
        "co_primary": [{"threshold": {"metric": "recall", "comparator": ">=", "value": 0.5}, "decision": {"rule": "interval"}}],
    },
    "verdict": {
        "outcome": "REFUTED", "observed_value": 0.8, "reasoning": "REFUTED: 0.8 … lies outside.",
        "interval": {"lower": 0.75, "upper": None, "level": 0.9, "sides": "two one-sided"},
        "n_used": 9, "n_errors": 1, "n_unmeasured": 0,
        "co_primary": [{"metric": "recall", "observed_value": None, "outcome": "INCONCLUSIVE", "interval": None}],
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("OTEL_", "TRACEPARENT"))]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def receiver(tmp_path, request):
    """A receiver in another process: what it got, as requests of the protocol; the parameter: paths it does not know."""
    code = textwrap.dedent("""
        import base64, http.server, json, sys, threading, time
        lock, log = threading.Lock(), open(sys.argv[1], "w")
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    print(json.dumps([self.path, dict(self.headers), base64.b64encode(body).decode()]), file=log, flush=True)
                time.sleep(0.05)  # as receivers far away are: slower than cycles
                self.send_response(404 if self.path in sys.argv[2:] else 200); self.send_header("Content-Length", "0"); self.end_headers()
            def log_message(self, *words): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_port, flush=True)
        server.serve_forever()
    """)
    log = tmp_path / "received"
    unknown = getattr(request, "param", ())
    process = subprocess.Popen([sys.executable, "-c", code, str(log), *unknown], stdout=subprocess.PIPE, text=True)
    port = process.stdout.readline().strip()

    class Receiver:
        address = f"http://127.0.0.1:{port}"

        def __init__(self):
            self.unknown = unknown

        def received(self):
            got = [json.loads(line) for line in log.read_text().splitlines()]
            return [(path, headers, base64.b64decode(body)) for path, headers, body in got]

    yield Receiver()
    process.kill()
    process.wait()
    process.stdout.close()


def parsed(line):
    """A line of the file as the protocol's own message; OTLP spells ids in hexadecimal, protobuf's JSON in base64."""

    def ids(value):
        if isinstance(value, dict):
            return {
                k: base64.b64encode(bytes.fromhex(v)).decode() if k in ("traceId", "spanId", "parentSpanId") else ids(v)
                for k, v in value.items()
            }
        return [ids(v) for v in value] if isinstance(value, list) else value

    return json_format.Parse(json.dumps(ids(json.loads(line))), ExportTraceServiceRequest())


def spans_of(requests):
    return [s for r in requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]


def attributes(item):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in item.attributes}


def trace(substrate, payloads=("a", "b"), record=RECORD, instrument=None):
    """Run under the instrument as the engine does; it and the spans of its file."""
    instrument = instrument or TracingInstrument()
    with instrument.scenario(SPEC):
        wrapped = instrument.wrap(substrate)
        list(wrapped.run_batch([Record(str(i), p) for i, p in enumerate(payloads)], seed=0, timeout_s=1.0))
    instrument.verdict(record)
    files = instrument.artifacts()
    return instrument, spans_of([parsed(line) for f in files for line in f.read_text("ascii").splitlines()])


def test_a_scenario_holds_its_cycles_and_the_verdict_is_an_evaluation(calls):
    _, spans = trace(calls(len))
    *cycles, root = spans
    assert [s.name for s in spans] == ["ophamin.cycle", "ophamin.cycle", "ophamin.scenario"]
    assert {s.trace_id for s in spans} == {root.trace_id}
    assert {s.parent_span_id for s in cycles} == {root.span_id}
    assert not root.parent_span_id
    assert [attributes(s)["ophamin.record.id"] for s in cycles] == ["0", "1"]
    assert [attributes(s)["ophamin.cycle.index"] for s in cycles] == [0, 1]
    assert {attributes(s)["ophamin.cycle.status"] for s in cycles} == {"ok"}
    assert all(root.start_time_unix_nano <= s.start_time_unix_nano < s.end_time_unix_nano for s in cycles)
    assert attributes(root)["ophamin.scenario.name"] == "metric"
    first, second = root.events
    assert first.name == second.name == "gen_ai.evaluation.result"
    found = attributes(first)
    assert found["gen_ai.evaluation.name"] == "accuracy"
    assert found["gen_ai.evaluation.score.value"] == 0.8
    assert found["gen_ai.evaluation.score.label"] == "REFUTED"
    assert found["gen_ai.evaluation.explanation"] == RECORD["verdict"]["reasoning"]
    assert (found["ophamin.interval.lower"], found["ophamin.interval.level"]) == (0.75, 0.9)
    assert "ophamin.interval.upper" not in found  # it could not be formed, which is not 0
    assert (found["ophamin.threshold.comparator"], found["ophamin.threshold.value"]) == (">=", 0.9)
    assert attributes(second)["gen_ai.evaluation.score.label"] == "INCONCLUSIVE"
    assert "gen_ai.evaluation.score.value" not in attributes(second)


def test_refuted_is_a_result_and_a_failing_system_an_error(calls):
    class Failing(calls):
        def run_batch(self, records, *, seed, timeout_s):
            yield CycleResult(0, "0", output=1, resources={"cpu_s": 0.5})
            yield CycleResult(1, "1", status="error", error="it broke")
            yield CycleResult(2, "2", status="unmeasured", error="the pipe broke")

    _, spans = trace(Failing(len), "abc")
    ok, error, unmeasured, root = spans
    assert (ok.status.code, root.status.code) == (0, 0)
    assert (error.status.code, error.status.message) == (2, "it broke")
    assert attributes(error)["error.type"] == "substrate_error"
    assert attributes(unmeasured)["error.type"] == "unmeasured"
    assert attributes(ok)["ophamin.resources.cpu_s"] == 0.5


def test_a_run_that_fails_ends_its_spans_with_the_error(calls):
    def fail(_):
        raise RuntimeError("the system\ud800 broke")

    instrument = TracingInstrument()
    with pytest.raises(RuntimeError, match="broke"):
        trace(calls(fail), instrument=instrument)
    (path,) = instrument.artifacts()
    cycle, root = spans_of([parsed(line) for line in path.read_text("ascii").splitlines()])
    for span in (cycle, root):
        assert span.status.code == 2
        assert span.status.message == "RuntimeError: the system\\ud800 broke"
        assert attributes(span)["error.type"] == "RuntimeError"
        assert span.events[0].name == "exception"


def test_the_file_says_what_the_protocol_says_of_the_same_spans():
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("scope", "1.2")
    remote = SpanContext(5, 6, True, TraceFlags(1), TraceState([("k", "v")]))
    with tracer.start_as_current_span("outer ü", kind=SpanKind.SERVER, links=[Link(remote, {"l": 1})]) as outer:
        outer.set_attributes({"s": "t\n\"", "i": -(2**62), "b": True, "f": 0.1, "n": float("nan"), "m": float("-inf"),
                              "list": [1, 2], "texts": ("a", "b"), "bools": [True, False], "bytes": b"\x00\xff", "none": None,
                              "map": {"k": 1, "deep": {"f": 2.5, "list": ["x", None]}}})  # fmt: skip
        outer.add_event("e", {"x": 1.5}, timestamp=123)
        with tracer.start_as_current_span("inner"):
            pass
        outer.set_status(Status(StatusCode.ERROR, "why"))
    spans = kept.get_finished_spans()
    ours, theirs = parsed(request(spans)), encode_spans(spans)
    assert json_format.MessageToDict(ours) == json_format.MessageToDict(theirs)


def test_a_receiver_gets_every_span_and_the_metrics(calls, receiver, environment):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a team")
    environment.setenv("OTEL_SERVICE_NAME", "my-service")
    environment.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=lab")
    _, kept = trace(calls(len), ["x"] * 3000)
    got = receiver.received()
    requests = [ExportTraceServiceRequest.FromString(body) for path, _, body in got if path == "/v1/traces"]
    sent = spans_of(requests)
    assert {s.span_id for s in sent} == {s.span_id for s in kept}
    assert len(sent) == 3001
    resource = attributes(requests[0].resource_spans[0].resource)
    assert (resource["service.name"], resource["deployment.environment"]) == ("my-service", "lab")
    assert all(headers["x-team"] == "a team" for _, headers, _ in got)
    metrics = {
        m.name: m
        for path, _, body in got
        if path == "/v1/metrics"
        for rm in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for sm in rm.scope_metrics
        for m in sm.metrics
    }
    (duration,) = metrics["ophamin.cycle.duration"].histogram.data_points
    assert (duration.count, metrics["ophamin.cycle.duration"].unit) == (3000, "s")
    (counted,) = metrics["ophamin.cycles"].sum.data_points
    assert (counted.as_int, attributes(counted)["ophamin.cycle.status"]) == (3000, "ok")
    (logs,) = [ExportLogsServiceRequest.FromString(body) for path, _, body in got if path == "/v1/logs"]
    assert attributes(logs.resource_logs[0].resource)["service.name"] == "my-service"
    events = [record for rl in logs.resource_logs for sl in rl.scope_logs for record in sl.log_records]
    (root,) = [s for s in kept if s.name == "ophamin.scenario"]
    assert [(e.event_name, e.trace_id, e.span_id) for e in events] == [
        ("gen_ai.evaluation.result", root.trace_id, root.span_id)
    ] * 2
    assert [attributes(e) for e in events] == [attributes(e) for e in root.events]
    assert all(root.start_time_unix_nano <= e.time_unix_nano <= root.end_time_unix_nano for e in events)
    outcomes = {attributes(p)["ophamin.outcome"]: p.as_int for p in metrics["ophamin.verdicts"].sum.data_points}
    assert outcomes == {"REFUTED": 1, "INCONCLUSIVE": 1}


@pytest.mark.parametrize("receiver", [["/v1/logs"], ["/v1/metrics"]], indirect=True, ids=["logs", "metrics"])
def test_a_receiver_that_takes_traces_only_is_told_so(calls, receiver, environment, capfd):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    environment.setenv("OTEL_LOGS_EXPORTER", "otlp")
    trace(calls(len))
    paths = [path for path, _, _ in receiver.received()]
    assert set(paths) == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    told = capfd.readouterr().err
    what = "2 of 2 events" if "logs" in str(receiver.unknown) else "metrics"
    assert told.startswith(f"ophamin: tracing: {what} did not reach {receiver.address}")
    assert "404" in told
    assert told.count("\n") == 1


def test_events_go_where_they_are_asked_for(calls, receiver, environment):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    environment.setenv("OTEL_LOGS_EXPORTER", "none")
    trace(calls(len))
    assert "/v1/logs" not in {path for path, _, _ in receiver.received()}
    environment.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    environment.delenv("OTEL_LOGS_EXPORTER")
    environment.setenv("OTEL_TRACES_EXPORTER", "none")
    environment.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{receiver.address}/v1/logs")
    trace(calls(len))
    assert [path for path, _, _ in receiver.received()].count("/v1/logs") == 1


def test_a_receiver_that_is_down_costs_a_moment_and_is_said_once(calls, environment, capfd):
    # Nobody listens on port 9 of this machine; the password is nobody's business.
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@127.0.0.1:9")
    began = time.perf_counter()
    _, kept = trace(calls(len), ["x"] * 600)
    assert time.perf_counter() - began < 30
    assert len(kept) == 601
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("ophamin: tracing: 601 of 601 spans did not reach http://127.0.0.1:9")
    assert "all of them stand beside the proof in trace.otlp.jsonl" in told
    assert "secret" not in told


def test_a_receiver_that_never_answers_is_given_up(calls, environment, capfd):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment.setenv(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        )
        began = time.perf_counter()
        trace(calls(len))
        assert time.perf_counter() - began < 30
    assert "did not reach" in capfd.readouterr().err


def test_the_sdk_can_be_turned_off(calls, environment):
    environment.setenv("OTEL_SDK_DISABLED", "true")
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    instrument, spans = trace(calls(len))
    assert spans == []
    assert instrument.artifacts() == ()


def test_none_means_nowhere_and_a_sampler_is_respected(calls, environment):
    environment.setenv("OTEL_TRACES_EXPORTER", "none")
    assert trace(calls(len))[1] == []
    environment.delenv("OTEL_TRACES_EXPORTER")
    environment.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert trace(calls(len))[1] == []


def test_the_console_exporter_leaves_stdout_to_the_result(calls, environment, capsys):
    environment.setenv("OTEL_TRACES_EXPORTER", "console")
    environment.setenv("OTEL_METRICS_EXPORTER", "console")
    environment.setenv("OTEL_LOGS_EXPORTER", "console")
    trace(calls(len))
    out, err = capsys.readouterr()
    assert out == ""
    assert '"name": "ophamin.scenario"' in err
    assert "ophamin.cycle.duration" in err
    assert '"event_name": "gen_ai.evaluation.result"' in err


def test_exporters_that_are_not_there(environment, monkeypatch):
    environment.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with pytest.raises(
        UsageError, match="no exporter 'zipkin' is installed for OTEL_TRACES_EXPORTER; there are console"
    ):
        TracingInstrument()
    environment.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingDependency, match=r"pip install 'ophamin-instrumenting\[otlp\]'"):
        TracingInstrument()


def test_a_caller_in_another_process_is_the_parent(calls, environment):
    environment.setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    *cycles, root = trace(calls(len))[1]
    assert root.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    assert {s.parent_span_id for s in cycles} == {root.span_id}


def test_an_applications_provider_is_used_and_left_as_it_is(tmp_path):
    # In a process of its own: a provider is set once in the life of a process.
    (tmp_path / "app.py").write_text(
        textwrap.dedent("""
        import json
        from opentelemetry import _logs, trace
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from ophamin.instrumenting.tracing.instrument import TracingInstrument
        from ophamin.protocols import CycleResult, Record, RunSpec

        kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(kept))
        trace.set_tracer_provider(provider)
        tracer = trace.get_tracer("app")
        noted, loggers = InMemoryLogRecordExporter(), LoggerProvider()
        loggers.add_log_record_processor(SimpleLogRecordProcessor(noted))
        _logs.set_logger_provider(loggers)

        class System:
            def run_batch(self, records, *, seed, timeout_s):
                for i, record in enumerate(records):
                    with tracer.start_as_current_span("the system's own"):
                        pass
                    yield CycleResult(i, record.id, output=1)

        with tracer.start_as_current_span("app") as app:
            instrument = TracingInstrument()
            with instrument.scenario(RunSpec(scenario="s", arms={"main": "x"})):
                list(instrument.wrap(System()).run_batch([Record("a", "")], seed=0, timeout_s=1.0))
            instrument.verdict({"claim": {"threshold": {"metric": "m"}}, "verdict": {"outcome": "VALIDATED"}})
            assert trace.get_tracer_provider() is provider
            with tracer.start_as_current_span("after"):
                pass
        names = {s.get_span_context().span_id: s.name for s in kept.get_finished_spans()}
        print(json.dumps([[s.name, names.get(s.parent.span_id) if s.parent else None] for s in kept.get_finished_spans()]))
        print(instrument.artifacts()[0].read_text().count('"spanId"'))
        print(json.dumps([[e.log_record.event_name, names[e.log_record.span_id]] for e in noted.get_finished_logs()]))
        """),
        "utf-8",
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "app.py")], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    spans, in_file, events = map(json.loads, done.stdout.splitlines())
    assert events == [["gen_ai.evaluation.result", "ophamin.scenario"]]
    assert sorted(map(tuple, spans), key=str) == sorted(
        [("the system's own", "ophamin.cycle"), ("ophamin.cycle", "ophamin.scenario"), ("ophamin.scenario", "app"),
         ("after", "app"), ("app", None)], key=str,
    )  # fmt: skip
    assert in_file == 2  # the run's own spans, not the application's


def test_off_costs_no_import():
    code = (
        "import sys; from ophamin import registry; import ophamin.instrumenting.tracing, ophamin.instrumenting.flame; "
        "registry.instruments.names(); print(sorted(m for m in sys.modules if m.startswith(('opentelemetry', 'memray'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_short_batch_and_an_early_end_pass_through(calls):
    class Short(calls):
        def run_batch(self, records, *, seed, timeout_s):
            try:
                yield CycleResult(0, "0", output=1)
            finally:
                self.ended = True

    assert [s.name for s in trace(Short(len))[1]] == ["ophamin.cycle", "ophamin.scenario"]
    substrate = Short(len)
    instrument = TracingInstrument()
    with instrument.scenario(SPEC):
        cycles = instrument.wrap(substrate).run_batch([Record("0", ""), Record("1", "")], seed=0, timeout_s=1.0)
        next(cycles)
        cycles.close()
    assert substrate.ended
