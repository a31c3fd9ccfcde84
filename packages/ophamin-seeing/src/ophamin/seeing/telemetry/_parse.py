"""Exposition text to families, by the parsers of prometheus-client; the one module here that imports it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.openmetrics.parser import text_fd_to_metric_families as read_openmetrics
from prometheus_client.parser import text_fd_to_metric_families as read_text

from ophamin.seeing._signed import printable
from ophamin.seeing.telemetry.errors import MalformedMetrics, NotMetrics, ResponseTooBig

__all__ = ["MAX_SAMPLES", "format_of", "parse_metrics"]

JSON = Any
MAX_SAMPLES = 40_000
"""More would pass the limits every reader of records has."""


def format_of(content_type: str, shown: str) -> str:
    """``openmetrics`` or ``text``, by the Content-Type.

    Raises:
        NotMetrics: Neither, such as an HTML page.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media == "application/openmetrics-text":
        return "openmetrics"
    if media in ("text/plain", ""):
        return "text"
    raise NotMetrics(
        f"{shown} answers with {printable(media)[:80]}, not metrics; name the address of the metrics, often /metrics"
    )


class _Lines:
    """The lines of a text, and how many were handed out; a parser stops at the one it cannot read."""

    def __init__(self, text: str) -> None:
        self.number = 0
        self._text = text

    def __iter__(self) -> Iterator[str]:
        begin = 0
        while begin < len(self._text):
            end = self._text.find("\n", begin) + 1 or len(self._text)
            self.number += 1
            yield self._text[begin:end]
            begin = end


def parse_metrics(body: bytes, kind: str, shown: str) -> tuple[list[dict[str, JSON]], list[str]]:
    """Parse one scrape.

    Args:
        body: The bytes.
        kind: ``openmetrics`` or ``text``.
        shown: The address, for messages.

    Returns:
        Families in the order they stand, as the record has them, and warnings: a series that stands twice (the first
        counts), a histogram whose buckets do not grow.

    Raises:
        NotMetrics: Not UTF-8.
        ResponseTooBig: More series than a record holds.
        MalformedMetrics: A line breaks the format.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise MalformedMetrics(line, f"byte {error.start} is not UTF-8") from None
    if "\0" in text:
        raise MalformedMetrics(text.count("\n", 0, text.index("\0")) + 1, "it holds a null byte")
    if not text.strip():
        raise NotMetrics(f"{shown} answers with nothing; is this the address of the metrics?")
    n_series = sum(1 for line in text.split("\n") if line and line[0] not in "#\r")
    if n_series > MAX_SAMPLES:  # before the parser takes half a minute and a gigabyte
        raise ResponseTooBig(f"{shown} has {n_series} series, more than the {MAX_SAMPLES} of a record")
    read: Callable[[Any], Iterable[Any]] = read_openmetrics if kind == "openmetrics" else read_text
    lines = _Lines(text)
    families: dict[str, dict[str, JSON]] = {}
    warnings: list[str] = []
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    try:
        for family in read(lines):
            entry = families.setdefault(
                family.name,
                {
                    "name": family.name,
                    "type": family.type,
                    "documentation": family.documentation,
                    "unit": family.unit or "",
                    "samples": [],
                },
            )
            for sample in family.samples:
                labels = tuple(sorted((k, v) for k, v in sample.labels.items()))
                if (sample.name, labels) in seen:
                    warnings.append(f"{sample.name}{dict(labels)} stands twice; the first counts")
                    continue
                seen.add((sample.name, labels))
                entry["samples"].append(_sample(sample, labels))
    except MalformedMetrics:
        raise
    except Exception as error:  # noqa: BLE001 - the parsers raise ValueError, IndexError, KeyError… for what they cannot read
        raise MalformedMetrics(max(lines.number, 1), printable(str(error) or type(error).__name__)[:200]) from None
    if not any(f["samples"] for f in families.values()):
        raise NotMetrics(f"{shown} answers with text that holds no metric")
    for entry in families.values():
        warnings += _histogram_problems(entry)
    return list(families.values()), [printable(w)[:300] for w in warnings[:100]]


def _sample(sample: Any, labels: tuple[tuple[str, str], ...]) -> dict[str, JSON]:
    found: dict[str, JSON] = {
        "name": sample.name,
        "labels": [list(pair) for pair in labels],
        "value": _number(sample.value),
        "timestamp": _time(sample.timestamp),
    }
    if sample.exemplar is not None:
        found["exemplar"] = {
            "labels": [[k, v] for k, v in sorted(sample.exemplar.labels.items())],
            "value": _number(sample.exemplar.value),
            "timestamp": _time(sample.exemplar.timestamp),
        }
    return found


def _number(value: float) -> JSON:
    """A number; NaN and the infinities, which JSON does not have, as the formats spell them."""
    value = float(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _time(value: Any) -> float | None:
    if value is None:
        return None
    seconds = float(value)
    return seconds if math.isfinite(seconds) else None


def _histogram_problems(family: dict[str, JSON]) -> list[str]:
    if family["type"] != "histogram":
        return []
    series: dict[str, list[tuple[float, float]]] = {}
    for sample in family["samples"]:
        le = next((v for k, v in sample["labels"] if k == "le"), None)
        if sample["name"].endswith("_bucket") and le is not None:
            rest = str([pair for pair in sample["labels"] if pair[0] != "le"])
            try:
                series.setdefault(rest, []).append((float(le), float(sample["value"])))
            except ValueError:
                return [f"histogram {family['name']} has a bucket with le={le!r}, which is no number"]
    for rest, buckets in series.items():
        buckets.sort()
        counts = [count for _, count in buckets]
        if counts != sorted(counts) or not math.isinf(buckets[-1][0]):
            return [f"the buckets of histogram {family['name']} {rest} do not grow up to +Inf"]
    return []
