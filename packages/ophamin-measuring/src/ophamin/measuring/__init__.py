"""ophamin.measuring."""

__all__: list[str] = []
