"""Spans in a file, in the JSON form of OTLP: one export request a line, which collectors read back.

Source: OpenTelemetry Protocol File Exporter; OTLP/JSON: ids in hexadecimal, 64-bit integers as strings, enums as
numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext

__all__ = ["SpanFile", "request"]

JSON = Any
BATCH = 512
# As in trace.proto: whether a parent is remote is known, and it is.
_KNOWN, _REMOTE = 0x100, 0x200
# As the JSON of protocol buffers spells what JSON has no number for.
_NO_NUMBER = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


class SpanFile:
    """Appends ended spans to a file, a batch at a time.

    They are written in the thread that hands them over, between cycles: a thread in the background would want the
    interpreter while a cycle is being timed.

    Args:
        path: The file; made with the first batch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[ReadableSpan] = []

    def add(self, span: ReadableSpan) -> None:
        """Take one ended span."""
        self._waiting.append(span)
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting:
            spans, self._waiting = self._waiting, []
            with open(self.path, "ab") as out:
                out.write((_encode(request(spans)) + "\n").encode("ascii"))


def request(spans: Sequence[ReadableSpan]) -> dict[str, JSON]:
    """The spans, which share resource and scope, as one ``ExportTraceServiceRequest`` in JSON."""
    first = spans[0]
    scope = first.instrumentation_scope
    resource: dict[str, JSON] = {"attributes": _attributes(first.resource.attributes)}
    named = {"name": scope.name, "version": scope.version or ""} if scope is not None else {}
    in_scope = {"scope": named, "spans": [_span(span) for span in spans]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [in_scope]}]}


def _span(span: ReadableSpan) -> dict[str, JSON]:
    context, parent = span.get_span_context(), span.parent
    assert context is not None  # only ended spans come here
    found: dict[str, JSON] = {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "flags": _flags(parent),
        "name": span.name,
        "kind": span.kind.value + 1,  # the API counts from INTERNAL = 0, the protocol from UNSPECIFIED = 0
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes or {}),
    }
    if parent is not None:
        found["parentSpanId"] = f"{parent.span_id:016x}"
    if context.trace_state:
        found["traceState"] = context.trace_state.to_header()
    if span.events:
        found["events"] = [_event(event) for event in span.events]
    if span.links:
        found["links"] = [_link(link) for link in span.links]
    for name, dropped in (
        ("droppedAttributesCount", span.dropped_attributes),
        ("droppedEventsCount", span.dropped_events),
        ("droppedLinksCount", span.dropped_links),
    ):
        if dropped:
            found[name] = dropped
    status = span.status
    found["status"] = {"code": status.status_code.value} if status.status_code.value else {}
    if status.description:
        found["status"]["message"] = status.description
    return found


def _flags(parent: SpanContext | None) -> int:
    return _KNOWN | (_REMOTE if parent is not None and parent.is_remote else 0)


def _event(event: Event) -> dict[str, JSON]:
    return {
        "timeUnixNano": str(event.timestamp),
        "name": event.name,
        "attributes": _attributes(event.attributes or {}),
    }


def _link(link: Link) -> dict[str, JSON]:
    return {
        "traceId": f"{link.context.trace_id:032x}",
        "spanId": f"{link.context.span_id:016x}",
        "flags": _flags(link.context),
        "attributes": _attributes(link.attributes or {}),
    }


def _attributes(attributes: Mapping[str, JSON]) -> list[JSON]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: JSON) -> dict[str, JSON]:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _NO_NUMBER[str(value)]}
    if isinstance(value, Sequence):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": str(value)}
