"""Spans in a file, in the JSON form of OTLP: one export request a line, which collectors read back.

Source: OpenTelemetry Protocol File Exporter; OTLP/JSON: ids in hexadecimal, 64-bit integers as strings, enums as
numbers.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
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
_quote = json.encoder.encode_basestring_ascii


class SpanFile:
    """Appends ended spans to a file, a batch at a time.

    They are written in the thread that hands them over, between cycles: a thread in the background would want the
    interpreter while a cycle is being timed.

    Args:
        path: The file; made with the first batch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._first: ReadableSpan | None = None
        self._waiting: list[str] = []

    def add(self, span: ReadableSpan) -> None:
        """Take one ended span."""
        # As text at once: what it is made of is still at hand, and need not be kept.
        self._first = self._first or span
        self._waiting.append(_span(span))
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._first is not None and self._waiting:
            spans, self._waiting = self._waiting, []
            with open(self.path, "ab") as out:
                out.write((_request(self._first, spans) + "\n").encode("ascii"))


def request(spans: Sequence[ReadableSpan]) -> str:
    """The spans, which share resource and scope, as one ``ExportTraceServiceRequest`` in JSON."""
    return _request(spans[0], map(_span, spans))


def _request(first: ReadableSpan, spans: Iterable[str]) -> str:
    # Written as text: objects in between would double what a span costs.
    scope = first.instrumentation_scope
    named = f'"name":{_quote(scope.name)},"version":{_quote(scope.version or "")}' if scope is not None else ""
    return (
        f'{{"resourceSpans":[{{"resource":{{"attributes":{_attributes(first.resource.attributes)}}},'
        f'"scopeSpans":[{{"scope":{{{named}}},"spans":[{",".join(spans)}]}}]}}]}}'
    )


def _span(span: ReadableSpan) -> str:
    context, parent, status = span.get_span_context(), span.parent, span.status
    assert context is not None  # only ended spans come here
    text = (
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}","flags":{_flags(parent)},'
        # The API counts kinds from INTERNAL = 0, the protocol from UNSPECIFIED = 0.
        f'"name":{_quote(span.name)},"kind":{span.kind.value + 1},"startTimeUnixNano":"{span.start_time}",'
        f'"endTimeUnixNano":"{span.end_time}","attributes":{_attributes(span.attributes)}'
    )
    # Every one of these is asked once: the SDK copies its lists, under a lock, for each.
    if parent is not None:
        text += f',"parentSpanId":"{parent.span_id:016x}"'
    if context.trace_state:
        text += f',"traceState":{_quote(context.trace_state.to_header())}'
    if events := span.events:
        text += f',"events":[{",".join(map(_event, events))}]'
    if links := span.links:
        text += f',"links":[{",".join(map(_link, links))}]'
    if dropped := span.dropped_attributes:
        text += f',"droppedAttributesCount":{dropped}'
    if dropped := span.dropped_events:
        text += f',"droppedEventsCount":{dropped}'
    if dropped := span.dropped_links:
        text += f',"droppedLinksCount":{dropped}'
    if code := status.status_code.value:
        told = f',"message":{_quote(status.description)}' if status.description else ""
        return f'{text},"status":{{"code":{code}{told}}}}}'
    return text + ',"status":{}}'


def _flags(parent: SpanContext | None) -> int:
    return _KNOWN | (_REMOTE if parent is not None and parent.is_remote else 0)


def _event(event: Event) -> str:
    attributes = _attributes(event.attributes)
    return f'{{"timeUnixNano":"{event.timestamp}","name":{_quote(event.name)},"attributes":{attributes}}}'


def _link(link: Link) -> str:
    context = link.context
    return (
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}","flags":{_flags(context)},'
        f'"attributes":{_attributes(link.attributes)}}}'
    )


def _attributes(attributes: Mapping[str, JSON] | None) -> str:
    if attributes is None:
        return "[]"
    # A copy is a plain dict; the SDK's own mapping takes a lock and a call for every key.
    return f"[{','.join([_pair(key, value) for key, value in attributes.copy().items()])}]"  # type: ignore[attr-defined]


def _pair(key: str, value: JSON) -> str:
    kind = type(value)
    # What cycles carry, quickly.
    if kind is int:
        return f'{{"key":{_quote(key)},"value":{{"intValue":"{value}"}}}}'
    if kind is str:
        return f'{{"key":{_quote(key)},"value":{{"stringValue":{_quote(value)}}}}}'
    return f'{{"key":{_quote(key)},"value":{_value(value)}}}'


def _value(value: JSON) -> str:
    if isinstance(value, float):
        number = float.__repr__(value) if math.isfinite(value) else f'"{_NO_NUMBER[str(value)]}"'
        return f'{{"doubleValue":{number}}}'
    if isinstance(value, str):
        return f'{{"stringValue":{_quote(value)}}}'
    if isinstance(value, bool):
        return f'{{"boolValue":{"true" if value else "false"}}}'
    if isinstance(value, int):
        return f'{{"intValue":"{value:d}"}}'
    if value is None:
        return "{}"
    if isinstance(value, bytes):
        return f'{{"bytesValue":"{base64.b64encode(value).decode()}"}}'
    if isinstance(value, Mapping):
        return f'{{"kvlistValue":{{"values":[{",".join([_pair(str(k), v) for k, v in value.items()])}]}}}}'
    if isinstance(value, Sequence):
        return f'{{"arrayValue":{{"values":[{",".join(map(_value, value))}]}}}}'
    return f'{{"stringValue":{_quote(str(value))}}}'
