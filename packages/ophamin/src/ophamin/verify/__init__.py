"""ophamin.verify."""

__all__: list[str] = []
