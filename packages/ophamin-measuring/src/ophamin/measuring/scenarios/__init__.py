"""ophamin.measuring.scenarios."""

__all__: list[str] = []
