"""Versions are read from the installed distribution, never typed."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

__all__ = ["own_version"]


@cache
def own_version() -> str:
    """Version of the installed ophamin-seeing."""
    return version("ophamin-seeing")
