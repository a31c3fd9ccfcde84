"""Sending spans, events and metrics away without ever holding up the run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["Counting", "Sending", "Watched"]

JSON = Any
IDLE_S = 2.0
"""How long a receiver may take for a batch before it is given up."""
REFUSED_S = 0.5
"""The same, of one that refused the last time."""
LONGEST_S = 10.0
"""How long a receiver that does take batches is waited for, all in all."""

_here = threading.local()


class _LastWords(logging.Handler):
    """Keeps what the SDK last complained of; with a handler there, it does not reach the user's terminal by itself.

    What is said while an exporter works is that exporter's. An application that configured logging gets every line
    as ever.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        exporter: Counting | None = getattr(_here, "exporter", None)
        if exporter is not None:
            exporter.words = record.getMessage()
        else:
            self.words = record.getMessage()


_last_words = _LastWords()


class Counting:
    """An exporter that counts what was accepted and lets nothing it raises out.

    Args:
        exporter: The real one.
        results: What it answers: an enumeration with SUCCESS and FAILURE.
    """

    def __init__(self, exporter: JSON, results: type[Enum]) -> None:
        self._exporter, self._results = exporter, results
        self.accepted = 0
        self.refused = False
        self.words = ""

    def export(self, batch: Sequence[JSON]) -> JSON:
        """Send a batch."""
        _here.exporter, self.words = self, ""
        try:
            result = self._exporter.export(batch)
        except Exception as error:  # noqa: BLE001 - foreign code: a receiver's trouble is never the run's
            self.words = f"{type(error).__name__}: {error}"
            result = self._results["FAILURE"]
        finally:
            _here.exporter = None
        self.refused = result is not self._results["SUCCESS"]
        if not self.refused:
            self.accepted += len(batch)
        return result

    def shutdown(self) -> None:
        """End the real one, which makes it give up waiting."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return True


class Watched(Counting, SpanExporter):
    """An exporter of spans that counts what was accepted."""


class Sending:
    """The way of a run's spans, events and metrics to their receivers.

    Args:
        provider: The run's own tracer provider.
        exporters: Its exporters.
        endpoint: Where they send to, in words.
        others: The run's own other providers, by what they send.
    """

    def __init__(
        self, provider: TracerProvider, exporters: Sequence[Counting], endpoint: str, others: Mapping[str, JSON]
    ) -> None:
        self._provider, self._exporters, self.endpoint, self._others = provider, exporters, endpoint, others
        logger = logging.getLogger("opentelemetry")
        if _last_words not in logger.handlers:
            logger.addHandler(_last_words)
        _last_words.words = ""

    def finish(self, spans: int, events: int = 0, carriers: Sequence[Counting] = ()) -> str:
        """Send the rest, as long as receivers take it, and end.

        Args:
            spans: How many there were.
            events: How many there were.
            carriers: Exporters of the events.

        Returns:
            What did not arrive and why, one sentence, or "".
        """
        # The spans' first: it is what is worth waiting for.
        providers = {**({"spans": self._provider} if self._exporters else {}), **self._others}
        waiting = {name: _start(provider.force_flush) for name, provider in providers.items()}
        began = moved = time.perf_counter()
        everyone = [*self._exporters, *carriers]
        count = _accepted(everyone)
        while alive := [thread for thread in waiting.values() if thread.is_alive()]:
            now = time.perf_counter()
            if _accepted(everyone) > count:
                moved, count = now, _accepted(everyone)
            refused = any(exporter.refused for exporter in everyone) or ("metrics" in waiting and _last_words.words)
            if now - moved > (REFUSED_S if refused else IDLE_S) or now - began > LONGEST_S:
                break
            alive[0].join(0.02)
        late = {name for name, thread in waiting.items() if thread.is_alive()}
        told = self._told(spans, events, carriers, late)
        self._end(everyone)
        _last_words.words = ""
        return told

    def _end(self, exporters: Sequence[Counting]) -> None:
        for exporter in exporters:
            # Before the provider, whose shutdown waits for a batch under way: this one makes it give up.
            _start(exporter.shutdown).join(0.2)
        for provider in (self._provider, *self._others.values()):
            _start(provider.shutdown).join(0.2)

    def _told(self, spans: int, events: int, carriers: Sequence[Counting], late: set[str]) -> str:
        for what, count, exporters in (("spans", spans, self._exporters), ("events", events, carriers)):
            lost = [exporter for exporter in exporters if exporter.accepted < count]
            if lost:
                worst = min(lost, key=lambda exporter: exporter.accepted)
                slow = " in time" if what in late else ""
                why = _shortened(worst.words or _last_words.words)
                return f"{count - worst.accepted:,} of {count:,} {what} did not reach {self.endpoint}{slow}{why}"
        if "metrics" in self._others and ("metrics" in late or _last_words.words):
            return f"metrics did not reach {self.endpoint}{_shortened(_last_words.words)}"
        return ""


def _accepted(exporters: Sequence[Counting]) -> int:
    return sum(exporter.accepted for exporter in exporters)


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    return f" ({words if len(words) <= 200 else words[:199] + '…'})" if words else ""


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
