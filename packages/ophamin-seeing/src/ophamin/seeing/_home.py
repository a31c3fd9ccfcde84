"""Where this wheel may keep caches: the user's folder, never beside the data."""

from __future__ import annotations

from pathlib import Path

from ophamin.proof.keys import home_directory

__all__ = ["cache_folder"]


def cache_folder(name: str) -> Path | None:
    """``<OPHAMIN_HOME>/cache/seeing/<name>`` (not created), or ``None`` where the user has no home."""
    try:
        return home_directory() / "cache" / "seeing" / name
    except RuntimeError:
        return None
