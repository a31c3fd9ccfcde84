"""Sending spans and metrics away without ever holding up the run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

__all__ = ["Sending", "Watched"]

IDLE_S = 2.0
"""How long a receiver may take for a batch before it is given up."""
REFUSED_S = 0.5
"""The same, of one that refused the last time."""
LONGEST_S = 10.0
"""How long a receiver that does take batches is waited for, all in all."""


class _LastWords(logging.Handler):
    """Keeps what the SDK last complained of; with a handler there, it does not reach the user's terminal by itself.

    An application that configured logging gets every line as ever.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.words = record.getMessage()


_last_words = _LastWords()


class Watched(SpanExporter):
    """An exporter that counts what was accepted and lets nothing it raises out.

    Args:
        exporter: The real one.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.accepted = 0
        self.refused = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - foreign code: a receiver's trouble is never the run's
            _last_words.words = f"{type(error).__name__}: {error}"
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self.accepted += len(spans)
            _last_words.words = ""
        else:
            self.refused += len(spans)
        return result

    def shutdown(self) -> None:
        """End the real one, which makes it give up waiting."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return True


class Sending:
    """The way of a run's spans and metrics to their receivers.

    Args:
        provider: The run's own tracer provider.
        meters: The run's own meter provider, if it has one.
        exporters: The provider's exporters.
        endpoint: Where they send to, in words.
    """

    def __init__(
        self, provider: TracerProvider, meters: MeterProvider | None, exporters: Sequence[Watched], endpoint: str
    ) -> None:
        self._provider, self._meters, self._exporters, self.endpoint = provider, meters, exporters, endpoint
        logger = logging.getLogger("opentelemetry")
        if _last_words not in logger.handlers:
            logger.addHandler(_last_words)

    def finish(self, spans: int) -> str:
        """Send the rest, as long as receivers take it, and end.

        Args:
            spans: How many there were.

        Returns:
            What did not arrive and why, one sentence, or "".
        """
        flushes: list[Callable[[], object]] = []
        if self._exporters:
            flushes.append(self._provider.force_flush)
        if self._meters is not None:
            flushes.append(self._meters.force_flush)
        waiting = [_start(flush) for flush in flushes]
        began = moved = time.perf_counter()
        count = self._accepted()
        while any(thread.is_alive() for thread in waiting):
            now = time.perf_counter()
            if self._accepted() > count:
                moved, count = now, self._accepted()
            if now - moved > (REFUSED_S if _last_words.words else IDLE_S) or now - began > LONGEST_S:
                break
            next(thread for thread in reversed(waiting) if thread.is_alive() or thread is waiting[0]).join(0.02)
        late = any(thread.is_alive() for thread in waiting)
        told = self._told(spans, late)
        self._end()
        _last_words.words = ""
        return told

    def _accepted(self) -> int:
        return sum(exporter.accepted for exporter in self._exporters)

    def _end(self) -> None:
        for exporter in self._exporters:
            # Before the provider, whose shutdown waits for a batch under way: this one makes it give up.
            _start(exporter.shutdown).join(0.2)
        _start(self._provider.shutdown).join(0.2)
        if self._meters is not None:
            _start(self._meters.shutdown).join(0.2)

    def _told(self, spans: int, late: bool) -> str:
        lost = max((spans - exporter.accepted for exporter in self._exporters), default=0)
        words = " ".join(_last_words.words.split())
        why = f" ({words if len(words) <= 200 else words[:199] + '…'})" if words else ""
        if lost > 0:
            slow = " in time" if late else ""
            return f"{lost:,} of {spans:,} spans did not reach {self.endpoint}{slow}{why}"
        if self._meters is not None and (late or why):
            return f"metrics did not reach {self.endpoint}{why}"
        return ""


def _start(call: Callable[[], object]) -> threading.Thread:
    """Call in a thread that holds up nobody, not even the end of the program."""

    def quietly() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - foreign code: a receiver's trouble is never the run's
            _last_words.words = f"{type(error).__name__}: {error}"

    thread = threading.Thread(target=quietly, name="ophamin-telemetry", daemon=True)
    thread.start()
    return thread
