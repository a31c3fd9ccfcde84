"""ophamin.measuring.estimators."""

__all__: list[str] = []
