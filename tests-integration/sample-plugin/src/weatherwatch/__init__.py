"""An outsider's plug-in: knows ophamin-core, and no other wheel of the family."""

__all__: list[str] = []
