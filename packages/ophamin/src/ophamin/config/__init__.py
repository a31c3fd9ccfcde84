"""Settings (``ophamin.toml`` or ``[tool.ophamin]``) and sweep files, as the dataclasses that wheels see.

Every command reads the settings; what reads sweep files is loaded on use (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ophamin.config._settings import load_settings

if TYPE_CHECKING:
    from ophamin.config._sweep import load_sweep

__all__ = ["load_settings", "load_sweep"]


def __getattr__(name: str) -> Any:
    if name == "load_sweep":
        from ophamin.config._sweep import load_sweep

        return load_sweep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
