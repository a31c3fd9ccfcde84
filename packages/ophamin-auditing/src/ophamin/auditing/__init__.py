"""ophamin.auditing."""

__all__: list[str] = []
