"""ophamin.reporting."""

__all__: list[str] = []
