"""The evaluation event as the conventions model events: a log record that has a name, in the context of its span.

Source: OpenTelemetry, logs data model, "Events"; OTEP 4430, which deprecates events on spans. Python's interface of
logs is still private in name (``opentelemetry._logs``), so it is asked for carefully: with an SDK that has moved it, or
that cannot name a record, there are no events here, and the span's own event is what there is.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource

from ophamin.instrumenting.tracing._sending import Counting

__all__ = ["EVENT", "Events", "events"]

JSON = Any
EVENT = "gen_ai.evaluation.result"


class Events:
    """Where the events of a run go.

    Args:
        logger: Takes them.
        severity: Of a record that informs.
        provider: The run's own provider, or ``None`` when it is the application's.
        exporters: The provider's exporters.
    """

    def __init__(self, logger: JSON, severity: JSON, provider: JSON = None, exporters: Sequence[Counting] = ()) -> None:
        self._logger, self._severity = logger, severity
        self.provider, self.exporters = provider, exporters
        self.emitted = 0

    def emit(self, attributes: Mapping[str, JSON], context: Context | None) -> None:
        """One evaluation.

        Args:
            attributes: Of the event.
            context: The one whose span was evaluated.
        """
        self.emitted += 1
        self._logger.emit(
            timestamp=time.time_ns(),
            context=context,
            severity_number=self._severity,
            attributes=dict(attributes),
            event_name=EVENT,
        )


def events(
    scope: str, number: str, names: Sequence[str], load: Callable[[str], Callable[[], JSON]], resource: Resource
) -> Events | None:
    """Set up what takes events; ``None`` when nobody does or the SDK has none.

    Args:
        scope: Whose events they are.
        number: Its version.
        names: Exporters asked for; a provider that the application has goes before them.
        load: Gives an exporter's class by its name.
        resource: Of the run.
    """
    try:
        from opentelemetry._logs import Logger, SeverityNumber, get_logger_provider
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import (
            BatchLogRecordProcessor,
            ConsoleLogRecordExporter,
            LogRecordExporter,
            LogRecordExportResult,
        )
    except ImportError:
        return None
    if "event_name" not in inspect.signature(Logger.emit).parameters:
        return None
    applications = get_logger_provider()
    # What the API hands out while nobody has configured anything comes from the API itself.
    if not type(applications).__module__.startswith("opentelemetry._logs"):
        return Events(applications.get_logger(scope, number), SeverityNumber.INFO)
    if not names:
        return None

    class Watched(Counting, LogRecordExporter):
        """An exporter of events that counts what was accepted."""

    made = [ConsoleLogRecordExporter(out=sys.stderr) if name == "console" else load(name)() for name in names]
    exporters = [Watched(exporter, LogRecordExportResult) for exporter in made]
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    return Events(provider.get_logger(scope, number), SeverityNumber.INFO, provider, exporters)
