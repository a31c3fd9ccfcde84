"""ophamin.seeing.corpus."""

__all__: list[str] = []
