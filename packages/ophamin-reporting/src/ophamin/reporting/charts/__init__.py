"""ophamin.reporting.charts."""

__all__: list[str] = []
