"""Where this wheel may keep caches: the user's folder, never beside the data."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(name: str) -> Path | None:
    """``$OPHAMIN_HOME/cache/seeing/<name>`` (not created), or ``None`` without a home folder.

    Without ``OPHAMIN_HOME`` the user's cache folder serves: a cache may be deleted at any time.
    """
    home = os.environ.get("OPHAMIN_HOME", "")
    if home:
        return Path(home).expanduser() / "cache" / "seeing" / name
    try:
        base = os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(base) / "ophamin" / "seeing" / name
