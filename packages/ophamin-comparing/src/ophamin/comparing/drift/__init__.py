"""ophamin.comparing.drift."""

__all__: list[str] = []
