"""ophamin.auditing.tools."""

__all__: list[str] = []
