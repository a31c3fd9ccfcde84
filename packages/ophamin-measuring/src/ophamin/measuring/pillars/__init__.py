"""ophamin.measuring.pillars."""

__all__: list[str] = []
