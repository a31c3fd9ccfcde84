"""ophamin.comparing."""

__all__: list[str] = []
