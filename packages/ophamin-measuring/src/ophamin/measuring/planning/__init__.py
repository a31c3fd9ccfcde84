"""ophamin.measuring.planning."""

__all__: list[str] = []
