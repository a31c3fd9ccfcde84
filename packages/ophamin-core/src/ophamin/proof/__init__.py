"""ophamin.proof."""

__all__: list[str] = []
