"""ophamin.reporting.renderers."""

__all__: list[str] = []
