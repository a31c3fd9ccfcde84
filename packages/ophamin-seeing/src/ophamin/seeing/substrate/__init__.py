"""ophamin.seeing.substrate."""

__all__: list[str] = []
