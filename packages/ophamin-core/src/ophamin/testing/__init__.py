"""ophamin.testing."""

__all__: list[str] = []
