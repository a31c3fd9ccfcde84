"""The commands of this wheel; click is imported here and nowhere else."""

__all__: list[str] = []
