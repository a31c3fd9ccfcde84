"""Corpora, one connector a module; group ``ophamin.corpora``."""

__all__: list[str] = []
