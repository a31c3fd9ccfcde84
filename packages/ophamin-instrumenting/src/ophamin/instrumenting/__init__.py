"""ophamin.instrumenting."""

__all__: list[str] = []
