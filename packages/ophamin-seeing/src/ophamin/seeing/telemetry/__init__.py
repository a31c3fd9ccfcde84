"""Metrics a system exposes: a Prometheus or OpenMetrics endpoint, once or over a window.

``ophamin.seeing.telemetry.scrape.scrape`` reads an endpoint; ``ophamin.seeing.telemetry.report.report_telemetry`` makes
a signed record of what it said.
"""

__all__: list[str] = []
