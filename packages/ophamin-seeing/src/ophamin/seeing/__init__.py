"""ophamin.seeing."""

__all__: list[str] = []
