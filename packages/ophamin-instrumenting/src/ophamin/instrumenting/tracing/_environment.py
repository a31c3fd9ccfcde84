"""Providers as the environment (``OTEL_*``) asks for them; an application's own are used as they are."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

from ophamin.instrumenting.tracing._events import Events, events
from ophamin.instrumenting.tracing._sending import Sending, Watched
from ophamin.proof.errors import MissingDependency, UsageError

__all__ = ["Telemetry", "telemetry"]

JSON = Any
SCOPE = "ophamin"
# Cycles may be far faster than a receiver; what does not fit the queue would be dropped.
QUEUE = 65_536
# The exporters of the extra ``otlp``. Looking them up by entry point reads every installed distribution.
OTLP = {
    "TRACES": ("trace_exporter", "OTLPSpanExporter"),
    "METRICS": ("metric_exporter", "OTLPMetricExporter"),
    "LOGS": ("_log_exporter", "OTLPLogExporter"),
}


@dataclass(frozen=True)
class Telemetry:
    """What a run's spans, events and metrics go through.

    Args:
        tracer: Makes the spans.
        meter: Makes the metrics; ``None`` when nobody collects them.
        events: Takes the events; ``None`` when nobody collects them.
        file: Whether the spans are to stand in a file too.
        sending: What sends them away, or ``None`` when that is nobody's or the application's business.
    """

    tracer: Tracer
    meter: Meter | None
    events: Events | None
    file: bool
    sending: Sending | None


def telemetry() -> Telemetry:
    """Set up as the environment says.

    ``OTEL_SDK_DISABLED`` turns everything off. Providers that the application configured are used and neither
    changed nor shut down. Otherwise ``OTEL_TRACES_EXPORTER``, ``OTEL_METRICS_EXPORTER`` and ``OTEL_LOGS_EXPORTER`` name
    exporters (``otlp``, ``console``, ``none``, or any installed one); where they are silent, an OTLP endpoint in the
    environment means ``otlp``. Nothing is made global.

    Raises:
        MissingDependency: An exporter is asked for whose package is not installed.
        UsageError: There is no such exporter.
    """
    number = version("ophamin-instrumenting")
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Telemetry(trace.NoOpTracerProvider().get_tracer(SCOPE), None, None, False, None)
    applications = trace.get_tracer_provider()
    meters = metrics.get_meter_provider()
    # What the API hands out while nobody has configured anything comes from the API itself.
    meter = None if type(meters).__module__.startswith("opentelemetry.metrics") else meters.get_meter(SCOPE, number)
    load = partial(_load, "LOGS")
    resource = _resource()
    if not isinstance(applications, trace.ProxyTracerProvider):
        return Telemetry(
            applications.get_tracer(SCOPE, number), meter, events(SCOPE, number, (), load, resource), True, None
        )
    names, endpoint = _asked("TRACES")
    exporters = [Watched(_span_exporter(name), SpanExportResult) for name in names]
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    queue = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else QUEUE
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=queue))
    others: dict[str, JSON] = {}
    if meter is None and (readers := _readers()):
        others["metrics"] = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        meter = others["metrics"].get_meter(SCOPE, number)
    taken = events(SCOPE, number, _asked("LOGS")[0], load, resource)
    if taken is not None and taken.provider is not None:
        others["events"] = taken.provider
    sending = Sending(provider, exporters, endpoint, others) if exporters or others else None
    silent = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    return Telemetry(provider.get_tracer(SCOPE, number), meter, taken, not silent, sending)


def _resource() -> Resource:
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "ophamin"}))
    return resource


def _asked(signal: str) -> tuple[list[str], str]:
    """Exporters asked for, and where OTLP would send to, without the password in it."""
    endpoints = [os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"), os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")]
    endpoint = next((e for e in endpoints if e), "")
    named = os.environ.get(f"OTEL_{signal}_EXPORTER", "")
    names = [name.strip() for name in named.split(",") if name.strip()] or (["otlp"] if endpoint else [])
    if "none" in names and len(names) > 1:
        raise UsageError(f"OTEL_{signal}_EXPORTER names none and others: {named}")
    return [name for name in names if name != "none"], _shown(endpoint or "http://localhost:4318")


def _shown(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _span_exporter(name: str) -> SpanExporter:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr)  # stdout is the result's
    made: SpanExporter = _load("TRACES", name)()
    return made


def _readers() -> list[PeriodicExportingMetricReader]:
    readers = []
    for name in _asked("METRICS")[0]:
        if name == "console":
            from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

            readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter(out=sys.stderr)))
        else:
            readers.append(PeriodicExportingMetricReader(_load("METRICS", name)()))
    return readers


def _load(signal: str, name: str) -> Callable[[], JSON]:
    """The class of an installed exporter, by the name the environment gives it."""
    group = f"opentelemetry_{signal.lower()}_exporter"
    if name == "otlp":
        wire = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        name = "otlp_proto_grpc" if wire == "grpc" else "otlp_proto_http"
    if name == "otlp_proto_http":
        module, exporter = OTLP[signal]
        try:
            loaded = getattr(importlib.import_module(f"opentelemetry.exporter.otlp.proto.http.{module}"), exporter)
        except ImportError as error:
            package = "opentelemetry-exporter-otlp-proto-http"
            raise MissingDependency("sending by OTLP", package, "ophamin-instrumenting[otlp]") from error
    else:
        found: list[EntryPoint] = list(entry_points(group=group, name=name))
        if not found:
            installed = ", ".join(sorted({"console", "none", *(e.name for e in entry_points(group=group))}))
            raise UsageError(f"no exporter {name!r} is installed for OTEL_{signal}_EXPORTER; there are {installed}")
        loaded = found[0].load()
    return loaded  # type: ignore[no-any-return]  # what a name of the environment stands for
