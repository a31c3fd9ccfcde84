"""ophamin.auditing.export."""

__all__: list[str] = []
