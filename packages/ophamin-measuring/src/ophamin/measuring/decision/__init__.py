"""ophamin.measuring.decision."""

__all__: list[str] = []
