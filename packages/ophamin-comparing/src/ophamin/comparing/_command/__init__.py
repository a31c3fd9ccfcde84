"""The commands of this wheel; the one place of it that imports click."""

__all__: list[str] = []
